"""One world: some devices, a broker and a receiver in virtual time, and what happens to them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from ansim import schema
from ansim.simulation import unit as units
from ansim.simulation.broker import Broker
from ansim.simulation.chance import DEVICE, Chance
from ansim.simulation.receiver import Receiver, ReceiverParts
from ansim.simulation.recipe import Found, Setting
from ansim.simulation.stimuli import OBSTACLE_NAMES, WORLD, Stimulus
from ansim.simulation.tally import Tally
from ansim.simulation.timeline import DAY_MS, MINUTE_MS, Timeline
from ansim.simulation.trace import Trace
from ansim.simulation.unit import Unit, UnitParts
from ansim.simulation.witness import Violation, Witness, device_name
from ansim_fw.core import event, message

# After the last stimulus all troubles end; by then everything must have arrived (slowest retry: 5 min).
SETTLE_MS = 20 * MINUTE_MS
# A cut that its device does not come to happens so much later all the same.
_CUT_PATIENCE_MS = 5_000
# Debouncing at both ends of a press.
_PRESS_MARGIN_MS = 300
_HOLD_MS = 2_950
_BOTH = 2
_BATTERY_MV = 3_900


@dataclass(frozen=True)
class Parts:
    """What a world is made of."""

    unit: UnitParts = field(default_factory=UnitParts)
    receiver: ReceiverParts = field(default_factory=ReceiverParts)


class World:
    """Runs one setting with its stimuli.

    Args:
        keep: keep the story in ``trace.lines``.
    """

    def __init__(self, setting: Setting, parts: Parts, keep: bool = False) -> None:
        self.trace = Trace(keep)
        self.tally = Tally()
        self._setting = setting
        self._timeline = Timeline()
        self._draws = Chance(setting.seed)
        self._broker = Broker(self._timeline, self._draws)
        committed: set[tuple[str, int, int]] = set()
        witnesses = {number: Witness(device_name(number), committed) for number in setting.devices}
        shared = (self._timeline, self._draws, self._broker)
        self._units = {
            number: Unit(number, witness, *shared, self.trace, self.tally, parts.unit)
            for number, witness in witnesses.items()
        }
        self._receiver = Receiver(*shared, self._units, committed, self.trace, self.tally, parts.receiver)
        self._do: dict[str, Callable[..., None]] = {**self._device_deeds(), **self._world_deeds()}

    def run(self, stimuli: Sequence[Stimulus]) -> Found | None:
        """Play the world to its end; return what does not hold, None if all does."""
        for each in self._units.values():
            self._timeline.at(self._draws.below(MINUTE_MS, DEVICE, each.number), each.power_on)
        for stimulus in stimuli:
            self._timeline.at(stimulus.at_ms, self._apply, stimulus)
        try:
            self._timeline.run(self._setting.duration_ms)
            self._calm_down()
            self._timeline.run(self._setting.duration_ms + SETTLE_MS)
            self._check_end()
        except Violation as violation:
            return Found(violation.invariant, violation.detail, self._timeline.now_ms)
        finally:
            self._receiver.database.close()
            self.tally.device_days = len(self._setting.devices) * self._timeline.now_ms / DAY_MS
        return None

    def _apply(self, stimulus: Stimulus) -> None:
        self.tally.faults[stimulus.kind] += 1
        name = "world" if stimulus.device == WORLD else device_name(stimulus.device)
        self.trace.note(self._timeline.now_ms, name, "! " + stimulus.kind, *stimulus.values)
        who = () if stimulus.device == WORLD else (self._units[stimulus.device],)
        self._do[stimulus.kind](*who, *stimulus.values)

    def _until(self, duration_ms: int) -> int:
        return self._timeline.now_ms + duration_ms

    # To a device

    def _device_deeds(self) -> dict[str, Callable[..., None]]:
        return {
            "press": self._press,
            "chatter": self._chatter,
            "cut": self._cut,
            "hang": Unit.hang,
            "rot": lambda unit, shelf, which, bit: unit.rot(shelf, which, bit, False),
            "rot_both": lambda unit, which, bit: unit.rot(0, which, bit, True),
            "flash_refuses": self._refuse_flash,
            "obstacle": lambda unit, which, ms: unit.link.obstruct(OBSTACLE_NAMES[which], self._until(ms)),
            "link_loss": lambda unit: unit.link.drop("link_lost"),
            "half_open": lambda unit, ms: unit.link.break_silently(self._until(ms)),
            "deaf": lambda unit, ms: unit.link.deafen(self._until(ms)),
            "slow": lambda unit, slow_ms, ms: unit.link.slow_down(slow_ms, self._until(ms)),
            "battery": Unit.set_battery,
            "interval": lambda unit, minutes: self._broker.command(unit.number, message.set_heartbeat(minutes)),
            "handle": lambda unit: self._receiver.handle_oldest(unit.number, "kim"),
        }

    def _press(self, unit: Unit, held_ms: int) -> None:
        if unit.pressed:
            return
        unit.pressed = True
        self.tally.counts["presses"] += 1
        on_duty = unit.state == units.ON_DUTY and self._timeline.now_ms - unit.released_ms > _PRESS_MARGIN_MS
        unit.set_button(True)
        unit.presses += 1
        witness = unit.witness
        before = (unit.presses, unit.troubles, witness.alarms, witness.cancels, witness.refused)
        self._timeline.after(held_ms, self._release, unit)
        if on_duty:
            self._timeline.after(held_ms + _PRESS_MARGIN_MS, self._check_press, unit, held_ms, before)
        elif unit.state == units.HUNG:
            seen_ms = max(unit.hung_until_ms, self._until(held_ms)) + _PRESS_MARGIN_MS
            self._timeline.at(seen_ms, self._check_unseen, unit, unit.life, _answers(witness))

    def _release(self, unit: Unit) -> None:
        unit.pressed = False
        unit.released_ms = self._timeline.now_ms
        unit.set_button(False)

    def _check_press(self, unit: Unit, held_ms: int, before: tuple[int, ...]) -> None:
        presses, troubles, alarms, cancels, refused = before
        witness = unit.witness
        if (unit.presses, unit.troubles) != (presses, troubles):
            return
        raised, cancelled = witness.alarms - alarms, witness.cancels - cancels
        if raised == 1 and cancelled == 0:
            return
        if raised == 0 and (witness.refused > refused or (cancelled and held_ms >= _HOLD_MS)):
            return
        detail = f"a press of {held_ms} ms on {witness.name} made {raised} alarms and {cancelled} cancels"
        raise Violation("press_is_one_alarm", detail)

    def _check_unseen(self, unit: Unit, life: int, answers: int) -> None:
        if unit.life == life and unit.state == units.ON_DUTY and _answers(unit.witness) == answers:
            raise Violation(
                "press_is_one_alarm", f"{unit.witness.name} has not noticed a press while its loop was held up"
            )

    def _chatter(self, unit: Unit, *lengths_ms: int) -> None:
        if unit.pressed:
            return
        unit.presses += 1
        after_ms = 0
        for at, length_ms in enumerate(lengths_ms):
            self._timeline.after(after_ms, self._bounce, unit, at % 2 == 0)
            after_ms += length_ms

    def _bounce(self, unit: Unit, down: bool) -> None:
        if not unit.pressed:
            unit.presses += 1
            unit.released_ms = self._timeline.now_ms
            unit.set_button(down)

    def _cut(self, unit: Unit, points: int, torn: int, off_ms: int) -> None:
        cuts = unit.cuts
        if points:
            unit.fuse.arm(points, torn)
        self._timeline.after(_CUT_PATIENCE_MS if points else 0, self._cut_idle, unit, cuts)
        self._timeline.after((_CUT_PATIENCE_MS if points else 0) + off_ms, unit.power_on)

    def _cut_idle(self, unit: Unit, cuts: int) -> None:
        if unit.cuts == cuts:
            unit.power_off("idle" if unit.state == units.ON_DUTY else "starting")

    def _refuse_flash(self, unit: Unit, which: int, duration_ms: int) -> None:
        chosen = unit.shelves if which == _BOTH else (unit.shelves[which],)
        for shelf in chosen:
            shelf.refuses_until_ms = max(self._until(duration_ms), shelf.refuses_until_ms)

    # To broker and receiver

    def _world_deeds(self) -> dict[str, Callable[..., None]]:
        broker, receiver = self._broker, self._receiver
        return {
            "broker_down": self._stop_broker,
            "broker_drops": lambda ms: broker.drop_messages(self._until(ms)),
            "reorder": lambda ms: broker.reorder(self._until(ms)),
            "repeat": lambda ms: broker.repeat(self._until(ms)),
            "receiver_down": receiver.stop,
            "receiver_killed": receiver.kill,
            "backup": receiver.take_backup,
            "restore": receiver.restore_backup,
            "clock": receiver.set_clock,
        }

    def _stop_broker(self, duration_ms: int, lost_ms: int) -> None:
        self._receiver.lose_broker()
        self._broker.go_down(self._until(duration_ms), lost_ms)

    # The end

    def _calm_down(self) -> None:
        """Every trouble ends."""
        self._broker.calm_down()
        self._receiver.start()
        for unit in self._units.values():
            unit.fuse.disarm()
            unit.link.calm_down()
            for shelf in unit.shelves:
                shelf.refuses_until_ms = 0
            unit.set_battery(_BATTERY_MV)
            unit.power_on()

    def _check_end(self) -> None:
        rows = self._rows()
        self._check_conditions(rows)
        for unit in self._units.values():
            mine = rows.get(unit.witness.name, {})
            self._check_rows(unit, mine)
            for one in unit.unacknowledged():
                name = unit.witness.name
                raise Violation("acknowledged_in_the_end", f"{name} still sends {one.event.boot}, {one.event.seq}")

    def _check_conditions(self, rows: dict[str, dict[tuple[int, int], tuple[int, str]]]) -> None:
        """What the receiver itself noticed has ended, or is still so."""
        for fault in self._receiver.store.faults(open_only=True):
            if fault.kind == "silent":
                raise Violation("silence_is_told", f"{fault.device} was heard and is still said to be silent")
            if fault.kind == "gap" and not _has_hole(rows.get(fault.device, {})):
                raise Violation("gap_is_told", f"events of {fault.device} are said to be missing, and none is")

    def _check_rows(self, unit: Unit, mine: dict[tuple[int, int], tuple[int, str]]) -> None:
        witness = unit.witness
        for event_id, (what, _) in witness.made.items():
            lost = event_id not in mine and event_id in witness.promised
            if lost and what[0] in (event.ALARM, event.CANCEL):
                raise Violation("no_alarm_lost", f"{witness.name} {event_id} has no row")
        for event_id, row in mine.items():
            known = witness.made.get(event_id)
            if known is None or (known[0][0], known[0][1]) != row:
                raise Violation("nothing_invented", f"{witness.name} {event_id} is in the database as {row}")
        for boot in witness.owes_damage:
            if not any(at[0] >= boot and row == (event.FAULT, "journal") for at, row in mine.items()):
                raise Violation(
                    "damage_is_told", f"{witness.name} lost an alarm to rot in boot {boot}, and says nothing"
                )

    def _rows(self) -> dict[str, dict[tuple[int, int], tuple[int, str]]]:
        """Return what the database has of each device, without heartbeats."""
        columns = schema.events.c
        query = sa.select(columns.device, columns.boot, columns.seq, columns.type, columns.kind)
        found: dict[str, dict[tuple[int, int], tuple[int, str]]] = {}
        with self._receiver.database.reading() as connection:
            for row in connection.execute(query.where(columns.type != "heartbeat")):
                kind = (event.TYPE_NAMES.index(row.type), row.kind)
                found.setdefault(row.device, {})[(row.boot, row.seq)] = kind
        return found


def _answers(witness: Witness) -> int:
    """Count what can come of a press."""
    return witness.alarms + witness.cancels + witness.refused


def _has_hole(ids: Iterable[tuple[int, int]]) -> bool:
    """Tell whether a number is missing in a boot that began with 0."""
    numbers: dict[int, set[int]] = {}
    for boot, seq in ids:
        numbers.setdefault(boot, set()).add(seq)
    return any(max(seqs) + 1 != len(seqs) for seqs in numbers.values())
