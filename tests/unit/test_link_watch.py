from ansim_fw.core import link_watch
from ansim_fw.core.link_watch import BUSY, DOWN, UP, LinkWatch
from ansim_fw.core.retry import Jitter

SPREAD_MS = 30000
TICK_MS = 100


def watch(seed=7, spread_ms=SPREAD_MS):
    return LinkWatch(Jitter(seed), spread_ms)


def attempts(one, duration_ms, link=DOWN, urgent=False):
    """Return when it connects, in milliseconds from now."""
    return [at for at in range(0, duration_ms, TICK_MS) if one.step(TICK_MS, link, urgent)]


def between(times):
    return [times[at + 1] - times[at] for at in range(len(times) - 1)]


def test_devices_that_start_together_connect_spread_over_the_time_set_for_it():
    firsts = [attempts(watch(seed), SPREAD_MS + TICK_MS)[0] for seed in range(300)]
    assert max(firsts) <= SPREAD_MS
    for third in (0, 10000, 20000):
        assert 60 <= len([first for first in firsts if third <= first < third + 10000]) <= 140


def test_devices_that_lose_the_broker_together_come_back_spread():
    firsts = []
    for seed in range(300):
        one = watch(seed)
        one.step(SPREAD_MS, DOWN, False)
        for _ in range(20):
            one.step(SPREAD_MS, UP, False)
        firsts.append(attempts(one, SPREAD_MS + TICK_MS)[0])
    assert max(firsts) <= SPREAD_MS
    assert len([first for first in firsts if first < SPREAD_MS // 3]) <= 140


def test_between_attempts_a_calm_device_waits_once_to_twice_the_spread():
    times = attempts(watch(), 3600000)
    gaps = between(times)
    assert min(gaps) >= SPREAD_MS
    assert max(gaps) <= 2 * SPREAD_MS + TICK_MS
    assert len(set(gaps)) > 20


def test_an_alarm_waits_for_no_plan():
    for before in (0, 1, 7):
        one = watch()
        attempts(one, before * SPREAD_MS)
        times = attempts(one, 600000, urgent=True)
        assert times[0] == 0
        assert max(between(times)) <= link_watch.URGENT_LIMIT_MS + TICK_MS


def test_a_link_that_is_lost_while_an_alarm_waits_is_made_anew_at_once():
    one = watch()
    attempts(one, SPREAD_MS + TICK_MS)
    for _ in range(20):
        one.step(SPREAD_MS, UP, True)
    assert attempts(one, 1000, urgent=True)[0] == 0


def test_a_link_that_fails_again_and_again_is_not_tried_without_end():
    one = watch(spread_ms=0)
    connects = 0
    for _ in range(600):
        connects += one.step(TICK_MS, UP, True)
        for _ in range(9):
            connects += one.step(TICK_MS, DOWN, True)
    # Ten minutes; a wait of up to 15 s after each attempt.
    assert 40 <= connects <= 80


def test_while_it_connects_nothing_else_is_started():
    one = watch()
    one.step(SPREAD_MS, DOWN, False)
    assert attempts(one, 120000, BUSY) == []
    assert attempts(one, 120000, BUSY, True) == []


def test_a_device_alone_may_connect_at_once():
    assert attempts(watch(spread_ms=0), 1000)[0] == 0


def test_an_outage_that_a_spread_fleet_waits_out_is_no_fault():
    one = watch()
    attempts(one, link_watch.GRACE_MS + 2 * SPREAD_MS - TICK_MS)
    assert not one.fault("broker_unreachable")
    attempts(one, TICK_MS)
    assert one.fault("broker_unreachable")
