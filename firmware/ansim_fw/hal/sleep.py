"""Light and deep sleep, and what ends them, by the method that the board's file names.

Sources: MicroPython's ports/esp32/modmachine.c, modesp32.c and machine_pin.c (1.23 to 1.27), ESP-IDF's "Sleep Modes".
docs/firmware.md, "Sleep", has what they say.
"""

import esp32
import machine
from machine import Pin
from micropython import const

from ansim_fw.core.ledger import BUTTON, COLD, MOTION, OTHER, TIMER
from ansim_fw.hal.clock import Clock

# ESP-IDF's ESP_SLEEP_WAKEUP_GPIO, for which MicroPython has no name.
_GPIO_WAKE = const(7)
# RTC_CNTL_GPIO_WAKEUP_REG: the pins that ended the sleep, in its lowest bits. ESP32-C3 TRM, register 9.60.
_WAKE_STATUS = {"esp32c3": 0x60008110}
_STATUS_PINS = const(0x3F)

# A sleep is no shorter.
_ASLEEP_MS = const(2)
# A timer of 0 means none, or at once, depending on the version.
_LEAST_MS = const(1)


def woke(board: "dict[str, Any]") -> int:
    """Return which of core.ledger's reasons ended the deep sleep; COLD: it was another kind of start."""
    if machine.reset_cause() != machine.DEEPSLEEP_RESET:
        return COLD
    reason = machine.wake_reason()
    if reason == machine.TIMER_WAKE:
        return TIMER
    if reason == machine.EXT0_WAKE:
        return BUTTON
    if reason == machine.EXT1_WAKE:
        return MOTION
    return _whose_pin(board) if reason == _GPIO_WAKE else OTHER


def _whose_pin(board: "dict[str, Any]") -> int:
    """Tell MOTION from BUTTON, which it is unless the sensor explains the wake."""
    sensor = board.get("sensor", {})
    register = _WAKE_STATUS.get(board["chip"])
    pins = machine.mem32[register] & _STATUS_PINS if register else 0
    if pins:
        return BUTTON if pins >> board["button"]["gpio"] & 1 else MOTION
    return MOTION if "interrupt" in sensor and Pin(sensor["interrupt"], Pin.IN).value() else BUTTON


def is_by_level(board: "dict[str, Any]") -> bool:
    """Tell whether a pin must not have an interrupt of its own when light sleep begins.

    wake_on_gpio turns a pin's interrupt into one that does not end while the level lasts (ESP-IDF's gpio_wakeup_enable;
    esp-idf issue 11686): the handler would run again and again until the watchdog bites.
    """
    return bool(board.get("wake") == "gpio")


def arm(board: "dict[str, Any]", by_button: bool, by_sensor: bool, released: bool) -> None:
    """Say what ends the sleeps from now on, besides their timer.

    To be called after Pin.irq(), which takes a pin off ext0.

    Args:
        by_button, by_sensor: its pin, by its level.
        released: it is the button's release that wakes.
    """
    button = Pin(board["button"]["gpio"])
    level = bool(board["button"]["active"]) != released
    interrupt = [Pin(board["sensor"]["interrupt"])] if by_sensor else []
    if is_by_level(board):
        esp32.wake_on_gpio([button] * by_button + interrupt, level)
    else:
        esp32.wake_on_ext0(button if by_button else None, level)
        esp32.wake_on_ext1(interrupt, esp32.WAKEUP_ANY_HIGH)


def light(ms: int) -> bool:
    """Sleep with all memory kept; return whether the button ended it."""
    clock = Clock()
    machine.lightsleep(max(ms, _LEAST_MS))
    # A chip that refuses to sleep returns at once, with the reason of the wake before.
    return machine.wake_reason() in (machine.EXT0_WAKE, _GPIO_WAKE) and clock.elapsed_ms() >= _ASLEEP_MS


def deep(board: "dict[str, Any]", ms: int) -> None:
    """Sleep until something starts the device again. Returns only if the chip refuses."""
    if "power_hold" in board:
        _hold(board["power_hold"], True)
    machine.deepsleep(max(ms, _LEAST_MS))


def hold_power(board: "dict[str, Any]") -> None:
    """Keep the board on, where a pin has to say so, before anything else takes time."""
    if "power_hold" in board:
        _hold(board["power_hold"], False)


def _hold(data: "dict[str, Any]", over_sleep: bool) -> None:
    # The level first, then the pin is held, or let go: there is no moment without it.
    Pin(data["gpio"], Pin.OUT, value=data["active"], hold=over_sleep)  # type: ignore[call-arg]  # not in the stubs
    esp32.gpio_deep_sleep_hold(over_sleep)  # type: ignore[attr-defined]  # the same


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
