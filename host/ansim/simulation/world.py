"""One world: some devices, a broker and a receiver in virtual time, and what happens to them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ansim.simulation import ending
from ansim.simulation import unit as units
from ansim.simulation.broker import Broker
from ansim.simulation.chance import DEVICE, Chance
from ansim.simulation.finger import Finger
from ansim.simulation.receiver import Receiver, ReceiverParts
from ansim.simulation.recipe import Found, Setting
from ansim.simulation.stimuli import OBSTACLE_NAMES, WORLD, Stimulus
from ansim.simulation.surroundings import Surroundings
from ansim.simulation.timeline import DAY_MS, MINUTE_MS, Timeline
from ansim.simulation.trace import Trace
from ansim.simulation.unit import Unit, UnitParts
from ansim.simulation.wearer import Wearer
from ansim.simulation.witness import Violation, Witness, device_name
from ansim_fw.core import message

# After the last stimulus all troubles end; by then everything must have arrived (slowest retry: 5 min).
SETTLE_MS = 20 * MINUTE_MS
# A cut that its device does not come to happens so much later all the same.
_CUT_PATIENCE_MS = 5_000
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
        timeline, draws = Timeline(), Chance(setting.seed)
        around = Surroundings(timeline, draws, Broker(timeline, draws), Trace(keep))
        self.trace = around.trace
        self.tally = around.tally
        self._setting = setting
        self._draws = draws
        self._timeline = timeline
        self._broker = around.broker
        committed: set[tuple[str, int, int]] = set()
        self._units = {
            number: Unit(number, Witness(device_name(number), committed), around, parts.unit)
            for number in setting.devices
        }
        self._fingers = {number: Finger(unit, around) for number, unit in self._units.items()}
        self._wearers = {number: Wearer(unit, around) for number, unit in self._units.items()}
        self._receiver = Receiver(around, self._units, committed, parts.receiver)
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
            ending.check(self._units.values(), self._receiver)
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
            "press": lambda unit, held_ms: self._fingers[unit.number].press(held_ms),
            "chatter": lambda unit, *lengths_ms: self._fingers[unit.number].chatter(*lengths_ms),
            "fall": lambda unit: self._wearers[unit.number].fall(),
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
