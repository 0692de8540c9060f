"""Whether a device gets its memory back: a straight line through what it says of its free heap."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from ansim.stress.result import Level, Slope

# A device remembers its last alarms (core/alarm.py), and the one that a start is in the middle of an episode for may be
# as many gestures old: only then all is in memory that is ever to be there at once.
WARM_UP = 40
# What may be lost without being called a leak: less than a list that grows by its step.
LEAK_BYTES_PER_1000 = -256.0
LEAK_BYTES = -1024.0
# One in a thousand healthy devices is further off its own slope (normal distribution, one side).
_SURE = 3.1


def slope(device: str, levels: Iterable[Level]) -> Slope | None:
    """Fit free heap against gestures by least squares, one slope for all starts of a device; None: too few values.

    A start has a level of its own (what it has loaded differs), so that each one's means are taken off first.

    Args:
        levels: of any devices, in order.
    """
    starts = _warm(level for level in levels if level.device == device)
    points = [point for start in starts for point in _centred(start)]
    freedom = len(points) - len(starts) - 1
    width = sum(x * x for x, _ in points)
    if freedom < 1 or width == 0:
        return None
    rise = sum(x * y for x, y in points) / width
    rest = sum((y - rise * x) ** 2 for x, y in points)
    longest = max(start[-1].gestures - start[0].gestures for start in starts)
    return Slope(device, 1000 * rise, 1000 * math.sqrt(rest / freedom / width), len(points), longest)


def is_leak(found: Slope) -> bool:
    """Tell whether the heap surely gets less, and by more than a little."""
    surely = found.bytes_per_1000 + _SURE * found.error
    return surely < LEAK_BYTES_PER_1000 and surely * found.gestures / 1000 < LEAK_BYTES


def _warm(levels: Iterable[Level]) -> list[list[Level]]:
    """Return the levels of each start that are told when it was warm."""
    begun: dict[int, int] = {}
    starts: dict[int, list[Level]] = defaultdict(list)
    before = 0
    for level in levels:
        if level.gestures - begun.setdefault(level.boot, before) >= WARM_UP:
            starts[level.boot].append(level)
        before = level.gestures
    return list(starts.values())


def _centred(start: Sequence[Level]) -> list[tuple[float, float]]:
    mean_x = sum(each.gestures for each in start) / len(start)
    mean_y = sum(each.heap_free for each in start) / len(start)
    return [(each.gestures - mean_x, each.heap_free - mean_y) for each in start]
