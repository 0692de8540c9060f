"""A pyserial URL handler for rfc2217:// that negotiates only what changed.

pyserial's own one negotiates the whole port again, in 100 ms, whenever a timeout is set on it, and esptool sets one
before and after each command: 16 of the 17.6 seconds of ``esptool flash-id`` went into that. Nothing else differs.
"""

import serial
from serial import rfc2217

Settings = tuple[object, ...]


class Serial(rfc2217.Serial):  # type: ignore[misc]  # pyserial has no types
    """serial.rfc2217.Serial without needless negotiation."""

    _negotiated: Settings = ()

    def open(self) -> None:
        self._negotiated = ()
        super().open()

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
