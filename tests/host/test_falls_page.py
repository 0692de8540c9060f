"""The page of a judgement: whole in itself, and no name in it is taken for markup."""

import re
from html.parser import HTMLParser

import made_up_falls
import pytest

from ansim.falls import page
from ansim.falls.bounds import PLACEMENTS
from ansim.falls.figures import Judgement, figures_of
from ansim.falls.metrics import Outcome
from ansim.falls.page import render
from ansim.falls.recordings import Recording
from ansim.falls.runner import Mark, Played
from ansim_fw.core.fall.detector import FALL, IMPACT

HARM = "<script>alert('x')</script>\"&amp;"
_LOADS = ("src", "href", "xlink:href", "data", "action", "poster", "srcset")


class Elements(HTMLParser):
    """Collects the elements of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.found)


def mistakes(count: int, name: str = "D01") -> list[Outcome]:
    """Recordings without a fall in which there was an alarm, and one fall that was missed."""
    wrong = Played(1, 2.0, (Mark(3.0, IMPACT), Mark(4.0, FALL)))
    missed = made_up_falls.recording("F", made_up_falls.fall(), is_fall=True)
    made: list[Recording] = [made_up_falls.recording(f"{name}-{i}", made_up_falls.walk(6)) for i in range(count)]
    return [Outcome(each, wrong) for each in made] + [Outcome(missed, Played(0, 0.0, ()))]


def page_of(outcomes: list[Outcome], title: str = "some") -> tuple[str, Elements]:
    judgement = Judgement(title, outcomes, outcomes, outcomes, {"turned": outcomes})
    figures = figures_of(judgement)
    text = render(judgement, figures, figures.verdicts(PLACEMENTS["waist"].bounds))
    elements = Elements()
    elements.feed(text)
    return text, elements


def test_the_page_needs_nothing_from_outside() -> None:
    text, elements = page_of(mistakes(2))
    assert not {"script", "link", "iframe", "object", "embed", "img"} & {tag for tag, _ in elements.found}
    loaded = [value for _, attributes in elements.found for name, value in attributes.items() if name in _LOADS]
    assert all((value or "").startswith("#") for value in loaded)
    assert not re.search(r"url\((?!#)|@import", text)


def test_every_mistake_is_drawn_and_told_by_activity() -> None:
    _, elements = page_of(mistakes(3))
    assert elements.count("svg") == elements.count("figure") == 4
    assert "Falls without an alarm" in elements.text and "Alarms without a fall" in elements.text
    assert "D01-2" in elements.text and "Shaded: where the fall is" in elements.text


def test_a_name_is_text_whatever_is_in_it() -> None:
    text, elements = page_of(mistakes(1, name=HARM), title=HARM)
    assert "<script" not in text
    assert f"{HARM}-0" in elements.text and elements.text.count(HARM) >= 3


def test_a_page_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MAX_PLOTS", 2)
    _, elements = page_of(mistakes(4))
    assert elements.count("svg") == 2 and "3 more are not drawn" in elements.text


def test_a_page_without_mistakes_says_so() -> None:
    fine = Outcome(made_up_falls.recording("D", made_up_falls.walk(6)), Played(0, 0.0, ()))
    _, elements = page_of([fine])
    assert elements.count("svg") == 0 and "None." in elements.text


def test_the_same_judgement_is_the_same_page() -> None:
    assert page_of(mistakes(2))[0] == page_of(mistakes(2))[0]
