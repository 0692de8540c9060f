"""Recordings played through the firmware's detector on MicroPython: stage 0 as deployed, processes that end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import made_up_falls
import numpy as np
import pytest
from process_kit import children, in_time, runs

from ansim.errors import AnsimError, BadInput
from ansim.falls import model_file, player, replay, runner, train
from ansim.falls.candidates import gather
from ansim.falls.judging import Deployed, judge
from ansim.falls.recordings import DEVICE_RANGE_MG, DEVICE_RATE_HZ, Recording, save
from ansim.falls.runner import Job, Played, play_all
from ansim.falls.stage0 import wakes_at
from ansim_fw import motion
from ansim_fw.core import sensor_watch
from ansim_fw.core.fall import aftermath, features, screen, window
from ansim_fw.core.fall.detector import FALL, IMPACT
from ansim_fw.drivers._part import Part

WAKE_MG = 300
# Takes every window for a fall.
OPEN = Deployed({**train.open_model("waist"), "suspect": -32768, "certain": -32768})


def jolts(*at: int, samples: int = 1500, size_mg: int = WAKE_MG) -> Recording:
    """Stillness in which the first axis is off for one sample, here and there."""
    acc = np.tile([0.0, -1000.0, 0.0], (samples, 1))
    for each in at:
        acc[each, 0] = size_mg
    return made_up_falls.recording("jolts", acc)


def played(recording: Recording, wake_mg: int = WAKE_MG) -> Played:
    (made,) = play_all([Job(recording.acc, OPEN.packed, wake_mg)], 1)
    return made


def test_stage_0_wakes_at_steps_between_samples_whatever_the_level() -> None:
    assert wakes_at(jolts(100).acc, WAKE_MG).tolist() == [100, 101]
    assert wakes_at(jolts(100, size_mg=WAKE_MG - 1).acc, WAKE_MG).tolist() == []
    assert wakes_at(jolts(samples=9).acc, 0).tolist() == list(range(9))
    ends = made_up_falls.recording("ends of the scale", np.array([[-32768.0, 0, 0], [32767.0, 0, 0]]))
    assert wakes_at(ends.acc, 65535).tolist() == [1]


def test_a_device_at_rest_sleeps() -> None:
    made = played(jolts(size_mg=0))
    assert (made.wakes, made.awake_s, made.marks) == (0, 0, ())


def test_a_wake_brings_the_fifo_s_history_and_two_seconds() -> None:
    made = played(jolts(500))
    # 32 samples up to the jolt, whose end is a step too; then batches of 16 until 100 have passed.
    assert made.wakes == 1
    assert 32 + 100 < made.awake_s * 50 <= 32 + 100 + 2 + 16


def test_a_wake_at_the_beginning_has_less_history() -> None:
    assert played(jolts(10)).awake_s < played(jolts(500)).awake_s


@pytest.mark.parametrize(("apart_s", "wakes"), [(1, 1), (1.9, 1), (10, 2)])
def test_what_follows_soon_finds_the_device_awake(apart_s: float, wakes: int) -> None:
    assert played(jolts(200, 200 + round(apart_s * 50))).wakes == wakes


def test_without_stage_0_nothing_is_slept_through() -> None:
    one = jolts()
    made = played(one, wake_mg=0)
    assert made.wakes == 1 and made.awake_s == one.duration_s


def test_a_fall_is_seen_by_every_stage_of_a_model_that_takes_everything_for_one() -> None:
    falls = [each for each in made_up_falls.people(2, 2) if each.is_fall]
    outcomes = judge(falls, [OPEN] * len(falls), 2, candidates=True)
    assert all(each.times_s(IMPACT) and each.times_s(FALL) for each in outcomes)
    candidates = gather(falls, [each.played for each in outcomes])
    assert set(candidates.recording.tolist()) == set(range(len(falls)))
    assert candidates.features.shape[0] == len(candidates.at_s) and candidates.features.shape[1] > 1


def test_the_features_told_are_those_of_the_moment() -> None:
    weak, strong = (made_up_falls.recording("F", made_up_falls.fall(peak), is_fall=True) for peak in (3000, 6000))
    both = judge([weak, strong, weak], [OPEN] * 3, 1, candidates=True)
    first, second, third = (each.played.candidates for each in both)
    assert first == third != second


def test_a_fall_at_the_very_end_is_decided_in_the_rest_after_it() -> None:
    whole = made_up_falls.fall()
    cut = made_up_falls.recording("cut short", whole[:255], is_fall=True)
    (outcome,) = judge([cut], [OPEN], 1)
    assert outcome.alarms and outcome.times_s(FALL)[0] > cut.duration_s


def test_any_number_of_processes_gives_the_same() -> None:
    recordings = made_up_falls.people(3, 2)
    one, three = (judge(recordings, [OPEN] * len(recordings), count, candidates=True) for count in (1, 3))
    assert [each.played for each in one] == [each.played for each in three]


def test_other_rates_are_played_at_the_device_s() -> None:
    twice = made_up_falls.recording("F", np.repeat(made_up_falls.fall(), 2, axis=0), is_fall=True, fs=100)
    (outcome,) = judge([twice], [OPEN], 1)
    assert outcome.alarms and outcome.times_s(FALL)[0] < twice.duration_s


def test_recordings_are_played_as_the_firmware_reads_its_sensor() -> None:
    assert (DEVICE_RATE_HZ, DEVICE_RANGE_MG) == (motion.RATE_HZ, motion._RANGE_G * 1000)
    assert runner.BATCH_SAMPLES * 1000 == motion._READ_MS * motion.RATE_HZ
    assert runner.QUIET_S * 1000 == motion._QUIET_MS
    assert player.HISTORY == Part.FIFO_SAMPLES
    assert (player.REST, runner.HOLD_S) == (DEVICE_RATE_HZ, replay.HOLD_S)
    assert motion._RANGE_G * 950 < sensor_watch._FULL_MG < motion._RANGE_G * 1000


def test_all_of_the_detector_means_the_same_ring() -> None:
    """Machine code takes constants of its own file only, so each file has them."""
    assert screen.RING == window._RING == features._RING == aftermath._RING == features.HISTORY + features.AFTER


def test_beyond_the_range_of_the_device_nothing_counts() -> None:
    loud = made_up_falls.fall(20_000)
    quiet = np.clip(loud, -DEVICE_RANGE_MG, DEVICE_RANGE_MG)
    recordings = [made_up_falls.recording("F", each, is_fall=True) for each in (loud, quiet)]
    first, second = judge(recordings, [OPEN] * 2, 1, candidates=True)
    assert np.abs(loud).max() > DEVICE_RANGE_MG and first.played == second.played


def test_each_recording_is_judged_by_its_own_model() -> None:
    deaf = Deployed({**OPEN.told, "wake_mg": 30_000})
    fall = made_up_falls.recording("F", made_up_falls.fall(), is_fall=True)
    outcomes = judge([fall] * 4, [OPEN, deaf, OPEN, deaf], 2)
    assert [each.alarms > 0 for each in outcomes] == [True, False, True, False]


def test_a_model_that_is_damaged_is_told_as_the_detector_says_it() -> None:
    with pytest.raises(AnsimError) as failed:
        play_all([Job(jolts(5).acc, OPEN.packed[:-1], WAKE_MG)] * 5, 2)
    assert "ValueError" in failed.value.message and failed.value.hint


def test_a_recording_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MAX_SAMPLES", 100)
    with pytest.raises(BadInput, match="1500 samples"):
        played(jolts())


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc to see whose children there are")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_behind(how: signal.Signals, tmp_path: Path) -> None:
    save(tmp_path / "many.npz", made_up_falls.people(6, 60))
    model_file.write(tmp_path / "model.json", OPEN.told)
    arguments = ["falls", "evaluate", "--set", "many.npz", "--model", "model.json", "--jobs", "2"]
    command = [sys.executable, "-m", "ansim", *arguments]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: len(children(process.pid)) == 2)
        players = children(process.pid)
        os.kill(process.pid, how)
        with in_time(process):
            code = process.wait()
    wait_until(lambda: not any(map(runs, players)))
    assert code == (130 if how == signal.SIGINT else -signal.SIGKILL)
