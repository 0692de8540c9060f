"""The hardware watchdog: fed in one place, after a whole healthy cycle."""

from machine import WDT

# Nothing in a cycle waits for a network; the longest single call is a step of the TLS handshake, some seconds at worst.
TIMEOUT_MS = 60000

# How long the REPL may be used before the device goes back on duty by itself.
BENCH_MS = 600000


class Watchdog:
    def __init__(self) -> None:
        self._wdt = WDT(timeout=TIMEOUT_MS)

    def feed(self) -> None:
        self._wdt.feed()

    def leave_for_bench(self) -> None:
        """Give whoever uses the REPL ten minutes; then the device restarts and is on duty again."""
        self._wdt = WDT(timeout=BENCH_MS)
