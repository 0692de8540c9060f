"""The text of a manifest, CSV or TOML, taken apart into cells that know where they stand."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ansim.errors import BadInput
from ansim.toml_reader import did_you_mean

MAX_MISTAKES = 20
COLUMNS = ("site", "role", "wifi", "household", "count")
_SECRETS = ("passphrase", "password", "psk")
_END_OF_LINE = re.compile(r"\r\n|\r|\n")
# A comma, what Excel writes where the comma is for decimals, and what a copied table has.
_DELIMITERS = ",;\t"
# More than any line needs; what is longer is not taken apart.
_LINE_CHARS = 1000
_TOML_AT = re.compile(r" \((?:at line 1, column (\d+)|at end of document)\)$")
_NO_QUOTES = "write the whole text in quotes, and each quote in it twice"


class Cell(NamedTuple):
    """A text, and the line and column, both from 1, at which it begins; columns are characters."""

    text: str
    line: int
    column: int


@dataclass
class Row:
    """The cells of one order, by column; what is left out is missing."""

    line: int
    cells: dict[str, Cell] = field(default_factory=dict)


class Mistake(NamedTuple):
    """What is wrong at a place of the file, and what to write instead."""

    line: int
    column: int
    problem: str


class ManifestWrong(BadInput):
    """A manifest with mistakes in it; all of them are told at once."""

    def __init__(self, path: object, mistakes: tuple[Mistake, ...]) -> None:
        self.mistakes = tuple(sorted(mistakes))
        lines = [f"{path}:{line}:{column}: {problem}" for line, column, problem in self.mistakes]
        if len(mistakes) >= MAX_MISTAKES:
            lines.append("and perhaps more")
        super().__init__("\n".join(lines), f"Correct it, then: ansim manifest check {shlex.quote(str(path))}")


class Mistakes:
    """Collects what is wrong with the file at path, up to MAX_MISTAKES."""

    def __init__(self, path: object) -> None:
        self._path = path
        self._found: list[Mistake] = []

    def add(self, line: int, column: int, problem: str) -> None:
        """Note a mistake.

        Raises:
            ManifestWrong: there are many already.
        """
        self._found.append(Mistake(line, column, problem))
        if len(self._found) == MAX_MISTAKES:
            self.check()

    def check(self) -> None:
        """Raise ManifestWrong if there is any."""
        if self._found:
            raise ManifestWrong(self._path, tuple(self._found))


def csv_rows(text: str, mistakes: Mistakes) -> Iterator[Row]:
    """Yield the rows below the line of names; lines without any text are skipped."""
    columns: list[str] = []
    delimiter = _delimiter(text)
    for number, line in _lines(text, mistakes):
        cells = _csv_cells(line, number, delimiter, mistakes)
        some = any(cell.text for cell in cells)
        if columns and some:
            yield _csv_row(number, columns, cells, mistakes)
        elif not columns:
            columns = _names(cells, mistakes) if some else []
            # Without the names the rest would be guesswork.
            mistakes.check()
    if not columns:
        mistakes.add(1, 1, f"the file is empty; its first line names the columns: {', '.join(COLUMNS)}")


def _lines(text: str, mistakes: Mistakes) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(_END_OF_LINE.split(text), 1):
        if len(line) > _LINE_CHARS:
            mistakes.add(number, _LINE_CHARS + 1, f"the line is longer than {_LINE_CHARS} characters; shorten it")
        else:
            yield number, line


def _delimiter(text: str) -> str:
    """Return what separates the cells: what the line of names has most of."""
    first = next(filter(str.strip, _END_OF_LINE.split(text)), "")
    return max(_DELIMITERS, key=first.count)


def _csv_cells(line: str, number: int, delimiter: str, mistakes: Mistakes) -> list[Cell]:
    """Return the cells of a line; none where its quotes are wrong."""
    # In quotes as it is; else without the blanks around it. Possessive, so that no line takes long.
    pattern = re.compile(rf' *+(?:"((?:[^"]|"")*+)" *+|([^"{delimiter}]*+))({delimiter}|$)')
    cells, at, more = [], 0, True
    while more:
        found = pattern.match(line, at)
        if found is None:
            mistakes.add(number, line.index('"', at) + 1, f"a quote that does not belong here; {_NO_QUOTES}")
            return []
        quoted, plain, end = found.groups()
        if quoted is None:
            cells.append(Cell(plain.strip(), number, found.start(2) + 1))
        else:
            cells.append(Cell(quoted.replace('""', '"'), number, found.start(1)))
        at, more = found.end(), bool(end)
    return cells


def _names(cells: list[Cell], mistakes: Mistakes) -> list[str]:
    names: list[str] = []
    for cell in cells:
        name = cell.text.lower()
        if name and name in names:
            mistakes.add(cell.line, cell.column, f"a second column '{name}'; keep one")
        elif name:
            _check_name(cell._replace(text=name), mistakes)
        names.append(name)
    if "site" not in names:
        mistakes.add(cells[0].line, 1, f"there is no column 'site'; the columns are: {', '.join(COLUMNS)}")
    return names


def _check_name(cell: Cell, mistakes: Mistakes) -> bool:
    """Tell whether cell names a column or key; note it where it does not."""
    if cell.text in COLUMNS:
        return True
    if any(word in cell.text.lower() for word in _SECRETS):
        problem = "no secret is ever in a manifest; remove it: ansim asks for a passphrase once"
    else:
        near = did_you_mean(cell.text, list(COLUMNS)) or f"; there are: {', '.join(COLUMNS)}"
        problem = f"'{cell.text[:40]}' is not known{near}"
    mistakes.add(cell.line, cell.column, problem)
    return False


def _csv_row(number: int, columns: list[str], cells: list[Cell], mistakes: Mistakes) -> Row:
    row = Row(number)
    for place, cell in enumerate(cells):
        name = columns[place] if place < len(columns) else ""
        if name:
            row.cells[name] = cell
        elif cell.text:
            mistakes.add(number, cell.column, "this cell stands below no name; is there a separator too many?")
    return row


def toml_rows(text: str, mistakes: Mistakes) -> tuple[Cell | None, list[Row]]:
    """Return the name and the [[devices]] tables; each statement of the file has a line of its own."""
    name: Cell | None = None
    rows: list[Row] = []
    for number, line in _lines(text, mistakes):
        statement = _toml_line(line, number, mistakes)
        if statement == {"devices": [{}]} and line.lstrip().startswith("[["):
            rows.append(Row(number))
        elif statement:
            cell = _toml_cell(line, number, statement, bool(rows), mistakes)
            if cell is not None and rows:
                _put(rows[-1], *cell, mistakes)
            elif cell is not None:
                name = cell[1]
    if not rows:
        mistakes.add(1, 1, 'there is no order; write a line [[devices]], and below it: site = "seoul-01"')
    return name, rows


def _toml_line(line: str, number: int, mistakes: Mistakes) -> dict[str, object]:
    """Return what a line says; empty where that is nothing, or not to be understood."""
    try:
        return tomllib.loads(line)
    except tomllib.TOMLDecodeError as error:
        found = _TOML_AT.search(str(error))
        column = int(found[1]) if found and found[1] else len(line) + 1
        mistakes.add(number, column, f"{_TOML_AT.sub('', str(error))}; write NAME = VALUE on one line")
    except RecursionError:
        mistakes.add(number, 1, "brackets in brackets; write NAME = VALUE")
    return {}


def _toml_cell(
    line: str, number: int, statement: dict[str, object], in_order: bool, mistakes: Mistakes
) -> tuple[str, Cell] | None:
    ((key, value),) = statement.items()
    column = len(line) - len(line.lstrip()) + 1
    if line.lstrip().startswith("["):
        mistakes.add(number, column, "the only tables of a manifest are [[devices]]")
        return None
    if not in_order and key != "name":
        mistakes.add(number, column, f"'{key[:40]}' belongs below a line [[devices]]; above it there is only 'name'")
        return None
    if in_order and not _check_name(Cell(key, number, column), mistakes):
        return None
    after = line.index("=") + 1
    column = after + len(line[after:]) - len(line[after:].lstrip()) + 1
    if type(value) is not (int if key == "count" else str):
        wanted = "a whole number: count = 12" if key == "count" else f'a text in quotes: {key} = "..."'
        mistakes.add(number, column, f"{key} must be {wanted}")
        return None
    return key, Cell(str(value), number, column)


def _put(row: Row, key: str, cell: Cell, mistakes: Mistakes) -> None:
    if key in row.cells:
        mistakes.add(cell.line, cell.column, f"{key} stands in line {row.cells[key].line} already; keep one")
    row.cells[key] = cell
