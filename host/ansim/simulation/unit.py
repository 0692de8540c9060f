"""One device: the real core and journal, carried out as start.py and loop.py do it, on flash and air of the world."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from ansim.simulation import chance
from ansim.simulation.flash import Fuse, MemoryNvs, MemoryShelf, PowerCut
from ansim.simulation.link import Link
from ansim.simulation.surroundings import Surroundings
from ansim.simulation.witness import EventId, Violation, Waiting, Witness, describe
from ansim_fw.core import button, device, event, event_reader, indicator, link_watch, message
from ansim_fw.core.device import Device
from ansim_fw.core.event import Event
from ansim_fw.core.journal import Journal, name_of
from ansim_fw.version import VERSION

TICK_MS = 10
# How long a cycle with news takes; what comes over the air ends the wait of an idle one as soon.
CYCLE_MS = 2
# From power-on until the button is armed (main.py), and from then until the device is on duty (start.py).
ARMED_MS = 300
START_MS = 1_200
WATCHDOG_MS = 60_000
# The button may be down again for so long when its letting go is told.
_BOUNCE_MS = 100
# Before the first provisioning's first start.
_FIRST_BOOT = 1 << 19
_BATTERY_MV = 3900
_CURVE = ((4200, 100), (3800, 40), (3480, 20), (3400, 15), (3300, 5), (3000, 0))

_ACTIONS = ("STORE", "SEND", "FORGET", "SHOW", "CONNECT", "RECONNECT", "SAVE", "ANNOUNCE")

OFF, STARTING, ON_DUTY, HUNG = range(4)


@dataclass(frozen=True)
class UnitParts:
    """What a device is made of: the real thing, or a mutant of it.

    Args:
        reads_puback: what the device does with a PUBACK; the firmware pays no heed to it.
    """

    device: Callable[..., Device] = Device
    journal: Callable[[tuple[MemoryShelf, MemoryShelf], Callable[[bytes], int]], Journal] = Journal
    nvs: Callable[[int, Fuse], MemoryNvs] = MemoryNvs
    has_watchdog: bool = True
    reads_puback: "Callable[[Unit, int, int], None] | None" = None


class Unit:
    """A device in a home.

    Attributes:
        state: OFF, STARTING, ON_DUTY or HUNG, until hung_until_ms; life: counts starts and ends.
        troubles: counts what disturbs a press: starts, power cuts, hangs; cuts: power cuts alone.
    """

    def __init__(self, number: int, witness: Witness, around: Surroundings, parts: UnitParts) -> None:
        self.number = number
        self.witness = witness
        self.state = OFF
        self.life = 0
        self.troubles = 0
        self.cuts = 0
        self.hung_until_ms = 0
        self.core: Device | None = None
        self.inputs = device.Inputs()
        self.fuse = Fuse()
        self.shelves = (
            MemoryShelf("a", self.fuse, around.timeline, self._written),
            MemoryShelf("b", self.fuse, around.timeline, self._written),
        )
        self.nvs = parts.nvs(_FIRST_BOOT, self.fuse)
        self.link = Link(around.timeline, around.draws, number, around.broker, self)
        if parts.reads_puback is not None:
            self.link.on_puback = self._on_puback
        self._timeline = around.timeline
        self._draws = around.draws
        self._trace = around.trace
        self._tally = around.tally
        self._parts = parts
        self._journal: Journal | None = None
        self._wake_number = 0
        self._stepped_ms = 0
        self._alive_ms = 0
        self._battery_mv = _BATTERY_MV
        self._button_down = False
        self._went_down_ms = self._went_up_ms = 0
        self._in_cycle = False
        self._owes_watchdog = False

    # Power

    def power_on(self, reset: str = "power_on") -> None:
        """Start, unless it is on."""
        if self.state != OFF:
            return
        self.state = STARTING
        self.troubles += 1
        self.life += 1
        # main.py arms the button and with it the watchdog; what is pressed from then on counts.
        self._timeline.after(ARMED_MS, self._arm, self.life, reset)

    def power_off(self, where: str) -> None:
        """The power is gone, at this point of the program."""
        if self.state == OFF:
            return
        self.cuts += 1
        self._tally.cuts[where] += 1
        self._note("power cut", len(self.witness.waiting))
        self._stop()

    def _stop(self) -> None:
        """Whatever it was doing, it is no more, and forgets what is not on flash."""
        self.state = OFF
        self.troubles += 1
        self.life += 1
        self._wake_number += 1
        self.core = None
        self._journal = None
        self.fuse.disarm()
        self.link.power_off()
        self.witness.power_goes()

    def _reset(self, reset: str) -> None:
        self._note("reset " + reset)
        self._stop()
        self.power_on(reset)

    def _arm(self, life: int, reset: str) -> None:
        if life != self.life:
            return
        self.inputs = device.Inputs()
        self.inputs.button_down = self._button_down
        self._stepped_ms = self._timeline.now_ms
        self._timeline.after(START_MS, self._start, life, reset)

    def _start(self, life: int, reset: str) -> None:
        """As start.duty."""
        if life != self.life:
            return
        try:
            self._put_together(reset)
        except PowerCut as cut:
            self.power_off(f"start: {cut}")
            return
        self.state = ON_DUTY
        self.link.since_ms = self._alive_ms = self._timeline.now_ms
        self._cycle()

    def _put_together(self, reset: str) -> None:
        boot, counted = self.nvs.next_boot()
        self.witness.starts(boot)
        seed = self._draws.below(1 << 30, chance.START, self.number, boot)
        core = self._parts.device(boot, self.nvs.values, seed, VERSION, reset, _CURVE, True, False, self.nvs.told)
        journal = self._parts.journal(self.shelves, crc32)
        waiting, damaged = journal.load()
        for each in waiting:
            core.restore(each)
        if not damaged:
            journal.mend()
        if damaged or not counted:
            core.report("journal")
        if reset == "watchdog":
            core.report("watchdog")
        self._excuse_unreadable()
        self.witness.restored(
            boot, [entry.event for entry in core.outbox.entries if entry.age_ms < 0], self._timeline.now_ms
        )
        self.core, self._journal = core, journal
        self.inputs.battery_mv = self._battery_mv
        self._owes_watchdog = reset == "watchdog"
        self._tally.counts["starts"] += 1
        self._note("starts", boot, len(waiting))

    def _excuse_unreadable(self) -> None:
        """With a shelf that refuses to be read, what is spoiled on the other one can't be had now."""
        readable = [shelf for shelf in self.shelves if not shelf.refuses]
        if len(readable) < len(self.shelves):
            for event_id, one in self.witness.waiting.items():
                if not any(shelf.intact(name_of(one.event)) for shelf in readable):
                    self.witness.rots(event_id)

    # What happens to it

    def set_button(self, down: bool) -> None:
        self.before_change()
        if down:
            self._went_down_ms = self._timeline.now_ms
        else:
            self._went_up_ms = self._timeline.now_ms
        self._button_down = down
        if self.state == STARTING or self.state == OFF:
            self.troubles += 1
        self.inputs.button_down = down
        self.inputs.button_edge = self.inputs.button_edge or down
        # The button is sampled.
        self._wake_after(TICK_MS)

    def set_battery(self, battery_mv: int) -> None:
        self.before_change()
        self._battery_mv = self.inputs.battery_mv = battery_mv
        self.after_change()

    def hang(self, duration_ms: int) -> None:
        """The loop does not come round for duration_ms, or until the watchdog fires."""
        if self.state != ON_DUTY:
            return
        self.before_change()
        if self.state != ON_DUTY:
            return
        self.state = HUNG
        self.troubles += 1
        self.hung_until_ms = self._timeline.now_ms + duration_ms
        if duration_ms < WATCHDOG_MS:
            self._timeline.after(duration_ms, self._go_on, self.life)
            return
        if self._parts.has_watchdog:
            self._timeline.after(WATCHDOG_MS, self._bite, self.life)
        self._timeline.after(WATCHDOG_MS + 1, self._check_bite, self.life)

    def _go_on(self, life: int) -> None:
        if life == self.life:
            self.state = ON_DUTY
            self._alive_ms = self._timeline.now_ms
            self._cycle()

    def _bite(self, life: int) -> None:
        if life == self.life:
            self._reset("watchdog")

    def _check_bite(self, life: int) -> None:
        if life == self.life:
            raise Violation("watchdog", f"{self.witness.name} hangs, and nothing restarts it")

    # link.Listener

    def before_change(self) -> None:
        """Act on the inputs as they were until now, before one of them changes."""
        if self.state == ON_DUTY and not self._in_cycle and self._timeline.now_ms > self._stepped_ms:
            self._cycle()

    def after_change(self) -> None:
        if not self._in_cycle:
            self._wake_after(CYCLE_MS)

    # The loop

    def _wake_after(self, delay_ms: int) -> None:
        if self.state == ON_DUTY:
            self._wake_number += 1
            self._timeline.after(delay_ms, self._wake, self._wake_number)

    def _wake(self, number: int) -> None:
        if number == self._wake_number and self.state == ON_DUTY:
            self._cycle()

    def _cycle(self) -> None:
        """As Duty.cycle; then jump to when the next step is due."""
        self._in_cycle = True
        try:
            news = self._go_round()
        except PowerCut as cut:
            self.power_off(str(cut))
            return
        finally:
            self._in_cycle = False
        if news:
            self._wake_after(CYCLE_MS)
        elif self.core is not None:
            self._wake_after(max(self.core.idle_ms(self.inputs), TICK_MS))

    def _go_round(self) -> bool:
        core, journal = self._running()
        now_ms = self._timeline.now_ms
        elapsed_ms = now_ms - self._stepped_ms
        self._stepped_ms = now_ms
        self._gather()
        if self.witness.waiting or self.inputs.link == link_watch.DOWN:
            self._check_waits()
        try:
            actions = core.step(elapsed_ms, self.inputs)
        except Exception as error:
            raise Violation("program_lives", f"{self.witness.name}: step raises {error!r}") from error
        self._clear_inputs()
        if not actions:
            return False
        while actions:
            action = actions.pop(0)
            self.fuse.point(_ACTIONS[action[0]])
            _ACTS[action[0]](self, action)
        self.fuse.point("end of cycle")
        journal.mend()
        self._look(core)
        return True

    def _running(self) -> tuple[Device, Journal]:
        assert self.core is not None and self._journal is not None
        return self.core, self._journal

    def _gather(self) -> None:
        self.inputs.link = self.link.status
        self.inputs.link_fault = self.link.fault
        if self.link.commands:
            for command in self.link.commands:
                self._hear(command)
            self.inputs.commands.extend(self.link.commands)
            self.link.commands.clear()

    def _clear_inputs(self) -> None:
        self.inputs.stored.clear()
        self.inputs.commands.clear()
        self.inputs.button_edge = self.inputs.fall = False

    def _hear(self, command: dict[str, Any]) -> None:
        if command["cmd"] == "ack":
            self.witness.hears((command["boot"], command["seq"]), self._timeline.now_ms)
        elif command["cmd"] == "handled":
            self.witness.handled((command["boot"], command["seq"]))

    # Act

    def _store(self, action: tuple[Any, ...]) -> None:
        made: Event = action[1]
        _, journal = self._running()
        self.witness.stores(made, self._timeline.now_ms)
        if made.type == event.CANCEL:
            self._check_let_go()
        self._tally.counts[event.TYPE_NAMES[made.type] + "s"] += 1
        self._note("store " + event.TYPE_NAMES[made.type] + " " + made.kind, made.boot, made.seq)
        self._owes_watchdog = self._owes_watchdog and made.kind != "watchdog"
        durable = journal.store(made)
        self.inputs.stored.append((made, durable))
        self.witness.stored(made, self._timeline.now_ms)
        if durable and not all(shelf.intact(name_of(made)) for shelf in self.shelves):
            raise Violation("kept_twice", f"{self.witness.name} has not stored {describe(made)} on both shelves")
        for shelf in self.shelves:
            self.witness.holds(len(shelf.files), sum(map(len, shelf.files.values())))

    def _send(self, action: tuple[Any, ...]) -> None:
        entry = action[1]
        core, _ = self._running()
        self.witness.sends(entry, core.outbox.entries, self._timeline.now_ms)
        if entry.event.type == event.HEARTBEAT and entry.attempts == 1:
            self._tally.counts["heartbeats"] += 1
        payload = message.encode_event(entry.event, entry.age_ms, entry.attempts)
        if self.link.publish(payload):
            self._note("send", entry.event.boot, entry.event.seq, entry.attempts)
        else:
            core.outbox.put_off(entry)

    def _forget(self, action: tuple[Any, ...]) -> None:
        _, journal = self._running()
        self.witness.forgets(action[1])
        journal.forget(action[1])

    def _show(self, action: tuple[Any, ...]) -> None:
        self.witness.shown = action[1]
        self.witness.let_gos += action[1] == indicator.LET_GO
        self._note("show", action[1])

    def _connect(self, _action: tuple[Any, ...]) -> None:
        self.link.connect()
        self._tally.counts["connects"] += 1

    def _reconnect(self, _action: tuple[Any, ...]) -> None:
        self.link.close("link_lost")

    def _save(self, action: tuple[Any, ...]) -> None:
        self.nvs.save(action[1], action[2])

    def _tell(self, action: tuple[Any, ...]) -> None:
        _, what, about = action
        if what == "acknowledged":
            self.witness.told((about.boot, about.seq))
            self._note("acknowledged", about.boot, about.seq)
        elif what == "full":
            self.witness.refused += 1

    # The truth

    def _check_waits(self) -> None:
        since_ms = max(self.link.since_ms, self._alive_ms)
        calm_ms = max(2 * self.nvs.values["spread_s"] * 1000, link_watch.CALM_LIMIT_MS)
        self.witness.waits(self.inputs.link, since_ms, calm_ms, self._timeline.now_ms)

    def _check_let_go(self) -> None:
        now_ms, name = self._timeline.now_ms, self.witness.name
        if self._button_down and now_ms - self._went_down_ms > _BOUNCE_MS:
            raise Violation("a_body_cancels_nothing", f"{name} cancels, and nobody has let go of its button")
        if not self._button_down and self._went_up_ms - self._went_down_ms >= button.LET_GO_MS:
            held_ms = self._went_up_ms - self._went_down_ms
            raise Violation("a_body_cancels_nothing", f"{name} cancels after its button was down for {held_ms} ms")

    def _look(self, core: Device) -> None:
        if self._owes_watchdog:
            raise Violation("watchdog", f"{self.witness.name} was restarted by the watchdog and does not say so")
        self.witness.sees(core.outbox.entries, core.pattern, core.safe, self._timeline.now_ms)

    def rot(self, shelf: int, which: int, bit: int, both: bool) -> None:
        """Turn a bit of a record over; which and bit are folded to what there is."""
        names = sorted(self.shelves[shelf].files)
        if not names:
            return
        name = names[which % len(names)]
        for each in self.shelves if both else (self.shelves[shelf],):
            if name in each.files:
                each.rot(name, bit)
        if not any(each.intact(name) for each in self.shelves):
            self.witness.rots(_id_in(name))

    def trouble_until_ms(self) -> int:
        """Return until when it had trouble of its own to be heard; now, if it has."""
        if self.state != ON_DUTY:
            return self._timeline.now_ms
        return max(self.link.trouble_until_ms, self._alive_ms)

    def unacknowledged(self) -> list[Waiting]:
        """Return the alarms and cancels that the device has no acknowledgement for."""
        return [one for one in self.witness.waiting.values() if one.urgent]

    def _written(self, name: str) -> None:
        self.witness.written(_id_in(name))

    def _on_puback(self, payload: bytes) -> None:
        found: dict[str, Any] = event_reader.decode_event(payload)
        if self._parts.reads_puback is not None and self.core is not None:
            self._parts.reads_puback(self, found["boot"], found["seq"])

    def _note(self, what: str, *numbers: int) -> None:
        self._trace.note(self._timeline.now_ms, self.witness.name, what, *numbers)


# By the numbers of the actions in core/device.py.
_ACTS = (
    Unit._store,
    Unit._send,
    Unit._forget,
    Unit._show,
    Unit._connect,
    Unit._reconnect,
    Unit._save,
    Unit._tell,
)


def _id_in(name: str) -> EventId:
    return int(name[:8], 16), int(name[8:], 16)
