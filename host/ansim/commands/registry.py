"""``ansim registry``: which devices there are, what was done to each, and whether that record is whole."""

import csv
import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ansim.device_state import STATES
from ansim.errors import BadInput
from ansim.home import Home
from ansim.ledger import Entry
from ansim.place import ROLES
from ansim.proof import told
from ansim.registry import Identity, Registry
from ansim.serial_number import device_named
from ansim.show import json_option, passed, progress, verdict
from ansim.station import station_option
from ansim.terminal import printable

_LINES = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
_CSV = click.option("--csv", "as_csv", is_flag=True, help="A table for a spreadsheet, with a line of names on top.")
_REASON = click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept for ever.")
_COLUMNS = [field.name for field in dataclasses.fields(Identity)]
_ENTRY_COLUMNS = ["seq", "at", "station", "device", "action", "result", "details", "hash"]
_LISTED = ("device", "MAC", "board", "site", "role", "household", "place", "state")


@click.group()
def command() -> None:
    """The fleet's devices, and what was done to each.

    All that was done is in a ledger that only grows. Several stations share one registry when ANSIM_DB names a
    PostgreSQL database.

    \b
    Examples:
      ansim registry list --site seoul-02 --state ready
      ansim registry show AN000001 --json
      ansim registry export > ledger.jsonl
      ansim registry verify --export ledger.jsonl
      ansim registry retire AN000001 --reason "dropped into water"
      ansim registry replace AN000001 AN000207 --reason "cell worn out"
    """


@command.command("list")
@click.option("--site", help="Only those of this site.")
@click.option("--role", type=click.Choice(ROLES), help="Only these.")
@click.option("--state", type=click.Choice(STATES), help="Only these.")
@click.option("--household", metavar="REFERENCE", help="Only those of this home.")
@click.option("--manifest", metavar="NAME", help="Only those with a place of this manifest.")
@_LINES
@_CSV
def list_devices(as_json: bool, as_csv: bool, **only: str | None) -> None:
    """List devices by serial number.

    A device is unfinished until its flash or provision has passed, and the proof after it; then it is ready. Out of
    service it is retired.
    """
    if as_json and as_csv:
        raise BadInput("--json and --csv are two ways to say the same", "Choose one of them.")
    with _registry() as registry:
        found = registry.devices(**only)
    if as_json:
        for identity in found:
            click.echo(json.dumps(dataclasses.asdict(identity)))
    elif as_csv:
        _write_csv(_COLUMNS, map(dataclasses.asdict, found))
    elif found:
        Console(emoji=False).print(_table(found))
    elif any(only.values()):
        click.echo("No such device.")
    else:
        click.echo("No devices yet: ansim flash enrols the first one.")


def _table(found: list[Identity]) -> Table:
    # Where nobody has a place, its column would make lines longer than a terminal's.
    shown = [name for name in _LISTED if name != "place" or any(each.place for each in found)]
    table = Table(box=None, pad_edge=False)
    for name in shown:
        table.add_column(name, no_wrap=name in ("device", "MAC", "state"), overflow="fold")
    for each in found:
        place = f"{each.manifest} {each.place}" if each.place else ""
        values = (each.device, each.mac, each.board, each.site, each.role, each.household, place, each.state)
        # As text, or ":ab:" in a MAC would become an emoji.
        table.add_row(*(Text(value) for name, value in zip(_LISTED, values, strict=True) if name in shown))
    return table


@command.command("show")
@click.argument("device", type=device_named)
@_LINES
def show_device(device: str, as_json: bool) -> None:
    """Show who DEVICE is and all that was done to it."""
    with _registry() as registry:
        identity = registry.get(device)
        entries = registry.history(device)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(identity)))
        for entry in entries:
            click.echo(json.dumps({**dataclasses.asdict(entry), "at": entry.at.isoformat()}))
        return
    who = (identity.device, identity.mac, identity.board, identity.site, identity.role, identity.household)
    click.echo("  ".join(filter(None, who)))
    replaced = f", replaced by {identity.replaced_by}" if identity.replaced_by else ""
    place = f"; place {identity.place} of manifest {identity.manifest}" if identity.place else ""
    click.echo(f"{identity.state}{replaced}; provisionings: {identity.generation}{place}")
    for entry in entries:
        click.echo(f"  {entry.at:%Y-%m-%d %H:%M:%S} UTC  {entry.station}  {entry.action} {entry.result}")
        for line in _details(entry):
            click.echo(f"    {printable(line)}")


def _details(entry: Entry) -> list[str]:
    """What an entry tells, in one line; of a proof, a line a phase and who pressed."""
    rows = told.lines(entry.details) if entry.action == "proof" else []
    rest = {name: value for name, value in entry.details.items() if not rows or name == "hands"}
    shown = [f"{name}={_shown(value)}" for name, value in rest.items()]
    return ["  ".join(shown), *rows]


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@command.command()
@_CSV
def export(as_csv: bool) -> None:
    """Write the whole ledger to standard output.

    One entry a line, as JSON. Keep exports where no station can change them: verify --export finds whatever was changed
    or cut off since. The hash of the last entry, which stands for all of them, is said at the end.

    \b
    Examples:
      ansim registry export > ledger-2026-11.jsonl
      ansim registry export --csv > ledger.csv
    """
    last: Mapping[str, Any] = {}
    with _registry() as registry:
        lines = registry.export()
        if as_csv:
            last = _write_csv(_ENTRY_COLUMNS, ({**line, "details": json.dumps(line["details"])} for line in lines))
        else:
            for last in lines:
                click.echo(json.dumps(last))
    if last:
        click.echo(f"{last['seq']} entries; head {last['hash']}", err=True)
    else:
        click.echo("The ledger is empty.", err=True)


@command.command()
@click.option("--head", metavar="HASH", help="An entry's hash, as noted before: that entry must still be there.")
@click.option(
    "--export",
    "exported",
    type=click.Path(path_type=Path, dir_okay=False),
    help="An earlier export (JSON): each of its entries must still be there as it was.",
)
@json_option
def verify(head: str | None, exported: Path | None, as_json: bool) -> None:
    """Check that the ledger is whole.

    Nothing in it was changed or removed, and the devices are what it says. Without --head or --export, entries that
    were cut off at the end are found only if the note of the last one, in the same database, was not changed, too. Exit
    code 1: something is wrong; the first such entry is named.

    \b
    Examples:
      ansim registry verify
      ansim registry verify --export ledger-2026-11.jsonl
    """
    with (
        verdict("the registry's ledger", as_json),
        _registry() as registry,
        progress(as_json) as on_progress,
    ):
        found = registry.verify(
            head=head, export=exported, on_progress=lambda done, total: on_progress("checking entries", done, total)
        )
    if as_json:
        click.echo(json.dumps({"ok": True, **dataclasses.asdict(found)}))
    else:
        as_exported = f" ({found.exported:,} as exported)" if exported else ""
        passed(f"{found.entries:,} entries{as_exported}, {found.devices:,} devices; head {found.head}")


@command.command()
@click.argument("device", type=device_named)
@_REASON
@click.option("--undo", is_flag=True, help="Take it back: the broker lets the device in once it is provisioned again.")
@station_option
@json_option
def retire(device: str, reason: str, undo: bool, station: str | None, as_json: bool) -> None:
    """Take DEVICE out of service.

    It is not flashed again, and its silence is no fault any more. A running broker throws it off within a minute, and
    never lets it in again: its button calls nobody. Taking that back needs the device on a station.

    \b
    Examples:
      ansim registry retire AN000001 --reason "dropped into water"
      ansim registry retire AN000001 --undo --reason "found to be dry"
    """
    with _registry(station) as registry:
        found = registry.reinstate(device, reason) if undo else registry.retire(device, reason)
    if as_json:
        click.echo(json.dumps({"ok": True, **dataclasses.asdict(found)}))
    elif undo:
        passed(f"{device} is {found.state}" + ("; next: ansim provision" if found.state == STATES[0] else ""))
    else:
        passed(f"{device} is retired; a running broker refuses it within a minute")


@command.command()
@click.argument("old", type=device_named)
@click.argument("new", type=device_named)
@_REASON
@station_option
@json_option
def replace(old: str, new: str, reason: str, station: str | None, as_json: bool) -> None:
    """Give the place of OLD to NEW, and retire OLD, which the broker then refuses.

    The place is site, role, household, and the one of a manifest, as far as OLD has them. NEW is a device of the
    registry: flash it first. Where its site or role changes, provision it again.

    \b
    Example:
      ansim registry replace AN000001 AN000207 --reason "cell worn out"
    """
    with _registry(station) as registry:
        found = registry.replace(old, new, reason)
    if as_json:
        click.echo(json.dumps({"ok": True, **dataclasses.asdict(found)}))
        return
    place = ", ".join(filter(None, (f"site {found.site}", f"role {found.role}", found.household)))
    passed(f"{new} has the place of {old}: {place}")
    if found.state != "ready":
        click.echo(f"{new} does not know it yet: plug it in, and run: ansim provision --board {found.board}")


def _registry(station: str | None = None) -> Registry:
    return Registry.open(Home.default().database_url, station)


def _write_csv(columns: list[str], rows: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Write rows to standard output, those columns of them; return the last row, empty without any."""
    writer = csv.DictWriter(sys.stdout, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    row: Mapping[str, Any] = {}
    for row in rows:
        writer.writerow(row)
    return row
