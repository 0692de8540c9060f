"""ansim simulate: what it prints, its exit codes, and the trace that it leaves."""

import json
from pathlib import Path

import pytest

from ansim.cli import main
from ansim.simulation.mutants import MUTANTS


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["simulate", *arguments])
    return int(ended.value.code or 0)


def test_a_fleet_that_holds_is_told_with_what_stands_behind_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--seed", "3", "--days", "2", "--devices", "3", "--jobs", "1", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] and told["violation"] is None
    assert told["device_days"] > 6 and told["counts"]["heartbeats"] > 100
    assert run("--seed", "3", "--days", "2", "--devices", "3", "--jobs", "1") == 0
    assert told["digest"] in capsys.readouterr().out


def test_a_violation_is_told_and_replays(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    trace = str(tmp_path / "trace.json")
    fleet = ("--days", "2", "--devices", "2", "--jobs", "1", "--mutant", "drops_on_puback")
    assert run(*fleet, "--trace", trace, "--json") == 1
    told = json.loads(capsys.readouterr().out)["violation"]
    assert told["invariant"] == "kept_until_acknowledged" and told["seed"] == 1 and told["world"] == 0
    assert run("--replay", trace) == 1
    said = capsys.readouterr()
    assert "! press" in said.out and told["detail"] in said.err
    assert run("--replay", trace, "--json") == 1
    assert json.loads(capsys.readouterr().out)["violation"]["invariant"] == told["invariant"]


def test_a_trace_that_can_not_be_written_is_told_before_the_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("--days", "36500", "--devices", "1000000", "--trace", str(tmp_path / "none" / "trace.json")) == 2
    assert "none/trace.json" in capsys.readouterr().err


def test_the_mutants_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--mutant", "list", "--json") == 0
    assert set(json.loads(capsys.readouterr().out)) == set(MUTANTS)


def test_a_mutant_that_is_none_and_a_trace_that_is_missing_are_bad_input(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("--mutant", "typo") == 2
    assert "typo" in capsys.readouterr().err
    assert run("--replay", str(tmp_path / "none.json")) == 2
    assert "none.json" in capsys.readouterr().err


def test_a_mutant_that_a_short_run_does_not_show_is_not_called_a_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--mutant", "drops_when_full", "--days", "1", "--devices", "1", "--jobs", "1") == 0
    said = capsys.readouterr().out
    assert "NOT FOUND" in said and "PASS" not in said


def test_an_endless_file_is_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--replay", "/dev/zero") == 2
    assert "too large" in capsys.readouterr().err
