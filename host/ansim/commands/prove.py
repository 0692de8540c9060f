"""``ansim prove``: the proof before the label, of a device that is provisioned already."""

import json
import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click

from ansim import proof
from ansim.boards import Board, load_board
from ansim.client import Console
from ansim.device_state import RETIRED
from ansim.errors import EXIT_DEVICE, BadInput, DeviceError
from ansim.home import Home
from ansim.proof import HANDS, Hands, Proof, ProofPlan, Step, told
from ansim.registry import Identity, Registry, normal_mac
from ansim.rig import Rig, RigFile, load_rig
from ansim.serial_link import find_port
from ansim.show import console_of, json_option, passed, port_option, verdict
from ansim.station import station_option
from ansim.terminal import printable, say

_START_S = 30.0
_ASKS = {
    "press": "Press its button once, shortly.",
    "confirm": "Did it show and sound that the alarm arrived? Then press once more.",
}


@click.command()
@port_option
@click.option(
    "--hands",
    type=click.Choice(HANDS),
    default="person",
    show_default=True,
    help="Who presses and looks: you; the virtual board's control channel; nobody, so that this stays unproven.",
)
@click.option("--rig", "rig_file", type=click.Path(path_type=Path), help="The rig of this file does (docs/rig.md).")
@station_option
@json_option
def command(port: str, hands: Hands, rig_file: Path | None, station: str | None, as_json: bool) -> None:
    """Prove a device, part by part, up to an acknowledged test alarm.

    While it asks for a press, presses of its button are test alarms; as soon as it ends, and 5 s after a cable came off
    at the latest, they call for help again. The registry keeps what was measured; a device that passes is ready. Exit
    code 4 if a phase fails.

    \b
    Examples:
      ansim prove -p /dev/ttyUSB0
      ansim prove -p /dev/ttyUSB0 --rig rig.toml
      ansim prove -p virtual --hands rig --json
    """
    if rig_file and hands == "none":
        raise BadInput("a rig presses and looks, --hands none means nobody does", "Give one of them.")
    home = Home.default()
    with verdict(f"proof of the device on {port}", as_json):
        rig_of = _rig_of(rig_file, port, home) if rig_file else None
        with ExitStack() as open_now:
            console = open_now.enter_context(console_of(port))
            registry = open_now.enter_context(Registry.open(home.database_url, station))
            rig = open_now.enter_context(Rig(rig_of, home)) if rig_of else None
            found = _prove(console, registry, hands, home, rig)
        if as_json:
            click.echo(json.dumps({"ok": found.passed, **found.as_dict()}))
            sys.exit(0 if found.passed else EXIT_DEVICE)
        _show(found)
        if not found.passed:
            failed = ", ".join(phase.name for phase in found.failed)
            hints = " ".join(dict.fromkeys(phase.hint for phase in found.failed))
            raise DeviceError(f"{found.device} on {port} did not pass: {failed}", hints)
    unproven = "" if found.hands != "none" else "; button and outputs were not tried"
    passed(f"{found.device} on {port}{unproven}")


def _prove(console: Console, registry: Registry, hands: Hands, home: Home, rig: Rig | None) -> Proof:
    info = console.request("info", timeout_s=_START_S, repeat=True)
    identity = _known(registry, str(info.get("mac")))
    proof.check_written(registry, identity)
    board = load_board(identity.board)
    plan = proof.plan_for(board, hands, console.name, home) if rig is None else _plan_by(rig, board)
    expected = proof.expected_of(identity, identity.generation)
    found = proof.prove(console, replace(plan, expected=expected), _tell)
    proof.record(registry, found)
    return found


def _rig_of(path: Path, port: str, home: Home) -> RigFile:
    """Return the rig of the device on port; the press of another's would call for help.

    Raises:
        BadInput: the file is wrong, or its device is on another port.
    """
    file = load_rig(path)
    mine, its = (os.path.realpath(find_port(each, home)) for each in (port, file.device.port))
    if mine != its:
        raise BadInput(
            f"the rig of {path} presses the button of the device on {file.device.port}, not of the one on {port}",
            f"Give the file of this device's rig, or that device's port: --port {file.device.port}",
        )
    return file


def _plan_by(rig: Rig, board: Board) -> ProofPlan:
    """Return how a device is proven by a rig.

    Raises:
        BadInput: the rig lacks a line for that.
    """
    plan = proof.plan_by(board, rig)
    for line in ("button", *plan.limits.outputs):
        if reason := rig.file.lacks(line):
            raise BadInput(reason, "Wire it (docs/rig.md), or press yourself: without --rig.")
    return plan


def _known(registry: Registry, mac: str) -> Identity:
    """Return who the registry says has this MAC.

    Raises:
        BadInput: nobody, or one that is out of service.
    """
    found = registry.devices(mac=normal_mac(mac))
    if not found:
        raise BadInput(f"the registry has no device with MAC {mac[:40]}", "Enrol it first: ansim flash")
    if found[0].state == RETIRED:
        raise BadInput(f"{found[0].device} was retired", f"Why: ansim registry show {found[0].device}")
    return found[0]


def _tell(step: Step) -> None:
    if step.ask:
        say(">>>", "bold yellow", _ASKS[step.ask], err=True)
    else:
        click.echo(f"{step.number}/{step.of} {step.phase} ...", err=True)


def _show(found: Proof) -> None:
    for line in told.lines(found.as_dict()):
        click.echo(printable(line))
