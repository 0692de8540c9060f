"""When the next sign of life is due."""

from micropython import const

_MS_PER_MIN = const(60000)
# One for which there was no room is tried again after this long.
_ROOM_MS = const(60000)


class Heartbeat:
    """Due first_ms after the start, then every interval_min, whenever the ones before went out.

    One that finds no link goes out as soon as there is one; the schedule goes on.

    Attributes:
        owed: one is due and did not go out.
        wait_ms: until the next one is due.
    """

    def __init__(self, interval_min: int, first_ms: int) -> None:
        self.interval_min = interval_min
        self.owed = first_ms == 0
        self.wait_ms = first_ms or interval_min * _MS_PER_MIN
        self._room_ms = 0

    def set_interval(self, interval_min: int) -> None:
        """Take a new interval; the next heartbeat is at most that far away."""
        self.interval_min = interval_min
        self.wait_ms = min(self.wait_ms, interval_min * _MS_PER_MIN)

    def begin_anew(self) -> None:
        """One is due now, and the schedule begins with it: what it promises has changed."""
        self.owed = True
        self.wait_ms = self.interval_min * _MS_PER_MIN

    def put_off(self) -> None:
        """There was no room for the one that was due."""
        self.owed = True
        self._room_ms = _ROOM_MS

    def idle_ms(self, link_up: bool) -> int:
        """Return how long nothing is due, if the link stays as it is."""
        return min(self._room_ms, self.wait_ms) if self.owed and link_up else self.wait_ms

    def pass_time(self, elapsed_ms: int) -> bool:
        """Pass time; tell whether one fell due."""
        self._room_ms = max(self._room_ms - elapsed_ms, 0)
        self.wait_ms -= elapsed_ms
        if self.wait_ms > 0:
            return False
        interval_ms = self.interval_min * _MS_PER_MIN
        self.wait_ms = interval_ms - -self.wait_ms % interval_ms
        self.owed = True
        return True

    def take(self) -> bool:
        """There is a link: tell whether a heartbeat is to be made now."""
        if not self.owed or self._room_ms > 0:
            return False
        self.owed = False
        return True
