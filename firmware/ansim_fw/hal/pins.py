"""The outputs, as the board's data wires them."""

from machine import PWM, Pin, Signal

from ansim_fw.core.indicator import BUZZER, LED, VIBRATION

_HALF_DUTY = 32768


class Tone:
    """A buzzer that needs a frequency (a passive one), with the face of a Signal."""

    def __init__(self, gpio: int, tone_hz: int) -> None:
        self._pwm = PWM(Pin(gpio), freq=tone_hz, duty_u16=0)

    def value(self, on: int) -> None:
        self._pwm.duty_u16(_HALF_DUTY if on else 0)


class Outputs:
    """LED, buzzer and vibration, whichever of them the board has."""

    def __init__(self, board: "dict[str, Any]") -> None:
        self._now = 0
        self._parts = []
        for bit, name in ((LED, "led"), (BUZZER, "buzzer"), (VIBRATION, "vibration")):
            if name in board:
                self._parts.append((bit, _output(board[name])))

    def set(self, bits: int) -> None:
        """Switch on the outputs whose bits are set, off the others; writes only what changes."""
        changed = bits ^ self._now
        if changed == 0:
            return
        self._now = bits
        for part in self._parts:
            if changed & part[0]:
                part[1].value(1 if bits & part[0] else 0)


def _output(data: "dict[str, Any]") -> "Signal | Tone":
    if "tone_hz" in data:
        return Tone(data["gpio"], data["tone_hz"])
    inactive = 0 if data["active"] else 1
    return Signal(Pin(data["gpio"], Pin.OUT, value=inactive), invert=not data["active"])


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
