"""A pendant's life in virtual time: the real core (Sleeper, Kept, Ledger, Watch), its steps as long as on the board.

What ``firmware/ansim_fw`` does around the core, wake.py, watcher.py and loop.py, is written a second time here: the
real ones wait for hardware. tests/hil/test_power_firmware.py holds the two against each other, as ``ansim power
--simulate 1 --firmware`` does.
"""

from binascii import crc32
from collections.abc import Callable
from typing import Any

from ansim.boards import Board
from ansim.power.day import Wearer
from ansim.power.model import UNSEEN_MS, Bench
from ansim.power.parts import Part
from ansim.power.radio import NEVER_MS, Radio
from ansim.power.usage import Usage, read_usage
from ansim_fw.core import config, device, kept, ledger, link_watch, watch
from ansim_fw.core.event import Event
from ansim_fw.core.inputs import Inputs
from ansim_fw.core.sleeper import Sleeper
from ansim_fw.version import VERSION

# How long a cycle with news takes, and how often the button is looked at while it is down.
_CYCLE_MS = 2
_TICK_MS = 10
_PRESS_MS = 300
_NAP_MS = 10
_BOOT = 1
_FALL = config.default("fall")

Gauge = Callable[["Pendant"], int]


class Pendant:
    """One device on its wearer.

    Args:
        presses_ms: when the button is pressed, rising.
        gauge: reads the cell, in mV.

    Attributes:
        now_ms: since the cold start; radio: its way to the receiver; shelf: what its journal holds.
    """

    def __init__(
        self,
        board: Board,
        bench: Bench,
        part: Part,
        wearer: Wearer,
        interval_min: int,
        presses_ms: list[int],
        gauge: Gauge,
    ) -> None:
        assert board.battery is not None
        self.now_ms = 0
        self.radio = Radio(bench)
        self._bench = bench
        self._part = part
        self._wearer = wearer
        self._presses_ms = presses_ms
        self.gauge = gauge
        self._curve = board.battery.curve
        self._wired = board.sensor is not None and board.sensor.interrupt is not None
        self._limit_ms = watch.limit_ms(_FALL != 0, self._wired, part.history_samples)
        self.shelf: dict[tuple[int, int], Event] = {}
        self._asked_ms = 0
        self._memory = b""
        self._ledger = ledger.Ledger()
        self._start_cold(interval_min)

    def live(self, until_ms: int) -> None:
        """Go on until a sleep ends at or after until_ms."""
        while self.now_ms < until_ms:
            self._wake(self._sleep())

    def usage(self) -> Usage:
        """Return what it spent its time on since the cold start, as its ledger has it."""
        return read_usage(self._ledger.told(), "the simulated pendant")

    # Sleep

    def _sleep(self) -> int:
        """Sleep deeply until something ends it; return what."""
        ends = [(self.now_ms + self._asked_ms, ledger.TIMER)]
        stir = self._wearer.next_stir(-(-self.now_ms // 1000)) if self._wired else None
        if stir is not None:
            ends.append((stir.at_s * 1000, ledger.MOTION))
        if self._presses_ms:
            ends.append((max(self._presses_ms[0], self.now_ms), ledger.BUTTON))
        self.now_ms, reason = min(ends)
        return reason

    def _fall_asleep(self, own: kept.Kept, asked_ms: int) -> None:
        own.sleeps(self.now_ms, asked_ms)
        self._asked_ms = asked_ms
        self._memory = kept.pack(own, crc32)
        self._ledger = own.ledger

    # The wake module

    def _wake(self, reason: int) -> None:
        """As wake.py: go on sleeping, light or deep, or run the app."""
        own = kept.unpack(self._memory, crc32)
        assert own is not None
        self.now_ms += UNSEEN_MS
        own.woke(self.now_ms, reason)
        self._spend(own, ledger.CPU, self._bench.ms["start"] - UNSEEN_MS)
        if reason == ledger.BUTTON or own.left_ms() == 0:
            self._run_app(own, self._take_press())
            return
        self._spend(own, ledger.CPU, self._bench.ms["look"])
        self._watch(own, reason == ledger.MOTION)

    def _watch(self, own: kept.Kept, stirred: bool) -> None:
        """As wake.py with watcher.py: light sleep between two looks at the FIFO, until it was quiet for long enough."""
        rule = watch.Watch(own.quiet_ms, self._limit_ms)
        since_ms = self.now_ms
        has_detector = False
        while rule.step(0, stirred) == ledger.LIGHT:
            until_ms = min(self._part.read_every_ms, own.left_ms(), self._until_press_ms())
            self._spend(own, ledger.LIGHT, until_ms)
            stirred, windows = self._heard(since_ms)
            rule.step(self.now_ms - since_ms, stirred)
            own.quiet_ms = rule.quiet_ms
            since_ms = self.now_ms
            self._judge(own, windows, has_detector)
            has_detector = has_detector or windows > 0
            if own.left_ms() == 0 or self._until_press_ms() == 0:
                self._run_app(own, self._take_press())
                return
        self._fall_asleep(own, own.left_ms())

    def _judge(self, own: kept.Kept, windows: int, has_detector: bool) -> None:
        """Read the FIFO, and look at the windows in it with the detector, which the first one loads."""
        work_ms = self._bench.ms["read"] + windows * self._bench.ms["judge"]
        if windows and not has_detector:
            work_ms += self._bench.ms["detector"]
        for _ in range(windows):
            own.ledger.count(ledger.IMPACTS)
        self._spend(own, ledger.CPU, work_ms)

    def _heard(self, since_ms: int) -> tuple[bool, int]:
        """Return whether the wearer stirred, and how many windows there were to judge."""
        seconds = self._wearer.between(since_ms // 1000, self.now_ms // 1000)
        return any(each.stirs for each in seconds), sum(each.windows for each in seconds)

    def _spend(self, own: kept.Kept, state: int, elapsed_ms: float) -> None:
        own.pass_time(state, round(elapsed_ms))
        self.now_ms += round(elapsed_ms)

    def _until_press_ms(self) -> int:
        return max(self._presses_ms[0] - self.now_ms, 0) if self._presses_ms else NEVER_MS

    def _take_press(self) -> bool:
        if self._presses_ms and self._presses_ms[0] <= self.now_ms:
            self._presses_ms.pop(0)
            return True
        return False

    # The app

    def _start_cold(self, interval_min: int) -> None:
        settings = {name: config.default(name) for name in config.LIMITS} | {"heartbeat_min": interval_min}
        core = Sleeper(_BOOT, settings, 1, VERSION, "power_on", self._curve, True)
        core.ledger.woke(ledger.COLD)
        self._be_on_duty(core, kept.Kept(), False)

    def _run_app(self, own: kept.Kept, pressed: bool) -> None:
        self._spend(own, ledger.CPU, self._bench.ms["load"])
        core = Sleeper(own.boot, own.settings(), 1, VERSION, own.reset, self._curve, True)
        core.resume(own, pressed)
        for event in self.shelf.values():
            core.restore(event)
        self._be_on_duty(core, own, pressed)

    def _be_on_duty(self, core: Sleeper, own: kept.Kept, pressed: bool) -> None:
        """As loop.py: step, act, wait for what is due next, until it may sleep."""
        since_ms = self.now_ms
        asked_ms = _Duty(self, core, pressed).run()
        core.keep(own)
        own.waiting = len(self.shelf)
        own.fall = _FALL
        self._spend(own, ledger.CPU, self._bench.ms["leave"])
        asked_ms = min(asked_ms, own.left_ms())
        rule = watch.Watch(own.quiet_ms, self._limit_ms)
        is_quiet = rule.step(self.now_ms - since_ms, False) == ledger.DEEP
        own.quiet_ms = rule.quiet_ms
        # As suspend.py: whom the sensor would wake too late is watched on by the wake module, after a short deep sleep.
        naps = not is_quiet and self._limit_ms >= watch.STILL_MS
        self._fall_asleep(own, min(asked_ms, _NAP_MS) if naps else asked_ms)


class _Duty:
    """The app, from its start until it may sleep."""

    def __init__(self, unit: Pendant, core: Sleeper, pressed: bool) -> None:
        self._unit = unit
        self._core = core
        self._inputs = Inputs()
        self._inputs.battery_mv = unit.gauge(unit)
        self._released_ms = unit.now_ms + _PRESS_MS if pressed else 0

    def run(self) -> int:
        """Return for how long to sleep."""
        core, radio = self._core, self._unit.radio
        elapsed_ms = 0
        while True:
            actions = self._step(elapsed_ms)
            if actions:
                while actions:
                    self._act(actions.pop(0))
                elapsed_ms = _CYCLE_MS
            elif asked_ms := core.sleep_ms(self._inputs):
                if not radio.on:
                    return asked_ms
                elapsed_ms = radio.off_ms
                radio.switch_off()
            else:
                elapsed_ms = self._idle_ms()
            self._unit.now_ms += elapsed_ms

    def _step(self, elapsed_ms: int) -> list[tuple[Any, ...]]:
        inputs, unit = self._inputs, self._unit
        # The time that has passed is the radio's if it was on then: switching it off takes some, too.
        inputs.radio = inputs.link != link_watch.DOWN
        inputs.link = unit.radio.status(unit.now_ms)
        inputs.commands.extend(unit.radio.heard(unit.now_ms))
        inputs.button_down = unit.now_ms < self._released_ms
        actions = self._core.step(elapsed_ms, inputs)
        inputs.stored.clear()
        inputs.commands.clear()
        return actions

    def _idle_ms(self) -> int:
        unit = self._unit
        idle_ms = min(self._core.idle_ms(self._inputs), unit.radio.next_ms(unit.now_ms))
        if unit.now_ms < self._released_ms:
            idle_ms = min(idle_ms, self._released_ms - unit.now_ms)
        return max(idle_ms, _TICK_MS)

    def _act(self, action: tuple[Any, ...]) -> None:
        kind, unit = action[0], self._unit
        if kind == device.STORE:
            unit.shelf[action[1].boot, action[1].seq] = action[1]
            self._inputs.stored.append((action[1], True))
        elif kind == device.FORGET:
            unit.shelf.pop((action[1].boot, action[1].seq), None)
        elif kind == device.CONNECT:
            unit.radio.connect(unit.now_ms)
        elif kind == device.SEND:
            unit.radio.publish(action[1].event, unit.now_ms)
