"""A pyserial URL handler for rfc2217:// that waits no longer than the other end takes.

pyserial's own one negotiates the whole port again, in 100 ms, whenever a timeout is set on it, and esptool sets one
before and after each command: 16 of the 17.6 seconds of ``esptool flash-id`` went into that. It also looks only every
50 ms whether a change of DTR or RTS was answered, and rests for 300 ms after it closed. Nothing else differs.
"""

import contextlib
import socket
import threading
import time

import serial
from serial import rfc2217

_LOOK_S = 0.001
_CLOSE_S = 0.3

Settings = tuple[object, ...]


class Serial(rfc2217.Serial):  # type: ignore[misc]  # pyserial has no types
    """serial.rfc2217.Serial without needless negotiation and waiting."""

    _negotiated: Settings = ()
    _thread: threading.Thread | None

    def open(self) -> None:
        self._negotiated = ()
        super().open()

    def close(self) -> None:
        """Close the port once the other end has closed its own, so that it can be opened again at once."""
        reader, self._thread = self._thread, None
        if reader is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
            reader.join(_CLOSE_S)
        super().close()

    def rfc2217_set_control(self, value: bytes) -> None:
        if self._ignore_set_control_answer:
            super().rfc2217_set_control(value)
        else:
            self._request("control", value)

    def rfc2217_send_purge(self, value: bytes) -> None:
        self._request("purge", value)

    def _request(self, name: str, value: bytes) -> None:
        option = self._rfc2217_options[name]
        option.set(value)
        deadline = time.monotonic() + self._network_timeout
        while not option.is_ready():
            if time.monotonic() > deadline:
                raise serial.SerialException(f"no answer to {name}")
            time.sleep(_LOOK_S)

    def _reconfigure_port(self) -> None:
        flow = (self._xonxoff, self._rtscts, self._write_timeout)
        wanted = (self._baudrate, self._bytesize, self._parity, self._stopbits, *flow)
        if wanted != self._negotiated:
            super()._reconfigure_port()
            self._negotiated = wanted


def use_quick_ports() -> None:
    """Let serial.serial_for_url, and with it esptool and mpremote in this process, open rfc2217:// by this file."""
    package = __name__.rpartition(".")[0]
    if package not in serial.protocol_handler_packages:
        serial.protocol_handler_packages.insert(0, package)
