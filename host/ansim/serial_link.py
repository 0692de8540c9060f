"""Serial ports: from what a person calls one to an open, locked port, with an error that says what is wrong."""

import contextlib
import errno
import re
import termios
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import serial
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from ansim.errors import BadInput, PortError
from ansim.home import Home
from ansim.virtual import find_board, running_boards
from ansim.virtual.protocol_rfc2217 import use_quick_ports

CONSOLE_BAUD = 115200
READ_S = 0.05
AUTO = "auto"
VIRTUAL = "virtual"

# Espressif's own USB, and the makers of the USB bridges on ESP32 boards: Silicon Labs, WCH, FTDI.
ESPRESSIF_VENDOR = 0x303A
ESP_USB_VENDORS = frozenset({ESPRESSIF_VENDOR, 0x10C4, 0x1A86, 0x0403})
# How often it is looked whether a port that went away is back.
_LOOK_S = 0.2
# A device is taken apart by the kernel within milliseconds.
_LIST_ATTEMPTS = 50
_LIST_APART_S = 0.01
_PLUG_IN = "Plug it in again and repeat the command."
PORT_HELP = "A device path, a pyserial URL, 'virtual' or 'virtual:NAME', or 'auto' for the only one."


class PortBusy(PortError):
    """Another program has the port open."""


class PortGone(PortError):
    """The port was open and went away."""


def find_port(port: str, home: Home) -> str:
    """Turn what a person calls a port into what pyserial opens.

    Raises:
        BadInput: no such virtual board is running, or port is empty.
        PortError: ``auto`` finds none or several.
    """
    if not port:
        raise BadInput("--port has no value", PORT_HELP)
    if port == AUTO:
        return _only_port()
    if port == VIRTUAL or port.startswith(f"{VIRTUAL}:"):
        _, _, name = port.partition(":")
        return find_board(home, name or None).url
    return port


def _only_port() -> str:
    found = esp_ports()
    if len(found) == 1:
        return found[0]
    if found:
        raise PortError(f"several devices are plugged in: {', '.join(found)}", "Say which one with --port.")
    raise PortError(
        "no device is plugged in: there is no USB serial port of an ESP32 board",
        "Check the cable (some only charge), or use --port virtual after: ansim virtual start",
    )


def esp_ports() -> list[str]:
    """The USB serial ports that an ESP32 board may be behind, sorted."""
    return sorted(place.where for place in usb_places())


def open_port(port: str, home: Home) -> serial.SerialBase:
    """Open and lock port at the console's baud rate; the lock ends with the port or the process.

    Raises:
        BadInput: port is nothing that could be opened, or no such virtual board is running.
        PortError: it is missing, busy, or not yours.
    """
    where = find_port(port, home)
    try:
        use_quick_ports()
        link = serial.serial_for_url(where, exclusive=True, do_not_open=True)
        link.baudrate, link.timeout = CONSOLE_BAUD, READ_S
        link.open()
    except ValueError as error:
        raise BadInput(f"'{port}' is not a port: {error}", PORT_HELP) from error
    except (serial.SerialException, OSError, termios.error) as error:
        raise _why_not(port, where, error, home) from error
    return link


class OpenPort:
    """A port that is open and locked as long as the context lasts, and is found again when its device comes back.

    Args:
        port: what a person calls it.

    Attributes:
        name: the same, for messages.
        where: what pyserial calls it now.
        link: the open port now.
    """

    def __init__(self, port: str, home: Home) -> None:
        self.name = port
        self._home = home
        self.where = find_port(port, home)
        self._location = next((place.location for place in usb_places() if place.where == self.where), "")
        self.link = open_port(port, home)

    def __enter__(self) -> "OpenPort":
        return self

    def __exit__(self, *_: object) -> None:
        self.link.close()

    def find_again(self, mac: str, patience_s: float) -> None:
        """Close the port, wait until the device with this MAC is back, and open the port that it has now.

        A chip with USB of its own tells its MAC there, so it may come back under any name; one behind a bridge is
        looked for in the same socket, and whoever talks to it has to ask for its MAC. No other port is opened, for it
        may be another worker's.

        Raises:
            PortGone: it is not back in time.
        """
        self.link.close()
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            time.sleep(_LOOK_S)
            with contextlib.suppress(PortError, BadInput):
                where = self._where_now(mac)
                self.link = open_port(where, self._home)
                self.where = where
                return
        raise PortGone(f"{self.name} went away and is not back after {patience_s:g} s", _PLUG_IN)

    def _where_now(self, mac: str) -> str:
        virtual = [Place(board.url, board.mac, "") for board in running_boards(self._home)]
        places = usb_places() + virtual
        found = [place for place in places if place.mac == mac]
        found += [place for place in places if place.location == self._location != ""]
        return found[0].where if found else self.where


@dataclass(frozen=True)
class Place:
    """A port that is there: what pyserial calls it, and what is known of it (else empty): MAC, and which socket."""

    where: str
    mac: str
    location: str


def usb_places() -> list[Place]:
    """The USB serial ports that an ESP32 board may be behind."""
    return [place_of(port) for port in listed(list_ports.comports) if port.vid in ESP_USB_VENDORS]


def listed(ports: Callable[[], Iterable[ListPortInfo]]) -> list[ListPortInfo]:
    """Return what ports, pyserial's way to list them, returns.

    One that is unplugged just then makes it stumble over what is not there any more; it is asked again.
    """
    for _ in range(_LIST_ATTEMPTS):
        with contextlib.suppress(TypeError, OSError):
            return list(ports())
        time.sleep(_LIST_APART_S)
    return list(ports())


def place_of(port: ListPortInfo) -> Place:
    """What is known of a port on the USB."""
    return Place(port.device, _usb_mac(port.vid, port.serial_number or ""), port.location or "")


def _usb_mac(vendor: int, serial_number: str) -> str:
    """The MAC that a chip with USB of its own gives as its serial number: ROM and ESP-IDF with colons, others without.

    USB bridges have serial numbers of their own, which are no MAC.
    """
    digits = serial_number.replace(":", "").lower()
    if vendor != ESPRESSIF_VENDOR or not re.fullmatch("[0-9a-f]{12}", digits):
        return ""
    return bytes.fromhex(digits).hex(":")


def _why_not(port: str, where: str, error: Exception, home: Home) -> PortError:
    number = getattr(error, "errno", None) or getattr(error.__context__, "errno", None)
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return PortError(f"there is no port {port}", _what_there_is(home))
    if number in (errno.EACCES, errno.EPERM):
        hint = "Add yourself to the port's group, and log in again: sudo usermod -aG dialout $USER"
        return PortError(f"you may not open {port}", hint)
    if number in (errno.EBUSY, errno.EAGAIN) or any(board.url == where for board in running_boards(home)):
        return PortBusy(f"{port} is busy: another program has it open", "Close that program and run it again.")
    if number == errno.ENOTTY:
        return PortError(f"{port} is no serial port", _what_there_is(home))
    if number == errno.ECONNREFUSED:
        return PortError(f"nothing listens at {port}, or another program uses it", _what_there_is(home))
    return PortError(f"can't open {port}: {_reason(error)}", _what_there_is(home))


def _reason(error: Exception) -> str:
    """The system's own words, where pyserial has wrapped them; else the first line of what pyserial says."""
    system = getattr(error.__context__, "strerror", None)
    return str(system or next(iter(str(error).splitlines()), type(error).__name__))


def _what_there_is(home: Home) -> str:
    there = esp_ports() + [f"virtual:{board.name}" for board in running_boards(home)]
    return f"There are: {', '.join(there)}." if there else "None is there; ansim virtual start makes a virtual one."


@contextlib.contextmanager
def watching(port: str, hint: str = _PLUG_IN) -> Iterator[None]:
    """Turn the loss of an open port into an error that names it.

    Raises:
        PortGone: the port went away.
    """
    try:
        yield
    except (serial.SerialException, OSError, termios.error) as error:
        raise PortGone(f"{port} went away: unplugged, or its power failed", hint) from error
