"""The events that the receiver has not acknowledged yet, in the order in which they go out."""

from micropython import const

from ansim_fw.core.event import HEARTBEAT, Event
from ansim_fw.core.retry import Jitter, wait_ms

# An event is at most 512 bytes on the wire; 64 of them fit the heap beside a TLS connection.
MAX_ENTRIES = const(64)

FIRST_RETRY_MS = const(2000)
# What the link had no room for is offered again after this long.
ROOM_MS = const(100)

# An event that nobody reported as stored goes out all the same after this long: a person waits.
STORE_TIMEOUT_MS = const(2000)
ALARM_LIMIT_MS = const(60000)
OTHER_LIMIT_MS = const(300000)

# Why an entry does not go out yet: its wearer may still cancel it; its cancel goes first, and is not acknowledged.
FREE = const(0)
PREALARM = const(1)
CANCELLED = const(2)

# Where an entry is: not in the journal yet, there, or in memory alone, as the journal would not take it.
DURABLE = const(1)
VOLATILE = const(2)

_MAX_AGE_MS = const(0x3FFFFFFF)


class Entry:
    """An event on its way: its age (negative: from before a restart), when it goes out next, what holds it back.

    Attributes:
        stored: 0, and it does not go out yet; DURABLE or VOLATILE.
    """

    __slots__ = ("age_ms", "attempts", "event", "held", "stored", "wait_ms")

    def __init__(self, event: Event, age_ms: int, stored: bool) -> None:
        self.event = event
        self.age_ms = age_ms
        self.stored = DURABLE if stored else 0
        self.attempts = 0
        self.held = FREE
        self.wait_ms = 0

    def pass_time(self, elapsed_ms: int) -> None:
        self.wait_ms = max(self.wait_ms - elapsed_ms, 0)
        if self.age_ms >= 0:
            self.age_ms = min(self.age_ms + elapsed_ms, _MAX_AGE_MS)
            if self.age_ms > STORE_TIMEOUT_MS and not self.stored:
                self.stored = VOLATILE


class Outbox:
    """Holds events until they are acknowledged, retries for ever, alarms first.

    Full, it gives up heartbeats, then the oldest fault; an unacknowledged alarm never. An alarm waits for the
    acknowledgement of its cancel, so that nobody is called to an alarm that is over.
    """

    def __init__(self, jitter: Jitter) -> None:
        self.entries: list[Entry] = []
        self._jitter = jitter

    def add(self, event: Event, age_ms: int, stored: bool) -> "tuple[bool, Event | None]":
        """Take event in.

        Returns:
            Whether there was room, and the event that was given up for it, if any.
        """
        given_up = None
        if len(self.entries) >= MAX_ENTRIES:
            given_up = self._give_up(event)
            if given_up is None:
                return False, None
        at = 0
        while at < len(self.entries) and self.entries[at].event.priority <= event.priority:
            at += 1
        # Made before: once event is in, nothing may fail, for the next one would get its number, too.
        added = True, given_up
        self.entries.insert(at, Entry(event, age_ms, stored))
        if event.of is not None:
            self.hold(event.of, CANCELLED)
        return added

    def hold(self, event_id: "tuple[int, int]", held: int) -> None:
        """Hold the event with this id back from now on, or let it go (FREE)."""
        for entry in self.entries:
            if entry.event.has_id(event_id[0], event_id[1]):
                entry.held = held

    def mark_stored(self, event: Event, durable: bool = True) -> None:
        """Note that event may go out: it is durable, or could not be made so and goes out all the same."""
        for entry in self.entries:
            if entry.event is event:
                entry.stored = DURABLE if durable else VOLATILE

    def acknowledge(self, boot: int, seq: int) -> "Event | None":
        """Drop the event with this id and return it; None if there is none (a second acknowledgement).

        What is in its pre-alarm was never sent: nobody can have it.
        """
        for at in range(len(self.entries)):
            event = self.entries[at].event
            if event.has_id(boot, seq) and self.entries[at].held != PREALARM:
                self.entries.pop(at)
                if event.of is not None:
                    self.hold(event.of, FREE)
                return event
        return None

    def drop_heartbeats(self) -> None:
        """Drop heartbeats that were not acknowledged: a newer one says more."""
        for at in range(len(self.entries) - 1, -1, -1):
            if self.entries[at].event.type == HEARTBEAT:
                self.entries.pop(at)

    def resend_all(self) -> None:
        """Make everything due now: the link is new, and what went out on the old one may be lost."""
        for entry in self.entries:
            entry.wait_ms = 0

    def pass_time(self, elapsed_ms: int) -> None:
        for entry in self.entries:
            entry.pass_time(elapsed_ms)

    def next_due(self) -> "Entry | None":
        """Return the entry to send now, with its next retry already set; None if there is none."""
        for entry in self.entries:
            if entry.stored and entry.wait_ms == 0 and not entry.held:
                entry.attempts += 1
                limit_ms = ALARM_LIMIT_MS if entry.event.priority == 0 else OTHER_LIMIT_MS
                entry.wait_ms = wait_ms(entry.attempts, FIRST_RETRY_MS, limit_ms, self._jitter)
                return entry
        return None

    def put_off(self, entry: Entry) -> None:
        """Note that the link had no room for what next_due() gave: it was no attempt."""
        entry.attempts -= 1
        entry.wait_ms = ROOM_MS

    def idle_ms(self, link_up: bool) -> int:
        """Return how long no entry is due while link_up stays as it is."""
        idle_ms = _MAX_AGE_MS
        for entry in self.entries:
            if entry.held:
                continue
            if entry.stored:
                due_ms = entry.wait_ms if link_up else _MAX_AGE_MS
            else:
                due_ms = STORE_TIMEOUT_MS + 1 - entry.age_ms
            idle_ms = min(idle_ms, due_ms)
        return idle_ms

    def urgent(self) -> bool:
        """Tell whether an alarm or a cancel waits, or an alarm is in its pre-alarm: a link is wanted."""
        return bool(self.entries) and self.entries[0].event.priority == 0

    def awaits(self) -> bool:
        """Tell whether an alarm or a cancel that may go out is not acknowledged."""
        for entry in self.entries:
            if entry.event.priority > 0:
                return False
            if not entry.held:
                return True
        return False

    def in_memory_alone(self) -> bool:
        """Tell whether an alarm or a cancel waits that the journal would not take."""
        for entry in self.entries:
            if entry.stored == VOLATILE and entry.event.priority == 0:
                return True
        return False

    def _give_up(self, newcomer: Event) -> "Event | None":
        """Drop and return the first entry of the lowest priority, if newcomer goes before or beside it."""
        last = self.entries[-1].event.priority
        if last == 0 or last < newcomer.priority:
            return None
        at = len(self.entries) - 1
        while at > 0 and self.entries[at - 1].event.priority == last:
            at -= 1
        return self.entries.pop(at).event
