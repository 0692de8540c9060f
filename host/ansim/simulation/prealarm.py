"""The truth about a pre-alarm: which fall may still be cancelled before anybody hears of it."""

from ansim_fw.core import button, config

_MS = config.default("prealarm_s") * 1000
# A finger that is down when it is over is waited for; what an idle device does for a tick besides.
_LATE_MS = button.LET_GO_MS + 1_000


class PreAlarm:
    """At most one at a time.

    Attributes:
        of: the fall's id, None when there is none.
    """

    def __init__(self) -> None:
        self.of: tuple[int, int] | None = None
        self._began_ms = 0

    def begin(self, of: tuple[int, int], now_ms: int) -> None:
        self.of, self._began_ms = of, now_ms

    def end(self) -> None:
        """It was cancelled, its wearer called for help, the power went, or it is over."""
        self.of = None

    def holds(self, event_id: tuple[int, int], now_ms: int) -> bool:
        """Tell whether this event must not go out yet."""
        return event_id == self.of and now_ms < self._began_ms + _MS

    def is_late(self, now_ms: int) -> bool:
        """Tell whether it should have ended before."""
        return now_ms > self._began_ms + _MS + _LATE_MS
