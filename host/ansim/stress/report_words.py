"""What the report of a stress run says, by language, from report_words.toml."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ansim.languages import chosen, read_languages

_FILE = Path(__file__).with_name("report_words.toml")


@dataclass(frozen=True)
class Words:
    """The words of one language; of what has no word here its own name is shown.

    Args:
        code: of the language, as HTML has it.
        keys: what the colours of drawings are, by the names of report_plots.COLOURS.
    """

    code: str
    title: str
    passed: str
    failed: str
    interrupted: str
    again: str
    none: str
    more: str
    untroubled: str
    troubled: str
    unexplained: str
    whole_run: str
    heap_flat: str
    histogram: str
    timeline: str
    heap: str
    sections: Mapping[str, str]
    columns: Mapping[str, str]
    findings: Mapping[str, str]
    keys: Mapping[str, str]


@cache
def languages() -> Mapping[str, Words]:
    """Return the words of every language by its code."""
    return read_languages(_FILE, Words, "the words of a stress report")


def words_of(language: str | None = None) -> Words:
    """Return the words of language; None: of the one that the environment asks for, as far as there are some."""
    return chosen(languages(), language)
