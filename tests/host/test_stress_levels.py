"""The slope of a device's free heap: a leak is found, and neither a start nor garbage is taken for one."""

import random

from ansim.stress.levels import WARM_UP, is_leak, slope
from ansim.stress.result import Level


def levels(leak_bytes: float, noise_bytes: float, starts: int = 3, each: int = 20) -> list[Level]:
    """A device that loses leak_bytes with each gesture, ten between two levels, and starts again now and then."""
    chances = random.Random(4)
    found = []
    for number in range(starts * each):
        boot, since = number // each, 10 * (number % each)
        heap = 36_000 + 500 * boot - leak_bytes * since + chances.gauss(0, noise_bytes)
        # What it loads with its first alarms.
        heap += 200 * max(0, 16 - since)
        found.append(Level(number, "a", boot, round(heap), 0, 10, since, 10 * number))
    return found


def test_a_device_that_loses_a_hundred_bytes_an_alarm_leaks() -> None:
    found = slope("a", levels(leak_bytes=100, noise_bytes=50))
    assert found is not None and is_leak(found)
    assert abs(found.bytes_per_1000 + 100_000) < 3 * found.error + 1


def test_a_device_that_starts_again_and_makes_garbage_does_not() -> None:
    for noise_bytes in (0, 10, 2000):
        found = slope("a", levels(leak_bytes=0, noise_bytes=noise_bytes))
        assert found is not None and not is_leak(found), found


def test_what_is_loaded_with_the_first_alarms_is_no_leak() -> None:
    flat = slope("a", levels(leak_bytes=0, noise_bytes=0))
    assert flat is not None and flat.bytes_per_1000 == 0
    # The last nine of ten each: before, a start is not warm.
    assert flat.levels < 60 and flat.gestures <= 200 - WARM_UP


def test_of_too_few_values_or_another_device_nothing_is_told() -> None:
    assert slope("a", levels(0, 0, starts=1, each=5)) is None
    assert slope("b", levels(0, 0)) is None
