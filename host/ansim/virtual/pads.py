"""The chip's pads: what its pins are set to, what they drive, and what is held over sleeps and resets.

Holding as ESP-IDF has it (gpio_hold_en, gpio_deep_sleep_hold_en): a held pad stays as it was when it was held, whatever
is set, until it is let go; in deep sleep those of the RTC stay so by themselves, and the digital ones only if that was
asked for. A deep sleep lets go of all others.
"""

from collections.abc import Callable

from ansim.virtual.wire import Frame

Log = Callable[[str, dict[str, object]], None]

_PULL_UP = 2
_OUTPUT = 2


class Pads:
    """What is seen of the pins from outside.

    Args:
        rtc_mask: the pins of the RTC.
        log: gets "pin" (pin, value; None: nothing drives it any more) and "pwm" (pin, duty_u16, freq_hz).
    """

    def __init__(self, rtc_mask: int, log: Log) -> None:
        self._rtc_mask = rtc_mask
        self._log = log
        self._seen: dict[int, dict[str, int]] = {}
        self._held: dict[int, int | None] = {}  # by pin: the level that is set meanwhile
        self._holds_in_deep_sleep = False

    def state(self) -> dict[int, dict[str, int]]:
        """Return by pin: out, mode, pull, duty_u16, freq_hz, held, those that there are."""
        found = {number: dict(seen) for number, seen in sorted(self._seen.items())}
        for number in self._held:
            found.setdefault(number, {})["held"] = 1
        return found

    def pulled_up(self, pin: int) -> bool:
        return bool(self._seen.get(pin, {}).get("pull", 0) & _PULL_UP)

    # What the program does

    def out(self, frame: Frame) -> None:
        """PIN_OUT: a level is set."""
        pin, level = frame.argument & 0xFF, frame.argument >> 8
        if pin in self._held:
            self._held[pin] = level
        else:
            self._drive(pin, level)

    def mode(self, frame: Frame) -> None:
        """PIN_MODE: direction and pull are set; what becomes an input drives nothing any more."""
        pin = frame.argument & 0xFF
        seen = self._seen.setdefault(pin, {})
        seen["mode"] = frame.argument >> 8 & 0xFF
        seen["pull"] = frame.argument >> 16 & 0xFF
        if not seen["mode"] & _OUTPUT and pin not in self._held and "out" in seen:
            del seen["out"]
            self._log("pin", {"pin": pin, "value": None})

    def pwm(self, frame: Frame) -> None:
        """PWM: duty and frequency are set."""
        pin, duty = frame.argument & 0xFF, frame.argument >> 8 & 0xFFFF
        self._modulate(pin, duty, int.from_bytes(frame.payload, "little"))

    def hold(self, frame: Frame) -> None:
        """PIN_HOLD: the pad is held as it is, or let go."""
        pin = frame.argument & 0xFF
        level = self._held.pop(pin, None)
        if level is not None:
            self._drive(pin, level)
        if frame.argument >> 8:
            self._held[pin] = None

    def deep_hold(self, frame: Frame) -> None:
        """DEEP_HOLD: held digital pads stay held in deep sleep, too."""
        self._holds_in_deep_sleep = bool(frame.argument)

    # What happens to the chip

    def sleep_deeply(self) -> None:
        """All pads that are not held are let go."""
        held = {pin for pin in self._held if self._holds_in_deep_sleep or self._rtc_mask >> pin & 1}
        self._let_go(held)
        self._held = dict.fromkeys(held)

    def reset(self) -> None:
        """A reset sets all pads back that are not held."""
        self._let_go(set(self._held))

    def lose_power(self) -> None:
        self._seen.clear()
        self._held.clear()
        self._holds_in_deep_sleep = False

    def _let_go(self, held: set[int]) -> None:
        for pin in self._seen.keys() - held:
            seen = self._seen.pop(pin)
            if "out" in seen:
                self._log("pin", {"pin": pin, "value": None})
            if seen.get("freq_hz"):
                self._log("pwm", {"pin": pin, "duty_u16": 0, "freq_hz": 0})

    def _drive(self, pin: int, level: int) -> None:
        seen = self._seen.setdefault(pin, {})
        if seen.get("out") != level:
            seen["out"] = level
            self._log("pin", {"pin": pin, "value": level})

    def _modulate(self, pin: int, duty_u16: int, freq_hz: int) -> None:
        self._seen.setdefault(pin, {}).update(duty_u16=duty_u16, freq_hz=freq_hz)
        self._log("pwm", {"pin": pin, "duty_u16": duty_u16, "freq_hz": freq_hz})
