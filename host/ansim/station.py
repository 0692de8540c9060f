"""The name of this station, as it stands beside all that was done here."""

import os
import re
import socket

import click

from ansim.errors import BadInput
from ansim.schema import KEY_CHARS

VARIABLE = "ANSIM_STATION"
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{KEY_CHARS - 1}}}")

station_option = click.option(
    "--station",
    metavar="NAME",
    help=f"What the ledger calls this station; else {VARIABLE}, else this machine's name.",
)


def station_name(given: str | None = None) -> str:
    """Return given, else what the environment variable ANSIM_STATION says, else this machine's name.

    Raises:
        BadInput: it is no name of a station.
    """
    chosen = given or os.environ.get(VARIABLE)
    if chosen is None:
        return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()).lstrip("._-")[:KEY_CHARS] or "station"
    if not _NAME.fullmatch(chosen):
        raise BadInput(
            f"station {chosen[:40]!r} is not legal",
            f"Use 1 to {KEY_CHARS} of a-z, A-Z, 0-9, '.', '_' and '-', the first a letter or a digit.",
        )
    return chosen
