import fuzz

ROUNDS = 2000


def test_a_broken_event_is_a_legal_event_or_refused():
    assert 0 < fuzz.fuzz_events(ROUNDS, 1) < ROUNDS


def test_a_broken_command_is_a_legal_command_or_refused():
    assert 0 < fuzz.fuzz_commands(ROUNDS, 2) < ROUNDS


def test_the_console_finds_bounded_texts_in_any_bytes_and_recovers():
    assert fuzz.fuzz_console(ROUNDS, 3) > 0


def test_a_setting_is_within_its_limits_or_refused():
    assert 0 < fuzz.fuzz_settings(ROUNDS, 4) < ROUNDS


def test_a_record_that_can_be_read_is_one_that_was_written():
    assert 0 < fuzz.fuzz_records(ROUNDS, 5) < ROUNDS


def test_a_journal_whose_files_are_broken_invents_nothing_and_never_stops_a_start():
    assert fuzz.fuzz_journals(ROUNDS // 4, 6) > 0


def test_a_stream_of_broken_packets_is_read_in_bounded_memory_or_refused():
    assert fuzz.fuzz_packets(ROUNDS, 7) > 0


def test_a_block_of_rtc_memory_is_within_its_limits_or_refused():
    assert 0 < fuzz.fuzz_kept(ROUNDS, 8) < ROUNDS
