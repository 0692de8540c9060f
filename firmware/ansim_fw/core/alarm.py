"""The life of each alarm on the device: raised, acknowledged, handled; or cancelled by the wearer."""

from micropython import const

from ansim_fw.core.event import Event

RAISED = const(0)
ACKNOWLEDGED = const(1)
HANDLED = const(2)
CANCELLED = const(3)

# More than these at once say nothing new to anybody; the outbox holds the events themselves.
MAX_ALARMS = const(16)

# An acknowledged alarm that nobody closed is forgotten here after this long; its row at the receiver stays.
FORGET_MS = const(3600000)


class Alarm:
    """One alarm: its event, its state, and how long ago it was raised."""

    __slots__ = ("age_ms", "event", "state")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.state = RAISED
        self.age_ms = 0


class Alarms:
    """The alarms that are not over yet, oldest first.

    Args:
        cancel_ms: how long after it was raised the wearer may cancel an alarm; 0: not at all.
    """

    def __init__(self, cancel_ms: int) -> None:
        self.cancel_ms = cancel_ms
        self.current: list[Alarm] = []

    def raise_(self, event: Event) -> None:
        if len(self.current) >= MAX_ALARMS:
            # Rather one that is acknowledged: the wearer must see that another is not.
            waiting = [alarm.state == RAISED for alarm in self.current]
            self.current.pop(waiting.index(False) if False in waiting else 0)
        self.current.append(Alarm(event))

    def restore(self, event: Event) -> None:
        """Take in an alarm from before a restart: not acknowledged, and too old to be cancelled."""
        self.raise_(event)
        self.current[-1].age_ms = FORGET_MS

    def acknowledge(self, boot: int, seq: int) -> bool:
        """Note the receiver's acknowledgement; tell whether it was news."""
        for alarm in self.current:
            if alarm.state == RAISED and alarm.event.has_id(boot, seq):
                alarm.state = ACKNOWLEDGED
                return True
        return False

    def handle(self, boot: int, seq: int) -> bool:
        """Note that an operator closed the alarm; tell whether it was news."""
        for at in range(len(self.current)):
            if self.current[at].event.has_id(boot, seq):
                self.current.pop(at).state = HANDLED
                return True
        return False

    def may_cancel(self, grace_ms: int) -> bool:
        """Tell whether an alarm is in its cancel window, or out of it for less than grace_ms; a test never is."""
        for alarm in self.current:
            if alarm.age_ms < self.cancel_ms + grace_ms and alarm.event.kind != "test":
                return True
        return False

    def cancel(self, grace_ms: int) -> "list[Alarm]":
        """Take out and return every alarm that is no test in its cancel window, or out of it for less than grace_ms."""
        within_ms = self.cancel_ms + grace_ms
        cancelled = [alarm for alarm in self.current if alarm.age_ms < within_ms and alarm.event.kind != "test"]
        for alarm in cancelled:
            alarm.state = CANCELLED
            self.current.remove(alarm)
        return cancelled

    def waits(self, kind: str) -> bool:
        """Tell whether an alarm of this kind waits for its acknowledgement."""
        for alarm in self.current:
            if alarm.state == RAISED and alarm.event.kind == kind:
                return True
        return False

    def raised_ms(self) -> int:
        """Return how long the oldest alarm waits for its acknowledgement; -1 if none does."""
        for alarm in self.current:
            if alarm.state == RAISED:
                return alarm.age_ms
        return -1

    def idle_ms(self, failing_ms: int) -> int:
        """Return how long nothing changes: until raised_ms() reaches failing_ms, or an alarm is forgotten."""
        idle_ms = FORGET_MS
        raised_ms = self.raised_ms()
        if 0 <= raised_ms < failing_ms:
            idle_ms = failing_ms - raised_ms
        if self.current and self.current[0].state == ACKNOWLEDGED:
            idle_ms = min(idle_ms, FORGET_MS - self.current[0].age_ms)
        return idle_ms

    def pass_time(self, elapsed_ms: int) -> None:
        if not self.current:
            return
        for alarm in self.current:
            alarm.age_ms = min(alarm.age_ms + elapsed_ms, FORGET_MS)
        first = self.current[0]
        if first.state == ACKNOWLEDGED and first.age_ms >= FORGET_MS:
            self.current.pop(0)
