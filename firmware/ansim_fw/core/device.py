"""The device as one deterministic state machine: elapsed time and inputs in, actions out."""

from micropython import const

from ansim_fw.core import alarm, allowance, battery, button, event, indicator, link_watch, outbox
from ansim_fw.core.event import Event
from ansim_fw.core.heartbeat import Heartbeat
from ansim_fw.core.message import FIRST_HEARTBEAT_SEQ
from ansim_fw.core.retry import Jitter

# Actions: tuples that start with one of these.
STORE = const(0)  # (STORE, event): make it durable, then report it in Inputs.stored
SEND = const(1)  # (SEND, entry): transmit it
FORGET = const(2)  # (FORGET, event): it is acknowledged, or was given up for a more important one
SHOW = const(3)  # (SHOW, pattern)
CONNECT = const(4)  # (CONNECT,): start to connect
RECONNECT = const(5)  # (RECONNECT,): the connection looks dead, start anew
SAVE = const(6)  # (SAVE, setting, value): keep over restarts
ANNOUNCE = const(7)  # (ANNOUNCE, what, event or None): tell the console

# An alarm that is not acknowledged after this long is shown as failing.
FAILING_MS = const(10000)
# Down from the start for this long is safe mode.
SAFE_HOLD_MS = const(5000)

_NOTE_MS = const(10000)
# What has to be tried again is tried again this soon.
_AGAIN_MS = const(10)


class Inputs:
    """What the hardware says at one step. The loop fills the same object again and again.

    The lists are the loop's: what is in them is new at this step.

    Attributes:
        button_down: level of the button; button_edge: it went down since the last step.
        link: link_watch.DOWN, BUSY or UP; link_fault: why it is down, empty when there is no reason.
        battery_mv: 0 without a battery; rssi_dbm: 0 without Wi-Fi; heap_free: bytes.
        loop_ms: the longest that the loop was held up since the start.
        stored: (event, durable) for each STORE that was tried.
        commands: checked commands, see docs/protocol.md.
    """

    def __init__(self) -> None:
        self.button_down = False
        self.button_edge = False
        self.link = link_watch.DOWN
        self.link_fault = ""
        self.battery_mv = 0
        self.rssi_dbm = 0
        self.heap_free = 0
        self.loop_ms = 0
        self.stored: list[tuple[Event, bool]] = []
        self.commands: list[dict[str, object]] = []


class Device:
    """One device's logic.

    Args:
        boot: number of this start, never used before.
        settings: every setting of config.LIMITS, checked by config.check.
        seed: makes this device's jitter its own.
        firmware, reset: version and reset cause, told in heartbeats.
        low_mv: battery voltage that counts as low.
        provisioned: it has an identity; without one it never connects.
    """

    def __init__(
        self,
        boot: int,
        settings: "dict[str, int]",
        seed: int,
        firmware: str,
        reset: str,
        low_mv: int,
        provisioned: bool,
    ) -> None:
        jitter = Jitter(seed)
        self.boot = boot
        self.outbox = outbox.Outbox(jitter)
        self.alarms = alarm.Alarms(settings["cancel_s"] * 1000)
        self.heartbeat = Heartbeat(settings["heartbeat_min"])
        self.safe = False
        self.up_s = 0
        self.retries = 0
        self.pattern = -1
        self._seq = 0
        self._beat_seq = FIRST_HEARTBEAT_SEQ
        self._firmware = firmware
        self._reset = reset
        self._provisioned = provisioned
        self._button = button.Button()
        self._allowance = allowance.Allowance()
        self._battery = battery.Battery(low_mv)
        self._watch = link_watch.LinkWatch(jitter, settings["spread_s"] * 1000)
        self._actions: list[tuple[Any, ...]] = []
        self._up_ms = 0
        self._was_up = False
        self._journal_failed = False
        self._undecided = False
        # A press that is not an event yet: out of memory, it is tried again with the next step.
        self._owed = False
        self._held_since_start = True
        self._note = -1
        self._note_ms = 0

    def restore(self, old: Event) -> None:
        """Take in an event that the journal kept over a restart. Call before the first step."""
        self.outbox.add(old, -1, True)
        if old.type == event.ALARM:
            self.alarms.restore(old)
        elif old.of is not None:
            # The alarm came before its cancel.
            self.alarms.handle(old.of[0], old.of[1])

    def report(self, fault: str) -> None:
        """Raise a fault that was found while starting. Its actions come with the next step."""
        self._raise(event.FAULT, fault)

    def trigger(self) -> "Event | None":
        """Raise a test alarm and return it; None if too many wait. Its actions come with the next step."""
        return self._raise_alarm("test")

    def configure(self, name: str, value: int) -> None:
        """Use a checked setting from now on."""
        if name == "heartbeat_min":
            self.heartbeat.set_interval(value)
        elif name == "cancel_s":
            self.alarms.cancel_ms = value * 1000
        elif name == "spread_s":
            self._watch.spread_ms = value * 1000

    def step(self, elapsed_ms: int, inputs: Inputs) -> "list[tuple[Any, ...]]":
        """Pass time, take inputs in, and return the actions, in order.

        It is the same list each time: whoever carries an action out takes it out of the list. A step with no news
        allocates nothing.
        """
        self._pass_time(elapsed_ms)
        # First: whatever comes with a press and fails, for want of memory, does not take the press with it.
        self._watch_button(elapsed_ms, inputs)
        if inputs.stored:
            self._take_stored(inputs.stored)
        if inputs.commands:
            for command in inputs.commands:
                self._obey(command)
        self._watch_battery(inputs.battery_mv)
        if self._provisioned:
            self._watch_link(elapsed_ms, inputs)
        self._show()
        return self._actions

    def idle_ms(self, inputs: Inputs) -> int:
        """Return how long the next step may be put off, if all inputs stay as they are: nothing is due before."""
        if self._actions or inputs.stored or inputs.commands:
            return 0
        if self._owed:
            return _AGAIN_MS
        idle_ms = min(self._button.idle_ms(), self._allowance.idle_ms(), self.alarms.idle_ms(FAILING_MS))
        if self._held_since_start and not self.safe and self._button.down:
            idle_ms = min(idle_ms, max(SAFE_HOLD_MS - self._button.held_ms, 0))
        if self._note_ms > 0:
            idle_ms = min(idle_ms, self._note_ms)
        return min(idle_ms, self._link_idle_ms(inputs)) if self._provisioned else idle_ms

    # Time

    def _pass_time(self, elapsed_ms: int) -> None:
        self._up_ms += elapsed_ms
        if self._up_ms >= 1000:
            self.up_s += self._up_ms // 1000
            self._up_ms %= 1000
        self._note_ms = max(self._note_ms - elapsed_ms, 0)
        self.outbox.pass_time(elapsed_ms)
        self.alarms.pass_time(elapsed_ms)
        if self._allowance.pass_time(elapsed_ms):
            self._raise(event.RESTORE, "button_chatter")

    # Events

    def _raise(self, type: int, kind: str = "", of: "tuple[int, int] | None" = None) -> "Event | None":
        """Make an event and have it stored; None if there is no room for it."""
        made = Event(self.boot, self._seq, type, kind, of)
        fits, given_up = self.outbox.add(made, 0, False)
        if kind == "sos":
            self._owed = False
        if not fits:
            self._announce("full", made)
            return None
        self._seq += 1
        if given_up is not None:
            self._actions.append((FORGET, given_up))
        self._actions.append((STORE, made))
        return made

    def _raise_alarm(self, kind: str) -> "Event | None":
        made = self._raise(event.ALARM, kind)
        if made is not None:
            self.alarms.raise_(made)
            self._announce("raised", made)
        return made

    def _take_stored(self, stored: "list[tuple[Event, bool]]") -> None:
        for made, durable in stored:
            # An alarm that could not be made durable goes out all the same: a person waits.
            self.outbox.mark_stored(made)
            if durable:
                self._journal_failed = False
                self._announce("journalled", made)
            elif not self._journal_failed:
                self._journal_failed = True
                self._raise(event.FAULT, "journal")

    # Commands

    def _obey(self, command: "dict[str, object]") -> None:
        name = command["cmd"]
        if name == "ack":
            self._acknowledged(command["boot"], command["seq"])  # type: ignore[arg-type]  # decode_command checked it
        elif name == "handled":
            if self.alarms.handle(command["boot"], command["seq"]):  # type: ignore[arg-type]  # the same
                self._announce("handled", None)
                self._take_note(indicator.HANDLED)
        elif name == "heartbeat":
            self.heartbeat.set_interval(command["interval_min"])  # type: ignore[arg-type]  # the same
            self._actions.append((SAVE, "heartbeat_min", command["interval_min"]))
        elif name == "identify":
            self._take_note(indicator.IDENTIFY)

    def _acknowledged(self, boot: int, seq: int) -> None:
        done = self.outbox.acknowledge(boot, seq)
        if done is None:
            return
        self._watch.heard()
        if done.type != event.HEARTBEAT:
            self._actions.append((FORGET, done))
        self._announce("acknowledged", done)
        if self.alarms.acknowledge(boot, seq):
            self._take_note(indicator.ACKNOWLEDGED)

    # Button

    def _watch_button(self, elapsed_ms: int, inputs: Inputs) -> None:
        if self._owed:
            self._raise_alarm("sos")
        if not inputs.button_down:
            self._held_since_start = False
        told = self._button.step(elapsed_ms, inputs.button_down, inputs.button_edge)
        if told & button.PRESS:
            self._pressed()
        if told & button.HOLD and self._undecided:
            self._undecided = False
            self._cancel()
        if told & button.RELEASE:
            self._released()
        if told & button.STUCK:
            self._raise(event.FAULT, "button_stuck")
        if self._held_since_start and not self.safe and self._button.held_ms >= SAFE_HOLD_MS:
            self.safe = True
            self._announce("safe", None)

    def _pressed(self) -> None:
        chattered = self._allowance.spent
        if not self._allowance.take():
            if not chattered:
                self._raise(event.FAULT, "button_chatter")
            return
        # With an alarm that may still be cancelled on its way, the press is told from a hold first.
        self._undecided = self.alarms.may_cancel()
        self._owed = not self._undecided
        self._announce("pressed", None)
        if self._owed:
            self._raise_alarm("sos")

    def _released(self) -> None:
        if self._undecided:
            self._undecided = False
            self._owed = True
            self._raise_alarm("sos")
        if self._button.held_ms >= button.STUCK_MS:
            self._raise(event.RESTORE, "button_stuck")
            self._button.held_ms = 0

    def _cancel(self) -> None:
        cancelled = self.alarms.cancel(button.HOLD_MS)
        for one in cancelled:
            made = self._raise(event.CANCEL, "", (one.event.boot, one.event.seq))
            if made is not None:
                self._announce("cancelled", made)
                self._take_note(indicator.CANCELLED)
        if not cancelled:
            # The alarm was closed meanwhile, or its time ran out: then this press is one of its own.
            self._owed = True
            self._raise_alarm("sos")

    # Battery

    def _watch_battery(self, battery_mv: int) -> None:
        news = self._battery.step(battery_mv)
        if news == battery.LOW:
            self._raise(event.FAULT, "battery_low")
        elif news == battery.WELL:
            self._raise(event.RESTORE, "battery_low")

    # Link

    def _watch_link(self, elapsed_ms: int, inputs: Inputs) -> None:
        up = inputs.link == link_watch.UP
        if self._watch.step(elapsed_ms, inputs.link, self.outbox.urgent()):
            self._actions.append((CONNECT,))
        if up and not self._was_up:
            self.outbox.resend_all()
            if self._watch.restored():
                self._raise(event.RESTORE, "link")
        elif not up and self._watch.fault(inputs.link_fault):
            self._raise(event.FAULT, inputs.link_fault)
        self._was_up = up
        if self.heartbeat.step(elapsed_ms, up):
            self._make_heartbeat(inputs)
        if up:
            self._send()
            if self._watch.silent(elapsed_ms, self.outbox.urgent()):
                self._actions.append((RECONNECT,))

    def _link_idle_ms(self, inputs: Inputs) -> int:
        up = inputs.link == link_watch.UP
        idle_ms = min(
            self.outbox.idle_ms(up), self._watch.idle_ms(inputs.link, self.outbox.urgent(), inputs.link_fault)
        )
        return min(idle_ms, self.heartbeat.idle_ms()) if up else idle_ms

    def _make_heartbeat(self, inputs: Inputs) -> None:
        self.outbox.drop_heartbeats()
        made = Event(self.boot, self._beat_seq, event.HEARTBEAT)
        made.data = {
            "battery_mv": inputs.battery_mv,
            "rssi_dbm": inputs.rssi_dbm,
            "fw": self._firmware,
            "reset": self._reset,
            "up_s": self.up_s,
            "heap_free": inputs.heap_free,
            "loop_ms": inputs.loop_ms,
            "pending": len(self.outbox.entries),
            "retries": self.retries,
            "interval_min": self.heartbeat.interval_min,
        }
        fits, _ = self.outbox.add(made, 0, True)
        if fits:
            self._beat_seq += 1
        else:
            self.heartbeat.put_off()

    def _send(self) -> None:
        entry = self.outbox.next_due()
        if entry is None:
            return
        self._actions.append((SEND, entry))
        if entry.attempts > 1:
            self.retries += 1

    # What the wearer sees

    def _announce(self, what: str, about: "Event | None") -> None:
        self._actions.append((ANNOUNCE, what, about))

    def _take_note(self, pattern: int) -> None:
        self._note = pattern
        self._note_ms = _NOTE_MS

    def _show(self) -> None:
        pattern = self._choose_pattern()
        if pattern != self.pattern:
            self.pattern = pattern
            self._actions.append((SHOW, pattern))

    def _choose_pattern(self) -> int:
        raised_ms = self.alarms.raised_ms()
        if raised_ms >= FAILING_MS:
            return indicator.FAILING
        if raised_ms >= 0:
            return indicator.RAISED
        if self._note_ms > 0:
            return self._note
        if self.safe:
            return indicator.SAFE
        if not self._provisioned:
            return indicator.UNPROVISIONED
        if self._battery.low:
            return indicator.BATTERY_LOW
        return indicator.READY


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
