"""What the world can do to a board, read from the control channel's requests."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from ansim.virtual.arguments import (
    Arguments,
    Refused,
    access_points,
    ascending,
    flag,
    number,
    one_of,
    text,
    vector,
    whole,
)
from ansim.virtual.board import DevBoard
from ansim.virtual.bounce import LONGEST_US, MAX_EDGES
from ansim.virtual.contact import Contact
from ansim.virtual.forwarder import Service
from ansim.virtual.heap import MAX_LESS_KB
from ansim.virtual.models import Fault
from ansim.virtual.motion import (
    AT_REST,
    FASTEST_HZ,
    LONGEST_SAMPLES,
    SAMPLE_BYTES,
    SLOWEST_HZ,
    Samples,
    read_samples,
)
from ansim.virtual.rtc_clock import MAX_JUMP_MS
from ansim.virtual.schedule import Act

_MAX_HOLD_MS = 600_000
_MAX_BATTERY_MV = 20_000
_MAX_OPERATIONS = 1_000_000_000
_MAX_NOISE_MG = 1_000
# As many of them wait at once as the control channel allows; 20 minutes at 50 Hz.
_LONGEST_LATER_SAMPLES = 60_000
_OF_THE_WHOLE_BOARD = ("power", "reset")


class Stimuli:
    """Turns requests into acts. A request is checked when it is read; its act is for any thread, at any time after.

    Args:
        board: what they are done to.
        folder: the board's, in which recordings to play are.

    Attributes:
        contact: the button's.
    """

    def __init__(self, board: DevBoard, folder: Path) -> None:
        self._board = board
        self.contact = Contact(board)
        self._folder = folder
        self._readers: dict[str, Callable[[Arguments], Act]] = {
            "press": self._press,
            "button": self._button,
            "bounce": self._bounce,
            "supply": self._supply,
            "wifi": self._wifi,
            "network": self._network,
            "stall": lambda _: board.chip.air.forget,
            "rssi": self._rssi,
            "battery": self._battery,
            "heap": self._heap,
            "clock": self._clock,
            "cut_power_at": self._cut_power_at,
            "sensor": self._sensor,
            "power": self._power,
            "reset": lambda _: board.reset,
        }

    async def read(self, request: Arguments, later: bool = False) -> Act | None:
        """Return what a request asks for; None: it is no stimulus.

        Args:
            later: the act is for the chip's thread; else it is for the event loop's.

        Raises:
            Refused: it can't be done.
        """
        command = request.get("cmd")
        if command == "motion":
            return await self._motion(request, _LONGEST_LATER_SAMPLES if later else LONGEST_SAMPLES)
        reader = self._readers.get(command) if isinstance(command, str) else None
        if reader is None:
            return None
        act = reader(request)
        return self._board.in_loop(act) if later and command in _OF_THE_WHOLE_BOARD else act

    def hold_ms(self, request: Arguments) -> int:
        """Return how long a press is to last, in the chip's time."""
        return whole(request, "hold_ms", 1, _MAX_HOLD_MS)

    def edges_us(self, request: Arguments) -> list[int]:
        """Return when the button's contact closes and opens, in turn, in the chip's time."""
        return ascending(request, "edges_us", MAX_EDGES, LONGEST_US)

    def _press(self, request: Arguments) -> Act:
        hold_ms = self.hold_ms(request)

        def act() -> None:
            self._board.press(hold_ms)

        return act

    def _button(self, request: Arguments) -> Act:
        down = flag(request, "down")
        return lambda: self._board.set_button(down)

    def _bounce(self, request: Arguments) -> Act:
        edges_us = self.edges_us(request)

        def act() -> None:
            self.contact.bounce(edges_us)

        return act

    def _supply(self, request: Arguments) -> Act:
        on = flag(request, "on")
        if self._board.board.pins.supply is None:
            raise Refused(f"board '{self._board.board.name}' can't tell whether it is supplied")
        return lambda: self._board.set_supply(on)

    def _wifi(self, request: Arguments) -> Act:
        on, air = flag(request, "on"), self._board.chip.air

        def act() -> None:
            air.enabled = on

        return act

    def _network(self, request: Arguments) -> Act:
        ssid, passphrase = text(request, "ssid", 1, 32), text(request, "passphrase", 0, 63)
        service = one_of({"service": Service.FULL, **request}, "service", list(Service))
        points = access_points(request)
        return lambda: self._board.chip.air.set_network(ssid, passphrase, service, points)

    def _rssi(self, request: Arguments) -> Act:
        dbm, air = whole(request, "dbm", -120, 0), self._board.chip.air

        def act() -> None:
            air.rssi_dbm = dbm

        return act

    def _battery(self, request: Arguments) -> Act:
        if self._board.board.battery is None:
            raise Refused(f"board '{self._board.board.name}' has no battery")
        battery_mv = whole(request, "mv", 0, _MAX_BATTERY_MV)
        return lambda: self._board.set_battery(battery_mv)

    def _heap(self, request: Arguments) -> Act:
        less_kb, heap = whole(request, "less_kb", 0, MAX_LESS_KB), self._board.chip.heap

        def act() -> None:
            heap.less_kb = less_kb

        return act

    def _clock(self, request: Arguments) -> Act:
        by_ms = whole(request, "by_ms", -MAX_JUMP_MS, MAX_JUMP_MS)
        return lambda: self._board.chip.jump_clock(by_ms)

    def _cut_power_at(self, request: Arguments) -> Act:
        operation = whole(request, "operation", 1, _MAX_OPERATIONS)
        done_percent = whole(request, "done_percent", 0, 100)
        return lambda: self._board.chip.cut_power_at(operation, done_percent)

    def _power(self, request: Arguments) -> Act:
        return self._board.power_on if flag(request, "on") else self._board.power_off

    def _sensor(self, request: Arguments) -> Act:
        self._need_sensor()
        fault = Fault(one_of(request, "fault", list(Fault))) if "fault" in request else None
        noise_mg = number(request, "noise_mg", 0, _MAX_NOISE_MG) if "noise_mg" in request else None
        offset_mg = vector(request, "offset_mg") if "offset_mg" in request else None
        return lambda: self._board.chip.change_sensor(fault, noise_mg, offset_mg)

    async def _motion(self, request: Arguments, longest: int) -> Act:
        self._need_sensor()
        chip = self._board.chip
        if "file" not in request:
            posture_mg = vector(request, "posture_mg") if "posture_mg" in request else AT_REST
            return lambda: chip.hold(posture_mg)
        rate_hz = number(request, "rate_hz", SLOWEST_HZ, FASTEST_HZ)
        repeat = flag(request, "repeat") if "repeat" in request else False
        samples = await asyncio.to_thread(_recording, self._folder, text(request, "file", 1, 255))
        if len(samples) > 3 * longest:
            raise Refused(f"a recording that waits has at most {longest} samples")
        return lambda: chip.play(samples, rate_hz, repeat)

    def _need_sensor(self) -> None:
        if self._board.board.sensor is None:
            raise Refused(f"board '{self._board.board.name}' has no motion sensor")


def _recording(folder: Path, name: str) -> Samples:
    """Return what is in a recording's file in the board's folder."""
    if Path(name).name != name:
        raise Refused("file must be the name of a file in the board's folder")
    try:
        with (folder / name).open("rb") as file:
            data = file.read(LONGEST_SAMPLES * SAMPLE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise Refused(f"the recording {name!r} can't be read") from error
    try:
        return read_samples(data)
    except ValueError as error:
        raise Refused(f"the recording {name!r} is damaged: {error}") from error
