"""``ansim demo``: the whole way on a virtual board, from nothing."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from ansim import demo
from ansim.demo import Timeline
from ansim.errors import BadInput
from ansim.show import json_option, passed, progress, verdict


@click.command()
@click.option("--keep", type=click.Path(path_type=Path), help="Keep everything it makes in this new folder.")
@json_option
def command(keep: Path | None, as_json: bool) -> None:
    """Follow one alarm the whole way, on a virtual board.

    Flashes and provisions it, presses its button, and waits for the acknowledgement.
    Uses nothing of this station's and leaves nothing behind. Exit code 0 only if the acknowledgement came back to
    the device.

    \b
    Examples:
      ansim demo
      ansim demo --keep /tmp/demo          and look at what it made
    """
    with _folder(keep) as folder, verdict("the alarm was not acknowledged", as_json), progress(as_json) as on_progress:
        timeline = demo.run(folder, on_progress)
    if as_json:
        click.echo(json.dumps(_as_dict(timeline)))
    else:
        _show(timeline)
        passed(f"pressed to acknowledged on the device: {timeline.press_to_acknowledged_ms:.0f} ms")


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        _make(keep)
        yield keep.absolute()
    else:
        with tempfile.TemporaryDirectory(prefix="ansim-") as name:
            yield Path(name)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise BadInput(
            f"can't make {folder}: {error.strerror}", "--keep takes a folder that is not there yet."
        ) from error


def _show(timeline: Timeline) -> None:
    for moment in timeline.setup:
        click.echo(f"{(moment.ms - timeline.start_ms) / 1000:8.1f} s   {moment.text}")
    pressed_ms = timeline.alarm[0].ms
    for moment in timeline.alarm:
        click.echo(f"{moment.ms - pressed_ms:+8.0f} ms  {moment.text}")


def _as_dict(timeline: Timeline) -> dict[str, object]:
    return {
        "ok": True,
        "press_to_acknowledged_ms": round(timeline.press_to_acknowledged_ms, 1),
        "setup": [{"s": round((each.ms - timeline.start_ms) / 1000, 3), "what": each.text} for each in timeline.setup],
        "alarm": [{"ms": round(each.ms - timeline.alarm[0].ms, 1), "what": each.text} for each in timeline.alarm],
    }
