"""Labels in ZPL II, for printers of single labels.

A label is one picture (^GF): no printer has to have a Korean typeface, and none decides how large a QR code becomes.
Source: Zebra, ZPL II Programming Guide: ^GF, and "Alternative Data Compression Scheme".
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

from PIL import Image, ImageDraw, ImageFont

from ansim.label.formats import LabelFormat
from ansim.label.layout import Drawing, QrCode, Text
from ansim.label.typeface import BOLD_EM, typeface

RESOLUTIONS_DPI = (203, 300)
_MM_PER_INCH = 25.4
_WHITE, _BLACK = 255, 0
# Lighter greys than this become white. A little over the middle: thin strokes of Hangul stay.
_THRESHOLD = 150
# Letters that repeat the digit after them 1 to 19 times, and 20, 40 ... 400 times.
_ONES = "GHIJKLMNOPQRSTUVWXY"
_TWENTIES = "ghijklmnopqrstuvwxyz"
_MOST = 400 + 19


def zpl_of(drawings: Sequence[Drawing], label: LabelFormat, dpi: int) -> bytes:
    """Return drawings for a printer with so many dots an inch, one label after the other."""
    return b"".join(_label(picture_of(drawing, label, dpi)) for drawing in drawings)


def picture_of(drawing: Drawing, label: LabelFormat, dpi: int) -> Image.Image:
    """Return drawing in black and white, a pixel a dot."""
    dots = dpi / _MM_PER_INCH
    picture = Image.new("L", (math.floor(label.width * dots), math.floor(label.height * dots)), _WHITE)
    pen = ImageDraw.Draw(picture)
    for text in drawing.texts:
        _write(pen, text, dots)
    _draw_code(pen, drawing.code, dots)
    return picture.point(lambda grey: _WHITE if grey > _THRESHOLD else _BLACK).convert("1")


def _write(pen: ImageDraw.ImageDraw, text: Text, dots: float) -> None:
    size = text.size * dots
    outline = BOLD_EM * size / 2 if text.bold else 0
    place = (text.x * dots, text.y * dots)
    pen.text(place, text.text, fill=_BLACK, font=_font(size), anchor="ls", stroke_width=outline)


@lru_cache(maxsize=64)
def _font(size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(typeface().path, size, layout_engine=ImageFont.Layout.BASIC)


def _draw_code(pen: ImageDraw.ImageDraw, code: QrCode, dots: float) -> None:
    """Draw code with modules of whole dots, in the middle of its place."""
    side = max(1, math.floor(code.module * dots))
    spare = len(code.rows) * (code.module * dots - side) / 2
    left, top = round(code.x * dots + spare), round(code.y * dots + spare)
    for row, modules in enumerate(code.rows):
        for column, dark in enumerate(modules):
            if dark:
                x, y = left + column * side, top + row * side
                pen.rectangle((x, y, x + side - 1, y + side - 1), fill=_BLACK)


def _label(picture: Image.Image) -> bytes:
    width, height = picture.size
    row_bytes = (width + 7) // 8
    # In a ZPL picture 1 is black; at the end of a row, dots that are not there stay white.
    data = picture.point(lambda dot: not dot).tobytes()
    rows = [data[at : at + row_bytes].hex().upper() for at in range(0, len(data), row_bytes)]
    total = row_bytes * height
    return f"^XA^PW{width}^LL{height}^LH0,0^FO0,0^GFA,{total},{total},{row_bytes},{_compressed(rows)}^FS^XZ\n".encode()


def _compressed(rows: Sequence[str]) -> str:
    """Return rows of hexadecimal digits with runs and repeated rows shortened."""
    before, parts = "", []
    for row in rows:
        parts.append(":" if row == before else _compressed_row(row))
        before = row
    return "".join(parts)


def _compressed_row(row: str) -> str:
    inked = row.rstrip("0")
    shortened = "".join(_run(digit, len(list(run))) for digit, run in groupby(inked))
    # The comma fills the row with zeros.
    return shortened + ("," if len(inked) < len(row) else "")


@lru_cache(maxsize=8192)
def _run(digit: str, times: int) -> str:
    """Return digit so many times, as short as it may be written."""
    most, rest = divmod(times, _MOST)
    twenties, ones = divmod(rest, 20)
    parts = [_TWENTIES[-1] + _ONES[-1] + digit] * most
    if rest <= 2:
        return "".join(parts) + digit * rest
    count = (_TWENTIES[twenties - 1] if twenties else "") + (_ONES[ones - 1] if ones else "")
    return "".join(parts) + count + digit
