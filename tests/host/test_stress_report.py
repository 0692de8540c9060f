"""The report of a stress run: the verdict, what is told in which language, and a page that is whole in itself."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console
from test_falls_page import Elements

from ansim.stress import report
from ansim.stress.report import MAX_FINDINGS, sections, summary, tables
from ansim.stress.report_page import render
from ansim.stress.report_plots import COLOURS, slowest
from ansim.stress.report_words import Words, languages, words_of
from ansim.stress.result import (
    FINDINGS,
    INVENTED,
    LOST,
    Alarm,
    Fault,
    Finding,
    Gesture,
    Level,
    Reset,
    Result,
    Setting,
    Slope,
)

HARM = "<script>alert('x')</script>\"&amp;"
_LOADS = ("src", "href", "xlink:href", "data", "action", "poster", "srcset")
SETTING = Setting("soak", 7, 200, 0, 2, 4, "virtual", "ansim stress soak --seed 7")
EMPTY = Result(SETTING, "1.0", "2026-11-23T05:00:00Z", 60.4, ("a", "b"), (), (), (), (), (), (), ())


def gesture(number: int, acknowledged_ms: int | None = 120, troubled: bool = False) -> Gesture:
    return Gesture(300 * number, "ab"[number % 2], "press", number // 4, acknowledged_ms, troubled, False)


def life() -> Result:
    """A run in which all went well, with all that there can be."""
    gestures = [gesture(number, 80 + number % 50, number % 9 == 0) for number in range(200)]
    return replace(
        EMPTY,
        gestures=(*gestures, replace(gestures[0], kind="race", acknowledged_ms=None, excused=True)),
        faults=(
            Fault(1000, 9000, "a", "radio", ""),
            Fault(20_000, 20_000, "b", "power_cut", "3"),
            Fault(5, 9, "", "broker", ""),
        ),
        alarms=tuple(Alarm(5, "a", 1, seq, "alarm", "sos", "raised", 1 + seq % 2, 0) for seq in range(9)),
        resets=(Reset(20_000, "b", "power_on", "power_cut"),),
        levels=tuple(
            Level(100 * number, "ab"[number % 2], 1, 90_000 - number, 0, 9, 5, number) for number in range(50)
        ),
        slopes=(Slope("a", -12.4, 8.1, 25),),
    )


def failed(kind: str = LOST, count: int = 1, detail: str = "sos of 14:02") -> Result:
    return replace(life(), findings=tuple(Finding(4000, "a", kind, 3, detail) for _ in range(count)))


def told(result: Result, words: Words | None = None) -> str:
    """Return what a terminal of 120 columns shows."""
    shown = io.StringIO()
    console = Console(width=120, file=shown)
    for table in tables(result, words or words_of("en")):
        console.print(table)
    return shown.getvalue()


def page_of(result: Result, language: str = "en") -> tuple[str, Elements]:
    text = render(result, words_of(language))
    elements = Elements()
    elements.feed(text)
    return text, elements


def test_a_run_without_findings_passed_and_says_how_to_repeat_it() -> None:
    verdict, again = summary(life(), words_of("en"))
    assert verdict.startswith("PASSED: 201 gestures on 2 devices in 60 s, 0 lost, 0 invented")
    assert again == "Seed 7. The same again: ansim stress soak --seed 7"


def test_a_run_with_findings_failed_and_says_what_and_where() -> None:
    result = replace(failed(), findings=(*failed().findings, *failed(INVENTED, 2).findings))
    assert summary(result, words_of("en"))[0].startswith("FAILED: 3 findings in 201 gestures")
    text = told(result)
    assert re.search(r"lost +1 +" + FINDINGS[LOST], text)
    assert re.search(r"invented +2 +" + FINDINGS[INVENTED], text)
    assert re.search(r"lost +a +3 +4\.0 +sos of 14:02", text)


def test_a_run_that_was_interrupted_says_so() -> None:
    assert "Interrupted" in summary(replace(life(), interrupted=True), words_of("en"))[1]


def test_a_terminal_shows_what_was_done_and_what_came_of_it() -> None:
    text = told(life())
    assert re.search(r"press +200 +200 +23 +0", text)
    assert re.search(r"race +1 +0 +1 +1", text)
    assert re.search(r"no fault in between +177 +104 +124 +129 +129", text)
    assert re.search(r"alarm sos +9 +4", text)
    assert re.search(r"power_cut +1\n", text)
    assert re.search(r"power_on +power_cut +1", text)
    assert re.search(r"a +-12 ± 8 +87\.8 +25", text)


def test_of_many_findings_so_many_are_told_as_somebody_reads() -> None:
    section = next(each for each in sections(failed(count=MAX_FINDINGS + 8), words_of("en")) if each.title == "where")
    assert len(section.rows) == MAX_FINDINGS + 1
    assert section.rows[-1][0] == "8 more."


def test_a_run_in_which_nothing_was_done_is_a_page_all_the_same() -> None:
    text, elements = page_of(EMPTY)
    assert elements.count("svg") == elements.count("table") == 0
    assert "PASSED: 0 gestures" in text
    assert told(EMPTY) == ""


def test_the_page_needs_nothing_from_outside() -> None:
    text, elements = page_of(failed())
    assert not {"script", "link", "iframe", "object", "embed", "img"} & {tag for tag, _ in elements.found}
    loaded = [value for _, attributes in elements.found for name, value in attributes.items() if name in _LOADS]
    assert all((value or "").startswith("#") for value in loaded)
    assert not re.search(r"url\((?!#)|@import", text)


def test_the_page_has_the_timeline_the_histogram_and_the_heap() -> None:
    _, elements = page_of(life())
    assert elements.count("svg") == elements.count("figure") == 3
    for kind in ("radio", "power_cut", "broker"):
        assert kind in elements.text


def test_what_a_device_said_is_text_whatever_is_in_it() -> None:
    harmful = replace(failed(detail=HARM), setting=replace(SETTING, scenario=HARM, command=HARM), version=HARM)
    harmful = replace(harmful, faults=(Fault(1, 2, "a", HARM, HARM),))
    text, elements = page_of(harmful)
    assert "<script" not in text
    assert elements.text.count(HARM) >= 5
    assert "[red]" in told(failed(detail="[red]"))


def test_the_same_run_is_the_same_page() -> None:
    assert page_of(life())[0] == page_of(life())[0]


def test_a_page_of_ten_thousand_gestures_stays_one_that_opens() -> None:
    many = replace(life(), gestures=tuple(gesture(number, 100 + number % 77) for number in range(10_000)))
    assert len(page_of(many)[0]) < 1_000_000


def test_of_a_slice_of_time_the_slowest_gesture_is_drawn() -> None:
    gestures = [gesture(number, 100 + number) for number in range(100)]
    drawn = slowest([*gestures, gesture(5, None), gesture(50, 9999)], slices=10)
    assert len(drawn) == 10
    assert [each.at_ms for each in drawn] == sorted(each.at_ms for each in drawn)
    assert drawn[5].acknowledged_ms == 9999


@pytest.mark.parametrize("language", sorted(languages()))
def test_every_language_has_a_word_for_all_that_is_told(language: str) -> None:
    words = words_of(language)
    assert FINDINGS.keys() == words.findings.keys()
    text, elements = page_of(failed(), language)
    assert f'lang="{language}"' in text
    assert COLOURS.keys() == words.keys.keys()
    for section in sections(failed(), words):
        assert section.title in elements.text
    assert told(failed(), words)


def test_who_asks_for_another_language_in_the_environment_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    assert words_of() == words_of("ko")
    monkeypatch.setenv("LC_ALL", "tlh")
    assert words_of() == words_of("en")


def test_the_report_module_has_no_section_without_rows() -> None:
    assert [section for section in sections(EMPTY, words_of("en")) if not section.rows] == []
    assert len(sections(failed(), words_of("en"))) == len(report._MAKERS)
