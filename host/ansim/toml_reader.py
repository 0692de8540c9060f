"""TOML files read into frozen dataclasses, guided by their fields' types. A mistake is one BadInput that names its key;
``parts[2]`` is the second one in a list.

A field may be a str, an int, a float, a bool, a Literal of texts, another dataclass, a tuple of these, a Mapping from
texts (str, or a Literal) to these, or one of them or None. A field with a default may be left out.
"""

import dataclasses
import difflib
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ansim.errors import BadInput

_TYPE_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def did_you_mean(given: str, known: list[str]) -> str:
    """Return a question that names the nearest of known, or nothing if none is near."""
    close = difflib.get_close_matches(given, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


@dataclass(frozen=True)
class TomlReader:
    """Reads one file.

    Args:
        what: the kind of file, such as "a board file".
        hint: of every mistake in it: where its keys are explained.
    """

    path: Path
    what: str
    hint: str

    def error(self, key: str, problem: str) -> BadInput:
        return BadInput(f"{self.path}: {key}: {problem}", self.hint)

    def read(self, kind: Any) -> Any:
        """Return the file as kind, a dataclass.

        Raises:
            BadInput: it can't be read, is no TOML, or not of kind.
        """
        try:
            table = tomllib.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            hint = f"{self.what.capitalize()} is UTF-8 text that you may read."
            raise BadInput(f"can't read {self.path}: {error}", hint) from error
        except tomllib.TOMLDecodeError as error:
            raise BadInput(f"{self.path}: {error}", "The file is TOML; that line does not follow its rules.") from error
        return self._table(kind, table, "")

    def _table(self, kind: Any, table: object, where: str) -> Any:
        """Return kind made from table, whose place in the file is where ('' for the whole file)."""
        if not isinstance(table, dict):
            raise self.error(where, "must be a table")
        fields = {item.name: item for item in dataclasses.fields(kind)}
        for key in table.keys() - fields.keys():
            raise self.error(_below(where, key), f"unknown key{did_you_mean(key, list(fields))}")
        hints = typing.get_type_hints(kind)
        values = {}
        for key, item in fields.items():
            if key in table:
                values[key] = self._value(hints[key], table[key], _below(where, key))
            elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
                raise self.error(_below(where, key), "is missing")
        return kind(**values)

    def _value(self, kind: Any, value: object, where: str) -> Any:
        origin, options = typing.get_origin(kind), typing.get_args(kind)
        if origin is types.UnionType:
            return self._value(options[0], value, where)
        if origin is Literal:
            return self._one_of(options, value, where)
        if origin is tuple:
            return self._row(options, value, where)
        if origin is not None:
            return self._mapping(options, value, where)
        if dataclasses.is_dataclass(kind):
            return self._table(kind, value, where)
        return self._plain(kind, value, where)

    def _one_of(self, allowed: tuple[str, ...], value: object, where: str) -> str:
        if not isinstance(value, str) or value not in allowed:
            close = did_you_mean(str(value), list(allowed))
            raise self.error(where, f"is {value!r}, must be one of {', '.join(allowed)}{close}")
        return value

    def _row(self, options: tuple[Any, ...], value: object, where: str) -> tuple[Any, ...]:
        """Return a tuple as long as options has types, or of any length where the second one is an ellipsis."""
        if not isinstance(value, list):
            raise self.error(where, f"is {value!r}, must be a list")
        kinds = [options[0]] * len(value) if options[-1] is Ellipsis else list(options)
        if len(value) != len(kinds):
            raise self.error(where, f"is {value!r}, must have {len(kinds)} values")
        # The first is number 1, as people count.
        rows = enumerate(zip(kinds, value, strict=True), 1)
        return tuple(self._value(kind, item, f"{where}[{number}]") for number, (kind, item) in rows)

    def _mapping(self, options: tuple[Any, ...], value: object, where: str) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self.error(where, "must be a table")
        allowed = typing.get_args(options[0])
        for key in value:
            if allowed and key not in allowed:
                raise self.error(_below(where, key), f"unknown key{did_you_mean(key, list(allowed))}")
        read = {key: self._value(options[1], item, _below(where, key)) for key, item in value.items()}
        return types.MappingProxyType(read)

    def _plain(self, kind: type, value: object, where: str) -> Any:
        if kind is float and type(value) is int:
            return float(value)
        if type(value) is not kind:
            raise self.error(where, f"is {value!r}, must be {_TYPE_NAMES[kind]}")
        return value


def _below(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
