"""``ansim label``: labels for devices as PDF or ZPL, and the check of a number that somebody read from one."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ansim.errors import BadInput, ServiceError
from ansim.extras import require_packages
from ansim.home import Home
from ansim.label import PACKAGES
from ansim.label.formats import label_formats
from ansim.label.selection import Selection, select
from ansim.label.words import languages
from ansim.registry import Registry
from ansim.serial_number import device_read, with_letter
from ansim.show import json_option
from ansim.station import station_option
from ansim.terminal import say

if TYPE_CHECKING:
    from ansim.label.output import Job

_BOTH = "both"
# So many devices without a label are named to a person; --json names all.
_NAMED = 8


@click.command()
@click.argument("devices", nargs=-1)
@click.option("--site", help="All devices of this site.")
@click.option("--manifest", metavar="NAME", help="All devices of this manifest, by place.")
@click.option("--all", "everything", is_flag=True, help="All devices.")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    help="A .pdf or .zpl file; a label printer such as /dev/usb/lp0 or - (stdout) gets ZPL.",
)
@click.option("--format", "-f", "name", help="See --list-formats  [default: avery-l7651 in a PDF, roll-50x30 in ZPL]")
@click.option("--language", "-l", type=click.Choice([*languages(), _BOTH]), default=_BOTH, show_default=True)
@click.option("--text", default="", help="A line of yours, such as a telephone number.")
@click.option("--skip", type=click.IntRange(0, 999), default=0, help="Labels that are gone from the first sheet.")
@click.option(
    "--dpi", type=click.Choice(["203", "300"]), default="203", show_default=True, help="Of the printer for ZPL."
)
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="On the label.  [default: today]")
@click.option("--list-formats", is_flag=True, help="Show the label formats and end.")
@click.option("--check", is_flag=True, help="Check DEVICES, numbers as read from labels, and end.")
@station_option
@json_option
def command(
    devices: tuple[str, ...],
    site: str | None,
    manifest: str | None,
    everything: bool,
    output: Path | None,
    name: str | None,
    language: str,
    text: str,
    skip: int,
    dpi: str,
    day: datetime | None,
    list_formats: bool,
    check: bool,
    station: str | None,
    as_json: bool,
) -> None:
    """Print the labels of devices, or check numbers read from them.

    A label has the device's number with a check letter, large and as a QR code, and what the device is. Only devices
    that were flashed or provisioned with success get one. DEVICES are numbers with or without check letter, or
    FIRST..LAST. The ledger keeps which were printed, where and when.

    docs/labels.md shows what is on a label, and how to add a format.

    \b
    Examples:
      ansim label AN000101..AN000300 -o box.pdf --text '안심센터 02-1234-5678'
      ansim label --manifest jongno -o /dev/usb/lp0
      ansim label --site seoul-01 -o site.pdf --format avery-l7160 --skip 5
      ansim label AN000123 -o /dev/usb/lp0 --format roll-40x20
      ansim label --check 'AN 000 123-P'
    """
    if list_formats:
        _show_formats(as_json)
        return
    if check:
        _check(devices, as_json)
        return
    if output is None:
        raise BadInput("where the labels go is not said", "Give --output labels.pdf, or a .zpl file.")
    require_packages("label", PACKAGES)
    from ansim.label.output import STDOUT, Job, kind_of, write

    if as_json and output == STDOUT:
        raise BadInput("--json and the labels can't both go to stdout", "Give --output a file.")
    kind = kind_of(output)
    codes = tuple(languages()) if language == _BOTH else (language,)
    job = Job(kind, name or kind.value, codes, text, day.date() if day else date.today(), skip, int(dpi))
    with Registry.open(Home.default().database_url, station) as registry:
        selection = select(registry, devices, site, manifest, everything)
        write(output, job.render(selection.ready))
        _note(registry, output, job, selection)
    _report(output, job, selection, as_json)


def _show_formats(as_json: bool) -> None:
    titles = {name: each.title for name, each in label_formats().items()}
    if as_json:
        click.echo(json.dumps(titles))
        return
    for name, title in titles.items():
        click.echo(f"{name:<14} {title}")


def _check(numbers: Sequence[str], as_json: bool) -> None:
    """Say which device each of numbers is, or which of them can't be right."""
    if not numbers:
        raise BadInput("there is no number to check", "Give it as it was read: ansim label --check 'AN 000 123-P'")
    good, wrong = [], []
    for number in numbers:
        try:
            good.append(device_read(number, letter_needed=True))
        except BadInput as error:
            wrong.append(error)
    if wrong:
        raise BadInput("; ".join(error.message for error in wrong), wrong[0].hint)
    if as_json:
        click.echo(json.dumps({"ok": True, "devices": good}))
        return
    for device in good:
        say("PASS", "bold green", f"{with_letter(device)} is {device}")


def _note(registry: Registry, output: Path, job: "Job", selection: Selection) -> None:
    """Put into the ledger who got a label."""
    details = {"kind": job.kind.name.lower(), "format": job.format_name}
    try:
        registry.record_labels([each.device for each in selection.ready], details)
    except ServiceError as error:
        problem = f"the labels are in {output}, but the ledger does not know: {error.message}"
        raise ServiceError(problem, error.hint) from error


def _report(output: Path, job: "Job", selection: Selection, as_json: bool) -> None:
    left_out = [each.device for each in selection.left_out]
    if as_json:
        labels = {each.device: with_letter(each.device) for each in selection.ready}
        told = {"ok": True, "file": str(output), "kind": job.kind.name.lower(), "format": job.format_name}
        click.echo(json.dumps({**told, "labels": labels, "left_out": left_out}))
        return
    count = len(selection.ready)
    # stdout may be the printer's.
    say("PASS", "bold green", f"{output}: {count} {'label' if count == 1 else 'labels'}, {job.format_name}", err=True)
    if left_out:
        more = ", ..." if len(left_out) > _NAMED else ""
        named = ", ".join(left_out[:_NAMED]) + more
        say("Note:", "bold yellow", f"{len(left_out)} left out, not ready: {named}", err=True)
    if job.format.sheet:
        say("Next:", "bold", "Print it at its actual size (100 %).", err=True)
