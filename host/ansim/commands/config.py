"""``ansim config``: a device's settings."""

from typing import Any

import click

from ansim import console_key
from ansim.home import Home
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
@click.option("--prealarm-s", type=_limits("prealarm_s"), help="Seconds in which a fall can be cancelled unsent.")
@click.option("--fall", type=_limits("fall"), help="How it is worn: 1 on the body, 2 on the wrist; 0 tells no falls.")
@json_option
def command(port: str, as_json: bool, **given: int | None) -> None:
    """Show a device's settings, after changing those that are given.

    \b
    Examples:
      ansim config                              show
      ansim config --heartbeat-min 15           change
    """
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    with console_of(port) as console:
        if changes:
            facts = console_key.change(console, Home.default(), "config", {"set": changes})
        else:
            facts = console.request("config", repeat=True)
        show_facts(facts, as_json)
