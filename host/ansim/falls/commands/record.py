"""``ansim falls record``: from a device on the bench into a set of recordings."""

import json
import re
from pathlib import Path

import click

from ansim.errors import BadInput
from ansim.falls.extra import require_extra
from ansim.show import console_of, json_option, passed, port_option, progress, verdict

_CODE = re.compile(r"[A-Za-z0-9-]{1,24}")


def _checked(_context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not _CODE.fullmatch(value):
        raise BadInput(f"--{parameter.name} can't be '{value}'", "Use 1 to 24 of a-z A-Z 0-9 -.")
    return value


@click.command("record")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--seconds", type=click.IntRange(1, 600), default=15, show_default=True, help="How long.")
@click.option("--subject", required=True, callback=_checked, help="Who moves, such as S01; no real name.")
@click.option("--activity", required=True, callback=_checked, help="Code of what is done, such as D01 or F05.")
@click.option("--fall/--no-fall", "is_fall", default=False, show_default=True, help="Whether it is a fall.")
@click.option("--group", default="young", show_default=True, callback=_checked, help="Such as young or elderly.")
@click.option("--age", type=click.IntRange(0, 130), default=0, help="In years; 0 if nobody tells.")
@port_option
@json_option
def command(
    file: Path, seconds: int, subject: str, activity: str, is_fall: bool, group: str, age: int, port: str, as_json: bool
) -> None:
    """Record the motion sensor of a device on the bench.

    FILE is a set of recordings (.npz), which is made or gets one more; evaluate and replay read it. It is written only
    if no sample was lost.

    \b
    Examples:
      ansim falls record mine.npz --subject S01 --activity D01 --seconds 30
      ansim falls record mine.npz --subject S01 --activity F05 --fall --port /dev/ttyUSB0
      ansim falls replay mine.npz D01_S01_R01
    """
    require_extra()
    from ansim.falls import record

    label = record.Label(subject, activity, is_fall, group, age)
    others = record.existing(file)
    with verdict("nothing was recorded", as_json), progress(as_json) as on_progress, console_of(port) as console:
        taken = record.capture(console, seconds, lambda at_s: on_progress("recording", int(at_s), seconds))
        made = record.recording(taken, label, others)
        record.add(file, made, others)
    if as_json:
        told = {"ok": True, "file": str(file), "recording": made.name, "seconds": made.duration_s, "fs": made.fs}
        click.echo(json.dumps(told))
    else:
        passed(f"{made.name}: {made.duration_s:.1f} s at {made.fs:.1f} Hz, in {file}")
