"""The chip's task watchdog. Times are milliseconds of the chip's clock."""


class TaskWatchdog:
    """Bites when it was not fed in time.

    Attributes:
        timeout_ms: as it was armed; 0: it is not.
        due_ms: when it bites, None while it does not run.
    """

    def __init__(self) -> None:
        self.timeout_ms = 0
        self.due_ms: int | None = None
        self._left_ms: int | None = None

    def arm(self, timeout_ms: int, now_ms: int) -> None:
        """Start it, or give it another timeout."""
        self.timeout_ms = timeout_ms
        self.feed(now_ms)

    def feed(self, now_ms: int) -> None:
        if self.timeout_ms:
            self.due_ms = now_ms + self.timeout_ms

    def stand_still(self, now_ms: int) -> None:
        """Light sleep: its timer stops, as all of the chip's digital peripherals do."""
        self._left_ms = None if self.due_ms is None else self.due_ms - now_ms
        self.due_ms = None

    def go_on(self, now_ms: int) -> None:
        """Go on where it stood still."""
        if self._left_ms is not None:
            self.due_ms = now_ms + self._left_ms

    def stop(self) -> None:
        """A reset of the whole chip ends it."""
        self.timeout_ms = 0
        self.due_ms = self._left_ms = None
