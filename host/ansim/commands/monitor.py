"""``ansim monitor``: what a device says, as it says it."""

import contextlib
import json
from typing import Any

import click

from ansim.show import console_of, json_option, port_option


@click.command()
@port_option
@json_option
def command(port: str, as_json: bool) -> None:
    """Print a device's announcements until Ctrl-C.

    \b
    Examples:
      ansim monitor
      ansim monitor -p virtual --json | jq .event
    """
    with contextlib.suppress(KeyboardInterrupt), console_of(port) as console:
        for told in console.announcements():
            click.echo(json.dumps(told) if as_json else _line(told))


def _line(told: dict[str, Any]) -> str:
    seconds = f"{told['ms'] / 1000:10.3f} s" if isinstance(told.get("ms"), int) else " " * 12
    details = " ".join(f"{key}={value}" for key, value in told.items() if key not in ("event", "ms"))
    return f"{seconds}  {told['event']:<14} {details}".rstrip()
