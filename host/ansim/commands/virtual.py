"""``ansim virtual``: boards without hardware."""

import contextlib
import json
from collections.abc import Callable
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
    VirtualBoard,
    find_board,
    running_boards,
    start_board,
    stop_board,
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
name_argument = click.argument("name", required=False)


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
      ansim virtual wifi off                   take its Wi-Fi away
      ansim virtual cut-power --operation 3    cut its power in the third flash operation from now
      esptool --port $(ansim virtual start --json | jq -r .url) flash-id
    """


@command.command()
@click.argument("name", default=DEFAULT_NAME)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="TCP port; a free one if left out.")
@click.option("--board", type=click.Choice(board_names()), default="virtual", help="Board file.")
@click.option("--chip", type=click.Choice(CHIP_LIST), help="Another chip than the board file's.")
@click.option("--pace", is_flag=True, help="Bytes take the time of the line's baud rate.")
@json_option
def start(name: str, port: int, board: str, chip: str | None, pace: bool, as_json: bool) -> None:
    """Start the board NAME and print the URL of its serial port.

    Its flash and MAC last: stopped and started again it is the same board.
    """
    started = start_board(Home.default(), name, board=board, chip=chip, port=port, paced=pace)
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
    Console().print(table if boards else "No virtual board is running. Start one with: ansim virtual start")


@command.command()
@name_argument
@json_option
def status(name: str | None, as_json: bool) -> None:
    """Show what a board is doing, what has passed over its serial line, and what the chip did to its flash."""
    board = find_board(Home.default(), name)
    data = _about(board) | board.control.status() | _counted(board)
    lines = (f"{key}: {value}" for key, value in data.items())
    _print(data, "\n".join([*lines, f"log: {board.log_file}"]), as_json)


def _counted(board: VirtualBoard) -> dict[str, Any]:
    wire = board.control.stats()
    return {"flash": wire.pop("flash"), "wire": wire}


@command.command()
@name_argument
@click.option("--hold-ms", type=click.IntRange(1, 600_000), default=150, show_default=True, help="How long.")
@json_option
def press(name: str | None, hold_ms: int, as_json: bool) -> None:
    """Press the button and let it go."""
    board = find_board(Home.default(), name)
    board.control.press(hold_ms)
    _done(board.name, f"button pressed for {hold_ms} ms", as_json)


@command.group()
def wifi() -> None:
    """The Wi-Fi network around a board."""


@wifi.command("on")
@name_argument
@json_option
def wifi_on(name: str | None, as_json: bool) -> None:
    """Bring the network back."""
    _apply(name, lambda board: board.control.wifi(True), "Wi-Fi in reach", as_json)


@wifi.command("off")
@name_argument
@json_option
def wifi_off(name: str | None, as_json: bool) -> None:
    """Take the network away."""
    _apply(name, lambda board: board.control.wifi(False), "Wi-Fi gone", as_json)


@wifi.command("network")
@click.argument("ssid")
@name_argument
@click.option("--open", "is_open", is_flag=True, help="A network without a passphrase.")
@json_option
def wifi_network(ssid: str, name: str | None, is_open: bool, as_json: bool) -> None:
    """Set the network in reach; its passphrase is asked for, or taken from ANSIM_WIFI_PASSPHRASE or a pipe."""
    network = WifiNetwork(ssid, "") if is_open else ask_network(ssid)
    what = f"network {ssid} in reach"
    _apply(name, lambda board: board.control.network(network.ssid, network.passphrase), what, as_json)


@wifi.command("rssi", context_settings={"ignore_unknown_options": True})
@click.argument("dbm", type=click.IntRange(-120, 0))
@name_argument
@json_option
def wifi_rssi(dbm: int, name: str | None, as_json: bool) -> None:
    """Set the signal strength, such as -80."""
    _apply(name, lambda board: board.control.rssi(dbm), f"signal at {dbm} dBm", as_json)


@command.command()
@click.argument("millivolts", type=click.IntRange(0, 20_000))
@name_argument
@json_option
def battery(millivolts: int, name: str | None, as_json: bool) -> None:
    """Set the voltage of a board's battery."""
    _apply(name, lambda board: board.control.battery(millivolts), f"battery at {millivolts} mV", as_json)


@command.command()
@name_argument
@json_option
def reset(name: str | None, as_json: bool) -> None:
    """Press a board's reset button."""
    _apply(name, lambda board: board.control.reset(), "reset", as_json)


@command.command()
@click.argument("switch", type=click.Choice(["on", "off"]))
@name_argument
@json_option
def power(switch: str, name: str | None, as_json: bool) -> None:
    """Cut a board's power, or give it back."""
    _apply(name, lambda board: board.control.power(switch == "on"), f"power {switch}", as_json)


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
    _apply(name, lambda board: board.control.cut_power_at(operation, done_percent), what, as_json)


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


def _apply(name: str | None, act: Callable[[VirtualBoard], None], what: str, as_json: bool) -> None:
    board = find_board(Home.default(), name)
    act(board)
    _done(board.name, what, as_json)
