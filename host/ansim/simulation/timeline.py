"""Virtual time: a queue of what happens when. Time jumps from one to the next."""

import heapq
from collections.abc import Callable
from typing import Any

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class Timeline:
    """Calls things at their time; two at the same time in the order in which they were put in.

    Attributes:
        now_ms: since the world began.
    """

    def __init__(self) -> None:
        self.now_ms = 0
        self._waiting: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def after(self, delay_ms: int, call: Callable[..., None], *arguments: Any) -> None:
        self.at(self.now_ms + delay_ms, call, *arguments)

    def at(self, when_ms: int, call: Callable[..., None], *arguments: Any) -> None:
        self._count += 1
        heapq.heappush(self._waiting, (when_ms, self._count, call, arguments))

    def run(self, until_ms: int) -> None:
        """Let everything happen up to until_ms, which is then now."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= until_ms:
            self.now_ms, _, call, arguments = heapq.heappop(waiting)
            call(*arguments)
        self.now_ms = until_ms
