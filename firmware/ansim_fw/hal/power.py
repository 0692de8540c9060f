"""Battery voltage, reset cause and the chip's own number."""

import machine
from machine import ADC, Pin

_RESETS = {
    machine.PWRON_RESET: "power_on",
    machine.HARD_RESET: "reset",
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "deep_sleep",
    machine.SOFT_RESET: "soft_reset",
}


class BatteryGauge:
    """Reads the battery's voltage through the board's divider; 0 on a board that has none, or when the ADC is busy."""

    def __init__(self, board: "dict[str, Any]") -> None:
        self._adc = None
        self._divider_milli = 1000
        data = board.get("battery")
        if data is not None:
            self._adc = ADC(Pin(data["gpio"]), atten=ADC.ATTN_11DB)
            self._divider_milli = data["divider_milli"]

    def read_mv(self) -> int:
        if self._adc is None:
            return 0
        try:
            return int(self._adc.read_uv()) // 1000 * self._divider_milli // 1000
        except OSError:
            # On pins of an ESP32's second ADC, whenever Wi-Fi has it.
            return 0


def curve(board: "dict[str, Any]") -> "battery.Curve":
    """Return the curve of the board's cell; empty without one."""
    return board["battery"]["curve"] if "battery" in board else ()


def reset_cause() -> str:
    return _RESETS.get(machine.reset_cause(), "unknown")


def mac() -> str:
    return ":".join(f"{byte:02x}" for byte in machine.unique_id())


def seed() -> int:
    """Return a number of this chip's own."""
    return int.from_bytes(machine.unique_id()[-4:], "big")


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ansim_fw.core import battery
