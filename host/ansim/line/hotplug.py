"""Which sockets have a board: the USB's, or the virtual boards of a home."""

import re
from collections.abc import Collection, Iterable

from ansim.home import Home
from ansim.line.floor import Socket
from ansim.serial_link import Place, usb_places
from ansim.virtual import running_boards


def usb_sockets(ignored: Collection[str] = ()) -> list[Socket]:
    """Return the USB's sockets with a board; see sockets_at."""
    return sockets_at(usb_places(), ignored)


def virtual_sockets(home: Home) -> list[Socket]:
    """Return the running virtual boards as sockets with a board."""
    return [Socket(board.name, f"virtual:{board.name}") for board in running_boards(home)]


def sockets_at(places: Iterable[Place], ignored: Collection[str] = ()) -> list[Socket]:
    """Return places as sockets, in the order of the USB; one whose location the system doesn't tell is its port.

    Args:
        ignored: ports that are something else's.
    """
    wanted = [place for place in places if place.where not in ignored]
    found = [Socket(place.location or place.where, place.where, place.mac) for place in wanted]
    return sorted(found, key=lambda socket: _natural(socket.key))


def _natural(key: str) -> list[tuple[int, str]]:
    """Return what sorts key as people do: the tenth socket after the ninth."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", key)]
