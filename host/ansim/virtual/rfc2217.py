"""A tool that speaks RFC 2217: pyserial's PortManager does the protocol, DTR and RTS included."""

import asyncio
import re
import struct
from typing import Any, cast

import serial
from serial.rfc2217 import IAC, M_NORMAL, PortManager

from ansim.virtual.tool import BAUD_AT_RESET, Line, Tool

_MAX_SUBOPTION_BYTES = 32
_PLAIN = re.compile(rb"(?:[^\xff]+|\xff\xff)*")
_IAC_IAC = IAC + IAC


class Rfc2217Tool(Tool):
    """The protocol of one TCP connection."""

    def __init__(self, line: Line) -> None:
        super().__init__(line)
        self._settings = _Settings(self, line)
        self._manager: Any = None

    @property
    def baud(self) -> int:
        return self._settings.baudrate

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._writer = cast(asyncio.WriteTransport, transport)
        self._manager = PortManager(self._settings, self)

    def unwrap(self, data: bytes) -> bytes:
        """Return the serial bytes in data. PortManager goes byte by byte, so it sees only what it must."""
        try:
            return b"".join(self._pieces(data))
        except (struct.error, TypeError, KeyError) as error:  # PortManager does not check what it is sent
            raise ValueError("not RFC 2217") from error

    def wrap(self, data: bytes) -> bytes:
        return data.replace(IAC, _IAC_IAC)

    def _pieces(self, data: bytes) -> list[bytes]:
        plain = []
        while data:
            if self._manager.mode == M_NORMAL and self._manager.suboption is None:
                match = _PLAIN.match(data)
                assert match
                plain.append(match[0].replace(_IAC_IAC, IAC))
                data = data[match.end() :]
            plain.extend(self._manager.filter(data[:1]))
            data = data[1:]
            if len(self._manager.suboption or b"") > _MAX_SUBOPTION_BYTES:
                raise ValueError("suboption too long")
        return plain


class _Settings:
    """What PortManager takes for a pyserial port: it sets attributes, and some of them act."""

    def __init__(self, tool: Tool, line: Line) -> None:
        self.baudrate = BAUD_AT_RESET
        self.bytesize = serial.EIGHTBITS
        self.parity = serial.PARITY_NONE
        self.stopbits = serial.STOPBITS_ONE
        self.xonxoff = self.rtscts = self.break_condition = False
        self.cts = self.dsr = self.cd = True
        self.ri = False
        self._dtr = self._rts = False
        self._line = line
        # pyserial's names are the tool's: its input is what the chip sent.
        self.reset_input_buffer = tool.purge_to_tool
        self.reset_output_buffer = tool.purge_to_chip

    @property
    def dtr(self) -> bool:
        return self._dtr

    @dtr.setter
    def dtr(self, level: bool) -> None:
        self._dtr = level
        self._line.on_lines(self._dtr, self._rts)

    @property
    def rts(self) -> bool:
        return self._rts

    @rts.setter
    def rts(self, level: bool) -> None:
        self._rts = level
        self._line.on_lines(self._dtr, self._rts)
