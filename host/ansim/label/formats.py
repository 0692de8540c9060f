"""Label formats: sheets and rolls, from formats.toml."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ansim.errors import BadInput
from ansim.toml_reader import TomlReader, did_you_mean

_FILE = Path(__file__).with_name("formats.toml")


@dataclass(frozen=True)
class Sheet:
    """Where labels are on a page, in millimetres: ``left`` and ``top`` of the first one, the pitch to the next ones."""

    page_width: float
    page_height: float
    columns: int
    rows: int
    left: float
    top: float
    pitch_x: float
    pitch_y: float

    @property
    def labels(self) -> int:
        return self.columns * self.rows

    def place(self, index: int) -> tuple[float, float]:
        """Return the left and the top edge of the label with this index on the page, counted row by row from 0."""
        row, column = divmod(index, self.columns)
        return self.left + column * self.pitch_x, self.top + row * self.pitch_y


@dataclass(frozen=True)
class LabelFormat:
    """One label, in millimetres; ``source`` tells where the figures are from. No sheet: labels on a roll."""

    title: str
    source: str
    width: float
    height: float
    sheet: Sheet | None = None


@dataclass(frozen=True)
class _File:
    formats: Mapping[str, LabelFormat]


@cache
def label_formats() -> Mapping[str, LabelFormat]:
    """Return all formats by name."""
    file: _File = TomlReader(_FILE, "the list of label formats", "Its first lines explain the keys.").read(_File)
    return file.formats


def label_format(name: str) -> LabelFormat:
    """Return the format of this name.

    Raises:
        BadInput: there is none.
    """
    known = label_formats()
    if name not in known:
        raise BadInput(
            f"there is no label format {name[:40]!r}{did_you_mean(name, list(known))}",
            "List them with: ansim label --list-formats",
        )
    return known[name]
