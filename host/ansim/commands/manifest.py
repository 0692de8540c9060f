"""``ansim manifest``: what is ordered, whether a file says it rightly, and how far it is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ansim.home import Home
from ansim.manifest import Order
from ansim.manifest_cells import ManifestWrong
from ansim.manifest_file import load_manifest
from ansim.manifest_rows import Progress
from ansim.registry import Registry
from ansim.show import json_option, passed
from ansim.terminal import printable

_ORDERED = ("site", "role", "wifi", "household", "count")
_COUNTED = ("ordered", "assigned", "ready")


@click.group()
def command() -> None:
    """What devices are ordered, for ansim line.

    A manifest is a CSV or TOML file with a line for each site: docs/manifest.md.

    \b
    Examples:
      ansim manifest check jongno.csv
      ansim line jongno.csv --board esp32_devkit
      ansim manifest show jongno
    """


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def check(file: Path, as_json: bool) -> None:
    """Check that FILE is a manifest; nothing is stored.

    Each mistake is told with its line and column, and what to write instead.
    """
    try:
        manifest = load_manifest(file)
    except ManifestWrong as error:
        if not as_json:
            raise
        mistakes = [mistake._asdict() for mistake in error.mistakes]
        told = {"error": error.message, "hint": error.hint, "exit_code": error.exit_code, "mistakes": mistakes}
        click.echo(json.dumps({"ok": False, **told}))
        raise click.exceptions.Exit(error.exit_code) from error
    if as_json:
        facts = {"name": manifest.name, "digest": manifest.digest, "total": manifest.total}
        orders = [asdict(order) for order in manifest.orders]
        click.echo(json.dumps({"ok": True, **facts, "networks": manifest.networks, "orders": orders}))
        return
    _print_table(("line", *_ORDERED), [_shown(order) for order in manifest.orders])
    passed(f"{file}: manifest {manifest.name} orders {manifest.total} devices")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_manifests(as_json: bool) -> None:
    """List the manifests that were begun, and how far each is."""
    with Registry.open(Home.default().database_url) as registry:
        found = [{"name": name, **_counts(registry.progress(name))} for name in registry.manifests()]
    if as_json:
        for each in found:
            click.echo(json.dumps(each))
    elif found:
        _print_table(("name", *_COUNTED), found)
    else:
        click.echo("No manifest yet: ansim line begins one.")


@command.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show what the manifest called NAME orders, and how far each order is.

    Which devices have its places: ansim registry list --manifest NAME
    """
    with Registry.open(Home.default().database_url) as registry:
        progress = registry.progress(name)
    counts = _counts(progress)
    rows = [{**asdict(each.order), "assigned": each.assigned, "ready": each.ready} for each in progress]
    if as_json:
        click.echo(json.dumps({"name": name, **counts, "orders": rows}))
        return
    _print_table(
        (*_ORDERED, "assigned", "ready"),
        [{**_shown(each.order), "assigned": each.assigned, "ready": each.ready} for each in progress],
    )
    click.echo(printable(f"{name}: {counts['ready']} of {counts['ordered']} are ready, {counts['assigned']} assigned"))


def _counts(progress: Sequence[Progress]) -> dict[str, int]:
    return {
        "ordered": sum(each.order.count for each in progress),
        "assigned": sum(each.assigned for each in progress),
        "ready": sum(each.ready for each in progress),
    }


def _shown(order: Order) -> dict[str, Any]:
    """The fields of order, with what is left to the fleet said."""
    return {**asdict(order), "role": order.role or "as the fleet", "wifi": order.wifi or "as the fleet"}


def _print_table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in columns:
        counts = isinstance(rows[0][name], int)
        table.add_column(name, overflow="fold", justify="right" if counts else "left")
    for row in rows:
        # As text, or a name in colons would become an emoji.
        table.add_row(*(Text(printable(str(row[name]))) for name in columns))
    Console(emoji=False).print(table)
