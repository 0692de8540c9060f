"""When to connect, and which failures of the link are worth an event."""

from micropython import const

from ansim_fw.core.retry import Jitter, wait_ms

# What the link is doing, as the inputs tell it.
DOWN = const(0)
BUSY = const(1)
# The broker has proved itself, and may still refuse: what is published goes out with the same flight as CONNECT.
OPEN = const(2)
UP = const(3)

FIRST_WAIT_MS = const(1000)
URGENT_LIMIT_MS = const(15000)
CALM_LIMIT_MS = const(60000)

# Radio and broker come and go; a link that is back within this time, and a spread fleet's waits besides, was no fault.
GRACE_MS = const(30000)

# A connection on which alarms go out and nothing comes back is made anew: after so long, then twice as long, ...
FIRST_SILENCE_MS = const(15000)
LONGEST_SILENCE_MS = const(240000)

# Why it may be down. Somebody has to act on the first ones, they do not go away by waiting: they are told at once.
REASONS = (
    "wifi_refused",
    "tls_refused",
    "broker_refused",
    "wifi_absent",
    "wifi_timeout",
    "name_unknown",
    "broker_unreachable",
    "link_lost",
)
_REFUSALS = const(3)

# Nothing is due.
NEVER_MS = const(0x3FFFFFFF)


class LinkWatch:
    """Turns the link's ups and downs into attempts, faults and restores; a fault is told once an outage.

    With an alarm waiting it connects at once. Without, a fleet that starts or loses its broker at one moment must not
    come back at one: each device waits a random part of spread_ms first, and between attempts spread_ms and a part.
    A connection that ends soon after it was made does not begin the waits between attempts anew.

    Args:
        spread_ms: 0 to connect at once, as a single device may.

    Attributes:
        told: faults of this outage, as bits by their places in REASONS.
        failing: an attempt was made, and the link was not up since; down_ms: for how long it was missed.
    """

    def __init__(self, jitter: Jitter, spread_ms: int) -> None:
        self.spread_ms = spread_ms
        self._jitter = jitter
        self.told = 0
        self._wait_ms = self._first_wait_ms()
        self.down_ms = 0
        self._attempts = 0
        self.failing = False
        self._was_up = False
        self._was_urgent = False
        self._silent_ms = 0
        self._awaited = False
        self._patience_ms = FIRST_SILENCE_MS

    def step(self, elapsed_ms: int, link: int, urgent: bool, wanted: bool = True) -> bool:
        """Pass time; tell whether to connect now.

        Args:
            link: DOWN, BUSY, OPEN or UP.
            urgent: it may not wait.
            wanted: there is a reason to connect; while there is none, the link is not missed.
        """
        if link == UP:
            self._was_up = True
            self._was_urgent = urgent
            self.failing = False
            self.down_ms = 0
            self._wait_ms = max(self._wait_ms - elapsed_ms, 0)
            if self._wait_ms == 0:
                self._attempts = 0
            return False
        self._silent_ms = 0
        if wanted or self.failing:
            self.down_ms = min(self.down_ms + elapsed_ms, NEVER_MS)
        self._plan(urgent)
        if link != DOWN:
            return False
        self._wait_ms = max(self._wait_ms - elapsed_ms, 0)
        if self._wait_ms > 0 or not wanted:
            return False
        self._attempts += 1
        self.failing = True
        self._wait_ms = self._next_wait_ms(urgent)
        return True

    def silent(self, elapsed_ms: int, awaits: bool) -> bool:
        """The link is up: pass time; tell whether it looks dead and is to be made anew.

        Args:
            awaits: an alarm may go out and is not acknowledged; the time before that does not count.
        """
        self._silent_ms = self._silent_ms + elapsed_ms if awaits and self._awaited else 0
        self._awaited = awaits
        if self._silent_ms < self._patience_ms:
            return False
        self._silent_ms = 0
        self._patience_ms = min(2 * self._patience_ms, LONGEST_SILENCE_MS)
        return True

    def heard(self) -> None:
        """The receiver acknowledged something: the link is alive."""
        self._silent_ms = 0
        self._patience_ms = FIRST_SILENCE_MS

    def fault(self, reason: str) -> bool:
        """Tell whether reason (why the link is down; empty: no reason) is to become a fault event now."""
        at = self._untold(reason)
        if at < 0 or (at >= _REFUSALS and self.down_ms < self._grace_ms()):
            return False
        self.told |= 1 << at
        return True

    def restored(self) -> bool:
        """The link is up: tell whether that ends a fault."""
        ended = self.told != 0
        self.told = 0
        return ended

    def idle_ms(self, link: int, urgent: bool, reason: str, wanted: bool = True) -> int:
        """Return how long nothing is due while link, urgent, reason and wanted stay as they are."""
        if link == UP:
            quiet_ms = self._patience_ms - self._silent_ms if urgent else NEVER_MS
            return min(quiet_ms, self._wait_ms) if self._attempts else quiet_ms
        grace_ms = NEVER_MS
        if self._untold(reason) >= 0 and (wanted or self.failing):
            grace_ms = max(self._grace_ms() - self.down_ms, 0)
        return min(grace_ms, self._wait_ms) if link == DOWN and wanted else grace_ms

    def _untold(self, reason: str) -> int:
        """Return where reason is in REASONS; negative if it is told, or none."""
        if not reason:
            return -1
        for at in range(len(REASONS)):
            if REASONS[at] == reason:
                return -1 if self.told >> at & 1 else at
        return -1

    def _plan(self, urgent: bool) -> None:
        """The link is not up: fit the wait to what is new."""
        if self._was_up and self._attempts == 0:
            self._wait_ms = 0 if urgent else self._first_wait_ms()
        elif urgent and not self._was_urgent:
            # An alarm does not wait for what was planned without it.
            self._attempts = 0
            self._wait_ms = 0
        elif urgent:
            self._wait_ms = min(self._wait_ms, URGENT_LIMIT_MS)
        self._was_up = False
        self._was_urgent = urgent

    def _grace_ms(self) -> int:
        return GRACE_MS + 2 * self.spread_ms

    def _first_wait_ms(self) -> int:
        return self._jitter.below(self.spread_ms + 1)

    def _next_wait_ms(self, urgent: bool) -> int:
        if self.spread_ms and not urgent:
            return self.spread_ms + self._first_wait_ms()
        limit_ms = URGENT_LIMIT_MS if urgent else CALM_LIMIT_MS
        return wait_ms(self._attempts, FIRST_WAIT_MS, limit_ms, self._jitter)
