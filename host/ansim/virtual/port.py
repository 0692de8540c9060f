"""The virtual board's serial port: RFC 2217 over TCP, as esptool, mpremote and pyserial open it.

pyserial's PortManager does the protocol. This file is the wire: one client at a time, DTR and RTS, baud rate,
and on demand the time that the bytes take.
"""

import asyncio
import re
import socket
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, cast

import serial
from serial.rfc2217 import IAC, M_NORMAL, PortManager

from ansim.virtual.pacer import Pacer

BAUD_AT_RESET = 115200
_MAX_SUBOPTION_BYTES = 32
_MAX_UNSENT_BYTES = 1 << 20
_MAX_QUEUED_BYTES = 1 << 16
_PLAIN = re.compile(rb"(?:[^\xff]+|\xff\xff)*")
_IAC_IAC = IAC + IAC


@dataclass
class Wire:
    """What has passed over the serial line since the board started (RFC 2217's own bytes not counted)."""

    to_chip_bytes: int = 0
    from_chip_bytes: int = 0
    round_trips: int = 0
    dropped_bytes: int = 0
    clients: int = 0
    _last_was_to_chip: bool = False

    def count_to_chip(self, size: int) -> None:
        self.to_chip_bytes += size
        self._last_was_to_chip = True

    def count_from_chip(self, size: int) -> None:
        self.from_chip_bytes += size
        self.round_trips += self._last_was_to_chip
        self._last_was_to_chip = False

    def figures(self) -> dict[str, int]:
        return {name: value for name, value in asdict(self).items() if not name.startswith("_")}


class SerialSettings:
    """What PortManager takes for a pyserial port: it sets attributes, and some of them act."""

    def __init__(self, on_lines: Callable[[bool, bool], None], purge: Callable[[bool], None]) -> None:
        self.baudrate = BAUD_AT_RESET
        self.bytesize = serial.EIGHTBITS
        self.parity = serial.PARITY_NONE
        self.stopbits = serial.STOPBITS_ONE
        self.xonxoff = self.rtscts = self.break_condition = False
        self.cts = self.dsr = self.cd = True
        self.ri = False
        self._dtr = self._rts = False
        self._on_lines = on_lines
        self._purge = purge

    @property
    def dtr(self) -> bool:
        return self._dtr

    @dtr.setter
    def dtr(self, level: bool) -> None:
        self._dtr = level
        self._on_lines(self._dtr, self._rts)

    @property
    def rts(self) -> bool:
        return self._rts

    @rts.setter
    def rts(self, level: bool) -> None:
        self._rts = level
        self._on_lines(self._dtr, self._rts)

    def reset_input_buffer(self) -> None:
        """Drop what the chip sent and the client has not got yet."""
        self._purge(True)

    def reset_output_buffer(self) -> None:
        """Drop what the client sent and the chip has not got yet."""
        self._purge(False)


class _PacedWay:
    """One direction of the line: at once, or paced to the baud rate."""

    def __init__(self, deliver: Callable[[bytes], None], paced: bool) -> None:
        self._deliver = deliver
        self._pacer = Pacer() if paced else None
        self._timer: asyncio.TimerHandle | None = None
        self.on_drained: Callable[[], None] = lambda: None

    @property
    def queued_bytes(self) -> int:
        return self._pacer.waiting_bytes if self._pacer else 0

    def push(self, data: bytes, baud: int) -> None:
        if self._pacer is None:
            self._deliver(data)
            return
        self._pacer.push(data, baud, asyncio.get_running_loop().time())
        self._schedule()

    def purge(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._pacer:
            self._pacer.purge()
        self.on_drained()

    def _schedule(self) -> None:
        if self._pacer and self._timer is None and (due := self._pacer.next_due) is not None:
            self._timer = asyncio.get_running_loop().call_at(due, self._arrive)

    def _arrive(self) -> None:
        assert self._pacer
        self._timer = None
        data = self._pacer.take(asyncio.get_running_loop().time())
        if data:
            self._deliver(data)
        self.on_drained()
        self._schedule()


class _Client(asyncio.Protocol):
    """One connected tool."""

    def __init__(self, port: "SerialPort") -> None:
        self.gone = asyncio.get_running_loop().create_future()
        self.settings = SerialSettings(port.on_lines, self._purge)
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._manager: Any = None
        self._to_chip = _PacedWay(self._deliver_to_chip, port.paced)
        self._to_chip.on_drained = self._resume
        self._to_tool = _PacedWay(self._deliver_to_tool, port.paced)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._manager = PortManager(self.settings, self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._to_chip.purge()
        self._to_tool.purge()
        if not self.gone.done():
            self.gone.set_result(None)

    def data_received(self, data: bytes) -> None:
        try:
            plain = self._unwrap(data)
        except (struct.error, TypeError, ValueError, KeyError):
            self.close()  # not RFC 2217; PortManager does not check what it is sent
            return
        if not plain:
            return
        self._port.wire.count_to_chip(len(plain))
        self._to_chip.push(plain, self.settings.baudrate)
        if self._transport and self._to_chip.queued_bytes > _MAX_QUEUED_BYTES:
            self._transport.pause_reading()

    def write(self, data: bytes) -> None:
        """PortManager's own bytes to the tool."""
        if self._transport:
            self._transport.write(data)

    def send(self, data: bytes) -> None:
        """Put the chip's bytes on the line."""
        assert self._transport
        if self._transport.get_write_buffer_size() + self._to_tool.queued_bytes > _MAX_UNSENT_BYTES:
            self._port.wire.dropped_bytes += len(data)
            return
        self._to_tool.push(data, self.settings.baudrate)

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def _unwrap(self, data: bytes) -> bytes:
        """Return the serial bytes in data. PortManager goes byte by byte, so it sees only what it must."""
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
        return b"".join(plain)

    def _deliver_to_chip(self, data: bytes) -> None:
        self._port.on_data(data)

    def _deliver_to_tool(self, data: bytes) -> None:
        self._port.wire.count_from_chip(len(data))
        self.write(data.replace(IAC, _IAC_IAC))

    def _purge(self, from_chip: bool) -> None:
        (self._to_tool if from_chip else self._to_chip).purge()

    def _resume(self) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.resume_reading()


class SerialPort:
    """Serves the port; call ``open`` and then ``serve``.

    Args:
        on_data: bytes from the tool, when they have arrived at the chip.
        on_lines: DTR and RTS, after each change.
        paced: bytes take the time of the line's baud rate, in both directions.
    """

    def __init__(self, on_data: Callable[[bytes], None], on_lines: Callable[[bool, bool], None], paced: bool) -> None:
        self.on_data = on_data
        self.on_lines = on_lines
        self.paced = paced
        self.wire = Wire()
        self._client: _Client | None = None
        self._listener: socket.socket | None = None

    @property
    def connected(self) -> bool:
        return self._client is not None

    @property
    def baud(self) -> int:
        return self._client.settings.baudrate if self._client else BAUD_AT_RESET

    def open(self, port: int) -> int:
        """Listen on 127.0.0.1, on port or (0) on a free one, and return it.

        Raises:
            OSError: the port can't be had.
        """
        if port:
            _check_free(port)
        self._listener = _bind(port)
        _listen(self._listener)
        return int(self._listener.getsockname()[1])

    async def serve(self) -> None:
        """Serve one client after another until cancelled."""
        assert self._listener
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._listener)
            # With nobody listening the kernel refuses a second client at once; the port stays ours.
            place = _bind(self._listener.getsockname()[1])
            self._listener.close()
            self._listener = place
            await self._serve_client(connection)
            _listen(self._listener)

    async def _serve_client(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        _, client = await loop.connect_accepted_socket(lambda: _Client(self), connection)
        self._client = client
        self.wire.clients += 1
        try:
            await client.gone
        finally:
            self._client = None
            client.close()
            self.on_lines(False, False)  # a closed port lets go of both lines

    def send(self, data: bytes) -> None:
        """The chip's bytes; lost where no tool has the port open, as on a wire."""
        if self._client:
            self._client.send(data)


def _bind(port: int) -> socket.socket:
    """Take the port without listening, also beside another socket of this user that has it."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.setblocking(False)
    bound.bind(("127.0.0.1", port))
    return bound


def _listen(bound: socket.socket) -> None:
    # Connections inherit this; without it their last minute would make the port look taken to _check_free.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.listen()


def _check_free(port: int) -> None:
    """Raise OSError where another program, or board, has the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
