"""ansim falls train and evaluate, on recordings that nobody made."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import made_up_falls
import pytest

from ansim.cli import main
from ansim.errors import BadInput
from ansim.falls import model_file, train
from ansim.falls.bounds import PLACEMENTS
from ansim.falls.recordings import Recording, save
from ansim.home import project_root

# So often each person does each thing; the trees don't split what is fewer.
EACH = 10
FOLDS = ("--folds", "3", "--jobs", "2")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["falls", *arguments])
    return int(ended.value.code or 0)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a set for each placement, by other people."""
    monkeypatch.setenv("ANSIM_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "sisfall_50hz.npz", made_up_falls.people(6, EACH))
    others = [made_up_falls.recording("F", made_up_falls.fall(), subject="Q1", is_fall=True)]
    others += [made_up_falls.recording("D", made_up_falls.walk(), subject="Q2")]
    save(tmp_path / "weda_50hz.npz", others)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_cross_validation_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", *FOLDS, "--json") == 0
    found = told(capsys)
    assert {"ok", "title", "overall", "groups", "subjects", "activities", "falls", "others"} <= found.keys()
    assert {"sleep", "reference", "lead", "held", "robustness", "bounds", "mistakes"} <= found.keys()
    assert set(found["subjects"]) == {f"P{i}" for i in range(1, 7)} and set(found["groups"]) == {"young", "elderly"}
    assert found["overall"]["recordings"] == 18 * EACH and found["falls"]["recordings"] == 6 * EACH
    for name in ("sensitivity", "specificity"):
        rate = found["overall"][name]
        assert rate["value"] == rate["count"] / rate["of"] >= 0.8
        assert rate["low"] <= rate["value"] <= rate["high"]
    assert [each["figure"] for each in found["bounds"]] == [each.figure for each in PLACEMENTS["waist"].bounds]


@pytest.mark.parametrize(
    "kept", [made_up_falls.people(1, EACH), [each for each in made_up_falls.people(3, EACH) if not each.is_fall]]
)
def test_too_little_to_learn_from_is_told(
    data: Path, capsys: pytest.CaptureFixture[str], kept: list[Recording]
) -> None:
    save(data / "few.npz", kept)
    assert run("train", "--set", "few.npz", "--output", "new.json") == 2
    assert "too little to learn from" in capsys.readouterr().err
    assert not (data / "new.json").exists()


def test_a_model_of_another_placement_is_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model_file.write(data / "arm.json", train.open_model("wrist"))
    assert run("evaluate", "--placement", "waist", "--model", "arm.json") == 2
    assert "--placement wrist" in capsys.readouterr().err


def test_the_same_seed_tells_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", *FOLDS, "--seed", "5", "--json") == 0
    first = told(capsys)
    assert run("evaluate", "--folds", "3", "--jobs", "1", "--seed", "5", "--json") == 0
    assert told(capsys) == first


def test_a_person_sees_tables_and_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", *FOLDS) == 0
    said = capsys.readouterr()
    for words in ("sensitivity", "young", "suspect", "random forest", "what must hold", "falls slept through"):
        assert words in said.out
    assert "PASS" in said.out or "FAIL" in said.err


def test_a_bound_that_does_not_hold_fails_where_that_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    # Nothing is ever a fall to it.
    model_file.write(Path("deaf.json"), train.open_model("waist"))
    deaf = ("--model", "deaf.json", "--json")
    assert run("evaluate", *deaf) == 0
    assert run("evaluate", *deaf, "--check") == 1
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert not found["ok"] and found["overall"]["sensitivity"]["value"] == 0
    broken = {each["figure"] for each in found["bounds"] if not each["holds"]}
    assert broken == {"sensitivity, young", "sensitivity, elderly"}
    assert {each["name"] for each in found["mistakes"]} == {
        f"F_P{i}_{trial}" for i in range(1, 7) for trial in range(EACH)
    }


def test_recordings_are_judged_as_other_sensors_would_have_made_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", *FOLDS, "--clip-mg", "4000", "--source-hz", "20", "--json") == 0
    assert told(capsys)["title"].endswith("stops at 4 g, source at 20 Hz")


def test_robustness_is_a_line_for_each_disturbance(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", *FOLDS, "--robustness", "--json") == 0
    found = told(capsys)["robustness"]
    assert "turned at random" in found and "source at 20 Hz" in found
    assert found["turned at random"]["sensitivity"]["value"] > 0.8


def test_a_model_is_trained_written_and_judged(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    assert run("train", "--output", "new.json", "--jobs", "2", "--json") == 0
    written = told(capsys)
    assert written["learned_from"]["subjects"] == [f"P{i}" for i in range(1, 7)]
    assert json.loads((data / "new.json").read_text())["learned_from"]["set"] == "sisfall_50hz.npz"
    assert run("evaluate", "--model", "new.json", "--json") == 0
    assert "6 OF THE SUBJECTS TAUGHT IT" in told(capsys)["title"]
    assert run("evaluate", "--model", "new.json", "--set", "weda_50hz.npz") == 0
    assert "not known here: sensitivity, young" in " ".join(capsys.readouterr().out.split())
    assert run("evaluate", "--model", "new.json", "--set", "weda_50hz.npz", "--json") == 0
    strangers = told(capsys)
    assert "TAUGHT" not in strangers["title"] and strangers["reference"] is None
    assert strangers["overall"]["sensitivity"]["value"] == strangers["overall"]["specificity"]["value"] == 1


def test_what_one_set_teaches_is_judged_on_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", "--train", "sisfall_50hz.npz", "--set", "weda_50hz.npz", "--json") == 0
    found = told(capsys)
    assert found["overall"]["recordings"] == 2 and found["reference"]["recordings"] == 2


def test_nobody_is_both_learned_from_and_judged(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", "--train", "sisfall_50hz.npz") == 2
    assert "P1, P2" in capsys.readouterr().err


def test_a_page_is_written(data: Path) -> None:
    assert run("evaluate", *FOLDS, "--html", "page.html", "--json") == 0
    assert (data / "page.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["evaluate", "--set", "none.npz"], "none.npz"),
        (["evaluate", "--model", "none.json"], "none.json"),
        (["evaluate", "--folds", "7"], "6 subjects"),
        (["evaluate", "--folds", "3", "--model", "none.json"], "--model"),
        (["evaluate", "--folds", "3", "--train", "weda_50hz.npz"], "--train"),
        (["evaluate", "--html", "no/such/folder.html"], "folder.html"),
        (["train", "--output", "no/such/folder.json"], "folder.json"),
        (["train", "--set", "none.npz", "--output", "new.json"], "none.npz"),
    ],
)
def test_bad_input_is_named(arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    said = capsys.readouterr().err
    assert named in said and "Next:" in said


@pytest.mark.parametrize("learned_from", ["me", {"subjects": "S01"}, {"subjects": [["S01"]]}])
def test_a_model_that_does_not_tell_who_taught_it_is_refused(learned_from: Any, data: Path) -> None:
    sound = json.loads((project_root() / "firmware" / "models" / "fall_waist.json").read_text())
    (data / "odd.json").write_text(json.dumps({**sound, "learned_from": learned_from}))
    with pytest.raises(BadInput, match="learned_from"):
        model_file.read(data / "odd.json")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"placement": 7}'])
def test_a_file_that_is_no_model_is_refused(content: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "odd.json").write_text(content)
    assert run("evaluate", "--model", "odd.json") == 2
    assert "odd.json" in capsys.readouterr().err


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout


def test_other_commands_start_without_numpy() -> None:
    code = "import sys; from ansim.cli import main\ntry: main(['falls', 'evaluate', '--help'])\n"
    assert python(f"{code}except SystemExit: print('numpy' in sys.modules)").endswith("False\n")


def test_a_missing_extra_is_named_with_what_to_do() -> None:
    code = "import sys; sys.modules['sklearn'] = None; from ansim.cli import main\n"
    said = python(f"{code}try: main(['falls', 'evaluate', '--json'])\nexcept SystemExit as ended: print(ended.code)")
    error, exit_code = said.splitlines()
    assert "sklearn" in error and "pip install 'ansim[falls]'" in json.loads(error)["hint"] and exit_code == "1"
