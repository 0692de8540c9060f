"""Labels as a file, or straight into a printer."""

import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path

from ansim.errors import BadInput
from ansim.label.content import checked_text, content_of
from ansim.label.formats import LabelFormat, label_format
from ansim.label.layout import lay_out
from ansim.label.pdf import pdf_of
from ansim.label.typeface import typeface
from ansim.label.zpl import zpl_of
from ansim.registry import Identity

STDOUT = Path("-")


class Kind(Enum):
    """What is written, and the format of labels that is meant if none is named."""

    PDF = "avery-l7651"
    ZPL = "roll-50x30"


@dataclass(frozen=True)
class Job:
    """What is on labels and how they are printed.

    Args:
        languages: their codes, in the order on the label.
        text: the city's own line; may be empty.
        skip: labels that are gone from the first sheet.
        dpi: of a printer that takes ZPL.
    """

    kind: Kind
    format_name: str
    languages: Sequence[str]
    text: str
    day: date
    skip: int
    dpi: int

    @property
    def format(self) -> LabelFormat:
        return label_format(self.format_name)

    def render(self, identities: Sequence[Identity]) -> bytes:
        """Return the labels of identities.

        Raises:
            BadInput: something does not go together, or does not fit.
        """
        label, text = self.format, checked_text(self.text)
        self._check(label)
        contents = [content_of(identity, self.languages, text, self.day) for identity in identities]
        drawings = [lay_out(content, label, typeface()) for content in contents]
        if self.kind is Kind.ZPL:
            return zpl_of(drawings, label, self.dpi)
        return pdf_of(drawings, label, self.day, self.skip)

    def _check(self, label: LabelFormat) -> None:
        if label.sheet and self.kind is Kind.ZPL:
            raise BadInput(f"{self.format_name} is a sheet, and ZPL is for rolls", "Choose a --format of a roll.")
        places = label.sheet.labels if label.sheet else 1
        if self.skip >= places:
            raise BadInput(f"--skip {self.skip} leaves no label on a sheet of {places}", "It is for sheets in use.")


def kind_of(output: Path) -> Kind:
    """Return what belongs into output: by its suffix; a printer and stdout (-) take ZPL.

    Raises:
        BadInput: neither.
    """
    if output == STDOUT or output.suffix.lower() == ".zpl" or _is_printer(output):
        return Kind.ZPL
    if output.suffix.lower() == ".pdf":
        return Kind.PDF
    raise BadInput(
        f"what to write into {output} is not clear",
        "Let its name end in .pdf or .zpl, or name a label printer that is there, such as /dev/usb/lp0.",
    )


def write(output: Path, data: bytes) -> None:
    """Write data to output, which may be a printer or stdout (-); a file is there whole or as it was before.

    Raises:
        BadInput: it can't be written.
    """
    try:
        if output == STDOUT:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        elif output.exists() and not output.is_file():
            output.write_bytes(data)
        else:
            _replace(output.resolve(), data)
    except OSError as error:
        raise BadInput(f"can't write {output}: {error.strerror}", "Choose another file with --output.") from error


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _is_printer(output: Path) -> bool:
    try:
        return stat.S_ISCHR(output.stat().st_mode)
    except OSError:
        return False
