"""The simulated pendant of `ansim power` against the real firmware: it lives the same day, step by step.

What the virtual board counts holds for a chip, and the figures of the board's [timings] are made of it. Its
milliseconds are this machine's, which is so much faster than a chip that a step which takes as long here waits.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from pendant import prepared

from ansim.board_file import stand_in_for, write_board
from ansim.boards import load_board
from ansim.client import Deadline
from ansim.power.day import Act, Day, Part
from ansim.power.firmware import run
from ansim.power.rates import Rate, Rates
from ansim.power.simulate import Life, simulate
from ansim.power.work import work_ms
from ansim.sandbox import Sandbox

pytestmark = pytest.mark.needs(
    "boards", "flash", "motion", "power", "press", "sleep", "speed", "supply", "watch", "wifi"
)

# One second that stirs, with an impact: all that comes of it is decided by rules, and nothing by chance.
JOLT = Rate(1, 0, 0, 1, 1, 1, 1, 1)
RATES = Rates("a test's", 250, 1400, {"bma400": {"sit": JOLT}})
JOLTED_DAY = Day("a jolted day", (Part("jolted", 24.0, (Act((("sit", 1),), 1, ""),)),))


BOARD = load_board("esp32c3_pendant")
MS = {name: timing.ms for name, timing in BOARD.timings.items()}
# Until the sensor has a sample (loop.py).
SENSOR_MS = 50
# How far the sum of a step's counts may be from the board's figure.
NEAR = 0.15
HZ = 50
REST, JERK = [0, 0, 1000], [300, 0, 1000]
RISE = [value for step in range(1, 9) for value in (0, 0, 1000 + 100 * step)]
FALL = [value for step in range(8, 0, -1) for value in (0, 0, 1000 + 100 * step)]
# Somebody bumps the device; somebody moves so that the detector has to judge it, long after the first look.
BUMP = REST * 25 + JERK + REST * 25
IMPACT = REST * 25 + JERK + REST * 75 + RISE + FALL + REST * 25
TIMES = 4
# What MicroPython calls a wake by wake_on_gpio.
GPIO = 7
APART_MS = 60_000

Run = dict[str, Any]


@pytest.fixture(scope="module")
def runs(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Run]]:
    """All runs of the reference pendant's chip in some hours, in which it is bumped and moved so often."""
    folder = tmp_path_factory.mktemp("boards")
    board = write_board(stand_in_for(BOARD, "timed"), folder)
    with prepared(sandbox, "timed", str(board), heartbeat_min=60, skip_sleep=True) as pendant:
        pendant.sleeps(pendant.start_on_its_cell())
        before = len(pendant.seen)
        for number in range(2 * TIMES):
            moved = BUMP if number < TIMES else IMPACT
            pendant.control.later((number + 1) * APART_MS).play(moved, HZ)
        deadline = Deadline(60)
        while min(len(woken(pendant.runs(before), moved)) for moved in (True, False)) < 2 * TIMES:
            assert not deadline.expired
            time.sleep(0.02)
        yield pendant.runs(before)


def woken(runs: list[Run], moved: bool) -> list[Run]:
    """Return the runs out of deep sleep: those that a movement began, or those that the timer did."""
    return [run for run in runs if run["began"] == "deep_sleep" and (run["wake"] == GPIO) == moved]


def readings(runs: list[Run]) -> list[Run]:
    return [run for run in runs if run["began"] == "light_sleep"]


def less(counts: Run, before: Run) -> dict[str, int]:
    return {name: count - before.get(name, 0) for name, count in counts.items() if isinstance(count, int)}


def least_ms(runs: list[Run], since: str = "main", to: str = "") -> int:
    """Return the shortest time awake between two marks, or to the end, of so many runs on a busy machine."""
    return min(awake_ms(run["marks"][to] if to else run) - awake_ms(run["marks"][since]) for run in runs)


def awake_ms(counts: Run) -> int:
    return int(counts.get("cpu_ms", 0)) + int(counts.get("radio_ms", 0))


def test_a_look_after_a_movement_is_as_much_work_as_the_simulation_has(runs: list[Run]) -> None:
    looks = woken(runs, moved=True)
    for look in looks:
        assert look["radio_ms"] == 0
        assert work_ms(less(look, look["marks"]["main"])) == pytest.approx(MS["look"], rel=NEAR)
    assert least_ms(looks) < MS["look"]


def test_a_reading_of_the_fifo_is_as_much_work_as_the_simulation_has(runs: list[Run]) -> None:
    plain = [run for run in readings(runs) if not run["imports"]]
    assert len(plain) > 4 * TIMES
    for reading in plain:
        assert work_ms(reading) == pytest.approx(MS["read"], rel=NEAR)
    assert min(awake_ms(reading) for reading in plain) < MS["read"]


def test_the_detector_is_as_much_work_to_load_as_the_simulation_has(runs: list[Run]) -> None:
    loads = [run for run in readings(runs) if run["imports"]]
    assert len(loads) == TIMES
    for load in loads:
        assert work_ms(load) == pytest.approx(MS["detector"] + MS["read"], rel=NEAR)
    assert min(awake_ms(load) for load in loads) < MS["detector"] + MS["read"]


def test_a_heartbeat_is_as_much_work_as_the_simulation_has(runs: list[Run]) -> None:
    # The first one after a cold start asks for the broker's name.
    beats = woken(runs, moved=False)[1:]
    for beat in beats:
        marks = beat["marks"]
        sent = marks[max(name for name in marks if name.startswith("flight"))]
        assert work_ms(less(marks["radio"], marks["main"])) == pytest.approx(MS["load"], rel=NEAR)
        assert work_ms(less(beat, sent)) + SENSOR_MS == pytest.approx(MS["leave"], rel=NEAR)
    assert least_ms(beats, to="radio") < MS["load"]
    # Joined, TLS costs this machine next to nothing.
    assert min(beat["radio_ms"] - beat["marks"]["joined"]["radio_ms"] for beat in beats) < MS["send"]
    assert min(beat["cpu_ms"] - beat["marks"]["radio"]["cpu_ms"] for beat in beats) < MS["leave"]


def test_a_heartbeat_takes_the_round_trips_that_the_simulation_has(runs: list[Run]) -> None:
    for beat in woken(runs, moved=False)[1:]:
        # TLS has two, MQTT one with all that waits; then the goodbye.
        assert beat["connections"] == 1 and beat["flights_out"] <= 4


def test_the_firmware_sleeps_wakes_and_watches_as_the_simulation_says() -> None:
    life = Life(BOARD, JOLTED_DAY, 180, 1)
    ran = run(life, RATES, lambda *_: None)
    lived, told = simulate(life, rates=RATES).usage, ran.usage
    assert told.failed == told.wake_button == 0
    # From its first heartbeat asleep on, before which nobody moves, it tells of each movement.
    assert told.wake_motion == lived.wake_motion
    # The simulation's day has the contact of its start besides those of its heartbeats.
    assert told.a_day().links == pytest.approx(lived.links - 1, abs=0.1)
    assert told.wake_timer - told.links <= 1
    # What each movement costs is the same rule's: so many readings of the FIFO, until it was quiet for long enough.
    assert told.light_s == pytest.approx(lived.light_s, rel=0.03)
    assert told.impacts == lived.impacts
