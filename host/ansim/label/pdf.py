"""Labels as a PDF: its font is in it, only the characters used, and the same labels give the same bytes."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from itertools import groupby

from fpdf import FPDF
from fpdf.enums import TextMode
from fpdf.prefs import ViewerPreferences

from ansim.label.formats import LabelFormat
from ansim.label.layout import Drawing, QrCode, Text
from ansim.label.typeface import BOLD_EM, typeface

_FONT = "label"
_POINTS_PER_MM = 72 / 25.4
# Rows of a code reach a hair into the next one; a viewer would show a light line between them.
_OVERLAP = 1.02


def pdf_of(drawings: Sequence[Drawing], label: LabelFormat, day: date, skip: int = 0) -> bytes:
    """Return drawings as a PDF, a page a label on a roll, else as sheets whose first skip labels stay empty.

    Args:
        day: what the file says of its making.
    """
    pdf = _document(label, day)
    for number, drawing in enumerate(drawings, skip):
        place = number % label.sheet.labels if label.sheet else 0
        if place == 0 or number == skip:
            pdf.add_page()
        x, y = label.sheet.place(place) if label.sheet else (0.0, 0.0)
        _draw(pdf, drawing, x, y)
    return bytes(pdf.output())


def _document(label: LabelFormat, day: date) -> FPDF:
    sheet = label.sheet
    size = (sheet.page_width, sheet.page_height) if sheet else (label.width, label.height)
    # "portrait" leaves width and height as they are given.
    pdf = FPDF(orientation="portrait", unit="mm", format=size)
    pdf.set_auto_page_break(False)
    pdf.set_creation_date(datetime.combine(day, time(), UTC))
    pdf.set_title("Ansim labels")
    # A sheet that a viewer shrinks to its margins misses its labels.
    pdf.viewer_preferences = ViewerPreferences(print_scaling="None")
    pdf.add_font(_FONT, fname=typeface().path)
    return pdf


def _draw(pdf: FPDF, drawing: Drawing, x: float, y: float) -> None:
    for text in drawing.texts:
        _write(pdf, text, x, y)
    _draw_code(pdf, drawing.code, x, y)


def _write(pdf: FPDF, text: Text, x: float, y: float) -> None:
    points = text.size * _POINTS_PER_MM
    pdf.set_font(_FONT, size=points)
    mode = TextMode.FILL_STROKE if text.bold else TextMode.FILL
    # FPDF takes the outline of text in points, whatever its unit is.
    with pdf.local_context(text_mode=mode, line_width=BOLD_EM * points):
        pdf.text(x + text.x, y + text.y, text.text)


def _draw_code(pdf: FPDF, code: QrCode, x: float, y: float) -> None:
    for row, modules in enumerate(code.rows):
        for first, after in _runs(modules):
            left, top = x + code.x + first * code.module, y + code.y + row * code.module
            pdf.rect(left, top, (after - first) * code.module, code.module * _OVERLAP, style="F")


def _runs(modules: bytes) -> list[tuple[int, int]]:
    """Return where each run of dark modules starts, and where it has ended."""
    runs, at = [], 0
    for dark, run in groupby(modules):
        after = at + len(list(run))
        if dark:
            runs.append((at, after))
        at = after
    return runs
