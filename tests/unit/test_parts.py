from ansim_fw.core import config, indicator, json_seq, mqtt
from ansim_fw.core.retry import Jitter, wait_ms


def raises(call, *args):
    try:
        call(*args)
    except ValueError:
        return True
    return False


def test_waits_double_up_to_their_limit_and_never_pass_it():
    jitter = Jitter(1)
    waits = [wait_ms(attempt, 2000, 60000, jitter) for attempt in range(1, 200)]
    assert 2000 <= waits[0] <= 2667
    assert 4000 <= waits[1] <= 5334
    assert max(waits) <= 60000
    assert min(waits[6:]) >= 45000


def test_jitter_spreads_and_repeats_with_its_seed():
    draws = [Jitter(seed * 7919).below(1000) for seed in range(200)]
    assert len(set(draws)) > 100
    one, other = Jitter(5), Jitter(5)
    assert [one.below(1000) for _ in range(50)] == [other.below(1000) for _ in range(50)]


def test_jitter_with_seed_zero_still_moves():
    jitter = Jitter(0)
    assert len({jitter.below(1 << 30) for _ in range(100)}) > 90


def read_sequence(data):
    reader = json_seq.Reader()
    found = []
    for byte in data:
        told = reader.feed(byte)
        if told == json_seq.TEXT:
            found.append(reader.text())
        elif told == json_seq.TOO_LONG:
            found.append(None)
    return found


def test_texts_are_found_between_noise():
    assert read_sequence(b"noise\n\x1e{}\nmore\x1e[1]\n") == [b"{}", b"[1]"]


def test_a_text_that_is_cut_off_by_the_next_one_is_dropped():
    assert read_sequence(b'\x1e{"a":\x1e{}\n') == [b"{}"]


def test_a_text_of_the_longest_length_is_taken_and_a_longer_one_is_not():
    longest = b"x" * json_seq.MAX_REQUEST
    assert read_sequence(b"\x1e" + longest + b"\n") == [longest]
    assert read_sequence(b"\x1e" + longest + b"x\n\x1e{}\n") == [None, b"{}"]


def test_a_connect_is_what_the_standard_says():
    # Byte by byte from MQTT 3.1.1, 3.1: name, level 4, clean session + user + password, keep alive 60.
    assert mqtt.connect("c", "u", b"p", 60) == b"\x10\x13\x00\x04MQTT\x04\xc2\x00<\x00\x01c\x00\x01u\x00\x01p"


def test_a_long_packet_has_a_length_of_two_bytes():
    packet = mqtt.publish(1, "t", b"x" * 200)
    assert packet[:3] == bytes([0x32, 205 & 0x7F | 0x80, 1])
    assert len(packet) == 3 + 205


def test_packets_are_cut_out_of_any_chunks():
    stream = b"\x20\x02\x00\x00" + b"\x90\x03\x00\x01\x00" + b"\x30\x05\x00\x01thi" + b"\xd0\x00"
    wanted = [(2, 0, b"\x00\x00"), (9, 0, b"\x00\x01\x00"), (3, 0, b"\x00\x01thi"), (13, 0, b"")]
    for size in range(1, len(stream) + 1):
        reader = mqtt.Reader()
        found = []
        for at in range(0, len(stream), size):
            chunk = stream[at : at + size]
            reader.feed(chunk, len(chunk))
            packet = reader.next()
            while packet is not None:
                found.append(packet)
                packet = reader.next()
        assert found == wanted
    assert mqtt.payload_of(0, wanted[2][2]) == b"hi"


def test_packets_that_are_not_legal_are_refused():
    for bad in (b"\x30\xff\xff\xff\x7f", b"\x30\xff\xff\xff\xff\x01", b"\x30\x80\x10"):
        reader = mqtt.Reader()
        reader.feed(bad, len(bad))
        assert raises(reader.next)
    assert raises(mqtt.payload_of, 2, b"\x00\x01thi")
    assert raises(mqtt.payload_of, 0, b"\x00\x09t")


def test_settings_have_limits():
    assert config.check("heartbeat_min", 1440) == 1440
    for name, value in (("heartbeat_min", 0), ("heartbeat_min", True), ("cancel_s", "30"), ("no_such", 1)):
        assert raises(config.check, name, value)


def test_patterns_play_again_and_again():
    for pattern in range(len(indicator.NAMES)):
        player = indicator.Indicator()
        assert player.show(pattern)
        assert not player.show(pattern)
        seen = [player.step(10) for _ in range(7000)]
        assert 0 < sum(1 for outputs in seen if outputs) <= len(seen)


def test_patterns_can_be_told_apart():
    played = set()
    for pattern in range(len(indicator.NAMES)):
        player = indicator.Indicator()
        player.show(pattern)
        played.add(tuple(player.step(50) for _ in range(400)))
    assert len(played) == len(indicator.NAMES)


def test_no_two_devices_of_a_box_wait_alike_and_none_repeats_itself():
    first = [Jitter(0x12345600 + number).below(30001) for number in range(200)]
    assert len(set(first)) > 190
    for tenth in range(10):
        assert 5 <= len([wait for wait in first if tenth * 3000 <= wait < tenth * 3000 + 3000]) <= 40
    jitter = Jitter(7)
    assert len({jitter.below(1 << 30) for _ in range(5000)}) == 5000
