"""The alarm button's pin. Of all modules that wait for a start, the first one."""

from machine import Pin, Timer
from micropython import const

from ansim_fw.hal.clock import Clock

# Where its pin must have no interrupt, it is looked at so often; what is much shorter is no press.
_LOOK_MS = const(10)


class ButtonPin:
    """The alarm button: its level now, and whether it went down since somebody looked.

    Attributes:
        clock: its time begins when presses begin to be noticed.
        found_down: it was down when that began: a press of which nobody sees the beginning, and perhaps not the end.
    """

    def __init__(self, data: "dict[str, Any]") -> None:
        self.clock = Clock()
        self._data = data
        self._edge = False
        self._listens = False
        self._timer: "Timer | None" = None
        self.regain()
        self.found_down = self._was_down = self.is_down()

    def regain(self) -> None:
        """Take the pin back from the RTC, which has it after a sleep that it could have ended."""
        data = self._data
        pull = {"up": Pin.PULL_UP, "down": Pin.PULL_DOWN, "none": None}[data["pull"]]
        self._pin = Pin(data["gpio"], Pin.IN, pull, hold=False)  # type: ignore[arg-type,call-arg]  # not in the stubs

    def listen(self) -> None:
        """Have each press noticed by itself, from now on."""
        if self._timer is not None:
            self._timer.deinit()
            self._timer = None
        self._listens = True
        self._pin.irq(self._went_down, Pin.IRQ_RISING if self._data["active"] else Pin.IRQ_FALLING)
        # Looked at once it is armed: no press begins unseen between the two.
        self.found_down = self.is_down()

    def peek(self) -> None:
        """Have each press noticed by looking again and again, until listen(). In light sleep the timer stands still."""
        self._timer = Timer(0, mode=Timer.PERIODIC, period=_LOOK_MS, callback=self._peek)

    def _peek(self, _timer: object) -> None:
        down = self.is_down()
        if down and not self._was_down:
            self._edge = True
        self._was_down = down

    def deafen(self) -> None:
        """Notice presses no more, but by looking. To be called before light sleep: as the RTC takes the pin, its level
        seems to change."""
        if self._listens:
            self._pin.irq(None)
            self._listens = False

    def _went_down(self, _pin: object) -> None:
        self._edge = True

    def is_down(self) -> bool:
        return bool(self._pin.value() == self._data["active"])

    def has_edge(self) -> bool:
        return self._edge

    def press(self) -> None:
        """Note a press that nothing here noticed: it ended a sleep."""
        self._edge = True

    def take_edge(self) -> bool:
        edge = self._edge
        self._edge = False
        return edge


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
