"""The serial line between a virtual chip and the one tool that has it open, whatever door the tool came by."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import cast

from ansim.virtual.pacer import Pacer

BAUD_AT_RESET = 115200
_MAX_UNSENT_BYTES = 1 << 20
_MAX_QUEUED_BYTES = 1 << 16


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


@dataclass(frozen=True)
class Line:
    """The chip's end of the line.

    Attributes:
        on_data: gets bytes from the tool, when they have arrived at the chip.
        on_lines: gets DTR and RTS, after each change.
        paced: bytes take the time of the line's baud rate, in both directions.
    """

    on_data: Callable[[bytes], None]
    on_lines: Callable[[bool, bool], None]
    paced: bool
    wire: Wire = field(default_factory=Wire)


class _Way:
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


class Tool(asyncio.Protocol, ABC):
    """A connected tool. ``gone`` is done once it has closed its end."""

    def __init__(self, line: Line) -> None:
        self.gone = asyncio.get_running_loop().create_future()
        self._line = line
        self._reader: asyncio.ReadTransport | None = None
        self._writer: asyncio.WriteTransport | None = None
        self._to_chip = _Way(line.on_data, line.paced)
        self._to_chip.on_drained = self._resume
        self._to_tool = _Way(self._deliver_to_tool, line.paced)

    @property
    @abstractmethod
    def baud(self) -> int:
        """The rate that the tool has set."""

    @abstractmethod
    def unwrap(self, data: bytes) -> bytes:
        """Return the serial bytes in what came from the tool; raise ValueError if it makes no sense."""

    @abstractmethod
    def wrap(self, data: bytes) -> bytes:
        """Return serial bytes as they go to the tool."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._reader = cast(asyncio.ReadTransport, transport)

    def eof_received(self) -> bool:
        """The tool has closed its end; ours stays open until ``close``."""
        self._leave()
        return True

    def connection_lost(self, _exc: Exception | None) -> None:
        self._leave()

    def _leave(self) -> None:
        self.purge_to_chip()
        self.purge_to_tool()
        if not self.gone.done():
            self.gone.set_result(None)

    def data_received(self, data: bytes) -> None:
        try:
            plain = self.unwrap(data)
        except ValueError:
            self.close()
            return
        if not plain:
            return
        self._line.wire.count_to_chip(len(plain))
        self._to_chip.push(plain, self.baud)
        if self._reader and self._to_chip.queued_bytes > _MAX_QUEUED_BYTES:
            self._reader.pause_reading()

    def write(self, data: bytes) -> None:
        """Put bytes on the connection as they are."""
        if self._writer:
            self._writer.write(data)

    def send(self, data: bytes) -> None:
        """Put the chip's bytes on the line."""
        assert self._writer
        if self._writer.get_write_buffer_size() + self._to_tool.queued_bytes > _MAX_UNSENT_BYTES:
            self._line.wire.dropped_bytes += len(data)
            return
        self._to_tool.push(data, self.baud)

    def close(self) -> None:
        """Hang up."""
        if self._reader:
            self._reader.close()

    def purge_to_tool(self) -> None:
        """Drop what the chip sent and the tool has not got yet."""
        self._to_tool.purge()

    def purge_to_chip(self) -> None:
        """Drop what the tool sent and the chip has not got yet."""
        self._to_chip.purge()

    def _deliver_to_tool(self, data: bytes) -> None:
        self._line.wire.count_from_chip(len(data))
        self.write(self.wrap(data))

    def _resume(self) -> None:
        if self._reader and not self._reader.is_closing():
            self._reader.resume_reading()
