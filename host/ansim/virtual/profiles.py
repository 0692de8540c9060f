"""The chips that the virtual board can be: what their pins can do, for the chip's own modules."""

from collections.abc import Iterable

from ansim.chips import CHIPS

# Pins of the second converter, too; MicroPython has it, when Wi-Fi has not.
_ADC2 = {"esp32": (0, 2, 4, *range(12, 16), *range(25, 28)), "esp32c3": (5,)}
# Full scale of each attenuation in uV: the data sheets' effective ranges.
_FULL_UV = {"esp32": (950_000, 1_250_000, 1_750_000, 2_450_000), "esp32c3": (750_000, 1_050_000, 1_300_000, 2_500_000)}
# Wired to the flash, and yet free where that is read over two lines.
_FREE_FLASH_PINS = {"esp32": (9, 10), "esp32c3": ()}


def profile(chip: str) -> dict[str, object]:
    """Return what runtime/machine.py is told of a chip; masks have one bit a pin.

    usable, input_only, rtc, adc; full_uv by attenuation; ext: it wakes by ext0 and ext1, not by GPIOs in deep sleep.
    """
    rules = CHIPS[chip]
    return {
        "name": chip,
        "usable": _mask(rules.gpios - rules.flash | set(_FREE_FLASH_PINS[chip])),
        "input_only": _mask(rules.input_only),
        "rtc": _mask(rules.rtc),
        "adc": _mask({*rules.adc, *_ADC2[chip]}),
        "full_uv": _FULL_UV[chip],
        "ext": rules.wake_method == "ext",
    }


def rtc_mask(chip: str) -> int:
    """Return the pins of a chip's RTC, one bit each."""
    return _mask(CHIPS[chip].rtc)


def _mask(pins: Iterable[int]) -> int:
    return sum(1 << pin for pin in pins)
