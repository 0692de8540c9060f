"""What labels say to people, by language, from words.toml."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ansim.languages import read_languages

_FILE = Path(__file__).with_name("words.toml")


@dataclass(frozen=True)
class Words:
    """The words of one language: the caption of a serial number, and what a device of each role is called."""

    number: str
    roles: Mapping[str, str]


@cache
def languages() -> Mapping[str, Words]:
    """Return the words of every language by its code, in the order in which a label has them."""
    return read_languages(_FILE, Words, "the words of labels")
