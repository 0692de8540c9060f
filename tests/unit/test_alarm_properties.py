"""The life of alarms against a simple model of it."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ansim_fw.core import alarm
from ansim_fw.core.event import ALARM, Event

GRACE_MS = 3000
FAILING_MS = 10_000
RAISED, ACKNOWLEDGED = "raised", "acknowledged"


class AlarmMachine(RuleBasedStateMachine):
    """Keeps the alarms that are not over: each one's age, and whether it is acknowledged, oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self.cancel_ms = 30_000
        self.alarms = alarm.Alarms(self.cancel_ms)
        self.current: dict[int, tuple[int, str]] = {}
        self.seq = 0

    def make_room(self) -> None:
        if len(self.current) == alarm.MAX_ALARMS:
            closed = [seq for seq, (_, state) in self.current.items() if state == ACKNOWLEDGED]
            del self.current[closed[0] if closed else next(iter(self.current))]

    @rule(count=st.sampled_from([1, 1, 1, alarm.MAX_ALARMS]), old=st.booleans())
    def begins(self, count: int, old: bool) -> None:
        for _ in range(count):
            self.make_room()
            event = Event(1, self.seq, ALARM, "sos")
            if old:
                self.alarms.restore(event)
            else:
                self.alarms.raise_(event)
            self.current[self.seq] = (alarm.FORGET_MS if old else 0, RAISED)
            self.seq += 1

    @rule(seq=st.integers(0, 40))
    def is_acknowledged(self, seq: int) -> None:
        news = self.current.get(seq, (0, ""))[1] == RAISED
        assert self.alarms.acknowledge(1, seq) == news
        assert not self.alarms.acknowledge(1, seq)
        if news:
            self.current[seq] = (self.current[seq][0], ACKNOWLEDGED)

    @rule(seq=st.integers(0, 40))
    def is_handled(self, seq: int) -> None:
        assert self.alarms.handle(1, seq) == (self.current.pop(seq, None) is not None)

    @rule()
    def is_cancelled(self) -> None:
        wanted = [seq for seq, (age_ms, _) in self.current.items() if age_ms < self.cancel_ms + GRACE_MS]
        assert [one.event.seq for one in self.alarms.cancel(GRACE_MS)] == wanted
        for seq in wanted:
            del self.current[seq]

    @rule(cancel_ms=st.sampled_from([0, 1000, 120_000]))
    def is_configured(self, cancel_ms: int) -> None:
        self.cancel_ms = self.alarms.cancel_ms = cancel_ms

    @rule(elapsed_ms=st.one_of(st.integers(0, 40_000), st.integers(0, 2 * alarm.FORGET_MS)))
    def time_passes(self, elapsed_ms: int) -> None:
        self.alarms.pass_time(elapsed_ms)
        for seq, (age_ms, state) in self.current.items():
            self.current[seq] = (min(age_ms + elapsed_ms, alarm.FORGET_MS), state)
        # Each step forgets one, the oldest.
        if self.current:
            first, (age_ms, state) = next(iter(self.current.items()))
            if state == ACKNOWLEDGED and age_ms == alarm.FORGET_MS:
                del self.current[first]

    @precondition(lambda self: self.current)
    @rule()
    def idle_time_passes(self) -> None:
        """Until then nothing is forgotten, and no alarm becomes a failing one."""
        failing, count = self.alarms.raised_ms() >= FAILING_MS, len(self.current)
        idle_ms = self.alarms.idle_ms(FAILING_MS)
        if idle_ms > 0:
            self.time_passes(idle_ms - 1)
            assert (self.alarms.raised_ms() >= FAILING_MS, len(self.alarms.current)) == (failing, count)

    @invariant()
    def the_wearer_sees_the_oldest_that_waits(self) -> None:
        waiting = [age_ms for age_ms, state in self.current.values() if state == RAISED]
        assert self.alarms.raised_ms() == (waiting[0] if waiting else -1)
        for grace_ms in (0, GRACE_MS):
            wanted = any(age_ms < self.cancel_ms + grace_ms for age_ms, _ in self.current.values())
            assert self.alarms.may_cancel(grace_ms) == wanted
        assert [one.event.seq for one in self.alarms.current] == list(self.current)
        assert len(self.current) <= alarm.MAX_ALARMS


TestAlarms = AlarmMachine.TestCase
TestAlarms.settings = settings(max_examples=80, stateful_step_count=40)
