"""What every place of a device under test is: a serial port, and what can be done to the device there.

A ground is what is known before a place is there: whoever tests asks it first, and opens a place on it then.
"""

from collections.abc import Iterable
from typing import Protocol

import serial

from ansim.errors import BadInput
from ansim.fleet import WifiNetwork
from ansim.home import Home
from ansim.sandbox import Sandbox
from ansim.serial_link import open_port

# What whoever tests may ask a place for, and what it lets one do.
CAPABILITIES = {
    "flash": "flash it over its serial port, EN and IO0 driven by the port's lines",
    "blank": "start it without an identity",
    "press": "press its button and let it go",
    "power": "take its power away and give it back",
    "power_cut": "cut its power in the middle of a chosen flash operation",
    "reset": "press its reset button",
    "supply": "connect its charger, and take it away",
    "battery": "set its cell's voltage",
    "radio": "take Wi-Fi networks away and give them back, with what is wrong with them",
    "stall": "let open connections carry nothing any more",
    "motion": "move it as a recording says",
    "sensor": "give its motion sensor a fault",
    "sense": "see its light, buzzer and vibration",
    "watch": "see its chip start, sleep and wake",
    "wifi": "reach the receiver by itself",
    "sleep": "sleep as a chip on its cell does",
    "speed": "let its time run faster than life",
    "heap": "take memory away from its program",
    "clock": "let its clock jump",
    "boards": "start as many boards as it wants, of any kind",
}

# The capability that each method of a stimulus is of.
OF_METHOD = {
    "press": "press",
    "button": "press",
    "bounce": "press",
    "power": "power",
    "cut_power_at": "power_cut",
    "reset": "reset",
    "supply": "supply",
    "battery": "battery",
    "heap": "heap",
    "clock": "clock",
    "wifi": "radio",
    "network": "radio",
    "rssi": "radio",
    "stall": "stall",
    "play": "motion",
    "still": "motion",
    "sensor_fault": "sensor",
    "sensor_errors": "sensor",
    "sense": "sense",
    "watch": "watch",
    "later": "watch",
    "status": "watch",
    "stats": "watch",
}


class Stimulus(Protocol):
    """What any place can do to a device, if it has the capability; signatures are ControlClient's, which has them all.

    Every method raises DeviceError when the place does not answer or refuses.
    """

    def press(self, hold_ms: int = 150) -> None: ...

    def button(self, down: bool) -> None: ...

    def power(self, on: bool) -> None: ...

    def reset(self) -> None: ...


class Able(Protocol):
    """Has some of CAPABILITIES; name is for people."""

    @property
    def name(self) -> str: ...

    def lacks(self, capability: str, /) -> str:
        """Return why it does not have this one of CAPABILITIES, as a sentence; empty if it has it."""


class Place(Protocol):
    """A device under test, and what can be done to it.

    Attributes:
        name: for people.
        url: its serial port, as pyserial opens it.
        board_file: name or path of its board file.
        stimulus: has the methods of OF_METHOD that are of the place's capabilities.
    """

    name: str
    url: str
    board_file: str

    @property
    def stimulus(self) -> Stimulus: ...

    def lacks(self, capability: str, /) -> str:
        """As a ground's."""

    def open_port(self, home: Home) -> serial.SerialBase:
        """Open and lock its serial port, as ansim.serial_link.open_port does."""
        return open_port(self.url, home)

    def close(self) -> None:
        """End what the place has started."""


class Ground(Able, Protocol):
    """Where places are opened: as many as are wanted where it has ``boards``, else one at a time.

    Attributes:
        host: the name or address by which devices there reach this machine.
        wifi: a network in their reach; without ``wifi``, None.
    """

    @property
    def host(self) -> str: ...

    @property
    def wifi(self) -> WifiNetwork | None: ...

    def open(self, sandbox: Sandbox, name: str, *, speed: int = 1, skip_sleep: bool = False) -> Place:
        """Open a place for a device of sandbox's fleet.

        Args:
            name: of a board that is started for it.
            speed, skip_sleep: see ansim.virtual.start_board; for grounds that have ``speed``.

        Raises:
            AnsimError: why it can't be used.
        """


def why_not(place: Able, wanted: Iterable[str]) -> str:
    """Return why a place can't do what is wanted, names of CAPABILITIES; empty if it can.

    Raises:
        KeyError: no such capability.
    """
    for capability in wanted:
        what = CAPABILITIES[capability]
        if reason := place.lacks(capability):
            return f"{place.name} can't {what}: {reason}"
    return ""


def check_life_s_time(ground: Able, speed: int, skip_sleep: bool) -> None:
    """Raises BadInput: time is to run faster than life, on a ground without ``speed``."""
    if speed != 1 or skip_sleep:
        raise BadInput(why_not(ground, ["speed"]), "Use virtual boards for that.")
