"""The board's side of the control channel; docs/virtual-board.md describes what is said on it."""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ansim.virtual.board import DevBoard, Watcher
from ansim.virtual.forwarder import Service

MAX_LINE_BYTES = 4096
_MAX_HOLD_MS = 600_000
_MAX_BATTERY_MV = 20_000
_MAX_OPERATIONS = 1_000_000_000

Arguments = dict[str, Any]
Handler = Callable[[Arguments], Awaitable[dict[str, Any]]]


class Refused(Exception):
    """A request that can't be done; the text goes to the client."""


@dataclass(frozen=True)
class ControlServer:
    """Answers one JSON line with another, for clients that know the token."""

    board: DevBoard
    token: str

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
        hello = _parse(await reader.readline())
        if not hmac.compare_digest(str(hello.get("token", "")).encode(), self.token.encode()):
            await _send(writer, {"ok": False, "error": "wrong token"})
            return
        await _send(writer, {"ok": True, "result": {}})
        while line := await reader.readline():
            request = _parse(line)
            if request.get("cmd") == "watch":
                await self._watch(reader, writer)
                return
            await _send(writer, await self._answer(request))

    async def _answer(self, request: Arguments) -> dict[str, Any]:
        handler: Handler | None = getattr(self, f"_do_{request.get('cmd')}", None)
        try:
            if handler is None:
                raise Refused(f"unknown command {str(request.get('cmd'))[:40]!r}")
            return {"ok": True, "result": await handler(request)}
        except Refused as error:
            return {"ok": False, "error": str(error)}

    async def _watch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        watcher = Watcher()
        self.board.feed.watchers.add(watcher)
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
            self.board.feed.watchers.discard(watcher)

    async def _do_status(self, _request: Arguments) -> dict[str, Any]:
        return self.board.status()

    async def _do_stats(self, _request: Arguments) -> dict[str, Any]:
        return {**self.board.port.wire.figures(), "flash": self.board.chip.flash_figures()}

    async def _do_press(self, request: Arguments) -> dict[str, Any]:
        hold_ms = _whole(request, "hold_ms", 1, _MAX_HOLD_MS)
        if self.board.button_down:
            raise Refused("the button is held down already")
        self.board.set_button(True)
        try:
            await asyncio.sleep(hold_ms / 1000)
        finally:
            self.board.set_button(False)
        return {}

    async def _do_button(self, request: Arguments) -> dict[str, Any]:
        self.board.set_button(_flag(request, "down"))
        return {}

    async def _do_wifi(self, request: Arguments) -> dict[str, Any]:
        self.board.chip.air.enabled = _flag(request, "on")
        return {}

    async def _do_network(self, request: Arguments) -> dict[str, Any]:
        ssid, passphrase = _text(request, "ssid", 1, 32), _text(request, "passphrase", 0, 63)
        service = request.get("service", Service.FULL)
        if service not in list(Service):
            raise Refused(f"service must be one of {', '.join(Service)}")
        self.board.chip.air.set_network(ssid, passphrase, service, _access_points(request))
        return {}

    async def _do_stall(self, _request: Arguments) -> dict[str, Any]:
        self.board.chip.air.forget()
        return {}

    async def _do_rssi(self, request: Arguments) -> dict[str, Any]:
        self.board.chip.air.rssi_dbm = _whole(request, "dbm", -120, 0)
        return {}

    async def _do_battery(self, request: Arguments) -> dict[str, Any]:
        if self.board.board.battery is None:
            raise Refused(f"board '{self.board.board.name}' has no battery")
        self.board.set_battery(_whole(request, "mv", 0, _MAX_BATTERY_MV))
        return {}

    async def _do_reset(self, _request: Arguments) -> dict[str, Any]:
        self.board.reset()
        return {}

    async def _do_power(self, request: Arguments) -> dict[str, Any]:
        if _flag(request, "on"):
            self.board.power_on()
        else:
            self.board.power_off()
        return {}

    async def _do_cut_power_at(self, request: Arguments) -> dict[str, Any]:
        operation = _whole(request, "operation", 1, _MAX_OPERATIONS)
        self.board.chip.cut_power_at(operation, _whole(request, "done_percent", 0, 100))
        return {}


def _parse(line: bytes) -> Arguments:
    """Return the JSON object on a line, or an empty one, which no command accepts."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return request if isinstance(request, dict) else {}


async def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
    await writer.drain()


def _whole(request: Arguments, key: str, low: int, high: int) -> int:
    value = request.get(key)
    if type(value) is not int or not low <= value <= high:
        raise Refused(f"{key} must be a whole number from {low} to {high}")
    return value


def _access_points(request: Arguments) -> list[int]:
    points = request.get("access_points", [1])
    if not isinstance(points, list) or any(type(point) is not int or not 0 <= point <= 255 for point in points):
        raise Refused("access_points must be a list of whole numbers from 0 to 255")
    return points


def _flag(request: Arguments, key: str) -> bool:
    value = request.get(key)
    if type(value) is not bool:
        raise Refused(f"{key} must be true or false")
    return value


def _text(request: Arguments, key: str, shortest: int, longest: int) -> str:
    value = request.get(key)
    if not isinstance(value, str) or not shortest <= len(value.encode()) <= longest:
        raise Refused(f"{key} must be a text of {shortest} to {longest} bytes")
    return value
