"""``ansim registry`` as a person and a script use it."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa
from database_kit import KINDS, database_url

from ansim.cli import main
from ansim.manifest import Manifest, Order
from ansim.nats_jwt import PublicPart
from ansim.registry import Registry


class Ended(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Ended]
CREDENTIAL = PublicPart("UABC", "XYZ", datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return database_url("sqlite", tmp_path)


@pytest.fixture
def run(url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def ansim(*arguments: str, **environment: str) -> Ended:
        with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended:
            for name, value in {"ANSIM_DB": url, "COLUMNS": "160", **environment}.items():
                patch.setenv(name, value)
            main(["registry", *arguments])
        said = capsys.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    return ansim


@pytest.fixture
def fleet(url: str) -> None:
    """AN000001 in a home in the north, ready; AN000002 in the city, unfinished."""
    with Registry.open(url, "bench-1") as registry:
        registry.enroll("24:6f:28:00:00:01", board="virtual", site="north", role="hub", household="N-17")
        registry.issue("AN000001", CREDENTIAL)
        registry.record("AN000001", "flash", "passed", {"bytes": 7}, CREDENTIAL)
        registry.enroll("24:6f:28:00:00:02", board="virtual", site="city", role="pendant")


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.usefixtures("fleet")
def test_devices_are_listed_for_a_person_a_script_and_a_spreadsheet(run: Run) -> None:
    shown = run("list").stdout
    assert all(text in shown for text in ("AN000001", "24:6f:28:00:00:02", "N-17", "unfinished"))
    assert len(run("list", COLUMNS="80").stdout.splitlines()) == 3
    assert [each["device"] for each in lines(run("list", "--json").stdout)] == ["AN000001", "AN000002"]
    first, second = csv.DictReader(run("list", "--csv").stdout.splitlines())
    columns = ["device", "mac", "board", "site", "role", "generation", "household", "state", "replaced_by"]
    assert list(first) == [*columns, "manifest", "place"]
    assert (first["household"], first["state"], second["generation"]) == ("N-17", "ready", "0")


@pytest.mark.usefixtures("fleet")
def test_a_list_is_for_a_script_or_for_a_spreadsheet_and_not_for_both(run: Run) -> None:
    refused = run("list", "--json", "--csv")
    assert refused.returncode == 2
    assert "--json and --csv" in json.loads(refused.stdout)["error"]


@pytest.mark.usefixtures("fleet")
def test_the_place_that_a_device_has_of_a_manifest_is_shown(run: Run, url: str) -> None:
    with Registry.open(url) as registry:
        box = Manifest("box", (Order(2, "south", count=2),))
        registry.assign("24:6f:28:00:00:02", box, board="virtual", role="hub")
    assert "box 1" in run("list").stdout
    assert [each["device"] for each in lines(run("list", "--manifest", "box", "--json").stdout)] == ["AN000002"]
    assert "unfinished; provisionings: 0; place 1 of manifest box" in run("show", "AN000002").stdout


@pytest.mark.usefixtures("fleet")
def test_a_list_is_narrowed_and_says_so_when_nothing_is_left(run: Run) -> None:
    for only, expected in (
        (("--site", "north"), ["AN000001"]),
        (("--role", "pendant", "--state", "unfinished"), ["AN000002"]),
        (("--household", "N-17"), ["AN000001"]),
        (("--state", "retired"), []),
    ):
        assert [each["device"] for each in lines(run("list", "--json", *only).stdout)] == expected
    assert run("list", "--state", "retired").stdout == "No such device.\n"
    assert run("list", "--state", "asleep").returncode == 2


@pytest.mark.usefixtures("fleet")
def test_a_device_is_shown_with_all_that_was_done_to_it(run: Run) -> None:
    who, *done = lines(run("show", "AN000001", "--json").stdout)
    assert who["mac"] == "24:6f:28:00:00:01"
    assert [(each["action"], each["station"]) for each in done] == [
        ("enroll", "bench-1"),
        ("credential", "bench-1"),
        ("flash", "bench-1"),
    ]
    shown = run("show", "AN000001").stdout
    assert "N-17" in shown and "ready; provisionings: 1" in shown and "flash passed" in shown and "bytes=7" in shown
    unknown = run("show", "AN000042")
    assert (
        unknown.returncode == 2 and "no device 'AN000042'" in unknown.stderr and "ansim registry list" in unknown.stderr
    )


@pytest.mark.usefixtures("fleet")
def test_an_export_is_checked_against_the_registry_later(run: Run, url: str, tmp_path: Path) -> None:
    exported = run("export")
    kept = tmp_path / "ledger.jsonl"
    kept.write_text(exported.stdout)
    head = lines(exported.stdout)[-1]["hash"]
    assert exported.stderr == f"4 entries; head {head}\n"
    assert run("retire", "AN000002", "--reason", "lost").returncode == 0
    found = run("verify", "--export", str(kept), "--head", str(head), "--json")
    assert found.returncode == 0
    told = json.loads(found.stdout)
    assert told == {"ok": True, "entries": 5, "devices": 2, "head": told["head"], "exported": 4}
    assert "5 entries (4 as exported), 2 devices" in run("verify", "--export", str(kept)).stdout
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER ledger_keeps_values")
        connection.exec_driver_sql("UPDATE ledger SET result = 'failed' WHERE seq = 3")
    engine.dispose()
    broken = run("verify")
    assert broken.returncode == 1
    assert "FAIL" in broken.stderr and "entry 3 of the ledger does not fit its hash" in broken.stderr
    assert json.loads(run("verify", "--json").stdout)["exit_code"] == 1


@pytest.mark.usefixtures("fleet")
def test_the_ledger_goes_into_a_spreadsheet(run: Run) -> None:
    rows = list(csv.DictReader(run("export", "--csv").stdout.splitlines()))
    assert list(rows[0]) == ["seq", "at", "station", "device", "action", "result", "details", "hash"]
    assert [row["action"] for row in rows] == ["enroll", "credential", "flash", "enroll"]
    assert json.loads(rows[2]["details"])["bytes"] == 7


def test_an_empty_ledger_is_whole(run: Run) -> None:
    assert run("export").stderr == "The ledger is empty.\n"
    assert "PASS" in run("verify").stdout
    assert run("verify", "--head", "0" * 64).returncode == 0


@pytest.mark.usefixtures("fleet")
def test_a_device_is_retired_and_taken_back(run: Run) -> None:
    assert run("retire", "AN000001").returncode == 2
    said = run("retire", "AN000001", "--reason", "dropped", "--station", "desk").stdout
    assert "AN000001 is retired; a running broker refuses it" in said
    assert "ansim provision" in run("retire", "AN000001", "--undo", "--reason", "dry").stdout
    entries = lines(run("show", "AN000001", "--json").stdout)[-2:]
    assert [(each["action"], each["details"]["reason"]) for each in entries] == [  # type: ignore[index]  # JSON
        ("retire", "dropped"),
        ("reinstate", "dry"),
    ]
    assert entries[0]["station"] == "desk"


@pytest.mark.usefixtures("fleet")
def test_a_device_takes_anothers_place(run: Run) -> None:
    said = run("replace", "AN000001", "AN000002", "--reason", "worn out").stdout
    assert "AN000002 has the place of AN000001: site north, role hub, N-17" in said
    assert "ansim provision --board virtual" in said
    taken = json.loads(run("replace", "AN000001", "AN000002", "--reason", "worn out", "--json").stdout)
    assert (taken["ok"], taken["device"], taken["household"]) == (True, "AN000002", "N-17")
    assert "retired, replaced by AN000002" in run("show", "AN000001").stdout


@pytest.mark.usefixtures("fleet")
def test_the_station_is_named_by_the_environment_and_a_bad_name_is_refused(run: Run) -> None:
    assert run("retire", "AN000002", "--reason", "lost", ANSIM_STATION="bench-7").returncode == 0
    assert lines(run("show", "AN000002", "--json").stdout)[-1]["station"] == "bench-7"
    for bad in ("", "a b", "-x", "x" * 65):
        refused = run("retire", "AN000001", "--reason", "lost", ANSIM_STATION=bad)
        assert refused.returncode == 2 and "station" in refused.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_the_commands_work_on_both_databases(kind: str, tmp_path: Path, run: Run) -> None:
    url = database_url(kind, tmp_path)
    with Registry.open(url) as registry:
        registry.enroll("24:6f:28:00:00:01", board="virtual", site="north", role="hub")
    assert "AN000001" in run("list", ANSIM_DB=url).stdout
    assert len(lines(run("export", ANSIM_DB=url).stdout)) == 1
    assert "1 entries, 1 devices" in run("verify", ANSIM_DB=url).stdout


def test_a_password_in_the_databases_url_is_never_shown(run: Run) -> None:
    for url in ("postgresql+psycopg://ansim:geheim@127.0.0.1:1/fleet", "nonsense://ansim:geheim@host/fleet"):
        refused = run("list", ANSIM_DB=url)
        assert refused.returncode in (2, 5)
        assert "geheim" not in refused.stdout + refused.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full disk at hand")
@pytest.mark.usefixtures("fleet")
def test_an_export_onto_a_full_disk_is_told(url: str) -> None:
    export = [sys.executable, "-m", "ansim", "registry", "export"]
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(export, stdout=full, stderr=subprocess.PIPE, env={**os.environ, "ANSIM_DB": url})
    assert ended.returncode != 0
    assert b"No space left on device" in ended.stderr
