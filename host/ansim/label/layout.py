"""Where everything is on a label. Pure: millimetres from the label's upper left corner, y grows downwards.

The number goes over the whole width at the bottom, as large as that allows; above it are the QR code at the left and
the words at its right. Words shrink to their least legible size, then the least important lines go.
"""

from dataclasses import dataclass

import segno

from ansim.errors import BadInput
from ansim.label.content import Content
from ansim.label.formats import LabelFormat
from ansim.label.typeface import BOLD_EM, Typeface

_MARGIN = 1.5
# ISO/IEC 18004: so many modules around a QR code stay white.
_QUIET = 4
_QR_SHARE = 0.32  # of the label's width, at most
_NUMBER_SHARE = 0.3  # of the label's height, at most
_CAP_HEIGHT = 0.74  # of letters and digits, in ems
_LEADING = 1.2
_ASCENT = 0.95  # from the top of a line to its baseline, in ems
_GAP = 0.6
# So much larger than their least size do words become where there is room, and the lines for technicians.
_MAX_SCALE = 1.8
_MAX_DETAIL_SCALE = 1.2
# A wide line may be that much smaller than the least size of its kind.
_SQUEEZE = 0.8


@dataclass(frozen=True)
class Text:
    """A line of text: left end of its baseline, and its size (one em)."""

    x: float
    y: float
    size: float
    text: str
    bold: bool = False

    def width(self, face: Typeface) -> float:
        return _ems(self.text, self.bold, face) * self.size


@dataclass(frozen=True)
class QrCode:
    """A QR code: upper left corner of its first module, and the side of a module; rows of dark (1) and light (0)."""

    x: float
    y: float
    module: float
    rows: tuple[bytes, ...]


@dataclass(frozen=True)
class Drawing:
    texts: tuple[Text, ...]
    code: QrCode


@dataclass(frozen=True)
class _Line:
    """A line of words before it has a place; the least size that is legible, and how much larger it may be."""

    text: str
    least: float
    bold: bool = False
    max_scale: float = _MAX_SCALE


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    width: float
    height: float


def lay_out(content: Content, label: LabelFormat, face: Typeface) -> Drawing:
    """Return content on a label of this format.

    Raises:
        BadInput: it does not fit.
    """
    number = _number(content.number, label, face)
    top = number.y - _CAP_HEIGHT * number.size
    code = _qr_code(content.code, label.width, top)
    x = code.x + (len(code.rows) + _QUIET) * code.module
    box = _Box(x, _MARGIN, label.width - _MARGIN - x, top - _GAP - _MARGIN)
    return Drawing((number, *_words(content, box, face)), code)


def _number(number: str, label: LabelFormat, face: Typeface) -> Text:
    by_width = (label.width - 2 * _MARGIN) / _ems(number, True, face)
    size = min(by_width, _NUMBER_SHARE * label.height)
    return Text(_MARGIN, label.height - _MARGIN, size, number, bold=True)


def _qr_code(content: str, width: float, height: float) -> QrCode:
    """Return the code as large as it may be in the left part of a band of this size, its quiet zone inside."""
    rows = tuple(bytes(row) for row in segno.make(content, error="q", micro=False).matrix)
    modules = len(rows)
    module = min(height / (modules + 2 * _QUIET), _QR_SHARE * width / modules)
    return QrCode(_QUIET * module, (height - modules * module) / 2, module, rows)


def _words(content: Content, box: _Box, face: Typeface) -> list[Text]:
    for details in range(len(content.details), -1, -1):
        lines = _lines(content, details)
        scale = box.height / sum(line.least * _LEADING for line in lines)
        sizes = [_size(line, box.width, scale, face) for line in lines]
        if scale >= 1 and all(size >= _SQUEEZE * line.least for size, line in zip(sizes, lines, strict=True)):
            return _stacked(lines, sizes, box)
    raise BadInput(
        "the words do not fit on a label of this size", "Choose a larger --format, one --language or a shorter --text."
    )


def _lines(content: Content, details: int) -> list[_Line]:
    """Return the lines from the top, with so many of those for technicians; the last one is the number's caption."""
    first, *others = content.titles
    return [
        _Line(first, 2.6, bold=True),
        *(_Line(other, 2.0) for other in others),
        *([_Line(content.text, 2.2, bold=True)] if content.text else []),
        *(_Line(detail, 1.7, max_scale=_MAX_DETAIL_SCALE) for detail in content.details[:details]),
        _Line(content.caption, 1.8),
    ]


def _size(line: _Line, width: float, scale: float, face: Typeface) -> float:
    return min(line.least * min(scale, line.max_scale), width / _ems(line.text, line.bold, face))


def _stacked(lines: list[_Line], sizes: list[float], box: _Box) -> list[Text]:
    """Return the lines from the top of box downwards, what is left of its height between them."""
    spare = box.height - sum(size * _LEADING for size in sizes)
    between = spare / max(1, len(lines) - 1)
    texts, y = [], box.y
    for line, size in zip(lines, sizes, strict=True):
        texts.append(Text(box.x, y + _ASCENT * size, size, line.text, line.bold))
        y += size * _LEADING + between
    return texts


def _ems(text: str, bold: bool, face: Typeface) -> float:
    return face.width(text) + (BOLD_EM if bold else 0)
