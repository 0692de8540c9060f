"""The board's side of the control channel; docs/virtual-board.md describes what is said on it."""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from ansim.virtual import wiring
from ansim.virtual.arguments import Arguments, Refused, one_of, parse, whole
from ansim.virtual.board import DevBoard, Watcher
from ansim.virtual.schedule import MAX_LATER_MS, Act, Moment
from ansim.virtual.stimuli import Stimuli

MAX_LINE_BYTES = 4096
MAX_WAITING = 1000

Handler = Callable[[Arguments], Awaitable[dict[str, Any]]]


class ControlServer:
    """Answers one JSON line with another, for clients that know the token.

    Args:
        folder: the board's, in which recordings to play are.
    """

    def __init__(self, board: DevBoard, token: str, folder: Path) -> None:
        self._board = board
        self._token = token
        self._stimuli = Stimuli(board, folder)
        self._wires = wiring.Wires(board, folder)
        self._waiting = 0

    async def open(self) -> tuple[asyncio.Server, int]:
        """Listen on a free port of 127.0.0.1; return the server and the port."""
        server = await asyncio.start_server(self._client, "127.0.0.1", 0, limit=MAX_LINE_BYTES)
        return server, int(server.sockets[0].getsockname()[1])

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
        except (ConnectionError, ValueError, asyncio.CancelledError):
            pass  # it went away, sent a line that is too long, or the board ends
        finally:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = parse(await reader.readline())
        if not hmac.compare_digest(str(hello.get("token", "")).encode(), self._token.encode()):
            await _send(writer, {"ok": False, "error": "wrong token"})
            return
        await _send(writer, {"ok": True, "result": {}})
        while line := await reader.readline():
            request = parse(line)
            if request.get("cmd") == "watch":
                await self._watch(reader, writer)
                return
            if request.get("cmd") == "wired":
                await wiring.serve(self._board, reader, writer)
                return
            await _send(writer, await self._answer(request))

    async def _answer(self, request: Arguments) -> dict[str, Any]:
        handler: Handler = getattr(self, f"_do_{request.get('cmd')}", self._do_at_once)
        try:
            return {"ok": True, "result": await handler(request)}
        except Refused as error:
            return {"ok": False, "error": str(error)}

    async def _watch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        watcher = Watcher()
        self._board.feed.watchers.add(watcher)
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await _send(writer, {"ok": True, "result": {}})
            while not gone.done():
                event = asyncio.ensure_future(watcher.next())
                await asyncio.wait((event, gone), return_when=asyncio.FIRST_COMPLETED)
                if event.done():
                    await _send(writer, event.result())
                else:
                    event.cancel()
        finally:
            gone.cancel()
            self._board.feed.watchers.discard(watcher)

    async def _do_status(self, _request: Arguments) -> dict[str, Any]:
        return {**self._board.status(), "waiting": self._waiting}

    async def _do_stats(self, _request: Arguments) -> dict[str, Any]:
        chip = self._board.chip
        return {**self._board.port.wire.figures(), "flash": chip.flash_figures(), "chip": chip.run_figures()}

    async def _do_press(self, request: Arguments) -> dict[str, Any]:
        hold_ms = self._stimuli.hold_ms(request)
        return await self._until_up(lambda up: self._board.press(hold_ms, up))

    async def _do_bounce(self, request: Arguments) -> dict[str, Any]:
        edges_us = self._stimuli.edges_us(request)
        return await self._until_up(lambda up: self._stimuli.contact.bounce(edges_us, up))

    async def _until_up(self, press: Callable[[Act], bool]) -> dict[str, Any]:
        """Press the button, and wait until it is up again."""
        is_up = asyncio.Event()
        loop = asyncio.get_running_loop()

        def up() -> None:
            loop.call_soon_threadsafe(is_up.set)

        if not press(up):
            raise Refused("the button is held down already")
        await is_up.wait()
        return {}

    async def _do_wire(self, request: Arguments) -> dict[str, Any]:
        await self._wires.connect(wiring.read_wiring(request))
        return {}

    async def _do_at_once(self, request: Arguments) -> dict[str, Any]:
        (await self._stimulus(request))()
        return {}

    async def _do_later(self, request: Arguments) -> dict[str, Any]:
        do = request.get("do")
        if not isinstance(do, dict):
            raise Refused("do must be a request")
        moment = Moment(one_of(request, "on", list(Moment))) if "on" in request else None
        after_ms = whole({"after_ms": 0, **request} if moment else request, "after_ms", 0, MAX_LATER_MS)
        act = await self._stimulus(do, later=True)
        if self._waiting >= MAX_WAITING:
            raise Refused(f"{MAX_WAITING} stimuli are waiting already")
        self._waiting += 1
        self._board.chip.later(after_ms, self._told(str(do["cmd"]), act), moment)
        return {}

    async def _stimulus(self, request: Arguments, later: bool = False) -> Act:
        act = await self._stimuli.read(request, later)
        if act is None:
            raise Refused(f"unknown command {str(request.get('cmd'))[:40]!r}")
        return act

    def _told(self, command: str, act: Act) -> Act:
        """Return an act for the chip's thread, of which watchers are told."""
        loop = asyncio.get_running_loop()

        def run() -> None:
            loop.call_soon_threadsafe(self._one_less)
            self._board.feed.log("stimulus", {"do": command})
            act()

        return run

    def _one_less(self) -> None:
        self._waiting -= 1


async def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
    await writer.drain()
