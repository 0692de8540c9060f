"""What must hold, and who watches that it does: the truth about one device, kept beside it and never asked by it."""

from dataclasses import dataclass, field

from ansim.simulation.prealarm import PreAlarm
from ansim_fw.core import event, indicator, link_watch, outbox
from ansim_fw.core.event import Event

EventId = tuple[int, int]

INVARIANTS = {
    "no_alarm_lost": "an alarm that was durable has its row in the end",
    "kept_until_acknowledged": "an alarm leaves outbox and journal only with the receiver's acknowledgement",
    "restart_restores": "a restart goes on with every alarm that was durable and not acknowledged",
    "damage_is_told": "an alarm is lost to rot of both its copies at the most, and then a fault says so",
    "acknowledged_is_committed": "nothing is acknowledged, to the device or to the wearer, that is not committed",
    "kept_twice": "what is stored is on both shelves",
    "stored_before_sent": "an alarm is stored before it is sent",
    "id_once": "no id is given to two events",
    "boot_once": "no boot number comes twice",
    "nothing_invented": "what is restored and what is in the database was raised, as it is there",
    "nothing_refused": "the receiver puts no device's event aside",
    "press_is_one_alarm": "a press on duty is one alarm, or the cancel that it was held for and let go in time",
    "a_body_cancels_nothing": "a cancel follows a button that was let go, after less than ten seconds",
    "fall_is_kept": "a fall on duty is stored at once, unless one waits of which nobody has heard",
    "fall_waits": "a fall is not sent in its pre-alarm, unless its wearer calls for help",
    "cancel_goes_first": "an alarm is not sent while its cancel waits",
    "never_shown_open": "an alarm that was cancelled before it was sent is never open at the receiver",
    "ends_as_the_wearer_said": "an alarm is cancelled in the end if its wearer cancelled it, and only then",
    "alarms_first": "no fault goes out while an alarm is due, no heartbeat while either is",
    "retry_in_time": "with the link up an alarm is sent again within its bound",
    "connect_in_time": "with the link down the next attempt comes within its bound",
    "journal_in_budget": "the journal stays within its budget",
    "watchdog": "a loop that hangs is restarted by the watchdog, and the device says so",
    "pattern_is_true": "what the wearer sees agrees with the alarm's state",
    "acknowledged_in_the_end": "with nothing in the way every alarm is acknowledged to its device",
    "silence_is_told": "a device that is silent past its bound is a fault; one that is not is none",
    "gap_is_told": "events that are said to be missing are",
    "program_lives": "device and receiver raise nothing that nobody foresaw",
}

# Bounds of docs/firmware.md, with room for one cycle and a wait of the queue.
_SLACK_MS = 1_000
_RETRY_MS = outbox.ALARM_LIMIT_MS + _SLACK_MS
_URGENT_CONNECT_MS = link_watch.URGENT_LIMIT_MS + _SLACK_MS
_FAILING_MS = 10_000 + _SLACK_MS
_NOTE_MS = 10_000 + _SLACK_MS
# 64 events wait at the most; one more is written before the one that it takes the place of is removed.
_JOURNAL_FILES = outbox.MAX_ENTRIES + 1
_JOURNAL_BYTES = _JOURNAL_FILES * 128
# More alarms at once than core.alarm keeps apart: their patterns are not told one from another.
_CROWD = 16

_ON_ITS_WAY = (indicator.RAISED, indicator.FAILING)


def device_name(number: int) -> str:
    return f"SIM{number:05}"


class Violation(Exception):  # noqa: N818  it is a finding
    """An invariant does not hold."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        assert invariant in INVARIANTS
        self.invariant = invariant
        self.detail = detail


@dataclass
class Waiting:
    """An event that was given to the journal and is not acknowledged to the device yet.

    Args:
        durable: it was whole on a shelf once; excused: both its copies rotted.
        due_ms: since when it should go out, or when it last did.
        raised_ms: since when the wearer is to see that it is on its way.
        sent: it went out once.
    """

    event: Event
    made_ms: int
    due_ms: int
    durable: bool = False
    tried: bool = False
    excused: bool = False
    closed: bool = False
    raised_ms: int = 0
    sent: bool = False

    def __post_init__(self) -> None:
        self.raised_ms = self.raised_ms or self.made_ms

    @property
    def urgent(self) -> bool:
        return self.event.type in (event.ALARM, event.CANCEL)


@dataclass
class Witness:
    """The truth about one device.

    Attributes:
        made: every event that was given to the journal, by its id, and when it was made.
        waiting: those of them that are not acknowledged to the device.
        promised: those that were durable, and not rotten on both shelves since.
        heard_ms: when the device last heard an alarm's acknowledgement.
        owes_damage: the boots that lost an alarm to rot and so owe a fault.
        falls: how many were stored; prealarm: of the one that may still be cancelled unsent.
        unsent: the alarms that were cancelled before they were sent.
        let_gos: how often the wearer was shown that the button may be let go.
    """

    name: str
    committed: set[tuple[str, int, int]]
    made: dict[EventId, tuple[tuple[int, str, EventId | None], int]] = field(default_factory=dict)
    waiting: dict[EventId, Waiting] = field(default_factory=dict)
    promised: set[EventId] = field(default_factory=set)
    boots: set[int] = field(default_factory=set)
    alarms: int = 0
    falls: int = 0
    cancels: int = 0
    refused: int = 0
    let_gos: int = 0
    shown: int = -1
    heard_ms: int = -_NOTE_MS
    crowded: bool = False
    owes_damage: list[int] = field(default_factory=list)
    prealarm: PreAlarm = field(default_factory=PreAlarm)
    unsent: set[EventId] = field(default_factory=set)
    _acknowledged: set[EventId] = field(default_factory=set)
    _beats: set[EventId] = field(default_factory=set)
    _beat: Event | None = None

    # Starting and ending

    def starts(self, boot: int) -> None:
        if boot in self.boots:
            raise Violation("boot_once", f"{self.name} starts with {boot} again")
        self.boots.add(boot)
        self.shown = -1

    def restored(self, boot: int, events: list[Event], now_ms: int) -> None:
        """The device took these events out of its journal."""
        self.prealarm.end()
        for each in events:
            known = self.made.get((each.boot, each.seq))
            if known is None or known[0] != substance(each):
                raise Violation("nothing_invented", f"{self.name} restores {describe(each)}, which never was")
        there = {(each.boot, each.seq) for each in events}
        cancelled = {each.of for each in events if each.type == event.CANCEL}
        for event_id, one in list(self.waiting.items()):
            one.due_ms = now_ms
            # Of a cancel that is acknowledged already, or of an operator, nothing is left over a restart.
            one.closed = event_id in cancelled
            if event_id not in there:
                self._is_missing(boot, event_id, one)
        for each in events:
            # Acknowledged, but the power went before that was durable: it is sent again.
            made_ms = self.made[(each.boot, each.seq)][1]
            closed = (each.boot, each.seq) in cancelled
            self.waiting.setdefault((each.boot, each.seq), Waiting(each, made_ms, now_ms, True, True, closed=closed))
        self.crowded = self.crowded or len(there) > _CROWD

    def power_goes(self) -> None:
        """What was in memory alone is gone, and nobody was told that it was raised."""
        self.waiting = {event_id: one for event_id, one in self.waiting.items() if one.durable}

    def _is_missing(self, boot: int, event_id: EventId, one: Waiting) -> None:
        if one.urgent and not one.excused:
            raise Violation("restart_restores", f"{self.name} has lost {describe(one.event)} over a restart")
        if one.urgent:
            self.owes_damage.append(boot)
        del self.waiting[event_id]

    # The journal

    def stores(self, made: Event, now_ms: int) -> None:
        """The device begins to store an event, just made."""
        event_id = (made.boot, made.seq)
        if event_id in self.made:
            raise Violation(
                "id_once", f"{self.name} gives {event_id} to {describe(made)}, it was {self.made[event_id]}"
            )
        self.made[event_id] = (substance(made), now_ms)
        self.waiting[event_id] = Waiting(made, now_ms, now_ms)
        if made.type == event.ALARM:
            self._stores_alarm(made, event_id, now_ms)
        elif made.type == event.CANCEL:
            self.cancels += 1
            self._stores_cancel(made)

    def _stores_alarm(self, made: Event, event_id: EventId, now_ms: int) -> None:
        self.crowded = self.crowded or len(self.waiting) > _CROWD
        if made.kind == "fall":
            self.falls += 1
            self.prealarm.begin(event_id, now_ms)
        else:
            self.alarms += 1
            # A call for help.
            self._raise_fall(now_ms)

    def _raise_fall(self, now_ms: int) -> None:
        one = self.waiting.get(self.prealarm.of) if self.prealarm.of else None
        if one is not None:
            one.raised_ms = one.due_ms = now_ms
        self.prealarm.end()

    def _stores_cancel(self, made: Event) -> None:
        self._close(made.of)
        if self.prealarm.of == made.of:
            self.prealarm.end()

    def written(self, event_id: EventId) -> None:
        """Its record is whole on a shelf."""
        if event_id in self.waiting:
            self.waiting[event_id].durable = True
            self.promised.add(event_id)
            of = self.waiting[event_id].event.of
            if of in self.waiting and not self.waiting[of].sent:
                self.unsent.add(of)

    def stored(self, made: Event, now_ms: int) -> None:
        """The device has tried to store it."""
        one = self.waiting.get((made.boot, made.seq))
        if one is not None:
            one.tried = True
            one.due_ms = now_ms

    def holds(self, files: int, size: int) -> None:
        if files > _JOURNAL_FILES or size > _JOURNAL_BYTES:
            raise Violation("journal_in_budget", f"{self.name} has {files} records of {size} bytes on a shelf")

    def rots(self, event_id: EventId) -> None:
        """No whole copy of it can be read from flash."""
        if event_id in self.waiting:
            self.waiting[event_id].excused = True
            self.unsent.discard(self.waiting[event_id].event.of or event_id)
            self.promised.discard(event_id)

    def forgets(self, gone: Event) -> None:
        event_id = (gone.boot, gone.seq)
        one = self.waiting.get(event_id)
        if one is not None and one.urgent:
            raise Violation("kept_until_acknowledged", f"{self.name} forgets {describe(gone)} unacknowledged")
        self.waiting.pop(event_id, None)

    # Sending and acknowledging

    def sends(self, entry: outbox.Entry, others: list[outbox.Entry], now_ms: int) -> None:
        sent = entry.event
        event_id = (sent.boot, sent.seq)
        if sent.type == event.HEARTBEAT:
            self._sends_beat(sent, event_id)
        else:
            self._sends_stored(sent, event_id, now_ms)
        rank = _RANKS[sent.type]
        for other in others:
            if other.stored and other.wait_ms == 0 and _RANKS[other.event.type] < rank:
                one = self.waiting.get((other.event.boot, other.event.seq))
                if one is not None and self._is_held(one, now_ms):
                    continue
                raise Violation("alarms_first", f"{self.name} sends {describe(sent)} before {describe(other.event)}")

    def _sends_beat(self, sent: Event, event_id: EventId) -> None:
        if sent is self._beat:
            return
        if event_id in self._beats or event_id in self.made:
            raise Violation("id_once", f"{self.name} gives {event_id} to two heartbeats")
        self._beats.add(event_id)
        self._beat = sent

    def _sends_stored(self, sent: Event, event_id: EventId, now_ms: int) -> None:
        one = self.waiting.get(event_id)
        if one is None:
            if event_id not in self.made:
                raise Violation("stored_before_sent", f"{self.name} sends {describe(sent)}, never stored")
            return
        if not one.tried and not one.durable:
            raise Violation("stored_before_sent", f"{self.name} sends {describe(sent)}, not stored")
        if self.prealarm.holds(event_id, now_ms):
            raise Violation("fall_waits", f"{self.name} sends {describe(sent)} in its pre-alarm")
        if self._cancel_waits(event_id):
            raise Violation(
                "cancel_goes_first", f"{self.name} sends {describe(sent)} before its cancel is acknowledged"
            )
        one.due_ms = now_ms
        one.sent = True

    def _cancel_waits(self, event_id: EventId) -> bool:
        return any(one.event.of == event_id for one in self.waiting.values() if one.event.type == event.CANCEL)

    def hears(self, event_id: EventId, now_ms: int) -> None:
        """The receiver's acknowledgement reaches the device."""
        self._need_committed(event_id)
        one = self.waiting.pop(event_id, None)
        if one is not None and one.event.type == event.ALARM:
            self.heard_ms = now_ms
        if one is not None and one.event.of in self.waiting:
            # Its alarm may go out now.
            self.waiting[one.event.of].due_ms = now_ms
        self._acknowledged.add(event_id)
        if not self.waiting:
            self.crowded = False

    def told(self, event_id: EventId) -> None:
        """The device believes that it is acknowledged."""
        self._need_committed(event_id)
        if event_id not in self._acknowledged:
            raise Violation(
                "acknowledged_is_committed", f"{self.name} takes {event_id} for acknowledged; nobody said so"
            )

    @property
    def fall_waits(self) -> bool:
        """Tell whether the receiver has not acknowledged a fall yet that is not over."""
        return any(one.event.kind == "fall" and not one.closed for one in self.waiting.values())

    def handled(self, event_id: EventId) -> None:
        """The device hears that an operator closed it."""
        self._close(event_id)

    def _close(self, event_id: EventId | None) -> None:
        if event_id is not None and event_id in self.waiting:
            self.waiting[event_id].closed = True

    def _need_committed(self, event_id: EventId) -> None:
        if (self.name, *event_id) not in self.committed:
            raise Violation("acknowledged_is_committed", f"{self.name} {event_id} is acknowledged, not committed")

    # After each cycle

    def sees(self, entries: list[outbox.Entry], pattern: int, safe: bool, now_ms: int) -> None:
        """The device has ended a cycle with these entries in its outbox."""
        if self.waiting:
            there = {(entry.event.boot, entry.event.seq) for entry in entries}
            for event_id, one in self.waiting.items():
                if one.urgent and event_id not in there:
                    raise Violation("kept_until_acknowledged", f"{self.name} dropped {describe(one.event)}")
        if pattern != self.shown:
            raise Violation("pattern_is_true", f"{self.name} shows {self.shown}, not {pattern}")
        self._check_pattern(pattern, safe, now_ms)

    def _check_pattern(self, pattern: int, safe: bool, now_ms: int) -> None:
        # A finger on the button: that goes before all else, for seven seconds.
        if self.crowded or safe or pattern == indicator.LET_GO:
            return
        self._check_prealarm(pattern, now_ms)
        if self.prealarm.of is not None:
            return
        open_ms = [one.raised_ms for one in self.waiting.values() if one.event.type == event.ALARM and not one.closed]
        if bool(open_ms) != (pattern in _ON_ITS_WAY):
            shown = indicator.NAMES[pattern]
            raise Violation("pattern_is_true", f"{self.name} shows {shown} with {len(open_ms)} alarms on their way")
        if open_ms and now_ms - min(open_ms) > _FAILING_MS and pattern != indicator.FAILING:
            raise Violation("pattern_is_true", f"{self.name} does not show that its alarm is failing")
        if pattern == indicator.ACKNOWLEDGED and now_ms - self.heard_ms > _NOTE_MS:
            raise Violation("pattern_is_true", f"{self.name} shows an acknowledgement that nobody gave")

    def _check_prealarm(self, pattern: int, now_ms: int) -> None:
        shown = pattern == indicator.PREALARM
        if shown and (self.prealarm.of is None or self.prealarm.is_late(now_ms)):
            raise Violation("pattern_is_true", f"{self.name} shows a pre-alarm, and there is none")
        if not shown and self.prealarm.of is not None:
            if self.prealarm.holds(self.prealarm.of, now_ms):
                raise Violation("pattern_is_true", f"{self.name} does not show that a fall can be cancelled")
            self._raise_fall(now_ms)

    def waits(self, link: int, since_ms: int, calm_connect_ms: int, now_ms: int) -> None:
        """The device is about to act again; link has been as it is, and the loop alive, since since_ms."""
        urgent = [one for one in self.waiting.values() if one.urgent and one.tried]
        if link == link_watch.UP:
            for one in urgent:
                if self._is_held(one, now_ms):
                    continue
                if now_ms - max(one.due_ms, since_ms) > _RETRY_MS:
                    raise Violation("retry_in_time", f"{self.name} did not send {describe(one.event)} again in time")
        elif link == link_watch.DOWN:
            self._check_connect(urgent, since_ms, calm_connect_ms, now_ms)

    def _is_held(self, one: Waiting, now_ms: int) -> bool:
        event_id = (one.event.boot, one.event.seq)
        in_prealarm = event_id == self.prealarm.of and not self.prealarm.is_late(now_ms)
        return in_prealarm or (one.closed and self._cancel_waits(event_id))

    def _check_connect(self, urgent: list[Waiting], since_ms: int, calm_connect_ms: int, now_ms: int) -> None:
        if now_ms - since_ms > calm_connect_ms + _SLACK_MS:
            raise Violation("connect_in_time", f"{self.name} does not connect for {now_ms - since_ms} ms")
        if urgent:
            wanted_ms = max(min(one.made_ms for one in urgent), since_ms)
            if now_ms - wanted_ms > _URGENT_CONNECT_MS:
                raise Violation("connect_in_time", f"{self.name} does not connect for {now_ms - wanted_ms} ms, urgent")


_RANKS = {event.ALARM: 0, event.CANCEL: 0, event.FAULT: 1, event.RESTORE: 1, event.HEARTBEAT: 2}


def substance(of: Event) -> tuple[int, str, EventId | None]:
    return of.type, of.kind, of.of


def describe(of: Event) -> str:
    return f"{event.TYPE_NAMES[of.type]} {of.kind} ({of.boot}, {of.seq})".replace("  ", " ")
