"""Words by language, and in which one a person wants to read."""

import os
from collections.abc import Mapping
from dataclasses import make_dataclass
from pathlib import Path
from types import GenericAlias
from typing import TypeVar

from ansim.toml_reader import TomlReader

Words = TypeVar("Words")
DEFAULT = "en"


def read_languages(path: Path, words: type[Words], what: str) -> Mapping[str, Words]:
    """Return the words of every language by its code, from the tables ``languages.CODE`` of a TOML file.

    Raises:
        BadInput: a mistake in them; what says which words they are.
    """
    kind = make_dataclass("_File", [("languages", GenericAlias(Mapping, (str, words)))])
    found: Mapping[str, Words] = TomlReader(path, what, "Its first lines explain it.").read(kind).languages
    return found


def chosen(languages: Mapping[str, Words], language: str | None) -> Words:
    """Return the words of language; None: of the one that the environment asks for, as far as there are some."""
    return languages.get(language or _spoken(), languages[DEFAULT])


def _spoken() -> str:
    set_to = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return next(filter(None, set_to), "").partition("_")[0]
