"""Manifests as files: CSV and TOML as people and spreadsheets write them, and each mistake with its line and column."""

import csv
import io
import itertools
import textwrap
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansim.errors import BadInput
from ansim.home import project_root
from ansim.manifest import Manifest, Order
from ansim.manifest_cells import MAX_MISTAKES, ManifestWrong
from ansim.manifest_file import MAX_BYTES, MAX_DEVICES, load_manifest

BOX = (
    Order(2, "seoul-01", "pendant", "Center", "jongno-17", 2),
    Order(3, "seoul-01", "hub"),
    Order(4, "busan_2", count=197),
)
BOX_CSV = "site,role,wifi,household,count\nseoul-01,pendant,Center,jongno-17,2\nseoul-01,hub,,,\nbusan_2,,,,197\n"
BOX_TOML = """
name = "box"  # what labels and the registry call it

[[devices]]
site = "seoul-01"
role = 'pendant'
wifi = "Center"
household = "jongno-17"
count = 2
[[devices]]
site = "seoul-01"
role = "hub"
[[devices]]
site = "busan_2"
count = 197
"""


def manifest(folder: Path, text: str | bytes, name: str = "box.csv") -> Manifest:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_manifest(path)


def mistakes(folder: Path, text: str | bytes, name: str = "box.csv") -> list[tuple[int, int, str]]:
    with pytest.raises(ManifestWrong) as caught:
        manifest(folder, text, name)
    assert all(
        f"{folder / name}:{line}:{column}: " in caught.value.message for line, column, _ in caught.value.mistakes
    )
    return [tuple(each) for each in caught.value.mistakes]


def test_a_table_and_toml_say_the_same_manifest(tmp_path: Path) -> None:
    from_csv, from_toml = manifest(tmp_path, BOX_CSV), manifest(tmp_path, BOX_TOML, "other.toml")
    assert from_csv == from_toml == Manifest("box", BOX)
    assert from_csv.digest == from_toml.digest
    assert (from_csv.total, from_csv.networks) == (200, ("Center",))
    assert [order.line for order in from_toml.orders] == [4, 10, 13]


def test_the_manifests_of_the_documentation_are_two_ways_to_order_the_same(tmp_path: Path) -> None:
    page = (project_root() / "docs" / "manifest.md").read_text(encoding="utf-8")
    table = textwrap.dedent(page[page.index("    site,role") : page.index("or\n\n")])
    toml = textwrap.dedent(page[page.index("    name = ") : page.index("| column |")])
    from_csv, from_toml = manifest(tmp_path, table, "jongno.csv"), manifest(tmp_path, toml, "other.toml")
    assert from_csv == from_toml
    assert from_csv.total == 200
    told = [
        mistake
        for mistake in mistakes(tmp_path, table.replace("pendant", "pendent").replace("197", "0"))
        if f"jongno.csv:{mistake[0]}:{mistake[1]}: {mistake[2]}\n" in page
    ]
    assert len(told) == 2


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + BOX_CSV.replace("\n", "\r\n"),
        BOX_CSV.replace("\n", "\r"),
        BOX_CSV.replace(",", ";"),
        BOX_CSV.replace(",", "\t"),
        BOX_CSV.replace(",", " , ").replace("site", "Site "),
        BOX_CSV.replace("seoul-01", '"seoul-01"'),
        BOX_CSV.replace("\n", ",,\n"),
        "\n,,,,\n" + BOX_CSV + ",,,,\n\n",
    ],
    ids=["excel", "old mac", "semicolons", "tabs", "blanks", "quotes", "empty columns", "empty lines"],
)
def test_a_spreadsheets_way_of_writing_makes_no_difference(tmp_path: Path, text: str) -> None:
    found = manifest(tmp_path, text)
    assert found == Manifest("box", BOX)
    assert found.digest == Manifest("box", BOX).digest


def test_the_columns_may_stand_in_any_order_and_only_the_site_is_needed(tmp_path: Path) -> None:
    assert manifest(tmp_path, "count,site\n3,north\n").orders == (Order(2, "north", count=3),)
    assert manifest(tmp_path, "site\nnorth\nnorth\n").total == 2


def test_a_manifest_is_called_as_its_file_however_the_machine_writes_hangul(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "종로 1차") for form in ("NFC", "NFD"))
    assert composed != apart
    for name in (composed, apart):
        assert manifest(tmp_path, "site\nnorth\n", f"{name}.csv").name == composed


def test_places_are_numbered_in_the_order_of_the_file() -> None:
    found = Manifest("box", BOX)
    assert [found.order_at(place).line for place in (1, 2, 3, 4, 200)] == [2, 2, 3, 4, 4]


def test_other_orders_are_another_digest_and_other_lines_are_not() -> None:
    digests = {Manifest("box", BOX[at:]).digest for at in range(3)} | {Manifest("box", BOX[::-1]).digest}
    assert len(digests) == 4
    moved = tuple(Order(order.line + 7, *order.content) for order in BOX)
    assert Manifest("box", moved).digest == Manifest("box", BOX).digest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("site,role\nn,pendent\n", (2, 3, "role 'pendent' is not known; did you mean 'pendant'?")),
        ("site,role\nn,  toaster\n", (2, 5, "it is one of: pendant, hub")),
        ("site,count\nn,1\nseoul 01,2\n", (3, 1, "site 'seoul 01' is not legal; use 1 to 24 of")),
        ("role,site\nhub,\n", (2, 5, "the site is missing; write where")),
        ("role\nhub\n", (1, 1, "there is no column 'site'")),
        ("site,hosehold\nn,x\n", (1, 6, "'hosehold' is not known; did you mean 'household'?")),
        ("site,Wifi Passphrase\nn,geheim\n", (1, 6, "no secret is ever in a manifest; remove it")),
        ("site,role,site\nn,,n\n", (1, 11, "a second column 'site'; keep one")),
        ("site,count\nn,0\n", (2, 3, "count '0' is not legal; it is a whole number from 1 to 10000")),
        ("site,count\nn,2.5\n", (2, 3, "count '2.5' is not legal")),
        ("site,count\nn,\u0663\n", (2, 3, "is not legal")),
        (f"site,count\nn,{MAX_DEVICES}\nn,1\n", (3, 3, "more than 10,000 devices up to here; split the manifest")),
        ("site,household\nn,=1+2\n", (2, 3, "household '=1+2' is not legal")),
        (f"site,wifi\nn,{'종' * 11}\n", (2, 3, "is 33 bytes long; a name has 1 to 32")),
        ("site,wifi\nn,\x1b[2J\n", (2, 3, "is not legal; use printable characters")),
        ('site,wifi\nn,a"b\n', (2, 4, "a quote that does not belong here; write the whole text in quotes")),
        ('site,wifi\nn,"a\nb"\n', (2, 3, "a quote that does not belong here")),
        ("site\nn,x\n", (2, 3, "this cell stands below no name")),
        ("", (1, 1, "the file is empty; its first line names the columns: site, role, wifi, household, count")),
        ("site\n" + "x" * 1001, (2, 1001, "the line is longer than 1000 characters")),
        (b"site\nk\xc1\xbe\n", (2, 2, "not UTF-8 from here on; in Excel, save it as 'CSV UTF-8'")),
        ("site\n종로\n".encode("utf-16"), (1, 1, "not UTF-8")),
    ],
)
def test_a_mistake_in_a_table_is_named_with_its_place_and_a_way_out(
    tmp_path: Path, text: str | bytes, expected: tuple[int, int, str]
) -> None:
    line, column, told = expected
    found = mistakes(tmp_path, text)
    assert any((line, column) == each[:2] and told in each[2] for each in found), found
    assert "geheim" not in repr(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[[devices]]\nsite = "n"\nrole = "pendent"\n', (3, 8, "role 'pendent' is not known; did you mean 'pendant'?")),
        ('[[devices]]\nsite = "n"\n  count= 0\n', (3, 10, "count '0' is not legal")),
        ('[[devices]]\nsite = "n"\ncount = "3"\n', (3, 9, "count must be a whole number: count = 12")),
        ('[[devices]]\nsite = "n"\ncount = true\n', (3, 9, "count must be a whole number")),
        (f'[[devices]]\nsite = "n"\ncount = 0x{"f" * 900}\n', (3, 9, "is not legal")),
        ("[[devices]]\nsite = 7\n", (2, 8, 'site must be a text in quotes: site = "..."')),
        ('[[devices]]\nsites = "n"\n', (2, 1, "'sites' is not known; did you mean 'site'?")),
        ('[[devices]]\nsite = "n"\npassword = "geheim"\n', (3, 1, "no secret is ever in a manifest")),
        ('[[devices]]\nsite = "n"\nsite = "m"\n', (3, 8, "site stands in line 2 already; keep one")),
        ("[[devices]]\nrole = 'hub'\n", (1, 1, "the site is missing")),
        ('site = "n"\n', (1, 1, "'site' belongs below a line [[devices]]")),
        ('name = "box"\n', (1, 1, "there is no order; write a line [[devices]]")),
        ('name = "\\u001b[2J"\n[[devices]]\nsite = "n"\n', (1, 8, "is not legal; use 1 to 64 printable characters")),
        ('[[devices]]\nsite = "n\n', (2, 10, "Unterminated string; write NAME = VALUE on one line")),
        ("[[devices]]\nsite = n\n", (2, 8, "Invalid value")),
        ('[[device]]\nsite = "n"\n', (1, 1, "the only tables of a manifest are [[devices]]")),
        ('devices = [{site = "n"}]\n', (1, 1, "'devices' belongs below")),
        ('[[devices]]\nsite = """\nn"""\n', (2, 11, "Unterminated string")),
        (f"[[devices]]\nsite = {'[' * 900}\n", (2, 1, "brackets in brackets")),
    ],
)
def test_a_mistake_in_toml_is_named_with_its_place_and_a_way_out(
    tmp_path: Path, text: str, expected: tuple[int, int, str]
) -> None:
    line, column, told = expected
    found = mistakes(tmp_path, text, "box.toml")
    assert any((line, column) == each[:2] and told in each[2] for each in found), found
    assert "geheim" not in repr(found)


def test_all_mistakes_are_told_at_once_up_to_a_number(tmp_path: Path) -> None:
    found = mistakes(tmp_path, "site,role,count\n,pendent,0\nn,hub,1\na b,,x\n")
    assert [each[:2] for each in found] == [(2, 1), (2, 2), (2, 10), (4, 1), (4, 6)]
    with pytest.raises(ManifestWrong) as caught:
        manifest(tmp_path, "site\n" + "a b\n" * 1000)
    assert len(caught.value.mistakes) == MAX_MISTAKES
    assert caught.value.message.endswith("\nand perhaps more")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("box.xlsx", b"PK", r"is no manifest by its name"),
        ("box.csv", b"site\n", "orders no device"),
        ("box.csv", b"site\n" + b"n\n" * (MAX_BYTES // 2), "has more than 1,048,576 bytes"),
        ("-box.csv", b"site\nn\n", r"1:1: the name '-box' \(the file's own\) is not legal"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        manifest(tmp_path, content, name)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="can't read .*/nowhere.csv: No such file"):
        load_manifest(tmp_path / "nowhere.csv")


NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,24}", fullmatch=True)
SSIDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)
ORDERS = st.builds(
    Order,
    st.just(0),
    NAMES,
    st.sampled_from(["", "pendant", "hub"]),
    st.just("") | SSIDS,
    st.just("") | NAMES.filter(lambda name: name[0].isalnum()),
    st.integers(1, 500),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(orders=st.lists(ORDERS, min_size=1, max_size=12), delimiter=st.sampled_from(",;\t"))
def test_whatever_pythons_own_writer_writes_is_read_as_it_was_meant(
    tmp_path: Path, orders: list[Order], delimiter: str
) -> None:
    written = io.StringIO()
    writer = csv.writer(written, delimiter=delimiter)
    writer.writerow(["site", "role", "wifi", "household", "count"])
    writer.writerows(order.content for order in orders)
    assert manifest(tmp_path, written.getvalue()).orders == tuple(orders)


PIECES = (
    "site",
    "[[devices]]",
    "\n",
    "\r\n",
    "=",
    '"',
    "'",
    ",",
    ";",
    "count",
    "3",
    "[",
    "]",
    "#",
    "\\u",
    "\0",
    "종",
    "=",
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=40).map("".join).map(str.encode),
    suffix=st.sampled_from(["csv", "toml"]),
)
def test_whatever_stands_in_a_file_is_orders_or_a_mistake_at_a_place(
    tmp_path: Path, content: bytes, suffix: str
) -> None:
    try:
        found = manifest(tmp_path, content, f"box.{suffix}")
    except ManifestWrong as error:
        assert all(line >= 1 and column >= 1 for line, column, _ in error.mistakes)
    except BadInput as error:
        assert "orders no device" in error.message
    else:
        firsts = list(itertools.accumulate((order.count for order in found.orders), initial=1))
        assert [found.order_at(first) for first in firsts[:-1]] == list(found.orders)
