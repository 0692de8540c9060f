"""``ansim registry``: which devices there are, and what was done to each."""

import dataclasses
import json

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ansim.home import Home
from ansim.registry import Entry, Identity, Registry


@click.group()
def command() -> None:
    """Show the devices of the fleet and their history.

    \b
    Examples:
      ansim registry list
      ansim registry show AN000001 --json
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_devices(as_json: bool) -> None:
    """List all devices by serial number."""
    with Registry.open(Home.default().database_url) as registry:
        found = registry.devices()
    if as_json:
        for identity in found:
            click.echo(json.dumps(dataclasses.asdict(identity)))
        return
    Console().print(_table(found) if found else "No devices yet: ansim flash enrols the first one.")


def _table(found: list[Identity]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("device", "MAC"):
        table.add_column(name, no_wrap=True)
    for name in ("board", "site", "role", "provisioned"):
        table.add_column(name, overflow="fold")
    for each in found:
        values = (each.device, each.mac, each.board, each.site, each.role, str(each.generation))
        # As text, or ":ab:" in a MAC would become an emoji.
        table.add_row(*map(Text, values))
    return table


@command.command("show")
@click.argument("device")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show_device(device: str, as_json: bool) -> None:
    """Show who DEVICE is and all that was done to it."""
    with Registry.open(Home.default().database_url) as registry:
        identity = registry.get(device)
        entries = registry.history(device)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(identity)))
        for entry in entries:
            click.echo(json.dumps({**dataclasses.asdict(entry), "at": entry.at.isoformat()}))
        return
    click.echo(f"{identity.device}  {identity.mac}  {identity.board}  {identity.site}  {identity.role}")
    for entry in entries:
        click.echo(f"  {entry.at:%Y-%m-%d %H:%M:%S} UTC  {entry.action:<12} {entry.result:<8} {_details(entry)}")


def _details(entry: Entry) -> str:
    return " ".join(f"{name}={value}" for name, value in entry.details.items())
