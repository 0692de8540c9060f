"""What goes wrong with one device: how each kind of scenario.FaultKind begins and ends."""

import json
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ansim.fleet import WifiNetwork
from ansim.stress import movements
from ansim.stress.expect import Restart
from ansim.stress.plan import RESTARTS, PlannedFault
from ansim.stress.result import Fault
from ansim.stress.scenario import FaultKind
from ansim.stress.unit import Unit
from ansim_fw.core import json_seq

# The causes of a reset that each kind makes, as the virtual board tells them. With little memory a device may start
# itself anew, which is what its watchdog is for.
CAUSES: dict[FaultKind, tuple[str, ...]] = {
    "reset": ("en",),
    "power": ("power_on",),
    "power_cut": ("power_on",),
    "heap": ("en", "watchdog"),
}
_WATCHDOG = "watchdog"
# The faults of a motion sensor, by their value from 1 on: how a place calls it, and how the device tells of it. Each
# shows while the wearer is still.
SENSOR = (
    ("silent", "sensor_absent"),
    ("wrong_id", "sensor_wrong"),
    ("bus_errors", "sensor_bus"),
    ("stalled", "sensor_silent"),
    ("stuck_x", "sensor_stuck"),
    ("stuck_z", "sensor_stuck"),
    ("saturated_x", "sensor_saturated"),
    ("saturated_z", "sensor_saturated"),
)
# These make the device start when they begin; the others let it start when they end.
_AT_ONCE: frozenset[FaultKind] = frozenset({"reset", "heap"})
# Answers to these are nobody's.
_STRANGE_ID = 900_000_000
_ABUSE_EVERY_S = 0.02
_POLL_S = 0.01
_LONGEST_NOISE = 300
_NO_WAY, _FULL = "no_way_out", "full"


@dataclass
class Lasting:
    """A fault that began; until_ms is None as long as it lasts.

    Attributes:
        cut_short: the run was told to stop before it had lasted as long as was planned.
        downs: when it took the device off duty, and let it start again.
    """

    planned: PlannedFault
    begun_ms: int
    until_ms: int | None = None
    cut_short: bool = False
    downs: list[tuple[int, int]] = field(default_factory=list)

    def told(self, device: str) -> Fault:
        until_ms = self.begun_ms if self.until_ms is None else self.until_ms
        planned = self.planned
        detail = f"for {planned.for_ms} ms" if planned.kind not in ("power_cut", "heap", "clock", "sensor") else ""
        return Fault(self.begun_ms, until_ms, device, planned.kind, detail or f"value {planned.value}")


class Troubles(threading.Thread):
    """A thread that plays the faults of one episode, beside the one that makes its gestures; at its end none lasts.

    Args:
        wifi: the network that is there, where the place has one to play with.
        stop: once it is set no other fault begins, and those that have begun are ended at once.

    Attributes:
        lasting: the faults that have begun, in order.
        error: what ended the thread before its time, for the other one to raise.
    """

    def __init__(self, unit: Unit, wifi: WifiNetwork | None, faults: Sequence[PlannedFault], stop: threading.Event):
        super().__init__(name=f"troubles {unit.name}", daemon=True)
        self.lasting: list[Lasting] = []
        self.error: Exception | None = None
        self._unit = unit
        self._wifi = wifi
        self._faults = faults
        self._stopping = stop
        self._explained: list[tuple[int, int]] = []

    def run(self) -> None:
        try:
            self._play()
        except Exception as error:
            self.error = error

    def sensor(self, cut_short: bool) -> list[str]:
        """Return how the device tells of what its sensor had: it has to, and of what was cut short it may."""
        had = [each for each in self.lasting if each.planned.kind == "sensor"]
        return [_of_sensor(each.planned)[1] for each in had if each.cut_short == cut_short]

    def restarts(self, armed_ms: Sequence[int]) -> list[Restart]:
        """Return when its faults took the device off duty, which was armed again at these moments."""
        downs = [down for each in self.lasting for down in each.downs]
        return [Restart(begun_ms, next((ms for ms in armed_ms if ms >= on_ms), None)) for begun_ms, on_ms in downs]

    def may_have_met(self, at_ms: int, armed_ms: Sequence[int]) -> bool:
        """Tell whether one of its faults may have kept the device from what was done at a moment."""
        if any(each.planned.kind in RESTARTS and each.until_ms is None for each in self.lasting):
            return True
        return any(each.armed_ms is None or each.armed_ms >= at_ms for each in self.restarts(armed_ms))

    def explain(self, at_ms: int, cause: str) -> str:
        """Return the kind of the fault that made the device start then, which is spent with it; empty if none did.

        Args:
            cause: as its place saw it; empty: it does not tell.
        """
        for each in self.lasting:
            if cause and cause not in CAUSES.get(each.planned.kind, ()):
                continue
            if cause == _WATCHDOG and each.begun_ms <= at_ms:
                return each.planned.kind
            spent = next((down for down in each.downs if down[0] <= at_ms and down not in self._explained), None)
            if spent is not None:
                self._explained.append(spent)
                return each.planned.kind
        return ""

    def _play(self) -> None:
        begun_ms = self._unit.clock.now_ms()
        moments: list[tuple[int, int, PlannedFault]] = []
        for fault in self._faults:
            moments.append((fault.at_ms, 0, fault))
            if fault.kind in _END:
                moments.append((fault.at_ms + fault.for_ms, 1, fault))
        for device_ms, ends, fault in sorted(moments, key=lambda each: each[:2]):
            passed_ms = self._unit.clock.now_ms() - begun_ms
            stopped = self._stopping.wait(max(0.0, self._unit.real_s(device_ms) - passed_ms / 1000))
            if ends:
                self._end(fault, stopped)
            elif not stopped:
                self._begin(fault)

    def _begin(self, fault: PlannedFault) -> None:
        lasting = Lasting(fault, self._unit.clock.now_ms())
        self.lasting.append(lasting)
        _BEGIN[fault.kind](self, fault)
        if fault.kind not in _END:
            lasting.until_ms = self._unit.clock.now_ms()
        if fault.kind in _AT_ONCE:
            lasting.downs.append((lasting.begun_ms, lasting.begun_ms))

    def _end(self, fault: PlannedFault, stopped: bool) -> None:
        lasting = next((each for each in self.lasting if each.planned is fault), None)
        if lasting is None:
            return
        lasting.cut_short = stopped
        now_ms = self._unit.clock.now_ms()
        if fault.kind in RESTARTS:
            lasting.downs.append((now_ms if fault.kind in _AT_ONCE else lasting.begun_ms, now_ms))
        _END[fault.kind](self, fault)
        lasting.until_ms = self._unit.clock.now_ms()

    # How they begin and end

    def _radio_off(self, _fault: PlannedFault) -> None:
        self._unit.control.wifi(False)

    def _radio_on(self, _fault: PlannedFault) -> None:
        self._unit.control.wifi(True)

    def _lead_nowhere(self, _fault: PlannedFault) -> None:
        self._give(_NO_WAY)

    def _lead_on(self, _fault: PlannedFault) -> None:
        self._give(_FULL)

    def _give(self, service: str) -> None:
        assert self._wifi, "a place with a radio to play with has a network"
        self._unit.control.network(self._wifi.ssid, self._wifi.passphrase, service)

    def _stall(self, _fault: PlannedFault) -> None:
        self._unit.control.stall()

    def _reset(self, _fault: PlannedFault) -> None:
        self._unit.control.reset()

    def _power_off(self, _fault: PlannedFault) -> None:
        self._unit.control.power(False)

    def _power_on(self, _fault: PlannedFault) -> None:
        # One that was not cut, for there was not so much to write, is switched off now.
        self._unit.control.power(False)
        self._unit.control.power(True)

    def _cut_power(self, fault: PlannedFault) -> None:
        self._unit.control.cut_power_at(fault.value, fault.chance % 101)

    def _abuse_console(self, fault: PlannedFault) -> None:
        chances = random.Random(fault.chance)
        until_ms = self._unit.clock.now_ms() + 1000 * self._unit.real_s(fault.for_ms)
        while self._unit.clock.now_ms() < until_ms and not self._stopping.is_set():
            self._unit.write(abuse(chances))
            self._stopping.wait(_ABUSE_EVERY_S)

    def _end_abuse(self, _fault: PlannedFault) -> None:
        # What was begun is not the beginning of the next request.
        self._unit.write(b"\n")

    def _take_heap(self, fault: PlannedFault) -> None:
        self._unit.control.heap(fault.value)
        self._unit.control.reset()

    def _give_heap(self, _fault: PlannedFault) -> None:
        self._unit.control.heap(0)
        self._unit.control.reset()

    def _jump(self, fault: PlannedFault) -> None:
        self._unit.control.clock(_jump_ms(fault))

    def _jump_back(self, fault: PlannedFault) -> None:
        self._unit.control.clock(-_jump_ms(fault))

    def _take_charger(self, _fault: PlannedFault) -> None:
        self._unit.control.supply(False)

    def _give_charger(self, fault: PlannedFault) -> None:
        # Who puts it on its charger moves it, which wakes it.
        moved = movements.walk(fault.chance)
        self._unit.control.supply(True)
        self._unit.control.play(moved.samples, moved.rate_hz)

    def _break_sensor(self, fault: PlannedFault) -> None:
        self._unit.control.sensor_fault(_of_sensor(fault)[0])

    def _mend_sensor(self, _fault: PlannedFault) -> None:
        self._unit.control.sensor_fault("none")


def _of_sensor(fault: PlannedFault) -> tuple[str, str]:
    return SENSOR[(fault.value - 1) % len(SENSOR)]


def _jump_ms(fault: PlannedFault) -> int:
    return fault.value * 1000 * (1 if fault.chance & 1 else -1)


_Act = Callable[[Troubles, PlannedFault], None]
_BEGIN: dict[FaultKind, _Act] = {
    "radio": Troubles._radio_off,
    "no_way": Troubles._lead_nowhere,
    "stall": Troubles._stall,
    "reset": Troubles._reset,
    "power": Troubles._power_off,
    "power_cut": Troubles._cut_power,
    "console": Troubles._abuse_console,
    "heap": Troubles._take_heap,
    "clock": Troubles._jump,
    "sensor": Troubles._break_sensor,
    "cell": Troubles._take_charger,
}
_END: dict[FaultKind, _Act] = {
    "radio": Troubles._radio_on,
    "no_way": Troubles._lead_on,
    "power": Troubles._power_on,
    "power_cut": Troubles._power_on,
    "console": Troubles._end_abuse,
    "heap": Troubles._give_heap,
    "clock": Troubles._jump_back,
    "sensor": Troubles._mend_sensor,
    "cell": Troubles._give_charger,
}


def abuse(chances: random.Random) -> bytes:
    """Return something that nobody should write to a console; none of it is a request that changes something."""
    number = _STRANGE_ID + chances.randrange(1000)
    made: tuple[Callable[[], bytes], ...] = (
        lambda: chances.randbytes(chances.randint(1, _LONGEST_NOISE)).replace(bytes([json_seq.RS]), b"?"),
        lambda: _request(number, chances.choice(("info", "power", "nonsense", ""))),
        lambda: json_seq.frame('{"id":' * chances.randint(1, 30)),
        lambda: _request(number, "info", more="x" * chances.randint(150, 400)),
        lambda: _request(number, "config", set={"cancel_s": 7}),
        lambda: _request(number, "info")[: chances.randint(1, 20)],
        lambda: b"\r\x03\x03\r\x01\x04" * chances.randint(1, 5),
        lambda: bytes([json_seq.RS]) * chances.randint(1, 60),
    )
    return chances.choice(made)()


def _request(number: int, cmd: str, **members: object) -> bytes:
    return json_seq.frame(json.dumps({"id": number, "cmd": cmd, **members}))
