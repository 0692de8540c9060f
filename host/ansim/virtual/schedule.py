"""What is to happen to a chip later: at a moment of its time, or when it falls asleep or wakes."""

import heapq
from collections.abc import Callable
from enum import StrEnum

Act = Callable[[], None]

MAX_LATER_MS = 400 * 24 * 3600 * 1000


class Moment(StrEnum):
    """What a stimulus can wait for."""

    SLEEP = "sleep"  # a program asked for sleep, and nobody has looked yet whether something wakes it
    ASLEEP = "asleep"  # nothing woke it at once
    WAKE = "wake"  # it wakes, and no program runs yet


class Schedule:
    """Acts that wait. Times are milliseconds of the chip's clock; acts that are due together keep their order."""

    def __init__(self) -> None:
        self._timed: list[tuple[float, int, Act]] = []
        self._on: dict[Moment, list[tuple[int, Act]]] = {moment: [] for moment in Moment}
        self._count = 0

    def __len__(self) -> int:
        return len(self._timed) + sum(map(len, self._on.values()))

    @property
    def due_ms(self) -> float | None:
        """When the next act is due, or None."""
        return self._timed[0][0] if self._timed else None

    def add(self, due_ms: float, act: Act) -> None:
        """Let an act wait for a time."""
        self._count += 1
        heapq.heappush(self._timed, (due_ms, self._count, act))

    def add_on(self, moment: Moment, after_ms: int, act: Act) -> None:
        """Let an act wait for the next such moment, and then for after_ms."""
        self._on[moment].append((after_ms, act))

    def next_due(self, now_ms: float) -> Act | None:
        """Take away and return the first act that is due, or None."""
        if not self._timed or self._timed[0][0] > now_ms:
            return None
        return heapq.heappop(self._timed)[2]

    def reached(self, moment: Moment, now_ms: float) -> list[Act]:
        """Return what is to be done at once at this moment; what waits for a time after it is due then."""
        waiting, self._on[moment] = self._on[moment], []
        for after_ms, act in waiting:
            if after_ms:
                self.add(now_ms + after_ms, act)
        return [act for after_ms, act in waiting if not after_ms]
