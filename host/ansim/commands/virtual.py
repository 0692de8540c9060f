"""``ansim virtual``: boards without hardware."""

import contextlib
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from esptool.targets import CHIP_LIST
from rich.console import Console
from rich.table import Table

from ansim.boards import board_names
from ansim.errors import BadInput
from ansim.fleet import WifiNetwork
from ansim.home import Home
from ansim.passphrase import ask_network
from ansim.virtual import (
    DEFAULT_NAME,
    MAX_SPEED,
    ControlClient,
    VirtualBoard,
    find_board,
    running_boards,
    start_board,
    stop_board,
)
from ansim.virtual.bounce import bouncing_press
from ansim.virtual.heap import MAX_LESS_KB
from ansim.virtual.models import Fault
from ansim.virtual.motion import AT_REST, FASTEST_HZ, SLOWEST_HZ
from ansim.virtual.motion_file import load_motion
from ansim.virtual.rtc_clock import MAX_JUMP_MS
from ansim.virtual.schedule import MAX_LATER_MS, Moment

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
name_argument = click.argument("name", required=False)


@dataclass(frozen=True)
class When:
    """When a stimulus acts; both None: at once."""

    after_ms: int | None
    on: str | None

    def control(self, board: VirtualBoard) -> ControlClient:
        if self.after_ms is None and self.on is None:
            return board.control
        return board.control.later(self.after_ms or 0, self.on)

    def __str__(self) -> str:
        moment = "" if self.on is None else f", at its next '{self.on}'"
        return moment if self.after_ms is None else f"{moment}, after {self.after_ms} ms of its time"


def _when_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that let it act later, as one argument ``when``."""

    @click.option(
        "--after-ms",
        type=click.IntRange(0, MAX_LATER_MS),
        help="So much later, in the board's time; after --on, from there.",
    )
    @click.option(
        "--on",
        type=click.Choice([moment.value for moment in Moment]),
        help="When it next asks for sleep, when nothing woke it at once, or when it wakes.",
    )
    @functools.wraps(function)
    def command(after_ms: int | None, on: str | None, **others: Any) -> None:
        function(when=When(after_ms, on), **others)

    return command


def _print(data: Any, text: str, as_json: bool) -> None:
    click.echo(json.dumps(data) if as_json else text)


def _done(name: str, what: str, as_json: bool) -> None:
    _print({"ok": True, "name": name}, f"{name}: {what}", as_json)


def _about(board: VirtualBoard) -> dict[str, Any]:
    return {
        "name": board.name,
        "url": board.url,
        "terminal": board.terminal,
        "mac": board.mac,
        "board": board.board,
        "chip": board.chip,
        "pid": board.pid,
        "folder": str(board.folder),
    }


@click.group("virtual")
def command() -> None:
    """Boards without hardware.

    Each has a serial port, flash, radio, button and battery.
    NAME can be left out while only one board is running.

    \b
    Examples:
      ansim virtual start                      one board, called "virtual"
      ansim virtual start hall --port 4000     another one, on a fixed port
      ansim virtual press --hold-ms 3000       hold its button for three seconds
      ansim virtual bounce --seed 7            press its button as a worn contact does
      ansim virtual supply off                 take its charger away
      ansim virtual start --skip-sleep         time jumps over its sleep
      ansim virtual press --on sleep           press just when it falls asleep
      ansim virtual battery 3300 --after-ms 3600000
                                               its cell, in an hour of its time
      ansim virtual wifi off                   take its Wi-Fi away
      ansim virtual motion play walk.csv       move it as a recording says
      ansim virtual cut-power --operation 3    cut its power in the third flash operation from now
      esptool --port $(ansim virtual start --json | jq -r .url) flash-id
    """


@command.command()
@click.argument("name", default=DEFAULT_NAME)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="TCP port; a free one if left out.")
@click.option("--board", type=click.Choice(board_names()), default="virtual", help="Board file.")
@click.option("--chip", type=click.Choice(CHIP_LIST), help="Another chip than the board file's.")
@click.option("--pace", is_flag=True, help="Bytes take the time of the line's baud rate.")
@click.option(
    "--speed",
    type=click.IntRange(1, MAX_SPEED),
    default=1,
    show_default=True,
    help="How many times faster than life the chip's time runs. Serial line and network stay as they are.",
)
@click.option("--skip-sleep", is_flag=True, help="Time jumps over the chip's sleep, to what ends it.")
@json_option
def start(
    name: str, port: int, board: str, chip: str | None, pace: bool, speed: int, skip_sleep: bool, as_json: bool
) -> None:
    """Start the board NAME and print the URL of its serial port.

    Its flash and MAC last: stopped and started again it is the same board.
    """
    started = start_board(
        Home.default(), name, board=board, chip=chip, port=port, paced=pace, speed=speed, skip_sleep=skip_sleep
    )
    _print({"ok": True, **_about(started)}, started.url, as_json)


@command.command()
@name_argument
@click.option("--all", "every", is_flag=True, help="Stop all boards.")
@json_option
def stop(name: str | None, every: bool, as_json: bool) -> None:
    """Stop a board; its flash stays."""
    if name and every:
        raise BadInput("both a name and --all are given", "Give one of them.")
    home = Home.default()
    boards = running_boards(home) if every else [find_board(home, name)]
    for board in boards:
        stop_board(board)
    names = [board.name for board in boards]
    _print({"ok": True, "stopped": names}, f"stopped: {', '.join(names) or 'none'}", as_json)


@command.command("list")
@json_option
def list_boards(as_json: bool) -> None:
    """List the boards that are running."""
    boards = running_boards(Home.default())
    if as_json:
        click.echo(json.dumps([_about(board) for board in boards]))
        return
    table = Table("name", "serial port", "MAC", "board", "chip", box=None)
    for board in boards:
        table.add_row(board.name, board.url, board.mac, board.board, board.chip)
    Console(emoji=False).print(table if boards else "No virtual board is running. Start one with: ansim virtual start")


@command.command()
@name_argument
@json_option
def status(name: str | None, as_json: bool) -> None:
    """Show what a board is doing, what has passed over its serial line, and what the chip did to its flash."""
    board = find_board(Home.default(), name)
    data = _about(board) | board.control.status() | _counted(board)
    lines = (f"{key}: {value}" for key, value in {**data, "counted": _in_this_run(data["counted"]["run"])}.items())
    _print(data, "\n".join([*lines, f"log: {board.log_file}"]), as_json)


def _in_this_run(run: dict[str, Any]) -> str:
    """Return what a person reads of a run's counts: those that are not 0. A program gets all."""
    counts = (f"{name} {count}" for name, count in run.items() if count and name != "marks")
    return ", ".join(counts) or "nothing: no run goes on"


def _counted(board: VirtualBoard) -> dict[str, Any]:
    wire = board.control.stats()
    return {"flash": wire.pop("flash"), "counted": wire.pop("chip"), "wire": wire}


@command.command()
@name_argument
@click.option("--hold-ms", type=click.IntRange(1, 600_000), default=150, show_default=True, help="How long.")
@_when_options
@json_option
def press(name: str | None, hold_ms: int, when: When, as_json: bool) -> None:
    """Press the button and let it go.

    \b
    Examples:
      ansim virtual press --hold-ms 3000
      ansim virtual press --on sleep                   as it falls asleep: is it missed?
      ansim virtual press --on wake --after-ms 30      30 ms after its next wake
    """
    _apply(name, lambda control: control.press(hold_ms), f"button pressed for {hold_ms} ms", as_json, when)


@command.command()
@name_argument
@click.option("--hold-ms", type=click.IntRange(101, 500_000), default=150, show_default=True, help="How long.")
@click.option(
    "--bounce-ms", type=click.IntRange(1, 100), default=5, show_default=True, help="How long it bounces at each end."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed bounces otherwise.")
@_when_options
@json_option
def bounce(name: str | None, hold_ms: int, bounce_ms: int, seed: int, when: When, as_json: bool) -> None:
    """Press the button as a worn contact does: open and closed again many times at both ends."""
    edges_us = bouncing_press(seed, hold_ms, bounce_ms)
    what = f"button pressed for {hold_ms} ms, with {len(edges_us)} edges"
    _apply(name, lambda control: control.bounce(edges_us), what, as_json, when)


@command.command()
@click.argument("switch", type=click.Choice(["on", "off"]))
@name_argument
@_when_options
@json_option
def supply(switch: str, name: str | None, when: When, as_json: bool) -> None:
    """Connect a board's charger, USB or mains, or take it away; a board starts with it."""
    _apply(name, lambda control: control.supply(switch == "on"), f"supply {switch}", as_json, when)


@command.group()
def wifi() -> None:
    """The Wi-Fi network around a board."""


@wifi.command("on")
@name_argument
@_when_options
@json_option
def wifi_on(name: str | None, when: When, as_json: bool) -> None:
    """Bring the network back."""
    _apply(name, lambda control: control.wifi(True), "Wi-Fi in reach", as_json, when)


@wifi.command("off")
@name_argument
@_when_options
@json_option
def wifi_off(name: str | None, when: When, as_json: bool) -> None:
    """Take the network away."""
    _apply(name, lambda control: control.wifi(False), "Wi-Fi gone", as_json, when)


@wifi.command("network")
@click.argument("ssid")
@name_argument
@click.option("--open", "is_open", is_flag=True, help="A network without a passphrase.")
@json_option
def wifi_network(ssid: str, name: str | None, is_open: bool, as_json: bool) -> None:
    """Set the network in reach; its passphrase is asked for, or taken from ANSIM_WIFI_PASSPHRASE or a pipe."""
    network = WifiNetwork(ssid, "") if is_open else ask_network(ssid)
    what = f"network {ssid} in reach"
    _apply(name, lambda control: control.network(network.ssid, network.passphrase), what, as_json)


@wifi.command("rssi", context_settings={"ignore_unknown_options": True})
@click.argument("dbm", type=click.IntRange(-120, 0))
@name_argument
@_when_options
@json_option
def wifi_rssi(dbm: int, name: str | None, when: When, as_json: bool) -> None:
    """Set the signal strength, such as -80."""
    _apply(name, lambda control: control.rssi(dbm), f"signal at {dbm} dBm", as_json, when)


@command.command()
@click.argument("millivolts", type=click.IntRange(0, 20_000))
@name_argument
@_when_options
@json_option
def battery(millivolts: int, name: str | None, when: When, as_json: bool) -> None:
    """Set the voltage of a board's battery."""
    _apply(name, lambda control: control.battery(millivolts), f"battery at {millivolts} mV", as_json, when)


@command.command()
@click.argument("less_kb", type=click.IntRange(0, MAX_LESS_KB))
@name_argument
@_when_options
@json_option
def heap(less_kb: int, name: str | None, when: When, as_json: bool) -> None:
    """Take so many KB of memory from a board's programs, from the next start of one on; 0 gives all back."""
    _apply(name, lambda control: control.heap(less_kb), f"{less_kb} KB less heap from its next start on", as_json, when)


@command.command(context_settings={"ignore_unknown_options": True})
@click.argument("by_ms", type=click.IntRange(-MAX_JUMP_MS, MAX_JUMP_MS))
@name_argument
@_when_options
@json_option
def clock(by_ms: int, name: str | None, when: When, as_json: bool) -> None:
    """Let a board's real-time clock jump, such as 3600000, or back, -3600000; ticks don't jump."""
    _apply(name, lambda control: control.clock(by_ms), f"its clock jumps by {by_ms} ms", as_json, when)


@command.group()
def motion() -> None:
    """How a board is moved, which its motion sensor measures."""


@motion.command("play")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@name_argument
@click.option(
    "--rate", "rate_hz", type=click.FloatRange(SLOWEST_HZ, FASTEST_HZ), default=50.0, show_default=True, help="In Hz."
)
@click.option("--repeat", is_flag=True, help="Start again at its end; else the last sample is held.")
@_when_options
@json_option
def motion_play(file: Path, name: str | None, rate_hz: float, repeat: bool, when: When, as_json: bool) -> None:
    """Play a recording: .csv of x,y,z in mg, or .bin or .s16 of little-endian int16 x,y,z in mg.

    Recordings of falls and daily activity (.npz) are played by: ansim falls replay.
    """
    samples = load_motion(file)
    what = f"plays {file.name}, {len(samples) / 3 / rate_hz:.1f} s"
    _apply(name, lambda control: control.play(samples, rate_hz, repeat), what, as_json, when)


@motion.command("still")
@name_argument
@click.option("--posture", nargs=3, type=float, default=AT_REST, help="Its x, y and z in mg; 0 0 1000 if left out.")
@_when_options
@json_option
def motion_still(name: str | None, posture: tuple[float, float, float], when: When, as_json: bool) -> None:
    """Keep a board still."""
    _apply(name, lambda control: control.still(posture), "still", as_json, when)


@command.command()
@click.argument("fault", type=click.Choice([fault.value for fault in Fault]))
@name_argument
@_when_options
@json_option
def sensor(fault: str, name: str | None, when: When, as_json: bool) -> None:
    """Give a board's motion sensor a fault; none: it is well again."""
    _apply(name, lambda control: control.sensor_fault(fault), f"motion sensor: {fault}", as_json, when)


@command.command()
@name_argument
@_when_options
@json_option
def reset(name: str | None, when: When, as_json: bool) -> None:
    """Press a board's reset button."""
    _apply(name, lambda control: control.reset(), "reset", as_json, when)


@command.command()
@click.argument("switch", type=click.Choice(["on", "off"]))
@name_argument
@_when_options
@json_option
def power(switch: str, name: str | None, when: When, as_json: bool) -> None:
    """Cut a board's power, or give it back."""
    _apply(name, lambda control: control.power(switch == "on"), f"power {switch}", as_json, when)


@command.command("cut-power")
@name_argument
@click.option(
    "--operation", type=click.IntRange(1), required=True, help="In which flash operation from now; 1: the next."
)
@click.option(
    "--done-percent",
    type=click.IntRange(0, 100),
    default=50,
    show_default=True,
    help="How much of it is done. From 1 to 99: at least one byte, and never all.",
)
@json_option
def cut_power(name: str | None, operation: int, done_percent: int, as_json: bool) -> None:
    """Cut a board's power in the middle of a flash operation that is yet to come.

    Each write by the running chip is one operation, and each sector that it erases. It is a way to see what a device
    makes of the worst moment to lose its battery:

    \b
      ansim virtual cut-power --operation 3 --done-percent 50
      ansim virtual press
      ansim virtual status                     state: off, once it happened
      ansim virtual power on
    """
    what = f"power goes in flash operation {operation} from now"
    _apply(name, lambda control: control.cut_power_at(operation, done_percent), what, as_json)


@command.command()
@name_argument
@json_option
def watch(name: str | None, as_json: bool) -> None:
    """Print what a board does as it does it, until Ctrl-C."""
    board = find_board(Home.default(), name)
    with contextlib.suppress(KeyboardInterrupt), board.control.watch() as events:
        for seen in events:
            text = " ".join(f"{key}={value}" for key, value in seen.details.items())
            data = {"ms": seen.ms, "event": seen.event, **seen.details}
            _print(data, f"{seen.ms / 1000:.3f} {seen.event} {text}", as_json)


def _apply(
    name: str | None, act: Callable[[ControlClient], None], what: str, as_json: bool, when: When | None = None
) -> None:
    board = find_board(Home.default(), name)
    act(when.control(board) if when else board.control)
    _done(board.name, f"{what}{when or ''}", as_json)
