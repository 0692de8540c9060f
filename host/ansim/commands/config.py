"""``ansim config``: a device's settings."""

from typing import Any

import click

from ansim.show import console_of, json_option, port_option, show_facts
from ansim_fw.core.config import LIMITS


def _limits(name: str) -> click.IntRange:
    lowest, highest, _ = LIMITS[name]
    return click.IntRange(lowest, highest)


@click.command()
@port_option
@click.option("--heartbeat-min", type=_limits("heartbeat_min"), help="Minutes between two signs of life.")
@click.option("--cancel-s", type=_limits("cancel_s"), help="Seconds in which the wearer can cancel an alarm.")
@click.option("--spread-s", type=_limits("spread_s"), help="Seconds over which devices come back after an outage.")
@json_option
def command(port: str, heartbeat_min: int | None, cancel_s: int | None, spread_s: int | None, as_json: bool) -> None:
    """Show a device's settings, after changing those that are given.

    \b
    Examples:
      ansim config                              show
      ansim config --heartbeat-min 15           change
    """
    given = {"heartbeat_min": heartbeat_min, "cancel_s": cancel_s, "spread_s": spread_s}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    with console_of(port) as console:
        show_facts(console.request("config", {"set": changes} if changes else None), as_json)
