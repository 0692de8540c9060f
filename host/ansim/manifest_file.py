"""Reads a manifest from a file; docs/manifest.md says what is in one."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from ansim.errors import BadInput
from ansim.manifest import Manifest, Order
from ansim.manifest_cells import Cell, ManifestWrong, Mistake, Mistakes, Row, csv_rows, toml_rows
from ansim.nvs import check_wifi
from ansim.place import ROLES, checked_household, checked_name, checked_role
from ansim.schema import KEY_CHARS
from ansim.toml_reader import did_you_mean

# A city's order is far below; a wrong file is not read for long.
MAX_BYTES = 1 << 20
MAX_DEVICES = 10_000
_COUNT = re.compile(r"[1-9][0-9]{0,8}")
_CSV, _TOML = (".csv", ".tsv", ".txt"), ".toml"


def load_manifest(path: Path) -> Manifest:
    """Return the manifest in the file at path: CSV with a line of names, or TOML with [[devices]] tables.

    Raises:
        ManifestWrong: a BadInput with each mistake as FILE:LINE:COLUMN: what is wrong, and what to write instead.
        BadInput: the file can't be read, or is neither.
    """
    suffix = path.suffix.lower()
    if suffix not in (*_CSV, _TOML):
        raise BadInput(f"{path} is no manifest by its name", "Save the table as .csv ('CSV UTF-8' in Excel), or .toml.")
    mistakes = Mistakes(path)
    text = _text(path)
    name: Cell | None = None
    rows: Iterable[Row]
    if suffix == _TOML:
        name, rows = toml_rows(text, mistakes)
    else:
        rows = csv_rows(text, mistakes)
    orders = tuple(_orders(rows, mistakes))
    found = Manifest(_name(path, name, mistakes), orders)
    mistakes.check()
    if not orders:
        raise BadInput(f"{path} orders no device", "Add a line for each site, below the line of names.")
    return found


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(f"can't read {path}: {error.strerror}", "Name a manifest that you may read.") from error
    if len(data) > MAX_BYTES:
        raise BadInput(f"{path} has more than {MAX_BYTES:,} bytes", "Split it into several manifests.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        column = len(before.rpartition(b"\n")[2].decode("utf-8-sig", "replace")) + 1
        problem = "not UTF-8 from here on; in Excel, save it as 'CSV UTF-8'"
        raise ManifestWrong(path, (Mistake(before.count(b"\n") + 1, column, problem),)) from error


def _name(path: Path, cell: Cell | None, mistakes: Mistakes) -> str:
    """Return what the file calls the manifest, else the file's own name without its suffix."""
    # File names of macOS are in the other form, and the same name must be the same manifest everywhere.
    name = unicodedata.normalize("NFC", cell.text if cell else path.stem)
    if not (0 < len(name) <= KEY_CHARS and name.isprintable() and name[0].isalnum()):
        wanted = f"use 1 to {KEY_CHARS} printable characters, the first a letter or a digit"
        where = "" if cell else " (the file's own)"
        line, column = (cell.line, cell.column) if cell else (1, 1)
        mistakes.add(line, column, f"the name {name[:40]!r}{where} is not legal; {wanted}")
    return name


def _orders(rows: Iterable[Row], mistakes: Mistakes) -> Iterator[Order]:
    total = 0
    for row in rows:
        order = _order(row, mistakes)
        if total <= MAX_DEVICES < total + order.count:
            cell = row.cells.get("count", Cell("", row.line, 1))
            mistakes.add(cell.line, cell.column, f"more than {MAX_DEVICES:,} devices up to here; split the manifest")
        total += order.count
        yield order


def _order(row: Row, mistakes: Mistakes) -> Order:
    good = {}
    for name, cell in row.cells.items():
        problem = _problem(name, cell.text) if cell.text else ""
        if problem:
            mistakes.add(cell.line, cell.column, problem)
        elif cell.text:
            good[name] = cell.text
    site = row.cells.get("site", Cell("", row.line, 1))
    if not site.text:
        mistakes.add(site.line, site.column, "the site is missing; write where these devices go, such as seoul-01")
    count = int(good.pop("count", 1))
    return Order(row.line, **{"site": "", **good}, count=count)


def _problem(name: str, text: str) -> str:
    """Return what is wrong with a text in the column called name, and what to write; empty: nothing."""
    near = ""
    try:
        if name == "site":
            checked_name("site", text)
        elif name == "role":
            near = did_you_mean(text, list(ROLES))
            checked_role(text)
        elif name == "household":
            checked_household(text)
        elif name == "wifi":
            _check_network(text)
        else:
            _check_count(text)
    except BadInput as error:
        return error.message + (near or f"; {error.hint[:1].lower()}{error.hint[1:].rstrip('.')}")
    return ""


def _check_network(ssid: str) -> None:
    check_wifi(ssid, "")
    # It is shown to whoever is asked for its passphrase.
    if not ssid.isprintable():
        raise BadInput(f"the Wi-Fi name {ssid!r} is not legal", "Use printable characters.")


def _check_count(text: str) -> None:
    if not (_COUNT.fullmatch(text) and int(text) <= MAX_DEVICES):
        raise BadInput(f"count {text[:40]!r} is not legal", f"It is a whole number from 1 to {MAX_DEVICES}.")
