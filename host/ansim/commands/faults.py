"""``ansim faults``: what is wrong with devices since when, and closing one."""

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click

from ansim.commands.receive import fault_as_dict
from ansim.database import Database
from ansim.event_store import EventStore
from ansim.home import Home
from ansim.receiver_table import fault_table, print_table
from ansim.serial_number import device_named


@click.group(invoke_without_command=True)
@click.option("--all", "all_faults", is_flag=True, help="Also those that are over.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def command(context: click.Context, all_faults: bool, as_json: bool) -> None:
    """List the faults of devices; ansim faults close ends one.

    The receiver itself finds the faults silent (a device is not heard any more) and gap (events of it are missing); all
    others are told by the device.

    \b
    Examples:
      ansim faults
      ansim faults --all
      ansim faults --json | jq -r 'select(.kind == "silent") | .device'
      ansim faults close AN000001 silent --by kim
    """
    if context.invoked_subcommand is not None:
        return
    with _store() as store:
        found = store.faults(open_only=not all_faults)
    if as_json:
        for each in found:
            click.echo(json.dumps(fault_as_dict(each)))
    elif found:
        print_table(fault_table(found, datetime.now(UTC)))
    else:
        click.echo("No fault yet." if all_faults else "No fault now.")


@command.command()
@click.argument("device", type=device_named)
@click.argument("kind")
@click.option("--by", default=getpass.getuser, help="Who closes it (the user of this machine).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def close(device: str, kind: str, by: str, as_json: bool) -> None:
    """End the fault KIND of DEVICE that will not end by itself.

    For a device that is not used any more, or events that are lost for good. It begins again when there is a new cause.
    """
    with _store() as store:
        closed = store.close_fault(device, kind, by)
    if as_json:
        click.echo(json.dumps(fault_as_dict(closed)))
    else:
        click.echo(f"{kind} of {device} was closed by {by}")


@contextmanager
def _store() -> Iterator[EventStore]:
    database = Database.open(Home.default().database_url)
    try:
        yield EventStore(database)
    finally:
        database.close()
