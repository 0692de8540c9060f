"""Serial ports: from what a person calls one to an open, locked port, with an error that says what is wrong."""

import contextlib
import errno
import termios
from collections.abc import Iterator

import serial
from serial.tools import list_ports

from ansim.errors import BadInput, PortError
from ansim.home import Home
from ansim.virtual import find_board, running_boards
from ansim.virtual.protocol_rfc2217 import use_quick_ports

CONSOLE_BAUD = 115200
READ_S = 0.05
AUTO = "auto"
VIRTUAL = "virtual"

# Espressif's own USB, and the makers of the USB bridges on ESP32 boards: Silicon Labs, WCH, FTDI.
ESP_USB_VENDORS = frozenset({0x303A, 0x10C4, 0x1A86, 0x0403})
PORT_HELP = "A device path, a pyserial URL, 'virtual' or 'virtual:NAME', or 'auto' for the only one."


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
    return sorted(port.device for port in list_ports.comports() if port.vid in ESP_USB_VENDORS)


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


def _why_not(port: str, where: str, error: Exception, home: Home) -> PortError:
    number = getattr(error, "errno", None) or getattr(error.__context__, "errno", None)
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return PortError(f"there is no port {port}", _what_there_is(home))
    if number in (errno.EACCES, errno.EPERM):
        hint = "Add yourself to the port's group, and log in again: sudo usermod -aG dialout $USER"
        return PortError(f"you may not open {port}", hint)
    if number in (errno.EBUSY, errno.EAGAIN) or any(board.url == where for board in running_boards(home)):
        return PortError(f"{port} is busy: another program has it open", "Close that program and run it again.")
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
def watching(port: str, hint: str = "Plug it in again and repeat the command.") -> Iterator[None]:
    """Turn the loss of an open port into an error that names it.

    Raises:
        PortError: the port went away.
    """
    try:
        yield
    except (serial.SerialException, OSError, termios.error) as error:
        raise PortError(f"{port} went away: unplugged, or its power failed", hint) from error
