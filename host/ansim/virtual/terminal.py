"""A pseudo-terminal as a second door to the serial line, for tools that need a file descriptor to wait for.

mpremote's ``repl`` is one: it selects on its port, and pyserial's RFC 2217 ports have nothing to select on. There is no
DTR and RTS on a pseudo-terminal, so esptool can't reset the chip through it.
"""

import asyncio
import os
import pty
import select
import termios
import tty

from ansim.virtual.tool import BAUD_AT_RESET, Line, Tool

# The kernel tells of a tool that opens the terminal only to those who ask.
_LOOK_S = 0.05
_RATES = {getattr(termios, name): int(name[1:]) for name in dir(termios) if name[0] == "B" and name[1:].isdigit()}


class Terminal:
    """The terminal; ``path`` is what a tool opens."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        self.path = os.ttyname(slave)
        tty.setraw(slave)
        os.close(slave)

    @property
    def baud(self) -> int:
        return _RATES.get(termios.tcgetattr(self._master)[5], BAUD_AT_RESET)

    async def opened(self) -> None:
        """Return once a tool has the terminal open."""
        poll = select.poll()
        poll.register(self._master, 0)
        while poll.poll(0):
            await asyncio.sleep(_LOOK_S)

    async def connect(self, line: Line) -> "TerminalTool":
        """Return the tool that has opened the terminal."""
        loop = asyncio.get_running_loop()
        tool = TerminalTool(line, self)
        writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(os.dup(self._master), "wb", 0))
        tool.write_to(writer)
        await loop.connect_read_pipe(lambda: tool, os.fdopen(os.dup(self._master), "rb", 0))
        return tool

    def flush(self) -> None:
        """Drop what the last tool left unread."""
        slave = os.open(self.path, os.O_RDWR | os.O_NOCTTY)
        termios.tcflush(slave, termios.TCIOFLUSH)
        os.close(slave)


class TerminalTool(Tool):
    """The tool at the other end of the terminal."""

    def __init__(self, line: Line, terminal: Terminal) -> None:
        super().__init__(line)
        self._terminal = terminal

    @property
    def baud(self) -> int:
        return self._terminal.baud

    def write_to(self, writer: asyncio.WriteTransport) -> None:
        self._writer = writer

    def close(self) -> None:
        super().close()
        if self._writer:
            self._writer.abort()  # what this tool did not read is not for the next one

    def unwrap(self, data: bytes) -> bytes:
        return data

    def wrap(self, data: bytes) -> bytes:
        return data
