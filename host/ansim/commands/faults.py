"""``ansim faults``: what is wrong with devices, since when."""

import json
from datetime import UTC, datetime

import click
from rich.console import Console

from ansim.commands.receive import fault_as_dict
from ansim.database import Database
from ansim.event_store import EventStore
from ansim.home import Home
from ansim.receiver_table import fault_table


@click.command()
@click.option("--all", "all_faults", is_flag=True, help="Also those that are over.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(all_faults: bool, as_json: bool) -> None:
    """List the faults of devices that are still there, newest first.

    The receiver itself finds the faults silent (a device is not heard any more) and gap (events of it are missing); all
    others are told by the device.

    \b
    Examples:
      ansim faults
      ansim faults --all
      ansim faults --json | jq -r 'select(.kind == "silent") | .device'
    """
    database = Database.open(Home.default().database_url)
    try:
        found = EventStore(database).faults(open_only=not all_faults)
    finally:
        database.close()
    if as_json:
        for each in found:
            click.echo(json.dumps(fault_as_dict(each)))
    elif found:
        Console().print(fault_table(found, datetime.now(UTC)))
    else:
        click.echo("No fault yet." if all_faults else "No fault now.")
