"""What the pins of the chips can do that boards may have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

WakeMethod = Literal["ext", "gpio"]
# esp32.wake_on_gpio came with MicroPython pull request 17518.
WAKE_ON_GPIO_SINCE = (1, 27)
# Those that a virtual board can be.
STAND_IN_CHIPS = ("esp32", "esp32c3")


@dataclass(frozen=True)
class ChipRules:
    """What a chip's pins can do.

    ``adc`` is the converter that works while Wi-Fi is on (ADC1), ``rtc`` the pins that work in deep sleep,
    ``wake_method`` the way in which they end it, and ``keeps_pulls`` says that MicroPython's internal pulls of these
    last over it.
    """

    gpios: frozenset[int]
    flash: frozenset[int]
    console: frozenset[int]
    strapping: frozenset[int]
    input_only: frozenset[int]
    adc: frozenset[int]
    rtc: frozenset[int]
    wake_method: WakeMethod
    keeps_pulls: bool
    native_arch: str


def _pins(*ranges: tuple[int, int]) -> frozenset[int]:
    return frozenset(gpio for first, last in ranges for gpio in range(first, last + 1))


# ESP-IDF's "GPIO & RTC GPIO" pages of the chips. GPIO 20 of the ESP32 exists in the ESP32-PICO-V3 packages only. Pulls:
# boards/README.md has the sources.
CHIPS: Mapping[str, ChipRules] = {
    "esp32": ChipRules(
        gpios=_pins((0, 23), (25, 27), (32, 39)),
        flash=_pins((6, 11)),
        console=frozenset({1, 3}),
        strapping=frozenset({0, 2, 5, 12, 15}),
        input_only=_pins((34, 39)),
        adc=_pins((32, 39)),
        rtc=frozenset({0, 2, 4}) | _pins((12, 15), (25, 27), (32, 39)),
        wake_method="ext",
        keeps_pulls=True,
        native_arch="xtensawin",
    ),
    "esp32s2": ChipRules(
        gpios=_pins((0, 21), (26, 46)),
        flash=_pins((26, 32)),
        console=frozenset({19, 20, 43, 44}),
        strapping=frozenset({0, 45, 46}),
        input_only=frozenset({46}),
        adc=_pins((1, 10)),
        rtc=_pins((0, 21)),
        wake_method="ext",
        keeps_pulls=False,
        native_arch="xtensawin",
    ),
    "esp32s3": ChipRules(
        gpios=_pins((0, 21), (26, 48)),
        flash=_pins((26, 32)),
        console=frozenset({19, 20, 43, 44}),
        strapping=frozenset({0, 3, 45, 46}),
        input_only=frozenset(),
        adc=_pins((1, 10)),
        rtc=_pins((0, 21)),
        wake_method="ext",
        keeps_pulls=False,
        native_arch="xtensawin",
    ),
    "esp32c3": ChipRules(
        gpios=_pins((0, 21)),
        flash=_pins((12, 17)),
        console=frozenset({20, 21}),
        strapping=frozenset({2, 8, 9}),
        input_only=frozenset(),
        adc=_pins((0, 4)),
        rtc=_pins((0, 5)),
        wake_method="gpio",
        keeps_pulls=True,
        native_arch="rv32imc",
    ),
}
