"""What RTC memory keeps: read as it was written, or not at all."""

from binascii import crc32

from fuzz import full_kept, sealed

from ansim_fw.core import battery, config, kept, ledger, outbox, power, watch

DAY_MS = 86400000


def fields(one):
    numbers = [getattr(one, each[0]) for each in kept.NUMBERS]
    return numbers, list(one.ledger.numbers), one.quick, one.untold, one.sensor_fault, one.reset, one.alarms, one.ages


def test_it_is_read_as_it_was_written():
    for one in (kept.Kept(), full_kept()):
        block = kept.pack(one, crc32)
        assert len(block) == kept.SIZE <= 512
        assert fields(kept.unpack(block, crc32)) == fields(one)


def test_of_too_many_alarms_and_ages_the_last_are_kept():
    one = full_kept()
    one.alarms = [(3, at, 0) for at in range(20)]
    one.ages = [(at, 0) for at in range(20)]
    again = kept.unpack(kept.pack(one, crc32), crc32)
    assert [seq for _, seq, _ in again.alarms] == [16, 17, 18, 19]
    assert [seq for seq, _ in again.ages] == list(range(12, 20))


def test_nothing_of_a_damaged_block_is_taken():
    block = kept.pack(full_kept(), crc32)
    for at in range(len(block)):
        for bit in (1, 128):
            bad = bytearray(block)
            bad[at] ^= bit
            assert kept.unpack(bytes(bad), crc32) is None
    for cut in (0, 1, 4, len(block) - 1):
        assert kept.unpack(block[:cut], crc32) is None
    assert kept.unpack(block + b"\x00", crc32) is None


def test_nothing_of_an_older_version_is_taken():
    block = bytearray(kept.pack(full_kept(), crc32)[:-4])
    block[2] += 1
    assert kept.unpack(sealed(bytes(block)), crc32) is None


def test_a_value_that_cannot_be_is_not_taken_though_the_crc_is_right():
    good = kept.pack(full_kept(), crc32)[:-4]
    numbers = len(kept.NUMBERS)
    highs = [high for _, _, high in kept.NUMBERS]
    highs += [ledger.MOST_S] * 4 + [ledger.MOST_TIMES] * (ledger.NUMBERS - 4)
    for at in range(len(highs)):
        block = bytearray(good)
        block[4 + 4 * at : 8 + 4 * at] = highs[at].to_bytes(4, "little")
        assert kept.unpack(sealed(bytes(block)), crc32) is not None
        block[4 + 4 * at : 8 + 4 * at] = (highs[at] + 1).to_bytes(4, "little")
        assert kept.unpack(sealed(bytes(block)), crc32) is None
    for at in range(numbers):
        if kept.NUMBERS[at][1]:
            block = bytearray(good)
            block[4 + 4 * at : 8 + 4 * at] = (kept.NUMBERS[at][1] - 1).to_bytes(4, "little")
            assert kept.unpack(sealed(bytes(block)), crc32) is None


def test_its_limits_are_those_of_the_parts_that_use_it():
    limits = {name: (low, high) for name, low, high in kept.NUMBERS}
    for name, (low, high, _) in config.LIMITS.items():
        assert limits[name] == (low, high)
    assert limits["waiting"][1] == outbox.MAX_ENTRIES
    assert limits["doubt_ms"][1] >= battery.STEADY_MS
    assert limits["again_ms"][1] >= power.AGAIN_MS


def test_it_fits_what_the_settings_are():
    one = full_kept()
    assert set(one.settings()) == set(config.LIMITS)


def test_time_asleep_is_the_clock_s():
    for asked_ms in (1500, 3600000, DAY_MS):
        for reason in (ledger.TIMER, ledger.BUTTON, ledger.MOTION, ledger.OTHER):
            one = kept.Kept()
            one.sleeps(1700000000000, asked_ms)
            one = kept.unpack(kept.pack(one, crc32), crc32)
            assert one.woke(1700000000000 + asked_ms, reason) == asked_ms
            assert one.passed_ms == asked_ms
            assert one.ledger.seconds(ledger.DEEP) == asked_ms // 1000
            assert one.ledger.wakes(reason) == 1


def test_a_clock_that_jumps_makes_no_sleep_longer_than_a_tenth_more_than_asked_for():
    for jump_ms in (-(10**12), -1, 10**9, 10**12):
        one = kept.Kept()
        one.sleeps(1700000000000, 3600000)
        slept_ms = one.woke(1700000000000 + jump_ms, ledger.BUTTON)
        assert 0 <= slept_ms <= 3960000
        one.sleeps(1700000000000, 3600000)
        # The timer has its own word.
        assert 3240000 <= one.woke(1700000000000 + jump_ms, ledger.TIMER) <= 3960000


def test_bumps_on_the_way_do_not_move_the_time_at_which_the_app_is_needed():
    one = kept.Kept()
    one.app_ms = 3600000
    now_ms = 0
    for _ in range(100):
        one.sleeps(now_ms, one.left_ms())
        now_ms += 30000
        one.woke(now_ms, ledger.MOTION)
        now_ms += 4000
        one.pass_time(ledger.LIGHT, 4000)
        assert one.left_ms() == 3600000 - now_ms
    one.pass_time(ledger.CPU, 3600000)
    assert one.left_ms() == 0


def test_how_long_it_was_quiet_goes_on_over_sleeps_until_it_stirs():
    one = kept.Kept()
    one.quiet_ms = 12000
    one.sleeps(0, 60000)
    one.woke(60000, ledger.TIMER)
    assert one.quiet_ms == 72000
    one.sleeps(60000, 60000)
    one.woke(90000, ledger.MOTION)
    assert one.quiet_ms == 0


def test_who_moves_is_watched_in_light_sleep_until_they_are_quiet():
    limit_ms = watch.limit_ms(True, True, 146)
    one = watch.Watch(0, limit_ms)
    for _ in range(50):
        assert one.step(1900, True) == ledger.LIGHT
    depths = [one.step(1900, False) for _ in range(12)]
    assert depths[0] == ledger.LIGHT and depths[-1] == ledger.DEEP
    assert depths.count(ledger.LIGHT) * 1900 < limit_ms


def test_how_deep_it_may_sleep_depends_on_what_the_sensor_can_do():
    # Nobody tells falls, or the sensor is broken.
    assert watch.Watch(0, watch.limit_ms(False, True, 32)).step(10, False) == ledger.DEEP
    # Its interrupt is not wired: it is read for ever.
    unwired = watch.Watch(0, watch.limit_ms(True, False, 146))
    for _ in range(100):
        assert unwired.step(DAY_MS, False) == ledger.LIGHT
    # An impact would be gone from a short FIFO: only once its wearer was still for long.
    short = watch.Watch(0, watch.limit_ms(True, True, 32))
    assert short.step(watch.STILL_MS - 1, False) == ledger.LIGHT
    assert short.step(1, False) == ledger.DEEP


def test_the_ledger_counts_what_is_less_than_a_second():
    one = ledger.Ledger()
    for _ in range(1999):
        one.pass_time(ledger.CPU, 7)
        one.pass_time(ledger.RADIO, 3)
    assert one.seconds(ledger.CPU) == 1999 * 7 // 1000
    assert one.seconds(ledger.RADIO) == 1999 * 3 // 1000
    assert one.seconds(ledger.DEEP) == one.seconds(ledger.LIGHT) == 0


def test_the_more_often_a_cell_broke_down_the_longer_the_radio_rests():
    for starts, charge, calls, rest_s in (
        (1, 60, False, 0),
        (2, 3, True, 0),
        (3, 60, False, 30),
        (4, 60, True, 60),
        (6, 60, True, 240),
        (7, 60, True, 300),
        (7, 60, False, 480),
        (9, 60, False, 1920),
        (10, 60, False, 3600),
        (500000, 60, False, 3600),
        (500000, 60, True, 300),
        (50, -1, True, 300),
        (3, 5, True, 3600),
        (50, 0, False, 3600),
    ):
        assert power.rest_before_radio_ms(starts, charge, calls) == 1000 * rest_s


def test_the_ledger_allocates_nothing():
    try:
        from micropython import heap_lock, heap_unlock
    except ImportError:
        # CPython has no such lock; the same file runs on MicroPython, where it has.
        return
    one = ledger.Ledger()
    one.numbers[ledger.DEEP] = ledger.MOST_S - 5
    heap_lock()
    for _ in range(100):
        one.pass_time(ledger.DEEP, 900)
        one.woke(ledger.MOTION)
    heap_unlock()
    assert one.seconds(ledger.DEEP) == ledger.MOST_S
