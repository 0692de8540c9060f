"""``ansim selftest``: a device tests itself."""

import json
import sys
from typing import Any

import click

from ansim.errors import EXIT_DEVICE, DeviceError
from ansim.proof.advice import ADVICE
from ansim.show import console_of, json_option, passed, port_option, verdict

# The Wi-Fi and TLS phases wait for the network.
SELFTEST_S = 60.0

# Where a proof calls a phase by another name.
_PHASES = {"button_up": "button", "heap": "memory"}


@click.command()
@port_option
@json_option
def command(port: str, as_json: bool) -> None:
    """Let a device test its parts, storage and link.

    Exit code 4 if one of them fails.

    \b
    Examples:
      ansim selftest
      ansim selftest -p virtual --json
    """
    with verdict(f"self-test of the device on {port}", as_json):
        with console_of(port) as console:
            result = console.request("selftest", timeout_s=SELFTEST_S, again=True)
        if as_json:
            click.echo(json.dumps(result))
            sys.exit(0 if result.get("passed") is True else EXIT_DEVICE)
        _show_phases(result)
        if result.get("passed") is not True:
            failed = _failed(result)
            message = f"the device on {port} failed its self-test: {', '.join(failed)}"
            raise DeviceError(message, " ".join(filter(None, map(_advice, failed))))
    passed(f"self-test of the device on {port}")


def _phases(result: dict[str, Any]) -> list[dict[str, Any]]:
    phases = result.get("phases")
    return [phase for phase in phases if isinstance(phase, dict)] if isinstance(phases, list) else []


def _show_phases(result: dict[str, Any]) -> None:
    for phase in _phases(result):
        outcome = "pass" if phase.get("passed") is True else "FAIL"
        click.echo(f"{outcome}  {phase.get('name', '?'):<12} {phase.get('value', '')}")


def _failed(result: dict[str, Any]) -> list[str]:
    return [str(phase.get("name")) for phase in _phases(result) if phase.get("passed") is not True]


def _advice(name: str) -> str:
    return ADVICE.get(_PHASES.get(name, name), "")
