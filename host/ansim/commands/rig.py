"""``ansim rig``: a second ESP32 that presses a device's button, switches its power and sees its lights."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ansim.client import Deadline
from ansim.errors import EXIT_DEVICE, DeviceError
from ansim.home import Home
from ansim.rig import Edge, Rig, load_rig
from ansim.show import json_option, passed, progress, show_facts, verdict
from ansim.terminal import say

if TYPE_CHECKING:
    from ansim.rig.check import Finding

_LONGEST_US = 600_000_000
_LOOK_S = 0.1

file_argument = click.argument("file", type=click.Path(path_type=Path))


@click.group("rig")
def command() -> None:
    """A second ESP32 presses a device's button and sees its lights.

    It switches the device's power, too. FILE says which port each is on, and what is on which pin of the rig:
    docs/rig.md. Both may be virtual boards, which are wired as it says.

    \b
    Examples:
      ansim rig flash rig.toml                 make an ESP32 a rig
      ansim rig check rig.toml                 try each wire, with a test alarm
      ansim rig press rig.toml --hold-ms 3000
      ansim rig button rig.toml down           hold it down until: ansim rig button rig.toml up
      ansim rig power rig.toml off
      ansim rig power rig.toml off --after-us 250000
      ansim rig listen rig.toml --seconds 10   what its lights do, and when
    """


@command.command()
@file_argument
@click.option("--micropython", type=click.Path(path_type=Path), help="MicroPython's .bin file; fetched if left out.")
@json_option
def flash(file: Path, micropython: Path | None, as_json: bool) -> None:
    """Put MicroPython and the rig's program on the rig.

    \b
    Examples:
      ansim rig flash rig.toml
      ansim rig flash rig.toml --micropython ESP32_GENERIC-20240602-v1.23.0.bin
    """
    from ansim.rig.flashing import flash_rig  # here, as it loads esptool, which a press need not wait for

    rig = load_rig(file)
    with verdict(f"the rig on {rig.rig.port} is not ready for use", as_json), progress(as_json) as on_progress:
        report, info = flash_rig(rig, Home.default(), on_progress, micropython)
    if as_json:
        click.echo(json.dumps({"ok": True, **vars(report), "info": info}))
    else:
        passed(f"the rig on {rig.rig.port} runs {info['build']} ({report.seconds:.1f} s of flashing)")


@command.command("check")
@file_argument
@json_option
def check_wires(file: Path, as_json: bool) -> None:
    """Try each wire with the device: its power, its reset, one press that is a test alarm, its lights.

    Exit code 4 if one does not do what the file says.

    \b
    Examples:
      ansim rig check rig.toml
    """
    from ansim.rig.check import check  # here, as it loads the registry, which a press need not wait for

    with verdict(f"the wires of {file}", as_json):
        with Rig(load_rig(file), Home.default()) as rig:
            findings = [_told(finding, as_json) for finding in check(rig, Home.default())]
        failed = [finding for finding in findings if not finding.passed]
        if as_json:
            click.echo(json.dumps({"ok": not failed, "findings": [vars(finding) for finding in findings]}))
            sys.exit(EXIT_DEVICE if failed else 0)
        if failed:
            hints = " ".join(dict.fromkeys(finding.hint for finding in failed))
            raise DeviceError(f"not as {file} says: {', '.join(finding.part for finding in failed)}", hints)
    passed(f"the wires of {file}")


def _told(finding: "Finding", as_json: bool) -> "Finding":
    """Tell a person of a finding as soon as it is there."""
    if not as_json:
        label, style = ("ok", "green") if finding.passed else ("FAIL", "bold red")
        say(label, style, f"{finding.part}: {finding.said}")
    return finding


@command.command()
@file_argument
@json_option
def info(file: Path, as_json: bool) -> None:
    """Show what the rig says of itself, and each line: on, and whether its wire seems to be there."""
    with Rig(load_rig(file), Home.default()) as rig:
        show_facts({**rig.info(), "lines": rig.lines()}, as_json)


@command.command()
@file_argument
@click.option("--hold-ms", type=click.IntRange(1, 600_000), default=150, show_default=True, help="How long.")
@json_option
def press(file: Path, hold_ms: int, as_json: bool) -> None:
    """Press the device's button and let it go.

    \b
    Examples:
      ansim rig press rig.toml
      ansim rig press rig.toml --hold-ms 3000
    """
    _do(file, lambda rig: rig.press(hold_ms), f"button pressed for {hold_ms} ms", as_json)


@command.command()
@file_argument
@click.argument("way", type=click.Choice(["down", "up"]))
@json_option
def button(file: Path, way: str, as_json: bool) -> None:
    """Hold the device's button down, or let it go.

    \b
    Examples:
      ansim rig button rig.toml down
      ansim rig button rig.toml up
    """
    _do(file, lambda rig: rig.button(way == "down"), f"button {way}", as_json)


@command.command()
@file_argument
@click.argument("switch", type=click.Choice(["on", "off"]))
@click.option("--after-us", type=click.IntRange(0, _LONGEST_US), default=0, help="So many microseconds later.")
@json_option
def power(file: Path, switch: str, after_us: int, as_json: bool) -> None:
    """Give the device power, or take it away.

    \b
    Examples:
      ansim rig power rig.toml off
      ansim rig power rig.toml off --after-us 1500     while it does something
      ansim rig power rig.toml on
    """
    when = f" in {after_us} us" if after_us else ""
    _do(file, lambda rig: rig.power(switch == "on", after_us), f"power {switch}{when}", as_json)


@command.command()
@file_argument
@json_option
def reset(file: Path, as_json: bool) -> None:
    """Press the device's reset button."""
    _do(file, lambda rig: rig.reset(), "reset", as_json)


@command.command()
@file_argument
@click.option("--seconds", type=click.FloatRange(0.1, 3600), default=10, show_default=True, help="How long.")
@json_option
def listen(file: Path, seconds: float, as_json: bool) -> None:
    """Show what the lines do, each change with its moment in microseconds since the rig's start.

    \b
    Examples:
      ansim rig listen rig.toml
      ansim rig listen rig.toml --seconds 60 --json
    """
    deadline = Deadline(seconds)
    with Rig(load_rig(file), Home.default()) as rig, rig.sense(_LOOK_S) as edges:
        while not deadline.expired:
            for edge in edges:
                _tell_edge(edge, as_json)
                if deadline.expired:
                    break


def _tell_edge(edge: Edge, as_json: bool) -> None:
    click.echo(json.dumps(vars(edge)) if as_json else f"{edge.us:>12,} us  {edge.line:<9} {'on' if edge.on else 'off'}")


def _do(file: Path, act: Callable[[Rig], Any], what: str, as_json: bool) -> None:
    with Rig(load_rig(file), Home.default()) as rig:
        act(rig)
    click.echo(json.dumps({"ok": True}) if as_json else what)
