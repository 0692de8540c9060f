"""The options that train and evaluate share."""

import os
from pathlib import Path

import click

from ansim.errors import BadInput
from ansim.falls.bounds import PLACEMENTS

placement_option = click.option(
    "--placement",
    type=click.Choice(list(PLACEMENTS)),
    default="waist",
    show_default=True,
    help="Where the device is worn.",
)
set_option = click.option(
    "--set",
    "recordings",
    type=click.Path(dir_okay=False, path_type=Path),
    help="An .npz of recordings; the placement's own if left out.",
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The same seed gives the same figures."
)
jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=os.cpu_count() or 1,
    help="Processes; changes nothing but the time [default: all cores].",
)


def check_writable(path: Path | None, option: str) -> None:
    """Find out before a long run whether its file can be written; changes nothing.

    Raises:
        BadInput: it can't.
    """
    if path is not None and not os.access(path if path.exists() else path.parent, os.W_OK):
        raise BadInput(f"can't write {path}", f"Choose another file with {option}.")
