"""The run's clock: this machine's milliseconds since the run began, and how long a device's time takes in them."""

import time


class RunClock:
    """Starts when it is made."""

    def __init__(self) -> None:
        self._start_s = time.monotonic()

    def now_ms(self) -> int:
        return round((time.monotonic() - self._start_s) * 1000)

    def of_monotonic(self, ms: float) -> int:
        """Return a moment of time.monotonic(), in milliseconds, as one of the run."""
        return round(ms - self._start_s * 1000)
