"""The rig's lines: outputs that press and switch, inputs that see. ``active`` is the level at which a line is on."""

from collections import deque
from time import sleep_us, ticks_us

from machine import Pin
from micropython import const

_MOST_WAITING = const(400)
# So long a pull needs at the most to move a line that nothing drives: 45 kohm and a metre of wire, many times over.
_SETTLE_US = const(200)
_TRIES = const(3)
# A line that is not as its edges say for so long has lost one of them.
_WRONG_US = const(50_000)


class Edges:
    """Changes of lines that nobody was told of yet: (ticks_us, name, on)."""

    def __init__(self) -> None:
        self._waiting: "deque[Edge]" = deque((), _MOST_WAITING)
        self.lost = 0

    def put(self, name: str, on: bool) -> None:
        """Take a change that is happening now. Never raises, as interrupts call it."""
        if len(self._waiting) >= _MOST_WAITING:
            self.lost += 1
        else:
            self._waiting.append((ticks_us(), name, on))

    def take(self) -> "Edge | None":
        return self._waiting.popleft() if self._waiting else None

    def clear(self) -> None:
        while self.take():
            pass
        self.lost = 0


class Output:
    """A line that the rig drives, from the start on.

    Attributes:
        on: what it is now.
    """

    def __init__(self, name: str, gpio: int, active: int, on: bool) -> None:
        self.name = name
        self._active = active
        self.on = on
        # The level first, then the direction: MicroPython's ports/esp32/machine_pin.c; no line twitches.
        self._pin = Pin(gpio, Pin.OUT, value=self._level())

    def _level(self) -> int:
        return self._active if self.on else 1 - self._active

    def set(self, on: bool) -> None:
        self.on = on
        self._pin.value(self._level())

    def let_go(self) -> None:
        """Drive it no more; what is soldered to it decides."""
        self._pin.init(Pin.IN, None)  # type: ignore[arg-type]  # not in the stubs

    def check(self) -> "dict[str, object]":
        """Return what it is, and whether the pin has the level that it was given: else something else drives it."""
        return {"on": self.on, "follows": self._pin.value() == self._level()}


class Input:
    """A line that the rig sees, pulled to its inactive level.

    Interrupts count its edges. Their handlers may come too late to see a short pulse's level: each is a change.

    Args:
        edges: gets them between listen() and deafen().
    """

    def __init__(self, name: str, gpio: int, active: int, edges: Edges) -> None:
        self.name = name
        self._active = active
        self._edges = edges
        self._on = False
        self._wrong_since_us = -1
        self._rest = Pin.PULL_DOWN if active else Pin.PULL_UP
        self._pin = Pin(gpio, Pin.IN, self._rest)

    def is_on(self) -> bool:
        return bool(self._pin.value() == self._active)

    def listen(self) -> None:
        self._on = self.is_on()
        self._wrong_since_us = -1
        self._pin.irq(self._changed, Pin.IRQ_RISING | Pin.IRQ_FALLING)

    def deafen(self) -> None:
        self._pin.irq(None)

    let_go = deafen

    def _changed(self, _pin: object) -> None:
        self._on = not self._on
        self._edges.put(self.name, self._on)

    def put_right(self, now_us: int) -> None:
        """Make up for an edge that no interrupt came for, as more come at once than are kept."""
        if self.is_on() == self._on:
            self._wrong_since_us = -1
        elif self._wrong_since_us < 0:
            self._wrong_since_us = now_us
        elif now_us - self._wrong_since_us > _WRONG_US:
            self._changed(None)

    def check(self) -> "dict[str, object]":
        """Return whether it is on, and whether anything drives it: a line that follows either pull is on no wire."""
        on = self.is_on()
        driven = False
        for _ in range(_TRIES):
            driven = driven or not (self._pulled(Pin.PULL_UP) and not self._pulled(Pin.PULL_DOWN))
        self._pin.init(Pin.IN, self._rest)
        return {"on": on, "driven": driven}

    def _pulled(self, pull: int) -> int:
        self._pin.init(Pin.IN, pull)
        sleep_us(_SETTLE_US)
        return self._pin.value()


TYPE_CHECKING = False
if TYPE_CHECKING:
    from _mpy_shed.time_mp import _TicksUs

    # When, which line, and whether it is on now.
    Edge = tuple[_TicksUs, str, bool]
