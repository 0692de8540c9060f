"""Where things are on labels: on every format, in all languages, and with more words than there is room for."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from label_kit import identity

from ansim.errors import BadInput
from ansim.label.content import MAX_TEXT, Content, checked_text, content_of
from ansim.label.formats import LabelFormat, label_format, label_formats
from ansim.label.layout import Drawing, lay_out
from ansim.label.typeface import typeface
from ansim.label.words import languages
from ansim.place import ROLES

DAY = date(2026, 11, 22)
LANGUAGES = tuple(languages())
EDGE_MM = 1.0
# A camera wants modules of a third of a millimetre at least.
LEAST_MODULE_MM = 0.33
# Fourteen points: what is called large print.
LEAST_NUMBER_MM = 5.0
QUIET_MODULES = 4


def content(number: int = 123, role: str = "pendant", text: str = "", codes: tuple[str, ...] = LANGUAGES) -> Content:
    return content_of(identity(number, role), codes, text, DAY)


def laid_out(label: LabelFormat, **wishes: Any) -> Drawing:
    """Return a label of this format; wishes: as content() takes them."""
    return lay_out(content(**wishes), label, typeface())


@pytest.fixture(params=sorted(label_formats()))
def label(request: pytest.FixtureRequest) -> LabelFormat:
    return label_format(request.param)


@pytest.mark.parametrize("number", [1, 999_999, 1_000_000])
@pytest.mark.parametrize("role", ROLES)
def test_everything_stays_away_from_the_edge_and_from_each_other(label: LabelFormat, role: str, number: int) -> None:
    drawing = laid_out(label, number=number, role=role, text="안심센터 02-1234-5678")
    side = len(drawing.code.rows) * drawing.code.module
    quiet = QUIET_MODULES * drawing.code.module
    top = None
    for text in sorted(drawing.texts, key=lambda each: each.y):
        assert text.x >= EDGE_MM
        assert text.x + text.width(typeface()) <= label.width - EDGE_MM
        assert text.y <= label.height - EDGE_MM
        assert top is None or text.y - 0.74 * text.size > top
        top = text.y
        beside = text.x >= drawing.code.x + side + quiet - 1e-9
        below = text.y - 0.75 * text.size >= drawing.code.y + side + quiet - 0.1
        assert beside or below
    assert min(drawing.code.x, drawing.code.y) >= quiet - 1e-9


def test_the_number_is_by_far_the_largest_and_the_code_large_enough(label: LabelFormat) -> None:
    drawing = laid_out(label, text="안심센터 02-1234-5678")
    number, *others = drawing.texts
    assert number.text == "AN 000 123-P"
    assert number.size >= LEAST_NUMBER_MM
    assert number.size > 1.5 * max(other.size for other in others)
    assert drawing.code.module >= LEAST_MODULE_MM


def test_a_label_says_what_it_is_in_each_language() -> None:
    said = {text.text for text in laid_out(label_format("roll-50x30"), text="02-1234-5678").texts}
    assert {"응급호출기", "Emergency pendant", "기기 번호 · Device number", "02-1234-5678"} <= said
    assert {"24:6f:28:00:00:7b", "seoul-01 · 2026-11-22", "esp32c3_pendant"} <= said
    korean = {text.text for text in laid_out(label_format("roll-50x30"), role="hub", codes=("ko",)).texts}
    assert {"응급안전 게이트웨이", "기기 번호"} <= korean
    assert not any("Emergency" in text for text in korean)


def test_every_language_has_a_word_for_every_role() -> None:
    for words in languages().values():
        assert set(words.roles) == set(ROLES)
        assert not typeface().unknown(words.number + "".join(words.roles.values()))


def test_nothing_of_the_home_is_on_a_label() -> None:
    drawing = laid_out(label_format("avery-l7160"))
    assert identity().household
    assert not any(identity().household in text.text for text in drawing.texts)


def test_on_a_small_label_the_technicians_lines_go_first() -> None:
    small = laid_out(label_format("roll-40x20"), text="안심센터 02-1234-5678")
    said = {text.text for text in small.texts}
    assert {"응급호출기", "Emergency pendant", "안심센터 02-1234-5678"} <= said
    assert "esp32c3_pendant" not in said


def test_words_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadInput, match="do not fit") as caught:
        laid_out(label_format("roll-40x20"), text="가" * MAX_TEXT)
    assert "--format" in caught.value.hint


@pytest.mark.parametrize("text", ["가" * (MAX_TEXT + 1), "two\nlines", "\x1b[31mred"])
def test_text_that_can_not_be_printed_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is not legal"):
        checked_text(text)


def test_text_that_the_typeface_lacks_is_refused_rather_than_printed_as_boxes() -> None:
    with pytest.raises(BadInput, match="no '🔥'"):
        checked_text("119 🔥")


def test_a_board_may_be_called_as_the_typeface_can_not_write() -> None:
    called = content_of(replace(identity(), board="보드 \U0001f4df"), ("ko",), "", DAY)
    assert called.details[-1] == "보드 ?"
    assert lay_out(called, label_format("roll-50x30"), typeface()).texts


def test_hangul_that_macos_took_apart_is_put_together() -> None:
    assert checked_text("\u110b\u1161\u11ab\u1109\u1175\u11b7 119 ") == "안심 119"


def test_labels_of_a_sheet_lie_on_it_side_by_side(label: LabelFormat) -> None:
    sheet = label.sheet
    if sheet is None:
        assert label.width > label.height > 0
        return
    assert sheet.pitch_x >= label.width
    assert sheet.pitch_y >= label.height
    assert sheet.place(0) == (sheet.left, sheet.top)
    left, top = sheet.place(sheet.labels - 1)
    # As far from the right and lower edge as the first one from the others.
    assert sheet.page_width - left - label.width == pytest.approx(sheet.left, abs=0.05)
    assert sheet.page_height - top - label.height == pytest.approx(sheet.top, abs=0.05)


def test_a_format_that_is_not_known_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadInput, match="did you mean 'avery-l7651'"):
        label_format("avery-7651")
