"""The virtual board's serial port, for one tool at a time: RFC 2217 over TCP, and a pseudo-terminal."""

import asyncio
import contextlib
import logging
import socket

from ansim.virtual.rfc2217 import Rfc2217Tool
from ansim.virtual.terminal import Terminal
from ansim.virtual.tool import BAUD_AT_RESET, Line, Tool, Wire


class SerialPort:
    """Serves the line to tools; call ``open`` and then ``serve``."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._tool: Tool | None = None
        self._listener: socket.socket | None = None
        self._terminal = Terminal()

    @property
    def wire(self) -> Wire:
        return self._line.wire

    @property
    def connected(self) -> bool:
        return self._tool is not None

    @property
    def baud(self) -> int:
        return self._tool.baud if self._tool else BAUD_AT_RESET

    @property
    def terminal_path(self) -> str:
        return self._terminal.path

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
        """Serve one tool after another until cancelled."""
        assert self._listener
        while True:
            connection = await self._next(self._listener)
            # With nobody listening the kernel refuses a second tool at once; the port stays ours.
            place = _bind(self._listener.getsockname()[1])
            self._listener.close()
            self._listener = place
            tool = await self._greet(connection)
            try:
                await self._serve_tool(tool)
                _listen(self._listener)
            finally:
                # Only now: a tool that waits for it may open the port again at once.
                tool.close()

    def send(self, data: bytes) -> None:
        """The chip's bytes; lost where no tool has the port open, as on a wire."""
        if self._tool:
            self._tool.send(data)

    async def _next(self, listener: socket.socket) -> socket.socket | None:
        """Wait for a tool; return its connection, or None when it came by the terminal."""
        accepting = asyncio.ensure_future(asyncio.get_running_loop().sock_accept(listener))
        opening = asyncio.ensure_future(self._terminal.opened())
        try:
            await asyncio.wait((accepting, opening), return_when=asyncio.FIRST_COMPLETED)
            return accepting.result()[0] if accepting.done() else None
        finally:
            for waiting in (accepting, opening):
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await waiting

    async def _greet(self, connection: socket.socket | None) -> Tool:
        if connection is None:
            return await self._terminal.connect(self._line)
        loop = asyncio.get_running_loop()
        _, tool = await loop.connect_accepted_socket(lambda: Rfc2217Tool(self._line), connection)
        return tool

    async def _serve_tool(self, tool: Tool) -> None:
        self._tool = tool
        self._line.wire.clients += 1
        logging.info("%s connected", type(tool).__name__)
        try:
            await tool.gone
        finally:
            self._tool = None
            self._terminal.flush()
            self._line.on_lines(False, False)  # a closed port lets go of both lines


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
