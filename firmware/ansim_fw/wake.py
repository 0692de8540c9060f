"""What woke the device, and whether the app must run, which it mostly need not: found out before it is loaded.

An exception here is the caller's: the app starts, then, as after any other reset.
"""

import time
from binascii import crc32

from micropython import const

from ansim_fw.core import kept as keeping
from ansim_fw.core.ledger import BUTTON, CPU, DEEP, LIGHT, MOTION, OTHER
from ansim_fw.core.watch import Watch, limit_ms
from ansim_fw.hal import rtc, sleep
from ansim_fw.hal.supply import SupplyPin

# What the chip's clock may tell of the time since its start; more is another clock's.
_LONGEST_START_MS = const(10000)
# In light sleep, when there is nothing to read.
_LOOK_MS = const(1000)
# The sensor may fail to answer so often in a row.
_MOST_ERRORS = const(3)
# This fault leaves the sensor to be read without its interrupt.
_UNWIRED = "sensor_unwired"


class Woken:
    """What the app has to know of the sleep.

    Attributes:
        kept: what was known before it, with the time since; reason: one of core.ledger.
        pressed: the button ended it, or was pressed since; fell: the wearer did.
        detector: of falls, which listened until now; None if nothing called for it.
    """

    def __init__(self, kept: "keeping.Kept", reason: int) -> None:
        self.kept = kept
        self.reason = reason
        self.pressed = False
        self.fell = False
        self.detector: "Detector | None" = None


def look(board: "dict[str, Any]", button: "ButtonPin", guard: "Watchdog", reason: int) -> "Woken | None":
    """Return what the app has to know, when it must run; None: nothing is known of the time before.

    Does not return while nobody needs the app: the device sleeps on, and starts anew.

    Args:
        reason: why it woke, one of core.ledger.
    """
    kept = keeping.unpack(rtc.load(), crc32)
    if kept is None:
        return None
    up_ms = min(time.ticks_diff(time.ticks_ms(), 0), _LONGEST_START_MS)
    button.clock.elapsed_ms()
    kept.woke(rtc.now_ms() - up_ms, reason)
    kept.pass_time(CPU, up_ms)
    if button.found_down and not kept.stuck:
        # By now it may be up again.
        button.press()
    woken = Woken(kept, reason)
    Look(board, button, guard, woken).go_on()
    return woken


class Look:
    """Goes on sleeping, light or deep, until the app is needed."""

    def __init__(self, board: "dict[str, Any]", button: "ButtonPin", guard: "Watchdog", woken: Woken) -> None:
        self._board = board
        self._button = button
        self._guard = guard
        self._woken = woken
        self._kept = woken.kept
        self._clock = button.clock
        self._supply = SupplyPin(board)
        self._heard_ms = self._kept.passed_ms
        self._errors = 0
        # A button that is stuck is one that wakes when it comes up.
        self._stuck = bool(self._kept.stuck)

    def go_on(self) -> None:
        """Return when the app must run; see Woken for why."""
        woken = self._woken
        called = woken.reason == BUTTON or woken.reason == OTHER
        woken.pressed = woken.reason == BUTTON and not self._stuck
        if not (called or self._is_needed()):
            self._sleep_on()
        self._count(CPU)
        # From here on the app watches the button: what came until now it gets as one press.
        edge, down = self._button.take_edge(), self._button.is_down()
        if self._stuck:
            # Let go and pressed again.
            woken.pressed = down and (edge or woken.reason == BUTTON)
        else:
            woken.pressed = down or edge or woken.pressed
        if woken.pressed and woken.reason != BUTTON:
            woken.reason = BUTTON
            self._kept.ledger.woke(BUTTON)

    def _sleep_on(self) -> None:
        watcher = self._watcher()
        stirred = self._woken.reason == MOTION
        while True:
            stirred = self._hears(watcher) or stirred
            if self._is_needed():
                return
            self._rest(watcher, stirred)
            stirred = False

    def _is_needed(self) -> bool:
        woken, button = self._woken, self._button
        if woken.pressed or woken.fell or self._errors >= _MOST_ERRORS:
            return True
        if self._kept.left_ms() == 0 or self._supply.is_fed():
            return True
        return button.is_down() != self._stuck or button.has_edge()

    def _count(self, state: int) -> None:
        self._kept.pass_time(state, self._clock.elapsed_ms())

    # The sensor

    def _watcher(self) -> "Watcher | None":
        """Return who listens to the sensor; None if falls are not told, or it does not work."""
        fault = self._kept.sensor_fault
        if "sensor" not in self._board or not self._kept.fall or (fault and fault != _UNWIRED):
            return None
        from ansim_fw.hal.sensor import open_sensor
        from ansim_fw.watcher import Watcher

        driver, pin = open_sensor(self._board["sensor"])
        return Watcher(driver, None if fault else pin, self._kept)

    def _hears(self, watcher: "Watcher | None") -> bool:
        """Tell whether the wearer stirred."""
        if watcher is None:
            return False
        stirred = False
        try:
            stirred = watcher.hear()
            self._errors = 0
        except Exception:
            # If that goes on, the app finds out what is wrong, and tells it. What was heard before counts.
            self._errors += 1
        self._woken.detector = watcher.detector
        if watcher.fell:
            self._woken.fell = True
            self._woken.reason = MOTION
        return stirred

    # Sleep

    def _rest(self, watcher: "Watcher | None", stirred: bool) -> None:
        """Sleep as deeply as may be. Deep sleep ends in a start."""
        kept = self._kept
        self._count(CPU)
        wired = watcher is not None and watcher.wired
        rule = Watch(kept.quiet_ms, limit_ms(watcher is not None, wired, watcher.history if watcher else 0))
        depth = rule.step(kept.passed_ms - self._heard_ms, stirred)
        kept.quiet_ms = rule.quiet_ms
        self._heard_ms = kept.passed_ms
        if watcher is not None and watcher.busy:
            depth = LIGHT
        blind = self._stuck and sleep.is_by_level(self._board)
        if depth == DEEP and not blind:
            sleep.arm(self._board, True, wired, self._stuck)
            leave(self._board, self._button, kept, kept.left_ms(), self._stuck)
        else:
            self._button.deafen()
            sleep.arm(self._board, not blind, False, self._stuck)
            self._doze(watcher.read_ms if watcher else _LOOK_MS)

    def _doze(self, read_ms: int) -> None:
        self._guard.feed()
        if self._button.is_down() != self._stuck or self._button.has_edge():
            return
        by_button = sleep.light(min(read_ms, self._kept.left_ms()))
        self._button.regain()
        if not sleep.is_by_level(self._board):
            self._button.listen()
        self._count(LIGHT)
        if (by_button or self._button.found_down) and not self._stuck:
            # By the button, where nothing that is raised from here on takes it away.
            self._button.press()


def leave(board: "dict[str, Any]", button: "ButtonPin", kept: "keeping.Kept", ms: int, stuck: bool) -> None:
    """Sleep deeply, with what is kept; sleep.arm() said what wakes. Returns if the button changed at the last moment.

    The level wakes: whoever is still on the button when the chip sleeps is noticed. What ends before is seen here.

    Args:
        ms: the longest that it may sleep; less is left of it by what went by since kept was filled.
    """
    kept.pass_time(CPU, button.clock.elapsed_ms())
    ms = min(ms, kept.left_ms())
    kept.sleeps(rtc.now_ms(), ms)
    rtc.save(keeping.pack(kept, crc32))
    if button.is_down() == stuck and not button.has_edge():
        sleep.deep(board, ms)
    rtc.save(b"")


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ansim_fw.core.fall.detector import Detector
    from ansim_fw.hal.button import ButtonPin
    from ansim_fw.hal.watchdog import Watchdog
    from ansim_fw.watcher import Watcher
