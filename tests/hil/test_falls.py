"""From a movement to the receiver: whole devices, whose motion sensor feels what is played to it."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_alarm_path import alarm_state, is_event

import movements
from ansim.boards import boards_folder
from ansim.client import Deadline
from ansim.event import Event
from ansim.falls.recordings import Recording, data_folder, load, save
from ansim.falls.replay import LEAD_IN_S, MOST_TRIES, Movement, Outcome, Replayer, Result
from ansim.falls.replay_plan import Choice, plan
from ansim.falls.replay_prediction import predict
from ansim.falls.replay_report import Results
from ansim.falls.replay_run import Device, Orders, run
from ansim.falls.replay_view import View
from ansim.sandbox import Sandbox
from unit_under_test import UnitUnderTest

pytestmark = pytest.mark.needs("boards", "flash", "motion", "power", "press", "speed", "watch", "wifi")

SPEED = 10
PREALARM = timedelta(seconds=30)
SET = "sisfall_50hz"
# I2C addresses as in the data sheets.
PARTS = {"lis2dw12": 0x19, "adxl345": 0x53, "bma400": 0x14, "mpu6886": 0x68}
PRESSES = 9
SLACK_S = 3.0
# What a sensor adds to what it feels, at most: half a step at +-8 g, and six times its noise.
SENSOR_MG = 10


@contextmanager
def worn(sandbox: Sandbox, name: str, board: str = "virtual") -> Iterator[UnitUnderTest]:
    """A device whose time runs fast."""
    unit = UnitUnderTest.on(sandbox, sandbox.start_board(name, board=board, speed=SPEED), board)
    try:
        unit.flash()
        unit.connect()
        yield unit
    finally:
        unit.close()


@pytest.fixture(scope="module")
def fast(sandbox: Sandbox) -> Iterator[UnitUnderTest]:
    """This module's device whose time runs fast."""
    with worn(sandbox, "falls-fast") as unit:
        yield unit


@pytest.fixture
def wearer(fast: UnitUnderTest) -> UnitUnderTest:
    """The fast device, freshly switched on, connected, with nothing waiting; whoever wears it stands."""
    fast.control.still(movements.UPRIGHT)
    fast.start_afresh()
    return fast


def play(unit: UnitUnderTest, movement: Movement, cancel: bool = False) -> Outcome:
    replayer = Replayer(unit.control, unit.console)
    replayer.until_ready()
    return replayer.play_well(movement, cancel=cancel)


def begin_fall(unit: UnitUnderTest) -> dict[str, Any]:
    """Fall, and return what the device says when the pre-alarm begins; again if this machine was too slow for it."""
    Replayer(unit.control, unit.console).until_ready()
    movement = movements.fall()
    for _ in range(MOST_TRIES):
        unit.control.play(movement.framed(), movement.rate_hz)
        for said in unit.console.announcements(Deadline((LEAD_IN_S + movement.duration_s) / SPEED + SLACK_S)):
            if said["event"] == "prealarm":
                return said
    raise AssertionError(f"no pre-alarm: {unit.info()}")


def has_id(alarm: tuple[int, int]) -> Callable[[Event], bool]:
    return lambda event: (event.boot, event.seq) == alarm


def test_a_fall_is_an_alarm_that_the_receiver_acknowledges(wearer: UnitUnderTest) -> None:
    outcome = play(wearer, movements.fall())
    assert outcome.result == Result.ALARM
    assert outcome.stages[0] == "impact"
    assert outcome.stages.index("suspect") < outcome.stages.index("fall")
    (alarm,) = outcome.alarms
    event = wearer.receives(has_id(alarm), "fall").event
    assert (event.type, event.kind) == ("alarm", "fall")


def test_nothing_is_sent_before_the_prealarm_is_over(wearer: UnitUnderTest) -> None:
    outcome = play(wearer, movements.fall())
    whats = [happening.what for happening in outcome.happenings]
    assert whats.index("prealarm") < whats.index("raised") < whats.index("sent") < whats.index("acknowledged")
    event = wearer.receives(has_id(outcome.alarms[0]), "fall").event
    assert event.occurred_at is not None
    # Both in the device's time: what the receiver takes off is what the device tells as the alarm's age.
    assert event.received_at - event.occurred_at >= PREALARM


def test_a_hold_in_the_prealarm_is_a_cancelled_event_that_was_never_open(wearer: UnitUnderTest) -> None:
    outcome = play(wearer, movements.fall(), cancel=True)
    assert outcome.result == Result.CANCELLED
    (alarm,) = outcome.alarms
    event = wearer.receives(has_id(alarm), "fall").event
    heard = [each.event for each in wearer.sandbox.receiver.heard() if each.event.device == wearer.name]
    cancel = next(each for each in heard if each.of == alarm)
    assert heard.index(cancel) < heard.index(event), "the alarm came while nobody knew that it was cancelled"
    assert alarm_state(wearer, event) == "cancelled"


def test_a_press_in_the_prealarm_calls_for_help_at_once(wearer: UnitUnderTest) -> None:
    fell = begin_fall(wearer)
    wearer.press()
    raised = wearer.announced("raised", kind="sos")
    wearer.receives(is_event(raised), "call")
    event = wearer.receives(is_event(fell), "fall").event
    assert event.occurred_at is not None
    assert event.received_at - event.occurred_at < PREALARM


def test_power_that_goes_in_the_prealarm_does_not_take_the_alarm_with_it(wearer: UnitUnderTest) -> None:
    fell = begin_fall(wearer)
    wearer.announced("journalled", kind="fall")
    wearer.control.power(False)
    assert not [each for each in wearer.rows("fall") if is_event(fell)(each)], "it was sent in its pre-alarm"
    wearer.control.power(True)
    wearer.receives(is_event(fell), "fall of before the power cut")
    wearer.until_connected()


@pytest.mark.parametrize(
    "movement",
    [movements.walking(), movements.sitting_down(), movements.put_on_a_table()],
    ids=lambda movement: movement.name,
)
def test_what_is_no_fall_raises_nothing(wearer: UnitUnderTest, movement: Movement) -> None:
    before = len(wearer.rows("fall"))
    assert play(wearer, movement).result == Result.NOTHING
    wearer.until_connected()
    assert len(wearer.rows("fall")) == before


@pytest.fixture
def board_with(tmp_path: Path) -> Callable[[str], str]:
    """Make a board file like the virtual board's, with another motion sensor, and return its path."""

    def make(part: str) -> str:
        text = (boards_folder() / "virtual.toml").read_text()
        for old, new in (
            ('name = "virtual"', f'name = "virtual-{part}"'),
            ('part = "lis2dw12"', f'part = "{part}"'),
            ("address = 0x19", f"address = {PARTS[part]:#x}"),
        ):
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / f"virtual-{part}.toml"
        path.write_text(text)
        return str(path)

    return make


@pytest.mark.parametrize("part", PARTS)
def test_a_fall_is_one_whichever_part_feels_it(sandbox: Sandbox, board_with: Callable[[str], str], part: str) -> None:
    with worn(sandbox, f"falls-{part}", board_with(part)) as unit:
        unit.control.still(movements.UPRIGHT)
        assert unit.until_connected()["fall"]["part"] == part
        assert play(unit, movements.walking(10.0)).result == Result.NOTHING
        assert play(unit, movements.fall()).result == Result.ALARM


def test_a_press_is_as_quick_beside_a_busy_sensor(device: UnitUnderTest) -> None:
    device.configure(cancel_s=0)
    try:
        device.control.still(movements.UPRIGHT)
        resting_ms = press_to_sent_ms(device)
        before = impacts(device)
        steps = movements.running()
        device.control.play(steps.samples, steps.rate_hz, repeat=True)
        device.until(lambda info: info["fall"]["impact"] > before, "busy with steps")
        running_ms = press_to_sent_ms(device)
    finally:
        device.control.still(movements.UPRIGHT)
        device.configure(cancel_s=30)
    # A round of the loop more, at most.
    assert running_ms <= 2 * resting_ms + 20


def impacts(unit: UnitUnderTest) -> int:
    return int(unit.info()["fall"]["impact"])


def press_to_sent_ms(unit: UnitUnderTest) -> float:
    """Return the median time from a press to its transmission, by the device's own clock."""
    took_ms = []
    for _ in range(PRESSES):
        unit.press(60)
        pressed = unit.announced("pressed")
        raised = unit.announced("raised", kind="sos")
        sent = unit.announced("sent", seq=raised["seq"])
        unit.announced("acknowledged", seq=raised["seq"])
        took_ms.append(sent["ms"] - pressed["ms"])
    return statistics.median(took_ms)


# Recordings


def recording(movement: Movement) -> Recording:
    acc = np.array(movement.samples, dtype=np.int16).reshape(-1, 3)
    code = "F01" if movement.is_fall else "D01"
    return Recording(movement.name, "S01", "young", 30, code, 1, movement.is_fall, np.nan, np.nan, 50.0, acc)


def test_one_command_replays_a_set_on_a_device_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    save(path, [recording(movements.fall()), recording(movements.sitting_down())])
    told = replay(str(path), "--speed", str(SPEED))
    assert [row["what"] for row in told if row.get("at_s") and row["recording"].startswith("fall")][
        -1
    ] == "acknowledged"
    summary = told[-1]
    assert summary["ok"]
    assert (summary["falls_noticed"], summary["activities_with_alarm"], summary["not_kept_up"]) == (1, 0, [])
    assert list(tmp_path.iterdir()) == [path]


def replay(*arguments: str) -> list[dict[str, Any]]:
    """Run ansim falls replay, which must end as expected, and return what it told."""
    command = [sys.executable, "-m", "ansim", "falls", "replay", *arguments, "--json"]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_the_sensor_feels_can_be_recorded_and_replayed(
    wearer: UnitUnderTest, tmp_path: Path, ansim: Callable[..., str]
) -> None:
    path = tmp_path / "mine.npz"
    walk = movements.walking()
    wearer.control.play(walk.samples, walk.rate_hz, repeat=True)
    wearer.disconnect()
    port = f"virtual:{wearer.board.name}"
    ansim("falls", "record", str(path), "--seconds", "20", "--subject", "S01", "--activity", "D01", "--port", port)
    (made,) = load(path)
    assert (made.name, made.fs, made.is_fall) == ("D01_S01_R01", 50.0, False)
    assert len(made.acc) >= 19 * 50
    assert is_part_of(made, walk)


def is_part_of(made: Recording, movement: Movement) -> bool:
    """Whether a recording is what was played again and again, but for the sensor's resolution and noise."""
    played = np.tile(recording(movement).acc.astype(int), (3, 1))
    count = len(made.acc)
    return any(np.abs(played[i : i + count] - made.acc).max() <= SENSOR_MG for i in range(len(movement.samples) // 3))


@pytest.fixture
def recorded() -> None:
    if not (data_folder() / f"{SET}.npz").exists():
        pytest.skip(f"{SET}.npz is not in {data_folder()}: set ANSIM_DATA to the folder of recordings")


@pytest.mark.parametrize(
    "choice",
    [
        pytest.param(Choice(is_fall=True, limit=4), id="falls"),
        pytest.param(Choice(activities=("D05", "D11", "D13", "D18"), limit=15), id="activities"),
    ],
)
@pytest.mark.usefixtures("recorded")
def test_recordings_lead_to_what_the_evaluation_says_of_them(wearer: UnitUnderTest, choice: Choice) -> None:
    planned = plan(SET, choice)
    results = Results(None)
    run(Device(wearer.control, wearer.console), planned, predict(planned, 1), results, View(), Orders())
    summary = results.summary()
    assert summary["recordings"] == len(planned)
    assert not summary["not_kept_up"] and not summary["alarms_lost"]
    assert not summary["unlike_predicted"]
    assert bool(summary["falls_noticed"]) == bool(summary["falls"])
