"""The ledger: it only grows, and whatever is changed, removed or put in by force is found and named."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from database_kit import KINDS, database_url, old_database
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from ansim.errors import BadInput, ServiceError
from ansim.ledger_check import LedgerBroken, Verified
from ansim.nats_jwt import PublicPart
from ansim.registry import Registry

# With halves of surrogate pairs and zeros, which a device may say, too.
ANY = st.characters(categories=("C", "L", "N"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(ANY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
CREDENTIAL = PublicPart("UABC", "XYZ", datetime(2026, 1, 2, tzinfo=UTC))
GUARDS = ("ledger_keeps_rows", "ledger_keeps_values", "ledger_head_stays", "ledger_head_grows")


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return database_url(request.param, tmp_path)


@pytest.fixture
def registry(url: str) -> Iterator[Registry]:
    """Two devices, each with an enrolment, a credential and a flash that passed: six entries."""
    with Registry.open(url, "bench-1") as opened:
        for number in (1, 2):
            device = opened.enroll(f"24:6f:28:00:00:0{number}", board="virtual", site="city", role="hub").device
            opened.issue(device, CREDENTIAL)
            opened.record(device, "flash", "passed", {"seconds": 1.25, "note": "ünïcode"}, CREDENTIAL)
        yield opened


def statement(url: str, *sql: str) -> None:
    engine = sa.create_engine(url)
    try:
        with engine.begin() as connection:
            for each in sql:
                connection.exec_driver_sql(each)
    finally:
        engine.dispose()


def force(url: str, *sql: str) -> None:
    """Run sql as somebody who has taken the guards away first."""
    if url.startswith("sqlite"):
        statement(url, *(f"DROP TRIGGER IF EXISTS {guard}" for guard in GUARDS), *sql)
    else:
        tables = ("ledger", "ledger_head", "devices")
        statement(url, *(f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in tables), *sql)


def test_a_whole_ledger_is_verified_and_its_head_stands_for_it(registry: Registry) -> None:
    seen: list[tuple[int, int]] = []
    found = registry.verify(on_progress=lambda done, total: seen.append((done, total)))
    assert found == Verified(6, 2, registry.history()[-1].hash, 0)
    assert registry.verify(head=registry.history()[2].hash) == found


def test_each_entry_says_who_did_what_where_and_when(registry: Registry) -> None:
    before = datetime.now(UTC)
    registry.record("AN000001", "selftest", "passed", {"phases": {"sensor": "ok"}})
    entry = registry.history("AN000001")[-1]
    assert (entry.seq, entry.station, entry.action, entry.result) == (7, "bench-1", "selftest", "passed")
    assert entry.details == {"phases": {"sensor": "ok"}}
    assert before <= entry.at <= datetime.now(UTC)


def test_anybody_can_check_an_export_with_a_few_lines(registry: Registry) -> None:
    previous = "0" * 64
    for line in map(json.dumps, registry.export()):
        fields = json.loads(line)
        found = fields.pop("hash")
        assert fields["previous"] == previous
        previous = hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        assert found == previous
    assert previous == registry.verify().head


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE ledger SET result = 'passed' WHERE seq = 1",
        "DELETE FROM ledger WHERE seq = 6",
        "UPDATE ledger_head SET seq = 3",
        "DELETE FROM ledger_head",
    ],
)
def test_the_database_itself_refuses_to_change_the_ledger(registry: Registry, url: str, sql: str) -> None:
    with pytest.raises(DBAPIError, match="the ledger is append-only"):
        statement(url, sql)
    assert registry.verify().entries == 6


def test_postgresql_refuses_to_empty_the_ledger(tmp_path: Path) -> None:
    url = database_url("postgresql", tmp_path)
    Registry.open(url).close()
    for table in ("ledger", "ledger_head"):
        with pytest.raises(DBAPIError, match="the ledger is append-only"):
            statement(url, f"TRUNCATE {table}")


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("UPDATE ledger SET result = 'failed' WHERE seq = 3", "entry 3 of the ledger does not fit its hash"),
        ("UPDATE ledger SET station = 'bench-2' WHERE seq = 5", "entry 5 of the ledger does not fit"),
        ("UPDATE ledger SET details = '{\"note\": 1}' WHERE seq = 6", "entry 6 of the ledger does not fit"),
        ("UPDATE ledger SET at = '2026-01-01 00:00:00.000000' WHERE seq = 1", "entry 1 of the ledger does not fit"),
        (f"UPDATE ledger SET hash = '{'a' * 64}' WHERE seq = 2", "entry 2 of the ledger does not fit"),
        ("DELETE FROM ledger WHERE seq = 1", "entry 1 of the ledger is missing"),
        ("DELETE FROM ledger WHERE seq = 4", "entry 4 of the ledger is missing"),
        ("DELETE FROM ledger WHERE seq > 4", "entries 5 to 6 are missing at the end"),
        ("DELETE FROM ledger", "entries 1 to 6 are missing at the end"),
        ("DELETE FROM ledger_head", "missing at the end"),
        ("UPDATE ledger_head SET seq = 5", "ends with entry 6, but was noted to end with 5"),
        (f"UPDATE ledger_head SET hash = '{'b' * 64}'", "ends with entry 6, but was noted"),
        (
            "UPDATE devices SET site = 'harbour' WHERE number = 2",
            "AN000002 has site 'harbour', but 'city' by the ledger",
        ),
        ("UPDATE devices SET generation = 0 WHERE number = 1", "AN000001 has generation '0', but '1' by the ledger"),
        ("UPDATE devices SET generation = 2046 WHERE number = 1", "AN000001 has generation '2046', but '1'"),
        ("UPDATE devices SET state = 'retired' WHERE number = 1", "AN000001 has state 'retired', but 'ready'"),
        ("UPDATE devices SET credential_key = 'UEVIL' WHERE number = 1", "credential_key 'UEVIL', but 'UABC' by the"),
        ("UPDATE devices SET credential_jti = NULL WHERE number = 1", "credential_jti 'None', but 'XYZ' by the ledger"),
        ("UPDATE devices SET revoked_generation = 1 WHERE number = 1", "revoked_generation '1', but '0' by the ledger"),
        ("DELETE FROM devices WHERE number = 2", "the ledger enrolled AN000002, but the registry has no such device"),
        (
            "INSERT INTO devices (number, device, mac, board, site, role, enrolled_at) "
            "VALUES (3, 'AN000003', '24:6f:28:00:00:03', 'b', 's', 'hub', '2026-01-01 00:00:00.000000')",
            "the device AN000003, which the ledger never enrolled",
        ),
    ],
)
def test_what_was_done_by_force_is_found_and_named(registry: Registry, url: str, sql: str, told: str) -> None:
    force(url, sql)
    with pytest.raises(LedgerBroken, match=told):
        registry.verify()


def test_two_entries_that_changed_places_are_found(registry: Registry, url: str) -> None:
    swap = [f"UPDATE ledger SET seq = {new} WHERE seq = {old}" for old, new in ((2, 99), (3, 2), (99, 3))]
    force(url, *swap)
    with pytest.raises(LedgerBroken, match="entry 2 of the ledger does not fit"):
        registry.verify()


def test_a_tail_that_was_cut_off_with_its_note_is_found_by_a_head_that_was_kept(registry: Registry, url: str) -> None:
    kept = registry.verify().head
    fourth = registry.history()[3].hash
    force(
        url,
        "DELETE FROM ledger WHERE seq > 4",
        f"UPDATE ledger_head SET seq = 4, hash = '{fourth}'",
        "UPDATE devices SET generation = 0, state = 'unfinished' WHERE number = 2",
    )
    assert registry.verify().entries == 4
    with pytest.raises(LedgerBroken, match=f"no entry has the hash {kept}"):
        registry.verify(head=kept)


def test_an_export_finds_which_entry_was_rewritten_or_cut_off(registry: Registry, url: str, tmp_path: Path) -> None:
    kept = tmp_path / "ledger.jsonl"
    kept.write_text("".join(json.dumps(line) + "\n" for line in registry.export()))
    registry.record("AN000001", "selftest", "passed")
    found = registry.verify(export=kept)
    assert (found.entries, found.exported) == (7, 6)
    lines = kept.read_text().splitlines(keepends=True)
    kept.write_text("".join([*lines[:2], lines[2].replace("passed", "failed"), *lines[3:]]))
    with pytest.raises(LedgerBroken, match=r"entry 3 .* not as it was exported"):
        registry.verify(export=kept)
    kept.write_text("".join(lines))
    force(url, "DELETE FROM ledger WHERE seq > 4")
    with pytest.raises(LedgerBroken, match=f"entry 5 of {kept} is missing at the end"):
        registry.verify(export=kept)


@pytest.mark.parametrize(
    "content",
    [
        b"my shopping list\n",
        b"{}\n",
        b"[1]\n",
        b"\xff\xfe\n",
        b"9" * 200_000,
        b'{"hash": "a", "seq": NaN}\n',
        b'{"hash": "a", "seq": 1e999}\n',
        b"[" * 100_000,
    ],
)
def test_a_file_that_is_no_export_is_refused(registry: Registry, tmp_path: Path, content: bytes) -> None:
    kept = tmp_path / "ledger.jsonl"
    kept.write_bytes(content)
    with pytest.raises(BadInput, match=r"line 1, is no entry of an export"):
        registry.verify(export=kept)


def test_a_head_that_is_no_hash_is_refused(registry: Registry) -> None:
    with pytest.raises(BadInput, match="is not the hash of an entry"):
        registry.verify(head="abc")


def test_nothing_is_done_where_the_end_of_the_ledger_is_missing(registry: Registry, url: str) -> None:
    force(url, "DELETE FROM ledger_head")
    with pytest.raises(ServiceError, match="end of the ledger is missing"):
        registry.enroll("24:6f:28:00:00:09", board="b", site="s", role="hub")
    assert len(registry.devices()) == 2


def test_an_entry_that_is_too_long_is_not_stored(registry: Registry) -> None:
    for arguments in (("x" * 25, "passed", {}), ("flash", "", {}), ("flash", "passed", {"note": "x" * 17_000})):
        with pytest.raises(BadInput):
            registry.record("AN000001", *arguments)
    assert registry.verify().entries == 6


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(details=st.dictionaries(st.text(ANY, max_size=5), VALUES) | st.dictionaries(st.integers(), VALUES))
@example(details={2: "", 10: ""})
@example(details={"\ud800": -0.0, "\0": 10**40})
def test_the_chain_holds_whatever_an_entry_tells(registry: Registry, details: dict[Any, Any]) -> None:
    registry.record("AN000001", "selftest", "passed", details)
    registry.verify()


def test_the_history_of_an_older_version_is_carried_into_the_ledger(url: str) -> None:
    old_database(url, "0003")
    rows = [
        ("AN000001", "enroll", "done", {"mac": "24:6f:28:00:00:01", "board": "virtual", "site": "city", "role": "hub"}),
        ("AN000001", "credential", "issued", {"generation": 1, "key": "U", "jti": "J"}),
        ("AN000001", "flash", "passed", {"seconds": 12.345678901234567, "note": "ünïcode"}),
        ("AN000002", "enroll", "done", {"mac": "24:6f:28:00:00:02", "board": "virtual", "site": "city", "role": "hub"}),
        ("AN000002", "change", "done", {"site": ["city", "harbour"]}),
        ("AN000002", "flash", "passed", {}),
        ("AN000002", "credential", "issued", {"generation": 2, "key": "U", "jti": "J"}),
        ("AN000002", "provision", "failed", {"error": "unplugged"}),
    ]
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for number, site, generation in ((1, "city", 1), (2, "harbour", 3)):
            connection.execute(
                sa.text(
                    "INSERT INTO devices (number, device, mac, board, site, role, generation, enrolled_at) "
                    f"VALUES ({number}, 'AN00000{number}', '24:6f:28:00:00:0{number}', 'virtual', '{site}', 'hub', "
                    f"{generation}, '2026-01-01 00:00:00.000000')"
                )
            )
        for second, (device, action, result, details) in enumerate(rows):
            connection.execute(
                sa.text(
                    "INSERT INTO history (device, at, action, result, details) VALUES (:d, :at, :a, :r, :details)"
                ).bindparams(
                    sa.bindparam("at", datetime(2026, 1, 1, 0, 0, second), sa.DateTime),
                    sa.bindparam("details", details, sa.JSON),
                    d=device,
                    a=action,
                    r=result,
                )
            )
    engine.dispose()
    with Registry.open(url, "bench-1") as registry:
        # AN000002 was given a number that no entry tells of.
        assert registry.verify().entries == len(rows) + 1
        *carried, last = registry.history()
        assert (last.device, last.action, last.details) == ("AN000002", "change", {"generation": [2, 3]})
        assert [(each.device, each.action, each.result, each.details) for each in carried] == rows
        assert {each.station for each in carried} == {"unknown"}
        assert carried[-1].at == datetime(2026, 1, 1, 0, 0, 7, tzinfo=UTC)
        assert [each.state for each in registry.devices()] == ["ready", "unfinished"]
        assert registry.enroll("24:6f:28:00:00:03", board="b", site="s", role="hub").device == "AN000003"
        assert registry.issue("AN000002", CREDENTIAL) == 4
        assert registry.verify().entries == len(rows) + 3
    with pytest.raises(DBAPIError, match="append-only"):
        statement(url, "DELETE FROM ledger WHERE seq = 1")


def test_an_entry_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    # PostgreSQL takes no such values.
    url = database_url("sqlite", tmp_path)
    with Registry.open(url) as registry:
        for number in (1, 2):
            registry.enroll(f"24:6f:28:00:00:0{number}", board="virtual", site="city", role="hub")
        for column in ("details = 'junk'", "details = '[1]'", "details = '7'", "at = 'junk'"):
            force(url, f"UPDATE ledger SET {column} WHERE seq = 2")
            with pytest.raises(LedgerBroken, match="can't be read"):
                registry.verify()


def test_a_chain_that_is_sound_but_tells_nonsense_is_told(tmp_path: Path) -> None:
    url = database_url("sqlite", tmp_path)
    with Registry.open(url) as registry:
        enrolled = registry.enroll("24:6f:28:00:00:01", board="virtual", site="city", role="hub").device
        for details, told in (
            ({"mac": "24:6f:28:00:00:02", "board": "b", "site": "s", "role": "hub"}, "AN000001 a second time"),
            ({"board": "b"}, "can't be read"),
        ):
            registry.record(enrolled, "enroll", "done", details)
            with pytest.raises(LedgerBroken, match=told):
                registry.verify()
            force(
                url,
                "DELETE FROM ledger WHERE seq = 2",
                "UPDATE ledger_head SET seq = 1, hash = (SELECT hash FROM ledger WHERE seq = 1)",
            )
