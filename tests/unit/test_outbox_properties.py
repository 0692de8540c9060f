"""The outbox against a simple model of it, whatever happens in whatever order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ansim_fw.core.event import ALARM, CANCEL, FAULT, HEARTBEAT, RESTORE, Event
from ansim_fw.core.outbox import (
    ALARM_LIMIT_MS,
    FIRST_RETRY_MS,
    FREE,
    MAX_ENTRIES,
    OTHER_LIMIT_MS,
    PREALARM,
    ROOM_MS,
    STORE_TIMEOUT_MS,
    Outbox,
)
from ansim_fw.core.retry import Jitter

TYPES = st.sampled_from([ALARM, CANCEL, FAULT, RESTORE, HEARTBEAT])


class OutboxMachine(RuleBasedStateMachine):
    """Keeps the waiting events in a plain list, in the order in which they were added, and what is known of each."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(Jitter(7))
        self.waiting: list[Event] = []
        self.sent_before: dict[Event, int] = {}
        self.age: dict[Event, int] = {}
        self.unstored: set[Event] = set()
        self.in_prealarm: set[Event] = set()
        self.seq = 0

    @rule(type_number=TYPES, stored=st.booleans(), count=st.sampled_from([1, 1, 1, 7, MAX_ENTRIES]))
    def add(self, type_number: int, stored: bool, count: int) -> None:
        for _ in range(count):
            self.add_one(Event(1, self.seq, type_number, "x"), stored)
            self.seq += 1

    def add_one(self, event: Event, stored: bool) -> None:
        victim = self.victim(event.priority) if len(self.waiting) == MAX_ENTRIES else None
        fits = len(self.waiting) < MAX_ENTRIES or victim is not None
        assert self.outbox.add(event, 0, stored) == (fits, victim)
        if victim is not None:
            self.drop(victim)
        if fits:
            self.waiting.append(event)
            self.age[event] = 0
            if not stored:
                self.unstored.add(event)

    @precondition(lambda self: self.alarms_without_cancel())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """The wearer cancels an alarm that waits, in its pre-alarm or after it."""
        alarm = data.draw(st.sampled_from(self.alarms_without_cancel()))
        cancel = Event(1, self.seq, CANCEL, "", (alarm.boot, alarm.seq))
        self.add_one(cancel, True)
        self.seq += 1
        if cancel in self.waiting:
            self.in_prealarm.discard(alarm)

    def alarms_without_cancel(self) -> list[Event]:
        cancelled = {event.of for event in self.waiting}
        return [one for one in self.waiting if one.type == ALARM and (one.boot, one.seq) not in cancelled]

    @rule()
    def begin_prealarm(self) -> None:
        """As a fall does: before it was ever sent."""
        alarm = Event(1, self.seq, ALARM, "fall")
        self.add_one(alarm, False)
        self.seq += 1
        if alarm not in self.waiting:
            return
        self.outbox.hold((alarm.boot, alarm.seq), PREALARM)
        self.in_prealarm.add(alarm)

    @rule()
    def every_prealarm_ends(self) -> None:
        for alarm in self.in_prealarm:
            self.outbox.hold((alarm.boot, alarm.seq), FREE)
        self.in_prealarm.clear()

    def held(self) -> set[Event]:
        """What must not go out: in its pre-alarm, or its cancel waits."""
        cancelled = {event.of for event in self.waiting if event.of is not None}
        return self.in_prealarm | {event for event in self.waiting if (event.boot, event.seq) in cancelled}

    def victim(self, priority: int) -> "Event | None":
        """The oldest of the least that waits, unless that is an alarm, or more than the newcomer."""
        last = max(event.priority for event in self.waiting)
        if last == 0 or last < priority:
            return None
        return next(event for event in self.waiting if event.priority == last)

    def drop(self, event: Event) -> None:
        self.waiting.remove(event)
        self.sent_before.pop(event, None)
        self.unstored.discard(event)
        self.in_prealarm.discard(event)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def store(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(self.waiting))
        self.outbox.mark_stored(event)
        self.unstored.discard(event)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(self.waiting))
        if event in self.in_prealarm:
            # It was never sent: nobody can have it.
            assert self.outbox.acknowledge(event.boot, event.seq) is None
            return
        assert self.outbox.acknowledge(event.boot, event.seq) is event
        assert self.outbox.acknowledge(event.boot, event.seq) is None
        self.drop(event)

    @rule(boot=st.integers(2, 9), seq=st.integers(0, 9))
    def acknowledge_what_is_not_there(self, boot: int, seq: int) -> None:
        assert self.outbox.acknowledge(boot, seq) is None

    @rule()
    def drop_heartbeats(self) -> None:
        self.outbox.drop_heartbeats()
        for event in [event for event in self.waiting if event.type == HEARTBEAT]:
            self.drop(event)

    @rule(elapsed_ms=st.one_of(st.integers(0, 5000), st.integers(0, 400_000)))
    def pass_time(self, elapsed_ms: int) -> None:
        self.outbox.pass_time(elapsed_ms)
        for event in self.waiting:
            self.age[event] += elapsed_ms
            if self.age[event] > STORE_TIMEOUT_MS:
                self.unstored.discard(event)
        for event in self.sent_before:
            self.sent_before[event] += elapsed_ms

    @rule()
    def pass_idle_time(self) -> None:
        """Nothing is due for so long as it says, and then something is."""
        idle_ms = self.outbox.idle_ms(True)
        if 0 < idle_ms < 10**6:
            self.pass_time(idle_ms - 1)
            assert self.outbox.next_due() is None
            self.pass_time(1)
            assert self.outbox.idle_ms(True) == 0

    @rule(times=st.integers(1, 12))
    def nobody_answers(self, times: int) -> None:
        """Each goes out again and again, as soon as it is due, and is never due later than its limit."""
        self.send_all()
        for _ in range(times):
            self.pass_time(min(self.outbox.idle_ms(True), OTHER_LIMIT_MS))
            for event, since_ms in self.sent_before.items():
                if event in self.held():
                    continue
                assert since_ms <= (ALARM_LIMIT_MS if event.priority == 0 else OTHER_LIMIT_MS)
            self.send_all()

    def send_all(self) -> None:
        while self.outbox.idle_ms(True) == 0:
            self.send(room=True)

    @rule(room=st.booleans())
    def send(self, room: bool) -> None:
        entry = self.outbox.next_due()
        if entry is None:
            for event in self.waiting:
                self.must_not_be_late(event)
            return
        event = entry.event
        assert event not in self.unstored and event not in self.held()
        assert entry.age_ms == self.age[event]
        # Nothing that goes before it is left out for it.
        for other in self.waiting[: self.waiting.index(event)]:
            if other.priority <= event.priority:
                self.must_not_be_late(other)
        if room:
            self.sent_before[event] = 0
        else:
            attempts = entry.attempts
            self.outbox.put_off(entry)
            assert (entry.attempts, entry.wait_ms) == (attempts - 1, ROOM_MS)
            self.sent_before.pop(event, None)

    def must_not_be_late(self, event: Event) -> None:
        if event in self.held():
            return
        limit_ms = ALARM_LIMIT_MS if event.priority == 0 else OTHER_LIMIT_MS
        if event in self.sent_before:
            assert self.sent_before[event] < limit_ms

    @rule()
    def a_new_link(self) -> None:
        self.outbox.resend_all()
        held = self.held()
        due = [event for event in self.waiting if event not in self.unstored and event not in held]
        sent = [self.outbox.next_due().event for _ in due]
        assert sent == sorted(due, key=lambda event: event.priority)
        assert self.outbox.next_due() is None
        self.sent_before.update(dict.fromkeys(due, 0))

    @invariant()
    def alarms_go_first_and_each_kind_in_its_order(self) -> None:
        entries = [entry.event for entry in self.outbox.entries]
        assert entries == sorted(self.waiting, key=lambda event: event.priority)
        assert len(entries) <= MAX_ENTRIES
        urgent = {event for event in self.waiting if event.priority == 0}
        assert self.outbox.urgent() == bool(urgent)
        assert self.outbox.awaits() == bool(urgent - self.held())

    @invariant()
    def what_was_sent_waits_at_least_for_its_first_retry(self) -> None:
        held = self.held()
        for entry in self.outbox.entries:
            if entry.event not in held and self.sent_before.get(entry.event) == 0:
                assert entry.wait_ms >= min(FIRST_RETRY_MS, ROOM_MS)


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(max_examples=60, stateful_step_count=40)
