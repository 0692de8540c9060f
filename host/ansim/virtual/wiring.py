"""Wires between two virtual boards: what one of them, a rig, drives presses and switches the other, a device, whose
outputs the rig's inputs see.

The wires are a connection from the rig's process to the device's control channel, so they are gone with either. The
rig's end sends lines, ``{"line":"button","on":true}``; the device's end sends pins, ``{"pin":25,"level":1}``, null for
one that nothing drives.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansim.errors import AnsimError
from ansim.home import Home
from ansim.virtual.arguments import Arguments, Refused, parse, text, whole
from ansim.virtual.board import DevBoard, Watcher
from ansim.virtual.running import find_board
from ansim.virtual.wire import PINS, UNDRIVEN

# What a rig can do to a device, and what it does while nothing drives its line.
LINES = {"button": False, "power": True, "reset": False}
_CONNECT_S = 5.0
# What a chip says to whom it has ended before.
_ENDED = (RuntimeError, ValueError)


@dataclass(frozen=True)
class Wiring:
    """Which wires there are.

    Attributes:
        board: the device's name.
        lines: for each of LINES that is wired the rig's pin, and its level when the line is on.
        pins: the device's pin to the rig's.
    """

    board: str
    lines: Mapping[str, tuple[int, int]]
    pins: Mapping[int, int]


def read_wiring(request: Arguments) -> Wiring:
    """Return what a request asks for.

    Raises:
        Refused: it makes no sense.
    """
    lines, pins = request.get("lines"), request.get("pins")
    if not isinstance(lines, dict) or not all(isinstance(line, dict) for line in lines.values()):
        raise Refused("lines must be an object of objects")
    if not isinstance(pins, list) or not all(isinstance(wired, dict) for wired in pins):
        raise Refused("pins must be a list of objects")
    if unknown := lines.keys() - LINES.keys():
        raise Refused(f"lines are {', '.join(LINES)}, not {str(min(unknown))[:40]!r}")
    return Wiring(
        text(request, "board", 1, 24),
        {name: (_pin(line, "pin"), whole(line, "level", 0, 1)) for name, line in lines.items()},
        {_pin(wired, "from"): _pin(wired, "to") for wired in pins},
    )


def _pin(request: Arguments, key: str) -> int:
    return whole(request, key, 0, PINS - 1)


class Wires:
    """The rig's end: at most one device is wired to a rig.

    Args:
        board: the rig's.
        folder: its folder; the device's is beside it.
    """

    def __init__(self, board: DevBoard, folder: Path) -> None:
        self._board = board
        self._home = Home(folder.parents[1])
        self._wiring: Wiring | None = None
        self._carrying: asyncio.Task[None] | None = None

    async def connect(self, wiring: Wiring) -> None:
        """Wire a device, in place of what was wired before; the same wires again stay as they are.

        Raises:
            Refused: there is no such board, or it does not answer.
        """
        if wiring == self._wiring and self._carrying is not None and not self._carrying.done():
            return
        if self._carrying is not None:
            self._carrying.cancel()
            await asyncio.wait((self._carrying,))
        try:
            async with asyncio.timeout(_CONNECT_S):
                reader, writer = await self._open(wiring.board)
        except (OSError, TimeoutError, AnsimError) as error:
            raise Refused(f"can't wire '{wiring.board}': {error or 'it does not answer'}") from error
        self._wiring = wiring
        self._carrying = asyncio.ensure_future(self._carry(wiring, reader, writer))

    async def _open(self, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        control = find_board(self._home, name).control
        reader, writer = await asyncio.open_connection("127.0.0.1", control.port)
        for request in ({"token": control.token}, {"cmd": "wired"}):
            await _send(writer, request)
            if not parse(await reader.readline()).get("ok"):
                writer.close()
                raise OSError("it refuses")
        return reader, writer

    async def _carry(self, wiring: Wiring, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        driven = {pin: (name, level) for name, (pin, level) in wiring.lines.items()}

        async def drive(pin: int, level: int | None) -> None:
            if pin in driven:
                name, active = driven[pin]
                await _send(writer, {"line": name, "on": LINES[name] if level is None else level == active})

        def see(told: Arguments) -> None:
            if (pin := wiring.pins.get(told["pin"])) is not None:
                self._board.chip.set_pin(pin, UNDRIVEN if told["level"] is None else told["level"])

        try:
            await _until_one_ends(_tell_pins(self._board, drive), _take(reader, see))
        finally:
            writer.close()
            with contextlib.suppress(*_ENDED):
                for pin in wiring.pins.values():
                    self._board.chip.set_pin(pin, UNDRIVEN)


async def serve(board: DevBoard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The device's end: obey a rig until it is gone, and let go then of what it held."""
    wired: set[str] = set()

    async def tell(pin: int, level: int | None) -> None:
        await _send(writer, {"pin": pin, "level": level})

    def obey(told: Arguments) -> None:
        name, on = told.get("line"), told.get("on") is True
        if isinstance(name, str) and name in LINES:
            wired.add(name)
            _switch(board, name, on)

    try:
        await _send(writer, {"ok": True, "result": {}})
        await _until_one_ends(_tell_pins(board, tell), _take(reader, obey))
    finally:
        with contextlib.suppress(*_ENDED):
            for name in wired:
                _switch(board, name, LINES[name])


def _switch(board: DevBoard, line: str, on: bool) -> None:
    if line == "button":
        if board.button_down != on:
            board.set_button(on)
    elif line == "power":
        (board.power_on if on else board.power_off)()
    elif on:
        board.reset()


async def _tell_pins(board: DevBoard, tell: Callable[[int, int | None], Awaitable[None]]) -> None:
    """Tell what drives the pins now, and each change; None: nothing does. A tone counts as its buzzer's being on."""
    watcher = Watcher()
    board.feed.watchers.add(watcher)
    try:
        pins: Any = board.chip.state().get("pins", {})
        for pin, seen in pins.items():
            if "out" in seen:
                await tell(pin, seen["out"])
        while True:
            event: Any = await watcher.next()
            if event["event"] == "pin":
                await tell(event["pin"], event["value"])
            elif event["event"] == "pwm":
                await tell(event["pin"], int(event["duty_u16"] > 0))
    finally:
        board.feed.watchers.discard(watcher)


async def _take(reader: asyncio.StreamReader, take: Callable[[Arguments], None]) -> None:
    while line := await reader.readline():
        take(parse(line))


async def _until_one_ends(*both: Coroutine[Any, Any, None]) -> None:
    """Run both directions of a wire until one of them ends, which ends the other one."""
    tasks = [asyncio.ensure_future(each) for each in both]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        # A rig or a device that went away ends a wire as it should.
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
    await writer.drain()
