"""Which recordings a replay plays, what it expects of them, and the account that it keeps."""

import json
import math
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ansim.errors import BadInput
from ansim.falls import recordings
from ansim.falls.commands.replay import command
from ansim.falls.recordings import Recording
from ansim.falls.replay import LEAD_IN_S, Movement, Outcome, Result
from ansim.falls.replay_plan import Choice, placement_of, plan
from ansim.falls.replay_report import Expect, Judged, Results

ALARM = (3, 7)


def recorded(name: str, seconds: int = 36) -> Recording:
    activity, subject, trial = name.split("_")
    acc = np.tile(np.array([0, 0, 1000], dtype=np.int16), (50 * seconds, 1))
    falls = activity.startswith("F")
    return Recording(name, subject, "young", 30, activity, int(trial[1:]), falls, math.nan, math.nan, 50.0, acc)


def movement(name: str = "F05_S01_R01", is_fall: bool = True) -> Movement:
    return Movement(name, array("h", [0, 0, 1000] * 50), 50.0, is_fall)


def outcome(*whats: str, is_fall: bool = True, name: str = "F05_S01_R01") -> Outcome:
    """An outcome in which the device announced these, of one fall."""
    made = Outcome(movement(name, is_fall))
    for at_s, what in enumerate(whats):
        said = {"event": what, "boot": ALARM[0], "seq": ALARM[1], "kind": "fall"}
        if what in ("impact", "suspect", "fall", "cleared"):
            said = {"event": "fall_stage", "stage": what}
        elif what == "cancelled":
            said = {"event": what, "boot": ALARM[0], "seq": ALARM[1] + 1, "kind": "", "of": list(ALARM)}
        made.take(said, float(at_s))
    return made


SET = [recorded(name) for name in ("D01_S01_R01", "D02_S01_R01", "F05_S01_R01", "F05_S02_R01")]


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        (Choice(), ["D01_S01_R01", "D02_S01_R01", "F05_S01_R01", "F05_S02_R01"]),
        (Choice(names=["F05_S02_R01", "0"]), ["D01_S01_R01", "F05_S02_R01"]),
        (Choice(activities=["F05"], limit=1), ["F05_S01_R01"]),
        (Choice(is_fall=False), ["D01_S01_R01", "D02_S01_R01"]),
        (Choice(activities=["D01"], hours=0.025), ["D01_S01_R01"] * 3),
    ],
)
def test_recordings_are_chosen_by_name_number_activity_and_label(choice: Choice, names: Sequence[str]) -> None:
    assert [each.name for each in choice.of(SET, "set")] == names


@pytest.mark.parametrize("choice", [Choice(names=["X01_S01_R01"]), Choice(names=["4"]), Choice(activities=["D19"])])
def test_a_choice_that_a_set_does_not_have_is_refused_with_what_it_has(choice: Choice) -> None:
    with pytest.raises(BadInput, match="set has no") as caught:
        choice.of(SET, "set")
    assert "D01, D02, F05" in caught.value.hint


def test_a_set_is_a_file_or_a_name_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIM_DATA", str(tmp_path))
    recordings.save(tmp_path / "mine.npz", SET)
    assert len(plan("mine", Choice())) == len(plan(str(tmp_path / "mine.npz"), Choice())) == 4
    with pytest.raises(BadInput, match=r"yours\.npz") as caught:
        plan("yours", Choice())
    assert "there are: mine." in caught.value.hint
    with pytest.raises(BadInput, match=r"yours\.npz"):
        plan(str(tmp_path / "yours.npz"), Choice())


def test_a_name_that_is_nearly_right_is_answered_with_the_right_one() -> None:
    with pytest.raises(BadInput) as caught:
        Choice(names=["F05_S02_R1"]).of(SET, "set")
    assert caught.value.hint.startswith("Did you mean F05_S02_R01")


def test_the_device_is_worn_as_in_the_set_unless_told_otherwise() -> None:
    placements = [placement_of(where) for where in ("weda_50hz", "elsewhere/weda_50hz.npz", "sisfall_50hz", "mine.npz")]
    assert placements == ["wrist", "wrist", "waist", "waist"]


def test_results_that_can_not_be_kept_are_told_before_anything_is_played(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere" / "day.jsonl"
    done = CliRunner().invoke(command, ["set", "--results", str(nowhere)])
    assert isinstance(done.exception, BadInput)
    assert str(nowhere) in done.exception.message


def test_a_movement_begins_with_its_first_posture_held_and_ends_in_its_mean_one() -> None:
    samples = array("h", [0, 0, 1000, 50, 60, 70])
    played = Movement("m", samples, 50.0, False).framed()
    assert played[-3:] == array("h", [25, 30, 535])
    assert played[-9:-3] == samples
    assert played[:-6] == array("h", [0, 0, 1000]) * int(LEAD_IN_S * 50 + 1)


RAISED = ("impact", "suspect", "fall", "prealarm", "raised", "sent", "acknowledged")
CANCELLED = ("impact", "suspect", "fall", "prealarm", "cancelled", "sent", "acknowledged")


def test_what_became_of_a_movement_is_told_from_what_the_device_announced() -> None:
    assert outcome("impact", "cleared").result == Result.NOTHING
    assert outcome(*RAISED).result == Result.ALARM
    assert outcome(*RAISED[:-1]).result == Result.LOST
    assert outcome(*CANCELLED).result == Result.CANCELLED
    assert outcome(*RAISED).stages == ["impact", "suspect", "fall"]


def test_other_alarms_are_none_of_falls() -> None:
    made = Outcome(movement())
    assert made.take({"event": "raised", "boot": 1, "seq": 1, "kind": "sos"}, 1.0) is None
    assert made.take({"event": "shown", "pattern": "raised"}, 1.0) is None
    assert made.take({"event": "cancelled", "boot": 1, "seq": 2, "kind": "", "of": [1, 1]}, 1.0) is None
    assert made.result == Result.NOTHING


@pytest.mark.parametrize(
    ("expect", "is_fall", "cancels", "right"),
    [
        (Expect.LABEL, True, False, Result.ALARM),
        (Expect.LABEL, True, True, Result.CANCELLED),
        (Expect.LABEL, False, False, Result.NOTHING),
        (Expect.LABEL, False, True, Result.NOTHING),
        (Expect.FALL, False, False, Result.ALARM),
        (Expect.NOTHING, True, False, Result.NOTHING),
    ],
)
def test_one_result_is_expected(expect: Expect, is_fall: bool, cancels: bool, right: Result) -> None:
    assert [result for result in Result if expect.allows(movement(is_fall=is_fall), result, cancels)] == [right]


def test_whatever_is_expected_a_lost_alarm_is_none_of_it() -> None:
    assert [result for result in Result if not Expect.ANY.allows(movement(), result, False)] == [Result.LOST]


def test_a_board_that_did_not_keep_up_proves_nothing() -> None:
    for late, gaps in ((1, 0), (0, 1)):
        made = outcome(*RAISED)
        made.late, made.gaps = late, gaps
        assert not Judged(made, right=True, predicted=True).as_expected


def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    planned = [each.name for each in SET]
    first = Results(path)
    assert first.done(planned) == 0
    first.add(Judged(outcome("impact", name=planned[0], is_fall=False), True, False))
    first.add(Judged(outcome(*RAISED, name=planned[1], is_fall=False), False, False))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"recording": "F05_S')
    again = Results(path)
    assert again.done(planned) == 2
    again.add(Judged(outcome(*RAISED, name=planned[2]), True, True))
    assert Results(path).done(planned) == 3
    summary = Results(path).summary()
    assert (summary["recordings"], summary["falls"], summary["falls_noticed"]) == (3, 1, 1)
    assert (summary["activities_with_alarm"], summary["alarms"], summary["alarms_lost"]) == (1, 2, 0)
    assert summary["predicted_with_alarm"] == 1
    assert summary["unlike_predicted"] == summary["not_as_expected"] == [planned[1]]


def test_results_of_another_plan_are_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    Results(path).add(Judged(outcome(name="D01_S01_R01"), True, None))
    with pytest.raises(BadInput, match="other recordings"):
        Results(path).done(["D02_S01_R01"])


@pytest.mark.parametrize("text", ["nonsense\n", json.dumps({"recording": "D01"}) + "\n", "[]\n", "no line's end"])
def test_a_file_that_holds_no_results_is_refused_and_stays_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "day.jsonl"
    path.write_text(text)
    with pytest.raises(BadInput, match="no results"):
        Results(path)
    assert path.read_text() == text
