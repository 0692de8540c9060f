"""Whether the device is fed from outside: by a charger, USB or the mains."""

from machine import Pin

_PULLS = {"up": Pin.PULL_UP, "down": Pin.PULL_DOWN, "none": None}


class SupplyPin:
    """The board's [pins.supply]; a board without one can't tell, and is never fed."""

    def __init__(self, board: "dict[str, Any]") -> None:
        self._pin = None
        self._fed_level = 0
        if "supply" in board:
            data = board["supply"]
            self._fed_level = data["active"]
            self._pin = Pin(data["gpio"], Pin.IN, _PULLS[data["pull"]])  # type: ignore[arg-type]  # None: no pull

    def is_fed(self) -> bool:
        return self._pin is not None and bool(self._pin.value() == self._fed_level)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
