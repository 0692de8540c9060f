"""A pendant's life in virtual time: the device's own core, and what it takes from the cell."""

from dataclasses import replace

import pytest

from ansim.boards import Board, load_board
from ansim.errors import BadInput
from ansim.power.day import Act, Day, Part, load_day
from ansim.power.rates import Rate, Rates
from ansim.power.simulate import Life, Lived, simulate
from ansim.power.what_if import cases
from ansim_fw.core import watch

PENDANT = load_board("esp32c3_pendant")
DAYS = 5
STILL_DAY = Day("a still day", (Part("still", 24.0),))
# One second that stirs, once an hour on average.
JOLT = Rate(1, 0, 0, 0, 1, 1, 1, 1)
JOLTED_DAY = Day("a jolted day", (Part("jolted", 24.0, (Act((("sit", 1),), 1, ""),)),))
RATES = Rates("a test's", 250, 1400, {"bma400": {"sit": JOLT}, "lis2dw12": {"sit": JOLT}, "mpu6886": {"sit": JOLT}})


def live(day: Day, board: Board = PENDANT, interval_min: int = 60, days: int = DAYS, wakes_an_hour: float = 0) -> Lived:
    return simulate(Life(board, day, interval_min, days, 1, wakes_an_hour), rates=RATES)


def test_a_device_that_nobody_moves_wakes_for_its_heartbeats_alone() -> None:
    lived = live(STILL_DAY)
    day = lived.usage.a_day()
    assert day.wake_timer == pytest.approx(24, abs=0.6)
    assert day.links == pytest.approx(24, abs=0.3) and lived.contacts == round(lived.usage.links)
    assert (day.wake_motion, day.wake_button, day.failed) == (0, 0, 0)
    # After a contact the sensor's interrupt is trusted at once, where its history is long enough.
    assert lived.usage.light_s == 0
    # Else the wearer is watched first: nobody knows after a cold start for how long it was quiet.
    short = live(STILL_DAY, load_board("virtual")).usage
    assert short.light_s == pytest.approx(watch.STILL_MS / 1000, rel=0.1)
    assert day.total_s == pytest.approx(86_400)
    steps = sum(PENDANT.timings[name].ms for name in ("join", "handshake", "send")) / 1000
    assert day.radio_s == pytest.approx(24 * steps, rel=0.05)


def test_heartbeats_stay_on_their_grid_whatever_a_wake_takes() -> None:
    moved = live(JOLTED_DAY, days=30)
    # 30 days of 24, the first one within half a minute of the start.
    assert 720 <= moved.usage.links <= 721


def test_a_movement_wakes_the_device_and_it_watches_until_it_was_quiet() -> None:
    day = live(JOLTED_DAY, days=20).usage.a_day()
    assert day.wake_motion == pytest.approx(24, rel=0.15)
    quiet_s = watch.limit_ms(True, True, 146) / 1000
    # It finds out that it was quiet with the next look at the FIFO, two seconds later at most.
    assert quiet_s * 0.9 < day.light_s / day.wake_motion < quiet_s + 2.5
    assert day.impacts == 0


def test_a_sensor_with_a_short_history_is_watched_in_light_sleep_for_long() -> None:
    short = live(JOLTED_DAY, load_board("virtual")).usage.a_day()
    assert short.light_s > 10 * live(JOLTED_DAY).usage.a_day().light_s


def test_a_sensor_without_a_wire_is_never_left_for_deep_sleep() -> None:
    day = live(JOLTED_DAY, load_board("m5stickc_plus2"), days=1).usage.a_day()
    assert day.light_s > 80_000 and day.wake_motion == 0


def test_a_test_alarm_is_sent_acknowledged_and_slept_after() -> None:
    quiet, alarmed = live(STILL_DAY, days=15), live(STILL_DAY, days=16)
    assert (quiet.usage.wake_button, alarmed.usage.wake_button) == (0, 1)
    # A heartbeat that is due meanwhile goes the same way.
    assert alarmed.contacts - quiet.contacts in (24, 25)
    # Awake for the time in which it may be cancelled, and not much longer.
    assert 20 < alarmed.usage.radio_s - quiet.usage.radio_s * 16 / 15 < 60


def test_the_same_seed_is_the_same_life() -> None:
    life = Life(PENDANT, load_day("at_home"), 60, 2, 5)
    assert simulate(life) == simulate(life)
    assert simulate(life).usage != simulate(replace(life, seed=6)).usage


def test_a_cell_that_runs_low_is_told_and_one_that_is_flat_ends_the_life() -> None:
    small = replace(PENDANT, battery=replace(PENDANT.battery, capacity_mah=10))
    lived = live(STILL_DAY, small, days=30)
    assert lived.left_percent[-1] == 0 and len(lived.left_percent) < 10
    assert list(lived.left_percent) == sorted(lived.left_percent, reverse=True)
    # Nearly flat, heartbeats come every 6 hours at most: fewer than 24 a day.
    assert lived.usage.a_day().links < 23


def test_what_a_change_would_cost_is_near_what_it_does_cost() -> None:
    day = load_day("at_home")
    hourly = simulate(Life(PENDANT, day, 60, DAYS))
    guessed = {case.name: case.budget.days for case in cases(PENDANT, hourly.usage, 60)}
    for minutes in (15, 240):
        lived = simulate(Life(PENDANT, day, minutes, DAYS))
        assert guessed[f"heartbeat every {minutes} min"] == pytest.approx(lived.budget.days, rel=0.04)
    jolted = simulate(Life(PENDANT, day, 60, DAYS, wakes_an_hour=5))
    assert guessed["5 more false wakes an hour"] == pytest.approx(jolted.budget.days, rel=0.08)


def test_a_home_whose_wifi_is_slow_costs_more() -> None:
    slow = simulate(Life(PENDANT, replace(STILL_DAY, join_factor=3.0), 60, DAYS), rates=RATES)
    assert slow.usage.radio_s > 1.5 * live(STILL_DAY).usage.radio_s
    assert slow.budget.days < live(STILL_DAY).budget.days


def test_a_board_that_never_sleeps_or_whose_sensor_is_unknown_is_refused() -> None:
    with pytest.raises(BadInput, match="has no battery"):
        live(STILL_DAY, load_board("esp32_devkit"))
    with pytest.raises(BadInput, match="never sleeps"):
        live(STILL_DAY, replace(PENDANT, wake=None))
    with pytest.raises(BadInput, match="no motion sensor with known rates"):
        live(STILL_DAY, replace(PENDANT, sensor=None))


def test_the_reference_pendant_lasts_for_months() -> None:
    """The bounds that `make bench` prints with what takes the charge."""
    day = load_day("at_home")
    assert simulate(Life(PENDANT, day, 60, DAYS)).budget.days >= 150
    assert simulate(Life(PENDANT, day, 15, DAYS)).budget.days >= 50
