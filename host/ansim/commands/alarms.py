"""``ansim alarms``: which alarms there are, and closing one."""

import asyncio
import dataclasses
import getpass
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import click

from ansim.alarm_rows import Alarm
from ansim.database import Database
from ansim.errors import ServiceError
from ansim.event_store import EventStore
from ansim.fleet import Fleet
from ansim.home import Home
from ansim.receiver import tell_handled
from ansim.receiver_table import alarm_table, print_table
from ansim.serial_number import device_named
from ansim_fw.core.message import MAX_ID


@click.group(invoke_without_command=True)
@click.option("--open", "open_only", is_flag=True, help="Only those that are neither cancelled nor handled.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def command(context: click.Context, open_only: bool, as_json: bool) -> None:
    """List alarms, newest first; ansim alarms handle closes one.

    \b
    Examples:
      ansim alarms --open
      ansim alarms handle AN000001 524289 7 --by kim
    """
    if context.invoked_subcommand is not None:
        return
    with _store(Home.default()) as store:
        found = store.alarms(open_only=open_only)
    if as_json:
        for each in found:
            click.echo(json.dumps(_as_dict(each)))
    elif found:
        print_table(alarm_table(found))
    else:
        click.echo("No open alarm." if open_only else "No alarm yet.")


@command.command()
@click.argument("device", type=device_named)
@click.argument("boot", type=click.IntRange(0, MAX_ID))
@click.argument("seq", type=click.IntRange(0, MAX_ID))
@click.option("--by", default=getpass.getuser, help="Who closes it (the user of this machine).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def handle(device: str, boot: int, seq: int, by: str, as_json: bool) -> None:
    """Close the alarm (BOOT, SEQ) of DEVICE, and tell the device.

    An alarm that is closed already keeps who closed it; the device is told again. One that can't be told just now hears
    of it right after its next event.
    """
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    home = Home.default()
    with _store(home) as store:
        alarm = store.handle(device, boot, seq, by)
    if as_json:
        click.echo(json.dumps(_as_dict(alarm)))
    else:
        click.echo(
            f"{alarm.kind} of {alarm.device} ({boot}, {seq}) was closed by {alarm.handled_by} "
            f"at {alarm.handled_at:%Y-%m-%d %H:%M:%S} UTC"
        )
    try:
        asyncio.run(tell_handled(home, Fleet.load(home), alarm.site, device, boot, seq))
    except ServiceError as error:
        # Closed it is, and the receiver tells the device.
        click.echo(f"{error.message}; the device hears of it with its next event", err=True)


@contextmanager
def _store(home: Home) -> Iterator[EventStore]:
    database = Database.open(home.database_url)
    try:
        yield EventStore(database)
    finally:
        database.close()


def _as_dict(alarm: Alarm) -> dict[str, object]:
    fields = dataclasses.asdict(alarm)
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}
