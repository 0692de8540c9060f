"""Labels as they come out: a scanner reads each of them, in a PDF's sheets and from a printer that takes ZPL."""

import re
from datetime import date

import pypdfium2
import pytest
from label_kit import identity, pages, printed, scanned, words
from PIL import ImageChops

from ansim.label.content import content_of
from ansim.label.formats import label_format, label_formats
from ansim.label.layout import Drawing, lay_out
from ansim.label.pdf import pdf_of
from ansim.label.typeface import typeface
from ansim.label.words import languages
from ansim.label.zpl import RESOLUTIONS_DPI, picture_of, zpl_of
from ansim.serial_number import with_letter

DAY = date(2026, 11, 22)
HOTLINE = "안심센터 02-1234-5678"
ROLLS = sorted(name for name, each in label_formats().items() if each.sheet is None)
POINTS_PER_MM = 72 / 25.4
# The highest count that ^GF takes.
MAX_GRAPHIC_BYTES = 99_999


def drawings(name: str, numbers: range) -> list[Drawing]:
    contents = [content_of(identity(number), tuple(languages()), HOTLINE, DAY) for number in numbers]
    return [lay_out(each, label_format(name), typeface()) for each in contents]


def codes(numbers: range) -> list[str]:
    return [with_letter(identity(number).device) for number in numbers]


@pytest.mark.parametrize("name", sorted(label_formats()))
def test_each_label_of_a_pdf_is_scanned(name: str) -> None:
    numbers = range(120, 132)
    read = [text for page in pages(pdf_of(drawings(name, numbers), label_format(name), DAY)) for text in scanned(page)]
    assert read == codes(numbers)


def test_a_full_sheet_goes_on_on_the_next_one_and_a_used_one_where_it_ended() -> None:
    label = label_format("avery-l7160")
    assert label.sheet is not None
    numbers = range(1, label.sheet.labels + 1)
    first, second = pages(pdf_of(drawings("avery-l7160", numbers), label, DAY, skip=2))
    assert scanned(first) == codes(numbers)[:-2]
    assert scanned(second) == codes(numbers)[-2:]
    # The two labels that are gone: nothing is printed there.
    dots = 300 / 25.4
    left, top = label.sheet.place(2)
    assert (
        not ImageChops.invert(first.convert("L"))
        .crop((0, 0, round(left * dots), round((top + label.height) * dots)))
        .getbbox()
    )


def test_words_of_a_pdf_are_found_by_a_search_and_their_font_is_in_it() -> None:
    pdf = pdf_of(drawings("roll-50x30", range(123, 124)), label_format("roll-50x30"), DAY)
    found = words(pdf)
    assert all(text in found for text in ("응급호출기", "Emergency pendant", HOTLINE, "AN 000 123-P", "기기 번호"))
    assert b"/FontFile3" in pdf
    # A subset: the whole font has four megabytes.
    assert len(pdf) < 50_000


def test_a_text_is_printed_as_it_is_given() -> None:
    contents = content_of(identity(), ("en",), "{nb} **bold**", DAY)
    drawing = lay_out(contents, label_format("roll-50x30"), typeface())
    assert "{nb} **bold**" in words(pdf_of([drawing], label_format("roll-50x30"), DAY))


@pytest.mark.parametrize("name", sorted(label_formats()))
def test_a_page_is_as_large_as_its_paper_and_is_not_to_be_scaled(name: str) -> None:
    label = label_format(name)
    pdf = pdf_of(drawings(name, range(1, 2)), label, DAY)
    size = (label.sheet.page_width, label.sheet.page_height) if label.sheet else (label.width, label.height)
    with pypdfium2.PdfDocument(pdf) as document:
        assert document[0].get_size() == pytest.approx([each * POINTS_PER_MM for each in size], abs=0.02)
    assert b"/PrintScaling /None" in pdf


def test_the_same_labels_are_the_same_file() -> None:
    label = label_format("avery-l7651")
    first = pdf_of(drawings("avery-l7651", range(1, 20)), label, DAY)
    assert first == pdf_of(drawings("avery-l7651", range(1, 20)), label, DAY)


@pytest.mark.parametrize("dpi", RESOLUTIONS_DPI)
@pytest.mark.parametrize("name", ROLLS)
def test_a_printer_that_takes_zpl_prints_labels_that_are_scanned(name: str, dpi: int) -> None:
    label, numbers = label_format(name), range(998, 1003)
    drawn = drawings(name, numbers)
    out = printed(zpl_of(drawn, label, dpi), dpi)
    assert [scanned(picture) for picture in out] == [[code] for code in codes(numbers)]
    for picture, drawing in zip(out, drawn, strict=True):
        assert not ImageChops.difference(picture, picture_of(drawing, label, dpi).convert("L")).getbbox()


@pytest.mark.parametrize("dpi", RESOLUTIONS_DPI)
@pytest.mark.parametrize("name", ROLLS)
def test_zpl_has_nothing_but_one_picture_a_label(name: str, dpi: int) -> None:
    zpl = zpl_of(drawings(name, range(1, 4)), label_format(name), dpi).decode("ascii")
    labels = zpl.splitlines()
    assert len(labels) == 3
    for line in labels:
        shape = r"\^XA\^PW(\d+)\^LL(\d+)\^LH0,0\^FO0,0\^GFA,(\d+),(\d+),(\d+),([0-9A-Yg-z,:]+)\^FS\^XZ"
        found = re.fullmatch(shape, line)
        assert found
        width, height, sent, total, row = map(int, found.groups()[:5])
        assert sent == total == row * height <= MAX_GRAPHIC_BYTES
        assert row == (width + 7) // 8
        assert width / dpi * 25.4 == pytest.approx(label_format(name).width, abs=0.2)
        assert height / dpi * 25.4 == pytest.approx(label_format(name).height, abs=0.2)


def test_modules_of_a_code_are_whole_dots() -> None:
    drawing = drawings("roll-40x20", range(1, 2))[0]
    picture = picture_of(drawing, label_format("roll-40x20"), 203).convert("L")
    code = drawing.code
    side = len(code.rows) * code.module
    right, lower = (round((edge + side + 1) * 203 / 25.4) for edge in (code.x, code.y))
    box = ImageChops.invert(picture.crop((0, 0, right, lower))).getbbox()
    assert box is not None
    assert (box[2] - box[0]) == (box[3] - box[1])
    assert (box[2] - box[0]) % len(code.rows) == 0
