"""``ansim manifest`` as a person and a script use it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from ansim.cli import main
from ansim.home import Home
from ansim.manifest_file import load_manifest
from ansim.registry import Registry


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    del home
    monkeypatch.setenv("COLUMNS", "160")

    def ansim(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(["manifest", *map(str, arguments)])
        said = capsys.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    return ansim


@pytest.fixture
def box(tmp_path: Path) -> Path:
    path = tmp_path / "종로 1.csv"
    path.write_text("site,role,wifi,count\nnorth,hub,Center,2\nsouth,,,198\n", encoding="utf-8")
    return path


def test_a_file_is_checked_and_what_it_orders_is_shown(run: Run, box: Path, home: Home) -> None:
    shown = run("check", box)
    assert shown.code == 0
    assert all(text in shown.out for text in ("PASS", "manifest 종로 1 orders 200 devices", "Center", "as the fleet"))
    told = json.loads(run("check", box, "--json").out)
    assert (told["ok"], told["name"], told["total"], told["networks"]) == (True, "종로 1", 200, ["Center"])
    assert told["orders"][1] == {
        "line": 3,
        "site": "south",
        "role": "",
        "wifi": "",
        "household": "",
        "count": 198,
    }
    # It is about the file, and stores nothing.
    assert not home.path.exists()


def test_each_mistake_is_told_to_a_person_by_line_and_column_and_to_a_script_by_number(run: Run, box: Path) -> None:
    box.write_text("site,role\nn,pendent\n\x1b[2J,hub\n")
    shown = run("check", box)
    assert shown.code == 2
    assert f"{box}:2:3: role 'pendent' is not known; did you mean 'pendant'?" in shown.err
    assert f"{box}:3:1: site" in shown.err
    assert "\x1b[2J" not in shown.err
    refused = run("check", box, "--json")
    told = json.loads(refused.out)
    assert (refused.code, told["ok"], told["exit_code"]) == (2, False, 2)
    assert [(each["line"], each["column"]) for each in told["mistakes"]] == [(2, 3), (3, 1)]


def test_how_far_manifests_are_is_listed_and_shown(run: Run, box: Path, home: Home) -> None:
    home.path.mkdir(mode=0o700)
    assert "No manifest yet: ansim line begins one." in run("list").out
    assert run("list", "--json").out == ""
    manifest = load_manifest(box)
    with Registry.open(home.database_url) as registry:
        for number in (1, 2, 3):
            device = registry.assign(f"24:6f:28:00:00:0{number}", manifest, board="virtual", role="hub").device
        registry.record(device, "flash", "passed")
    counts = {"ordered": 200, "assigned": 3, "ready": 1}
    assert [json.loads(line) for line in run("list", "--json").out.splitlines()] == [{"name": "종로 1", **counts}]
    assert "종로 1" in run("list").out
    told = json.loads(run("show", "종로 1", "--json").out)
    assert {name: told[name] for name in ("name", *counts)} == {"name": "종로 1", **counts}
    assert [(each["site"], each["assigned"], each["ready"]) for each in told["orders"]] == [
        ("north", 2, 0),
        ("south", 1, 1),
    ]
    assert "종로 1: 1 of 200 are ready, 3 assigned" in run("show", "종로 1").out


def test_a_manifest_that_is_not_there_is_told_with_a_way_out(run: Run, home: Home) -> None:
    home.path.mkdir(mode=0o700)
    refused = run("show", "box")
    assert refused.code == 2
    assert "the registry has no manifest 'box'" in refused.err
    assert "ansim manifest list" in refused.err
