"""What the line says to technicians, by language, from words.toml."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ansim.languages import chosen, read_languages

_FILE = Path(__file__).with_name("words.toml")


@dataclass(frozen=True)
class Advice:
    """What is the matter, and what to do about it."""

    what: str
    next: str


@dataclass(frozen=True)
class Words:
    """The words of one language.

    Args:
        states: what stands large at the left of a row; floor.State and two of the screen's own.
        next: what a technician does next, by the same names and those of what hands are asked for.
        steps: see told.Doing.
        troubles: by told.Trouble.kind.
        phases: of a proof, by name: what it is called, and what to do when it fails.
    """

    title: str
    of_manifest: str
    tally: str
    begin: str
    stopping: str
    complete: str
    hidden: str
    again: str
    unnamed: str
    pace: str
    unlabelled: str
    nothing: str
    still_failed: str
    untried: str
    states: Mapping[str, str]
    next: Mapping[str, str]
    steps: Mapping[str, str]
    troubles: Mapping[str, Advice]
    phases: Mapping[str, Advice]


@cache
def languages() -> Mapping[str, Words]:
    """Return the words of every language by its code."""
    return read_languages(_FILE, Words, "the words of the line")


def words_of(language: str | None) -> Words:
    """Return the words of language; None: of the one that the environment asks for, as far as there are some."""
    return chosen(languages(), language)
