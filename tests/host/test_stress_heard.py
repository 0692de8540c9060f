"""What a stress run makes of a device's announcements: when it started, also when it was not heard to say so."""

from typing import Any

from ansim.stress.unit import Heard


def heard(*said: "tuple[int, str, int]") -> Heard:
    """Return what is known after a device said these: when, in ms of the run, what, and its own clock."""
    found = Heard()
    for at_ms, what, ms in said:
        announcement: dict[str, Any] = {"event": what, "ms": ms}
        found.take(announcement, at_ms)
    return found


def test_a_start_is_known_by_the_device_s_own_word() -> None:
    assert heard((100, "armed", 400), (300, "shown", 900), (900, "armed", 410)).armed_ms == [100, 900]


def test_a_device_whose_word_of_its_start_was_not_heard_is_on_duty_when_it_says_anything() -> None:
    assert heard((100, "armed", 400), (300, "shown", 9000), (900, "link", 800)).armed_ms == [100, 900]


def test_a_start_is_one_whatever_a_device_says_before_it_says_so() -> None:
    assert heard((100, "shown", 9000), (900, "link", 800), (910, "armed", 810)).armed_ms == [900]


def test_to_wake_is_no_start() -> None:
    slept = ((100, "shown", 9000), (200, "asleep", 10), (900, "awake", 0), (900, "armed", 0), (950, "pressed", 90))
    assert heard(*slept, (990, "asleep", 10), (1900, "awake", 0), (1900, "armed", 0)).armed_ms == []
    assert heard(*slept, (1500, "armed", 400)).armed_ms == [1500]


def test_a_device_s_clock_that_begins_again_after_twelve_days_is_no_start() -> None:
    assert heard((100, "shown", (1 << 30) - 50), (200, "shown", 350)).armed_ms == []


def test_an_alarm_is_known_by_what_a_device_says_of_it_next_when_it_had_no_memory_to_announce_it() -> None:
    found = Heard()
    found.take({"event": "journalled", "ms": 900, "kind": "sos", "boot": 3, "seq": 7}, 100)
    found.take({"event": "acknowledged", "ms": 950, "kind": "sos", "boot": 3, "seq": 7}, 150)
    assert found.raised == [(100, (3, 7))]
    assert found.kept == {(3, 7): 100}


def test_a_start_after_one_that_was_not_heard_is_another() -> None:
    assert heard((100, "shown", 9000), (900, "link", 800), (1500, "armed", 410)).armed_ms == [900, 1500]
