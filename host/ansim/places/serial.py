"""A board on a serial port as a place: a tool can flash it, reset it and talk to it; nobody touches it."""

import contextlib
import os
import socket
import time
from dataclasses import dataclass
from functools import cached_property

import serial

from ansim.errors import BadInput, DeviceError
from ansim.fleet import WifiNetwork
from ansim.home import Home
from ansim.places.place import Place, check_life_s_time, why_not
from ansim.sandbox import Sandbox
from ansim.serial_link import find_port, open_port

BOARD = "esp32_devkit"
WIFI_SSID, WIFI_PASSPHRASE = "ANSIM_WIFI_SSID", "ANSIM_WIFI_PASSPHRASE"
# As esptool resets a chip.
_RESET_S = 0.1
# An address for documents (RFC 5737): it is in no network, and nothing is sent to it.
_ELSEWHERE = ("198.51.100.1", 9)
_LINES = ("flash", "blank", "reset")
_NO_LINES = "its port has no lines that drive EN and IO0"
_NO_WIFI = f"its Wi-Fi is not known: set {WIFI_SSID} and {WIFI_PASSPHRASE}"
_NOBODY = "nobody is there to do it; a rig would do it"
_LACKS = {
    "press": _NOBODY,
    "power": _NOBODY,
    "power_cut": "nobody sees its flash operations",
    "supply": _NOBODY,
    "battery": "its cell is what it is",
    "radio": "its networks are those around it",
    "stall": "its connections are nobody else's",
    "motion": "nobody moves it",
    "sensor": "its motion sensor is what it is",
    "sense": "nobody looks at it; a rig would do it",
    "watch": "nobody sees into its chip",
    "sleep": "the cable of its port feeds it",
    "speed": "its time is life's",
    "heap": "its memory is its own",
    "clock": "its clock is its own",
    "boards": "it is one device",
}


@dataclass(frozen=True)
class SerialGround:
    """The one device on a serial port.

    Args:
        port: what a person calls it.
        board_file: name or path of its board file.
        wifi: the network that it is to join, in which this machine is, too; None: it is not known.
    """

    port: str
    board_file: str = BOARD
    wifi: WifiNetwork | None = None

    @property
    def name(self) -> str:
        return f"the device on {self.port}"

    @property
    def host(self) -> str:
        """The address of this machine in the network that it reaches others by."""
        return _own_address() if self.wifi else "localhost"

    def lacks(self, capability: str, /) -> str:
        if capability in _LINES:
            return "" if self._has_lines else _NO_LINES
        if capability == "wifi":
            return "" if self.wifi else _NO_WIFI
        return _LACKS.get(capability, "")

    @cached_property
    def _has_lines(self) -> bool:
        with contextlib.closing(open_port(self.port, Home.default())) as link:
            return has_lines(link)

    def open(self, sandbox: Sandbox, _name: str, *, speed: int = 1, skip_sleep: bool = False) -> "SerialPlace":
        check_life_s_time(self, speed, skip_sleep)
        return SerialPlace(self, sandbox.home, find_port(self.port, Home.default()))


class SerialPlace(Place):
    """The device on a serial port."""

    def __init__(self, ground: SerialGround, home: Home, url: str) -> None:
        self.name = ground.name
        self.url = url
        self.board_file = ground.board_file
        self._ground = ground
        self._lines = PortLines(ground, url, home)

    @property
    def stimulus(self) -> "PortLines":
        return self._lines

    def lacks(self, capability: str, /) -> str:
        return self._ground.lacks(capability)

    def open_port(self, home: Home) -> serial.SerialBase:
        self._lines.link = super().open_port(home)
        return self._lines.link

    def close(self) -> None:
        """There is nothing to end."""


class PortLines:
    """What the lines of a serial port do to the device behind it.

    Attributes:
        link: the port, where it is open already.
    """

    def __init__(self, ground: SerialGround, url: str, home: Home) -> None:
        self.link: serial.SerialBase | None = None
        self._ground = ground
        self._url = url
        self._home = home

    def reset(self) -> None:
        """Reset the chip by its EN."""
        if self.link is not None and self.link.is_open:
            reset_by_lines(self.link)
            return
        with contextlib.closing(open_port(self._url, self._home)) as link:
            reset_by_lines(link)

    def press(self, hold_ms: int = 150) -> None:  # noqa: ARG002  # as where somebody can
        raise self._refusal("press")

    def button(self, down: bool) -> None:  # noqa: ARG002  # as where somebody can
        raise self._refusal("press")

    def power(self, on: bool) -> None:  # noqa: ARG002  # as where somebody can
        raise self._refusal("power")

    def _refusal(self, capability: str) -> DeviceError:
        return DeviceError(why_not(self._ground, [capability]), "Give the place of a rig: docs/rig.md.")


def wifi_of_environment() -> WifiNetwork | None:
    """Return the network that the environment names for devices that are no virtual boards; None: it names none."""
    ssid = os.environ.get(WIFI_SSID, "")
    return WifiNetwork(ssid, os.environ.get(WIFI_PASSPHRASE, "")) if ssid else None


def has_lines(link: serial.SerialBase) -> bool:
    """Tell whether a port has lines: a pseudo-terminal and a plain TCP connection have none."""
    if link.portstr.startswith("socket:"):
        return False
    try:
        return link.cts is not None
    except OSError:
        return False


def reset_by_lines(link: serial.SerialBase) -> None:
    """Pull EN low for a moment, with IO0 high: a devkit's two transistors do that by RTS without DTR."""
    link.dtr = False
    link.rts = True
    time.sleep(_RESET_S)
    link.rts = False


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError as error:
            raise BadInput(
                "this machine is in no network, so no device can reach it", "Join the device's network."
            ) from error
        return str(probe.getsockname()[0])
