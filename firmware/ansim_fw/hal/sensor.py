"""The board's motion sensor: its bus, and the driver that the board's data name. Used by the start alone."""

from machine import I2C, Pin
from micropython import const

_BUS_HZ = const(400000)
# A part that holds the clock for longer is no part.
_STRETCH_US = const(10000)


def open_sensor(data: "dict[str, Any]") -> "tuple[Sensor, Pin | None]":
    """Return the driver of the board's [sensor], and the pin that the part raises, if that is wired."""
    driver = __import__("ansim_fw.drivers." + data["part"], None, None, ("Sensor",)).Sensor
    bus = I2C(data["bus"], scl=Pin(data["scl"]), sda=Pin(data["sda"]), freq=_BUS_HZ, timeout=_STRETCH_US)
    return driver(bus, data["address"]), Pin(data["interrupt"], Pin.IN) if "interrupt" in data else None


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ansim_fw.drivers._sensor import Sensor
