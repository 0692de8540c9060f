"""Whether a motion sensor that called is heard in time: a machine that is too busy for a board's speed is too late."""

# A sensor whose FIFO was not read for so long was left alone until it calls. While it is read all the time nothing is
# missed as long as its FIFO does not run over, which its driver sees.
_ALONE_MS = 500
# Of the 640 ms of a FIFO with 32 samples at 50 Hz, what came before the call is what may be missed.
LATE_MS = 200


class Lateness:
    """Compares when a sensor called with when it was read. Moments are milliseconds of the chip's time.

    Attributes:
        count: how often a sensor that had been left alone was read too late.
    """

    def __init__(self) -> None:
        self.count = 0
        self._read_ms = 0.0
        self._called_ms: float | None = None

    def called(self, at_ms: float) -> None:
        """The sensor's interrupt pin was raised."""
        if at_ms - self._read_ms > _ALONE_MS:
            self._called_ms = at_ms

    def read(self, at_ms: float) -> int:
        """The chip reads from the sensor; return how late that is, 0 if it is in time."""
        called_ms, self._called_ms = self._called_ms, None
        self._read_ms = at_ms
        if called_ms is None or at_ms - called_ms <= LATE_MS:
            return 0
        self.count += 1
        return round(at_ms - called_ms)

    def forget(self) -> None:
        """The chip starts anew: what called before is not waited for."""
        self._called_ms = None
