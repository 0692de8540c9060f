"""``ansim falls train``: fits a placement's model on a set of recordings."""

import json
from pathlib import Path

import click

from ansim.falls import model_file
from ansim.falls.commands.options import check_writable, jobs_option, placement_option, seed_option, set_option
from ansim.falls.extra import require_extra
from ansim.show import json_option, passed, progress


@click.command("train")
@placement_option
@set_option
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The model's file; the one in firmware/models if left out.",
)
@jobs_option
@seed_option
@json_option
def command(placement: str, recordings: Path | None, output: Path | None, jobs: int, seed: int, as_json: bool) -> None:
    """Fit a model on a set of recordings.

    It learns from all of them, and its file is written.
    It tells nothing of how good the model is: that is what evaluate is for, on people whom it has not learned from.

    \b
    Examples:
      ansim falls train --placement waist
      ansim falls train --placement wrist --set others.npz --output new.json
    """
    require_extra()
    path = output or model_file.shipped(placement)
    check_writable(path, "--output")
    from ansim.falls.evaluation import Study
    from ansim.falls.recordings import find_set, load

    source = find_set(recordings, placement)
    with progress(as_json) as tell:
        told = Study(placement, jobs, seed, tell).fit(load(source), source.name)
    model_file.write(path, told)
    size = len(model_file.pack(told))
    if as_json:
        click.echo(
            json.dumps({"ok": True, "file": str(path), "packed_bytes": size, "learned_from": told["learned_from"]})
        )
        return
    passed(f"{path}: {size} bytes on the device, learned from {told['learned_from']['recordings']} recordings")
