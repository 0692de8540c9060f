"""When the next sign of life is due."""

from micropython import const

_MS_PER_MIN = const(60000)


class Heartbeat:
    """Due at the first chance after the start, then every interval_min; one that had no link waits for it."""

    def __init__(self, interval_min: int) -> None:
        self.interval_min = interval_min
        self._wait_ms = 0

    def set_interval(self, interval_min: int) -> None:
        """Take a new interval; the next heartbeat is at most that far away."""
        self.interval_min = interval_min
        self._wait_ms = min(self._wait_ms, interval_min * _MS_PER_MIN)

    def put_off(self) -> None:
        """There was no room for the one that was due: it is due again in a minute."""
        self._wait_ms = _MS_PER_MIN

    def idle_ms(self) -> int:
        """Return how long until the next one is due, if there is a link then."""
        return self._wait_ms

    def step(self, elapsed_ms: int, link_up: bool) -> bool:
        """Pass time; tell whether a heartbeat is to be made now."""
        self._wait_ms = max(self._wait_ms - elapsed_ms, 0)
        if self._wait_ms > 0 or not link_up:
            return False
        self._wait_ms = self.interval_min * _MS_PER_MIN
        return True
