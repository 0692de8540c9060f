"""The reference pendant as a whole device, whose ESP32-C3 hears nothing of its button between two light sleeps."""

from collections.abc import Iterator

import pytest
from pendant import Pendant, prepared

import movements
from ansim.board_file import stand_in_for, write_board
from ansim.boards import load_board
from ansim.sandbox import Sandbox

pytestmark = pytest.mark.needs(
    "boards", "flash", "motion", "power", "press", "sleep", "speed", "supply", "watch", "wifi"
)

# Whatever the firmware does takes its chip so many times longer than it takes this machine.
SLOWNESS = 5
HOUR_MS = 3_600_000
WAKE_MS = 20_000
# As short as a finger can be.
PRESS_MS = 60
# Shorter than what the firmware does between two light sleeps.
TAP_MS = 30
# So often this machine may be too busy to look at the button while a tap lasts, which is some milliseconds of its time.
MOST_TRIES = 3
# ESP-IDF's ESP_SLEEP_WAKEUP_GPIO.
GPIO_WAKE = 7


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> str:
    stood_in_for = stand_in_for(load_board("esp32c3_pendant"), "c3-pendant")
    return str(write_board(stood_in_for, tmp_path_factory.mktemp("boards")))


@pytest.fixture(scope="module")
def flashed_pendant(sandbox: Sandbox, board: str) -> Iterator[Pendant]:
    """It has nothing to say for a day."""
    with prepared(sandbox, "gpio", board, speed=SLOWNESS) as made:
        yield made


@pytest.fixture
def pendant(flashed_pendant: Pendant) -> Pendant:
    """It was switched on, on its cell, told of itself, and sleeps deeply; its wearer stands."""
    flashed_pendant.begins_asleep()
    return flashed_pendant


def calls(pendant: Pendant) -> None:
    """Wait until a press is acknowledged."""
    raised = pendant.announced("raised", kind="sos")
    pendant.announced("acknowledged", seq=raised["seq"])


def stirred(impact: bool) -> "list[list[movements.Vector]]":
    """Stand, bump into something, and, if so, hit something soon after."""
    bumped = [*movements.still(movements.UPRIGHT, 0.5), (420.0, -980.0, 120.0), (-280.0, -980.0, 120.0)]
    hit = movements.impact(movements.UPRIGHT, 2200.0) if impact else []
    return [bumped, movements.still(movements.UPRIGHT, 1.5), hit, movements.still(movements.UPRIGHT, 6.0)]


def test_a_press_out_of_deep_sleep_is_acknowledged_and_it_sleeps_again(pendant: Pendant) -> None:
    before = len(pendant.seen)
    pendant.control.press(PRESS_MS)
    pendant.announced("awake", reason="button")
    calls(pendant)
    pendant.sleeps(before)
    assert pendant.runs(before)[-1]["nvs_writes"] == 0, "a wake is no start"


def test_a_bump_is_told_from_a_press_and_has_no_radio(pendant: Pendant) -> None:
    before = len(pendant.seen)
    pendant.control.play(movements.movement("bump", stirred(False)).samples)
    pendant.sees("interrupt", before)
    pendant.sleeps(before)
    runs = pendant.runs(before)
    assert runs[0]["wake"] == GPIO_WAKE
    assert sum(run["radio_ms"] + run["programs"] for run in runs) == 0


@pytest.mark.parametrize("moment", ["sleep", "asleep"])
def test_a_press_while_it_falls_asleep_is_not_missed(flashed_pendant: Pendant, moment: str) -> None:
    flashed_pendant.control.still(movements.UPRIGHT)
    flashed_pendant.control.later(on=moment).press(PRESS_MS)
    before = flashed_pendant.start_on_its_cell()
    flashed_pendant.sees("stimulus", before, do="press")
    calls(flashed_pendant)


@pytest.mark.parametrize(
    ("impact", "sleeps"),
    [(False, 1), (True, 1), (True, 2), (True, 3)],
    ids=["reads", "loads-the-detector", "judges", "reads-on"],
)
def test_a_tap_between_two_light_sleeps_is_not_missed(pendant: Pendant, impact: bool, sleeps: int) -> None:
    told = pendant.rows("sos")[-1:]
    for _ in range(MOST_TRIES):
        after = len(pendant.seen)
        pendant.control.play(movements.movement("stir", stirred(impact)).samples)
        for _ in range(sleeps):
            after = pendant.sees("sleep", after, deep=False)
        pendant.control.later(on="wake").press(TAP_MS)
        pendant.sleeps(after)
        if pendant.rows("sos")[-1:] != told:
            return
    raise AssertionError("nobody looked at the button")


def test_a_press_in_light_sleep_is_an_alarm(pendant: Pendant) -> None:
    after = len(pendant.seen)
    pendant.control.play(movements.movement("stir", stirred(False)).samples)
    pendant.control.later(on="asleep").press(PRESS_MS)
    pendant.sees("sleep", after, deep=False)
    calls(pendant)


def test_a_stuck_button_is_told_and_a_press_counts_once_it_is_free_again(pendant: Pendant) -> None:
    before = len(pendant.seen)
    pendant.control.button(True)
    pendant.announced("raised", kind="sos")
    pendant.announced("acknowledged", kind="button_stuck")
    # A button that is down can't wake it by going down: it looks.
    after = pendant.sees("sleep", before, deep=False)
    pendant.sees("sleep", after, deep=False)
    pendant.control.button(False)
    pendant.announced("awake")
    pendant.sleeps(after)
    pendant.control.press(PRESS_MS)
    calls(pendant)


@pytest.fixture(scope="module")
def hourly(sandbox: Sandbox, board: str) -> Iterator[Pendant]:
    """A pendant whose time jumps while it sleeps, with an hour between its heartbeats."""
    with prepared(sandbox, "gpio-hourly", board, heartbeat_min=60, skip_sleep=True) as made:
        made.configure(prealarm_s=10)
        yield made


def test_heartbeats_come_by_the_hour(hourly: Pendant) -> None:
    before = hourly.start_on_its_cell()
    moments = []
    for _ in range(4):
        before, joined = hourly.finds("wifi", before, status=1010)
        moments.append(joined.chip_ms)
        before = hourly.sleeps(before)
    gaps_ms = [later - earlier for earlier, later in zip(moments, moments[1:], strict=False)]
    assert all(abs(gap_ms - HOUR_MS) < WAKE_MS for gap_ms in gaps_ms), gaps_ms


def test_a_fall_is_an_alarm(hourly: Pendant) -> None:
    hourly.control.still(movements.UPRIGHT)
    before = hourly.sleeps(hourly.start_on_its_cell())
    hourly.finds("wifi", before, status=1010)
    hourly.control.later(after_ms=60_000).play(movements.fall().samples)
    hourly.announced("awake", reason="motion")
    hourly.announced("acknowledged", kind="fall")
