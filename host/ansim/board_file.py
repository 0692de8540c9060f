"""Board files that are made: of a board that is changed, or that this machine stands in for.

``ansim.boards`` reads them; write_board() is its inverse.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

from ansim.boards import Board

# What the virtual board's programs are compiled for, as MicroPython's unix port is.
STAND_IN_ARCH = "x64"


def stand_in_for(board: Board, name: str) -> Board:
    """Return board with a stand-in for its chip, which a virtual board can be."""
    return replace(
        board,
        board=replace(board.board, name=name, native_arch=STAND_IN_ARCH),
        micropython=replace(board.micropython, stand_in=True),
    )


def write_board(board: Board, folder: Path) -> Path:
    """Write board's file into folder, and return its path."""
    path = folder / f"{board.name}.toml"
    path.write_text("\n".join(_table(board, ())) + "\n", encoding="utf-8")
    return path


def _table(value: object, at: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a table, what is plain in it first; absent parts are left out."""
    items = [(name, item) for name, item in _items(value) if item is not None]
    plain = [(name, item) for name, item in items if not _is_table(item)]
    if at and plain:
        yield f"[{'.'.join(at)}]"
    yield from (f"{name} = {_plain(item)}" for name, item in plain)
    for name, item in items:
        if _is_table(item):
            yield from _table(item, (*at, name))


def _items(value: object) -> list[tuple[str, object]]:
    if isinstance(value, Mapping):
        return list(value.items())
    assert is_dataclass(value)
    return [(item.name, getattr(value, item.name)) for item in fields(value)]


def _is_table(value: object) -> bool:
    return is_dataclass(value) or isinstance(value, Mapping)


def _plain(value: object) -> str:
    """Return a text, a number, a truth or a list of such: JSON writes them as TOML does."""
    return json.dumps(value, ensure_ascii=False)
