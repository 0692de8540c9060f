"""The device as one deterministic state machine: elapsed time and inputs in, actions out."""

from micropython import const

from ansim_fw.core import alarm, allowance, button, event, indicator, link_watch, outbox
from ansim_fw.core.event import Event
from ansim_fw.core.heartbeat import Heartbeat
from ansim_fw.core.inputs import Inputs as Inputs
from ansim_fw.core.message import FIRST_HEARTBEAT_SEQ
from ansim_fw.core.retry import Jitter
from ansim_fw.core.supply import Supply

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


class Device:
    """One device's logic.

    Args:
        boot: number of this start, never used before.
        settings: every setting of config.LIMITS, checked by config.check.
        seed: makes this device's jitter its own.
        firmware, reset: version and reset cause, told in heartbeats.
        curve: the cell's, see battery.percent; empty without one.
        provisioned: it has an identity; without one it never connects.
        mains: it is to tell when the mains are lost.
        told: what was saved as "told" before the restart: faults of cell and mains that may be over since.
    """

    def __init__(
        self,
        boot: int,
        settings: "dict[str, int]",
        seed: int,
        firmware: str,
        reset: str,
        curve: "battery.Curve",
        provisioned: bool,
        mains: bool = False,
        told: int = 0,
    ) -> None:
        self._jitter = Jitter(seed)
        self.boot = boot
        self.outbox = outbox.Outbox(self._jitter)
        self.alarms = alarm.Alarms(settings["cancel_s"] * 1000)
        self.heartbeat = Heartbeat(settings["heartbeat_min"], 0)
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
        self._supply = Supply(curve, mains, told)
        # What the receiver wants; a device that lives on its cell may promise less.
        self._chosen_min = settings["heartbeat_min"]
        self._watch = link_watch.LinkWatch(self._jitter, settings["spread_s"] * 1000)
        self._actions: list[tuple[Any, ...]] = []
        self._up_ms = 0
        self._was_open = False
        self._was_up = False
        self._journal_failed = False
        self._undecided = False
        # A press that is not an event yet: out of memory, it is tried again with the next step.
        self._owed = False
        # So long presses are tests; the last one was.
        self._trial_ms = 0
        self._tested = False
        # A fall that is not an event yet, likewise; one in its pre-alarm, and how long that goes on.
        self._fell = False
        self._prealarm: "Event | None" = None
        self._left_ms = 0
        # The fall that a press, which is not told from a hold yet, may cancel: it was there before the press.
        self._cancellable: "Event | None" = None
        self._prealarm_ms = settings["prealarm_s"] * 1000
        self._sensor_fault = ""
        self._held_since_start = True
        self._note = -1
        self._note_ms = 0

    def restore(self, old: Event) -> None:
        """Take in an event that the journal kept over a restart. Call before the first step."""
        self.outbox.add(old, self._age_ms(old), True)
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

    def await_tests(self, ms: int) -> bool:
        """Let presses in the next ms be test alarms, until one that is none comes; 0: no more.

        False: not now, as an alarm that is no test goes on, or is not closed yet. A press that is held for HOLD_MS is a
        call for help all the same.
        """
        busy = self._owed or self._undecided or self._fell or self._prealarm is not None
        if ms and (busy or self.alarms.may_cancel(alarm.FORGET_MS + 1)):
            return False
        self._trial_ms = ms
        return True

    def configure(self, name: str, value: int) -> None:
        """Use a checked setting from now on."""
        if name == "heartbeat_min":
            self._choose_interval(value)
        elif name == "cancel_s":
            self.alarms.cancel_ms = value * 1000
        elif name == "spread_s":
            self._watch.spread_ms = value * 1000
        elif name == "prealarm_s":
            self._prealarm_ms = value * 1000

    def step(self, elapsed_ms: int, inputs: Inputs) -> "list[tuple[Any, ...]]":
        """Pass time, take inputs in, and return the actions, in order.

        It is the same list each time: whoever carries an action out takes it out of the list. A step with no news
        allocates nothing.
        """
        self._pass_time(elapsed_ms)
        # First: whatever comes with a fall or a press and fails, for want of memory, does not take them with it.
        self._note_fall(inputs.fall)
        self._watch_button(elapsed_ms, inputs)
        self._watch_fall()
        if inputs.stored:
            self._take_stored(inputs.stored)
        if inputs.commands:
            for command in inputs.commands:
                self._obey(command)
        self._watch_supply(elapsed_ms, inputs)
        self._watch_sensor(inputs.sensor_fault)
        if self._provisioned:
            self._watch_link(elapsed_ms, inputs)
        self._show()
        return self._actions

    def idle_ms(self, inputs: Inputs) -> int:
        """Return how long the next step may be put off, if all inputs stay as they are: nothing is due before."""
        if self._actions or inputs.stored or inputs.commands or inputs.fall:
            return 0
        if self._owed or self._fell or inputs.sensor_fault != self._sensor_fault:
            return _AGAIN_MS
        idle_ms = min(self._button.idle_ms(), self._allowance.idle_ms(), self.alarms.idle_ms(FAILING_MS))
        idle_ms = min(idle_ms, self._supply.idle_ms())
        if self._held_since_start and not self.safe and self._button.down:
            idle_ms = min(idle_ms, max(SAFE_HOLD_MS - self._button.held_ms, 0))
        if self._note_ms > 0:
            idle_ms = min(idle_ms, self._note_ms)
        if self._trial_ms > 0:
            idle_ms = min(idle_ms, self._trial_ms)
        # Over, but not ended: that is up to the button.
        if self._prealarm is not None and self._left_ms > 0:
            idle_ms = min(idle_ms, self._left_ms)
        return min(idle_ms, self._link_idle_ms(inputs)) if self._provisioned else idle_ms

    # Time

    def _pass_time(self, elapsed_ms: int) -> None:
        self._up_ms += elapsed_ms
        if self._up_ms >= 1000:
            self.up_s += self._up_ms // 1000
            self._up_ms %= 1000
        self._note_ms = max(self._note_ms - elapsed_ms, 0)
        self._trial_ms = max(self._trial_ms - elapsed_ms, 0)
        self._left_ms = max(self._left_ms - elapsed_ms, 0)
        self.outbox.pass_time(elapsed_ms)
        self.alarms.pass_time(elapsed_ms)
        if self._allowance.pass_time(elapsed_ms):
            self._raise(event.RESTORE, "button_chatter")

    # Events

    def _raise(self, type: int, kind: str = "", of: "tuple[int, int] | None" = None) -> "Event | None":
        """Make an event and have it stored; None if there is no room for it."""
        if type == event.ALARM and kind != "test":
            # Somebody is in need: from here on nothing is a test.
            self._trial_ms = 0
        made = Event(self.boot, self._seq, type, kind, of)
        fits, given_up = self.outbox.add(made, 0, False)
        if kind == "sos":
            self._owed = False
        elif kind == "fall":
            self._fell = False
        if not fits:
            self._announce("full", made)
            return None
        self._seq += 1
        if given_up is not None:
            self._actions.append((FORGET, given_up))
        self._actions.append((STORE, made))
        return made

    def _raise_alarm(self, kind: str) -> "Event | None":
        if kind == "sos":
            # A call for help: a fall does not wait any longer.
            self._left_ms = 0
        made = self._raise(event.ALARM, kind)
        if made is not None:
            self.alarms.raise_(made)
            self._announce("raised", made)
        return made

    def _take_stored(self, stored: "list[tuple[Event, bool]]") -> None:
        for made, durable in stored:
            # An alarm that could not be made durable goes out all the same: a person waits.
            self.outbox.mark_stored(made, durable)
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
            self._choose_interval(command["interval_min"])  # type: ignore[arg-type]  # the same
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
        if told & (button.HOLD | button.LONG) and self._undecided:
            self._held(told)
        elif told & button.HOLD and self._tested:
            self._call_for_help()
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
        # With an alarm that may still be cancelled, the press is told from a hold first.
        self._cancellable = self._prealarm
        self._undecided = self._prealarm is not None or self.alarms.may_cancel(0)
        self._owed = not self._undecided
        self._tested = self._owed and self._trial_ms > 0
        self._announce("pressed", None)
        if self._owed:
            # A test for which there is no memory stays owed, and is a call for help then.
            self._raise_alarm("test" if self._tested else "sos")
            self._owed = False

    def _held(self, told: int) -> None:
        # Who does not let go is no finger, but a body. Or the alarm was closed meanwhile.
        if told & button.LONG or not self._has_to_cancel():
            self._call_for_help()

    def _has_to_cancel(self) -> bool:
        return self._cancellable is not None or self.alarms.may_cancel(self._button.down_ms)

    def _released(self) -> None:
        if self._undecided:
            if self._button.held_ms >= button.HOLD_MS and self._has_to_cancel():
                self._undecided = False
                self._cancel()
            else:
                self._call_for_help()
        if self._button.held_ms >= button.STUCK_MS:
            self._raise(event.RESTORE, "button_stuck")

    def _call_for_help(self) -> None:
        self._undecided = False
        self._owed = True
        self._raise_alarm("sos")

    def _cancel(self) -> None:
        fall = self._cancellable
        # One for which there is no room leaves the fall in its pre-alarm.
        if fall is not None and self._cancel_one(fall):
            self._prealarm = None
        # What could be cancelled when the press began, and no more.
        for one in self.alarms.cancel(self._button.down_ms):
            self._cancel_one(one.event)

    def _cancel_one(self, of: Event) -> bool:
        made = self._raise(event.CANCEL, "", (of.boot, of.seq))
        if made is None:
            return False
        self._announce("cancelled", made)
        self._take_note(indicator.CANCELLED)
        return True

    # Fall

    def _note_fall(self, fell: bool) -> None:
        # Nobody wears what is not provisioned. Of a fall that nobody has heard of yet, a second one says nothing new.
        if fell and self._provisioned and self._prealarm is None and not self.alarms.waits("fall"):
            self._fell = True
            self._trial_ms = 0

    def _watch_fall(self) -> None:
        if self._fell:
            self._begin_prealarm()
        # A finger that is down may be about to cancel: that shows within 10 s.
        if self._prealarm is not None and self._left_ms == 0 and not self._undecided:
            self._raise_fall(self._prealarm)

    def _begin_prealarm(self) -> None:
        made = self._raise(event.ALARM, "fall")
        if made is not None:
            self.outbox.hold((made.boot, made.seq), outbox.PREALARM)
            self._left_ms = self._prealarm_ms
            self._prealarm = made
            self._announce("prealarm", made)

    def _raise_fall(self, fall: Event) -> None:
        # First, as it may fail for want of memory: then it is tried again.
        self.alarms.raise_(fall)
        self.outbox.hold((fall.boot, fall.seq), outbox.FREE)
        self._prealarm = None
        self._announce("raised", fall)

    # Cell and mains

    def _watch_supply(self, elapsed_ms: int, inputs: Inputs) -> None:
        changed = self._supply.step(elapsed_ms, inputs.battery_mv, inputs.supply)
        if changed:
            self._tell_supply(changed)
        interval_min = self._supply.interval_min(self._chosen_min)
        if interval_min != self.heartbeat.interval_min:
            # Whoever waits for the next one is told at once when to expect it.
            self.heartbeat.interval_min = interval_min
            self.heartbeat.begin_anew()

    def _tell_supply(self, changed: int) -> None:
        # First: a fault that was told and not saved would never be over after a restart.
        self._actions.append((SAVE, "told", self._supply.told))
        for kind, began in self._supply.kinds(changed):
            self._raise(event.FAULT if began else event.RESTORE, kind)

    def _choose_interval(self, chosen_min: int) -> None:
        self._chosen_min = chosen_min
        self.heartbeat.set_interval(self._supply.interval_min(chosen_min))

    # Motion sensor

    def _watch_sensor(self, fault: str) -> None:
        if fault == self._sensor_fault:
            return
        # One change a step: another fault begins when the one before is over.
        if self._sensor_fault:
            self._raise(event.RESTORE, self._sensor_fault)
            fault = ""
        else:
            self._raise(event.FAULT, fault)
        self._sensor_fault = fault

    # Link

    def _watch_link(self, elapsed_ms: int, inputs: Inputs) -> None:
        up = inputs.link == link_watch.UP
        is_open = up or inputs.link == link_watch.OPEN
        if self._watch.step(elapsed_ms, inputs.link, self._is_urgent(inputs), self._is_wanted(inputs)):
            self._connect()
        if is_open and not self._was_open:
            self.outbox.resend_all()
        if up and not self._was_up:
            if self._watch.restored():
                self._raise(event.RESTORE, "link")
        elif not up and self._watch.fault(inputs.link_fault):
            self._raise(event.FAULT, inputs.link_fault)
        self._was_open = is_open
        self._was_up = up
        self.heartbeat.pass_time(elapsed_ms)
        if is_open:
            if self.heartbeat.take():
                self._make_heartbeat(inputs)
            self._send()
        if up and self._watch.silent(elapsed_ms, self.outbox.awaits()):
            self._actions.append((RECONNECT,))

    def _connect(self) -> None:
        self._actions.append((CONNECT,))

    def _link_idle_ms(self, inputs: Inputs) -> int:
        up = inputs.link == link_watch.UP
        is_open = up or inputs.link == link_watch.OPEN
        urgent = self.outbox.awaits() if up else self._is_urgent(inputs)
        idle_ms = self._watch.idle_ms(inputs.link, urgent, inputs.link_fault, self._is_wanted(inputs))
        return min(idle_ms, self.outbox.idle_ms(is_open), self.heartbeat.idle_ms(is_open))

    def _make_heartbeat(self, inputs: Inputs) -> None:
        self.outbox.drop_heartbeats()
        made = Event(self.boot, self._beat_seq, event.HEARTBEAT, "", None, self._health(inputs))
        fits, _ = self.outbox.add(made, 0, True)
        if fits:
            self._beat_seq += 1
        else:
            self.heartbeat.put_off()

    # What a device that sleeps does otherwise: see sleeper.py.

    def _age_ms(self, _old: Event) -> int:
        """Return how long ago an event of the journal happened; negative when that is not known."""
        return -1

    def _is_urgent(self, _inputs: Inputs) -> bool:
        return self._trial_ms > 0 or self.outbox.urgent()

    def _is_wanted(self, _inputs: Inputs) -> bool:
        """Tell whether there is a reason to connect."""
        return True

    def _health(self, inputs: Inputs) -> "dict[str, str | int]":
        """Return what a heartbeat tells."""
        health: "dict[str, str | int]" = {
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
        if self._supply.cell.percent >= 0:
            health["battery_pct"] = self._supply.cell.percent
        return health

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
        # First: of all patterns these ask for something, and soon.
        if self._undecided and self._button.held_ms >= button.HOLD_MS:
            return indicator.LET_GO
        if self._prealarm is not None:
            return indicator.PREALARM
        raised_ms = self.alarms.raised_ms()
        if raised_ms >= FAILING_MS:
            return indicator.FAILING
        if raised_ms >= 0:
            return indicator.RAISED
        if self._note_ms > 0:
            return self._note
        if self._trial_ms > 0:
            return indicator.IDENTIFY
        if self.safe:
            return indicator.SAFE
        if not self._provisioned:
            return indicator.UNPROVISIONED
        if self._supply.low:
            return indicator.BATTERY_LOW
        return indicator.READY


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ansim_fw.core import battery
