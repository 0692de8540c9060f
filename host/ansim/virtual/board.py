"""One virtual board: its power, reset lines, serial port, ROM loader and chip put together."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Protocol

from ansim.boards import Board, InputPin
from ansim.virtual.chip_registers import ChipRegisters
from ansim.virtual.clock import Clock
from ansim.virtual.flash import Flash
from ansim.virtual.heap import Heap
from ansim.virtual.lines import Lines, Strap
from ansim.virtual.models import Fault
from ansim.virtual.motion import Samples, Vector
from ansim.virtual.port import SerialPort
from ansim.virtual.rom import RomLoader
from ansim.virtual.schedule import Act, Moment
from ansim.virtual.tool import Line

_DOWNLOAD_BANNER = (
    b"ets Jul 29 2019 12:21:46\r\n\r\n"
    b"rst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))\r\n"
    b"waiting for download\r\n"
)
_MAX_WAITING_EVENTS = 4096
# A cell below this gives way under the radio's peaks of some 300 mA: what is left behind its resistance and the
# regulator is less than the chip's brownout detector wants (2.43 V). This project's own figure; no board was measured.
BROWNOUT_MV = 3000

Log = Callable[[str, dict[str, object]], None]


class State(StrEnum):
    """What a virtual board is doing."""

    OFF = "off"
    RESET = "reset"
    DOWNLOAD = "download"
    RUNNING = "running"


class Radio(Protocol):
    """The Wi-Fi around the board; ansim.virtual.air.Air."""

    enabled: bool
    rssi_dbm: int

    def set_network(self, ssid: str, passphrase: str, service: str, access_points: Sequence[int]) -> None: ...
    def forget(self) -> None: ...


class Runner(Protocol):
    """What runs the flash's content; ansim.virtual.chip.Chip."""

    heap: Heap

    def power_on(self) -> None: ...
    def reset(self) -> None: ...
    def power_off(self) -> None: ...
    def halt(self) -> None: ...
    def write(self, data: bytes) -> None: ...
    def set_pin(self, pin: int, level: int) -> None: ...
    def set_adc(self, pin: int, microvolts: int) -> None: ...
    def weaken(self, weak: bool) -> None: ...
    def play(self, samples: Samples, rate_hz: float, repeat: bool) -> None: ...
    def hold(self, posture_mg: Vector) -> None: ...
    def change_sensor(self, fault: Fault | None, noise_mg: float | None, offset_mg: Vector | None) -> None: ...
    def jump_clock(self, by_ms: int) -> None: ...
    def motion(self) -> dict[str, object]: ...
    def cut_power_at(self, operation: int, done_percent: int) -> None: ...
    def flash_figures(self) -> dict[str, int]: ...
    def run_figures(self) -> dict[str, object]: ...
    def state(self) -> dict[str, object]: ...
    def later(self, after_ms: int, act: Act, moment: Moment | None = None) -> None: ...
    def hold_time(self, hold: bool) -> None: ...
    def close(self) -> None: ...
    @property
    def air(self) -> Radio: ...


MakeRunner = Callable[[Callable[[bytes], None], Log, Callable[[], None]], Runner]


class Watcher:
    """One reader of a feed: what happened and was not read yet, the oldest dropped first."""

    def __init__(self) -> None:
        self._events: deque[dict[str, object]] = deque(maxlen=_MAX_WAITING_EVENTS)
        self._arrived = asyncio.Event()

    def put(self, event: dict[str, object]) -> None:
        self._events.append(event)
        self._arrived.set()

    async def next(self) -> dict[str, object]:
        while not self._events:
            self._arrived.clear()
            await self._arrived.wait()
        return self._events.popleft()


class Feed:
    """Tells watchers what was seen from outside: pins, resets, states. Any thread may call ``log``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, chip_ms: Callable[[], int]) -> None:
        self.watchers: set[Watcher] = set()
        self._loop = loop
        self._chip_ms = chip_ms

    def log(self, kind: str, details: dict[str, object]) -> None:
        """Tell watchers; ``ms`` is this machine's monotonic clock, ``chip_ms`` the chip's since the board started."""
        event = {"ms": time.monotonic_ns() // 1_000_000, "chip_ms": self._chip_ms(), "event": kind, **details}
        self._loop.call_soon_threadsafe(self._publish, event)

    def _publish(self, event: dict[str, object]) -> None:
        for watcher in self.watchers:
            watcher.put(event)


class DevBoard:
    """The board's state, and what the world can do to it.

    All methods run in the event loop's thread; press, set_button, set_supply and set_battery may run in any.

    Args:
        board: its board file.
        flash: its flash.
        chip: esptool's name of its chip.
        mac: its six bytes.
        paced: the serial line takes its time.
        make_runner: makes the chip from emit (UART TX), log, and what to call when the chip's power went by itself; all
            may be called from any thread.
        clock: the chip's time.
    """

    def __init__(
        self, board: Board, flash: Flash, chip: str, mac: bytes, paced: bool, make_runner: MakeRunner, clock: Clock
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.clock = clock
        self._began_ms = clock.now_ms()
        self.state = State.OFF
        self.board = board
        self.feed = Feed(self._loop, self.chip_ms)
        self.port = SerialPort(Line(self._from_tool, self._lines_changed, paced))
        self.chip = make_runner(self._emit, self.feed.log, self._power_lost)
        self._flash = flash
        self._registers = ChipRegisters(chip, mac, flash.size, lambda: self.port.baud)
        self._rom = self._new_rom()
        self._lines = Lines()
        self._rise_timer: asyncio.TimerHandle | None = None
        self._button_down = False
        self._supplied = True
        self._battery_mv = board.battery.full_mv if board.battery else BROWNOUT_MV
        self.set_button(False)
        if board.pins.supply:
            self.set_supply(True)
        if board.battery:
            self.set_battery(board.battery.full_mv)

    def chip_ms(self) -> int:
        """Return the time on the chip's clock since the board started, jumps included."""
        return self.clock.now_ms() - self._began_ms

    def power_on(self) -> None:
        if self.state is not State.OFF:
            return
        if self._lines.held_in_reset:
            self._enter(State.RESET)
        elif self._lines.io0_low:
            self._download()
        else:
            self._enter(State.RUNNING)
            self.chip.power_on()

    def power_off(self) -> None:
        self._enter(State.OFF)
        self.chip.power_off()

    def reset(self) -> None:
        """The reset button: EN low and high again, IO0 as the lines have it."""
        if self.state is State.OFF or self._lines.held_in_reset:
            return
        self.chip.halt()
        if self._lines.io0_low:
            self._download()
        else:
            self._run()

    @property
    def button_down(self) -> bool:
        return self._button_down

    def set_button(self, down: bool) -> None:
        pin = self.board.pins.button
        self._button_down = down
        self.feed.log("button", {"down": down})
        self.chip.set_pin(pin.gpio, _level(pin, down))

    def press(self, hold_ms: int, up: Act | None = None) -> bool:
        """Press the button for hold_ms of the chip's time; return False if it is down already.

        Args:
            up: called when it is up again, from any thread.
        """
        if self._button_down:
            return False
        self.set_button(True)
        self.chip.later(hold_ms, lambda: self._release(up))
        return True

    def _release(self, up: Act | None) -> None:
        self.set_button(False)
        if up is not None:
            up()

    def set_supply(self, on: bool) -> None:
        """Connect the charger, USB or mains, or take it away, as the board's supply pin shows it."""
        pin = self.board.pins.supply
        assert pin
        self._supplied = on
        self.feed.log("supply", {"on": on})
        self._tell_strength()
        self.chip.set_pin(pin.gpio, _level(pin, on))

    def _tell_strength(self) -> None:
        self.chip.weaken(not self._supplied and self._battery_mv < BROWNOUT_MV)

    def in_loop(self, act: Act) -> Act:
        """Return an act for any thread that has act done by the event loop; until then no time is skipped."""

        def run() -> None:
            try:
                act()
            finally:
                self.chip.hold_time(False)

        def post() -> None:
            self.chip.hold_time(True)
            self._loop.call_soon_threadsafe(run)

        return post

    def set_battery(self, battery_mv: int) -> None:
        """Set the cell's voltage; the chip's ADC pin sees it through the divider."""
        battery = self.board.battery
        assert battery
        self._battery_mv = battery_mv
        self._tell_strength()
        self.chip.set_adc(battery.gpio, round(battery_mv * 1000 / battery.divider))

    def status(self) -> dict[str, Any]:
        return {
            "state": self.state.value,
            "tool_connected": self.port.connected,
            "baud": self.port.baud,
            "button_down": self._button_down,
            "supply": self._supplied,
            "speed": self.clock.speed,
            "skips_sleep": self.clock.skips_sleep,
            "chip_ms": self.chip_ms(),
            "motion": self.chip.motion(),
            "chip_state": self.chip.state(),
        }

    def _enter(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            logging.info("state: %s", state.value)
            self.feed.log("state", {"state": state.value})

    def _lines_changed(self, dtr: bool, rts: bool) -> None:
        self._obey(self._lines.set(dtr, rts, self._now_ms()))
        self._schedule_rise()

    def _schedule_rise(self) -> None:
        if self._rise_timer:
            self._rise_timer.cancel()
            self._rise_timer = None
        if (at_ms := self._lines.rises_at_ms) is not None:
            self._rise_timer = self._loop.call_later((at_ms - self._now_ms()) / 1000, self._rise)

    def _rise(self) -> None:
        self._rise_timer = None
        self._obey(self._lines.tick(self._now_ms()))
        self._schedule_rise()

    def _now_ms(self) -> int:
        return int(self._loop.time() * 1000)

    def _obey(self, strap: Strap | None) -> None:
        if self.state is State.OFF or strap is None:
            return
        if strap is Strap.RESET:
            self._enter(State.RESET)
            self.chip.halt()
        elif strap is Strap.DOWNLOAD:
            self._download()
        else:
            self._run()

    def _download(self) -> None:
        self._rom = self._new_rom()
        self._enter(State.DOWNLOAD)
        self.port.send(_DOWNLOAD_BANNER)

    def _run(self) -> None:
        self._enter(State.RUNNING)
        self.chip.reset()

    def _new_rom(self) -> RomLoader:
        return RomLoader(self._flash, self._registers, self.port.send, self._run)

    def _from_tool(self, data: bytes) -> None:
        if self.state is State.DOWNLOAD:
            self._rom.feed(data)
        elif self.state is State.RUNNING:
            self.chip.write(data)

    def _emit(self, data: bytes) -> None:
        self._loop.call_soon_threadsafe(self._from_chip, data)

    def _power_lost(self) -> None:
        # Whole, for the reset button may have been quicker than this.
        self._loop.call_soon_threadsafe(self.power_off)

    def _from_chip(self, data: bytes) -> None:
        if self.state is State.RUNNING:
            self.port.send(data)


def _level(pin: InputPin, yes: bool) -> int:
    return int(yes == (pin.active == "high"))
