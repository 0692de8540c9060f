from array import array

import fall_kit
from fall_kit import Movement, falls, play

from ansim_fw.core.fall.detector import CLEARED, DECIDED, FALL, IMPACT, SUSPECT, Detector

try:
    from micropython import heap_lock, heap_unlock
except ImportError:
    # CPython's heap can't be locked; there the test only shows that nothing else goes wrong.
    def heap_lock() -> None: ...
    def heap_unlock() -> None: ...


TURNS = ((0, 0, 0), (90, 0, 0), (0, 90, 0), (37, 205, 111), (300, 10, 77), (180, 180, 45))
# A model that doubts everything, so that what follows decides.
DOUBTS = {"suspect": -32000, "certain": 32000, "moved_loss": 255}


def fallen(impact_mg: float = 5000) -> Movement:
    return Movement().walk(3).fall(impact_mg).rest(7, 90)


def daily_life() -> "list[Movement]":
    return [
        Movement().rest(12),
        Movement().walk(12),
        Movement().walk(12, 900),
        Movement().rest(3).jump().rest(1).jump(5000).walk(6),
        Movement().walk(3).sit_down().rest(8),
        Movement().walk(3).sit_down(3000).rest(8),
    ]


def test_a_fall_is_told_once():
    detector = Detector(fall_kit.model())
    assert falls(detector, fallen().as_array()) == 1
    assert not detector.busy


def test_a_fall_is_told_at_the_wrist():
    # The arm goes on moving for a moment, and comes to rest.
    movement = Movement().walk(3).fall(9000, 150, 0.2).walk(0.4, 500).rest(7, 150)
    for limit_mg in (4000, 8000):
        assert falls(Detector(fall_kit.model("fall_wrist")), movement.as_array(limit_mg=limit_mg)) == 1


def test_a_fall_is_told_within_six_seconds_of_the_impact():
    movement = Movement().walk(3).fall()
    impact = len(movement.samples) // 3
    told = play(Detector(fall_kit.model()), movement.rest(7, 90).as_array(), (1,))
    assert [at - impact < 6 * fall_kit.RATE_HZ for at, bits in told if bits & FALL] == [True]


def test_daily_life_is_no_fall():
    for name in ("fall_waist", "fall_wrist"):
        for movement in daily_life():
            assert falls(Detector(fall_kit.model(name)), movement.as_array()) == 0


def test_what_is_no_impact_is_not_judged():
    assert play(Detector(fall_kit.model()), Movement().rest(4).walk(4, 200).as_array()) == []


def test_it_does_not_matter_how_the_device_is_turned():
    for turn in TURNS:
        assert falls(Detector(fall_kit.model()), fallen().as_array(turn)) == 1
        for movement in daily_life():
            assert falls(Detector(fall_kit.model()), movement.as_array(turn)) == 0


def test_a_sensor_may_be_off_by_a_tenth():
    for gain in (0.82, 0.9, 1.1, 1.18):
        assert falls(Detector(fall_kit.model()), fallen().as_array(gain=gain)) == 1
        for movement in daily_life():
            assert falls(Detector(fall_kit.model()), movement.as_array(gain=gain)) == 0


def test_a_sensor_may_stop_at_4_g():
    assert falls(Detector(fall_kit.model()), fallen(9000).as_array(limit_mg=4000)) == 1


def test_a_stronger_impact_takes_the_window_over():
    told = play(Detector(fall_kit.model()), Movement().walk(3).jump(2500).fall(6000).rest(7, 90).as_array(), (1,))
    assert sum(1 for _, bits in told if bits & DECIDED) == 1
    assert [bits & IMPACT for _, bits in told].count(IMPACT) == 1
    assert any(bits & FALL for _, bits in told)


def test_batches_do_not_matter():
    movement = fallen().walk(4).jump().rest(4).as_array()
    alone = play(Detector(fall_kit.model(**DOUBTS)), movement, (1,))
    for batches in ((16,), (160,), (32, 7, 1, 80), (3,)):
        told = play(Detector(fall_kit.model(**DOUBTS)), movement, batches)
        position = 0
        for at, bits in told:
            expected = 0
            for sample, one in alone:
                if position < sample <= at:
                    expected |= one
            assert bits == expected
            position = at


def test_who_lies_still_after_a_doubtful_impact_has_fallen():
    told = play(Detector(fall_kit.model(**DOUBTS)), fallen().as_array())
    assert [bits & (SUSPECT | FALL | CLEARED) for _, bits in told if bits & ~IMPACT] == [SUSPECT, FALL]


def test_who_gets_up_after_a_doubtful_impact_has_not():
    movement = Movement().rest(3).fall().rest(3, 90).rest(0.5, 45).walk(6).as_array()
    judged = Detector(fall_kit.model(**DOUBTS))
    play(judged, movement)
    told = play(Detector(fall_kit.model(suspect=judged.score - 400, certain=32000, moved_loss=255)), movement)
    assert [bits & (SUSPECT | FALL | CLEARED) for _, bits in told if bits & ~IMPACT] == [SUSPECT, CLEARED]


def test_what_was_waited_for_is_dropped_at_a_gap():
    detector = Detector(fall_kit.model())
    movement = Movement().walk(3).fall().rest(1, 90).as_array()
    assert falls(detector, movement) == 0
    assert detector.busy
    detector.restart()
    assert not detector.busy
    assert play(detector, Movement().rest(8, 90).as_array()) == []


def test_a_fall_right_after_waking_is_told():
    movement = fallen()
    impact = 3 * fall_kit.RATE_HZ + 30
    movement.samples = movement.samples[3 * (impact - 32) :]
    assert falls(Detector(fall_kit.model()), movement.as_array()) == 1


def test_nothing_is_allocated():
    detector = Detector(fall_kit.model(**DOUBTS))
    samples = fallen().walk(4).jump().rest(4).as_array()
    batches = [samples[3 * first : 3 * (first + 16)] for first in range(0, len(samples) // 3 - 16, 16)]
    told = 0
    detector.feed(batches[0], 16)
    for batch in batches:
        heap_lock()
        try:
            told |= detector.feed(batch, 16)
        finally:
            heap_unlock()
    assert told & FALL


def test_any_samples_are_borne():
    extremes = (-32768, 32767, 0, 16000, -16000, -1)
    seed = 7
    samples = array("h")
    for _ in range(3 * 2000):
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        samples.append(extremes[(seed >> 16) % 6])
    detector = Detector(fall_kit.model(**DOUBTS))
    assert play(detector, samples)
    detector.restart()
    assert play(detector, array("h", [-32768] * 3 * 400))
