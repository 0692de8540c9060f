"""The judge of a stress run: what a gesture must become, what a restart excuses, and what it never does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansim.stress.expect import ALLOWED, NOTHING, Done, Raised, Restart, Rows, allowed, judge, judge_sensor
from ansim.stress.result import INVENTED, LOST, WRONG

PRESS = Done("press", begun_ms=1000, until_ms=1100, kept_ms=1120)
SOS: Rows = (1, 0, 0)


def presses(count: int) -> list[Done]:
    """Return one after the other, each kept by the device and a second long."""
    return [Done("press", 1000 * number, 1000 * number + 100, 1000 * number + 120) for number in range(count)]


def heard(*at_ms: int | None, rows: Rows = SOS) -> list[Raised]:
    return [Raised(f"sos (1, {number})", rows, ms) for number, ms in enumerate(at_ms)]


def kinds(done: list[Done], restarts: list[Restart], alarms: list[Raised]) -> list[str]:
    return [kind for kind, _ in judge(done, restarts, alarms)]


def made(gesture: Done, rows: Rows, *restarts: Restart) -> list[str]:
    """Return what is wrong with rows of a gesture, all told while it was made."""
    return kinds([gesture], list(restarts), [Raised("it", rows, gesture.begun_ms)])


def test_each_press_has_one_alarm_of_its_own() -> None:
    assert kinds(presses(3), [], heard(100, 1100, 2100)) == []
    assert kinds(presses(3), [], heard(100, 2100)) == [LOST]
    assert kinds(presses(3), [], heard(100, 1100, 1200, 2100)) == [INVENTED]
    assert kinds(presses(3), [], [*heard(100, 1100), Raised("fall (1, 2)", (0, 0, 1), 2100)]) == [WRONG]


def test_a_press_that_is_lost_and_another_that_comes_twice_do_not_make_up_for_each_other() -> None:
    assert sorted(kinds(presses(3), [], heard(100, 110, 2100))) == [INVENTED, LOST]
    assert sorted(kinds(presses(3), [], heard(100, 2100, 2110))) == [INVENTED, LOST]


def test_an_alarm_that_nobody_announced_is_nobody_s_while_nothing_was_restarted() -> None:
    assert sorted(kinds(presses(3), [], heard(100, None, 2100))) == [INVENTED, LOST]
    assert kinds([], [], heard(None)) == [INVENTED]


def test_an_alarm_from_before_the_first_press_is_nobody_s() -> None:
    (found,) = judge([PRESS], [], heard(900, 1010))
    assert found == (INVENTED, "the alarm sos (1, 0) is no gesture's")


def test_what_is_told_names_the_gesture_and_what_came_of_it() -> None:
    ((_, told),) = judge([PRESS], [], [])
    assert told == "press at 1000 ms made 0 sos, 0 cancels, 0 falls; it should be 1 sos, 0 cancels, 0 falls"


def test_an_alarm_that_nobody_heard_belongs_to_the_press_that_a_restart_met_and_to_no_other() -> None:
    three = [*presses(2), Done("press", 2000, 2100, None)]
    restart = [Restart(2050, 2500)]
    assert kinds(three, restart, heard(100, 1100, None)) == []
    assert kinds(three, restart, heard(100, 1100)) == []
    assert kinds(three, restart, heard(100, None)) == [LOST]


def test_of_a_device_that_starts_a_press_may_be_told_when_the_next_one_is_made() -> None:
    starting = [Done("press", 0, 100, None), Done("press", 1000, 1100, None), Done("press", 2000, 2100, 2120)]
    assert kinds(starting, [Restart(-500, 1900)], heard(1910, 1920, 2110)) == []
    assert kinds(starting, [Restart(-500, 900)], heard(910, 1110, 2110, 2120)) == [INVENTED]


def test_a_hold_near_its_limit_is_one_or_the_other_and_never_both_or_neither() -> None:
    race = Done("race", 0, 3000, 3010)
    assert made(race, (1, 1, 0)) == made(race, (2, 0, 0)) == []
    assert made(race, (1, 0, 0)) and made(race, (2, 1, 0))


def test_a_body_on_the_button_cancels_nothing() -> None:
    assert made(Done("body", 0, 12000, 12010), (1, 1, 0)) == [WRONG]


def test_what_the_device_said_it_had_kept_is_not_excused_by_a_later_restart() -> None:
    assert allowed(PRESS, [Restart(1200, 1500)]) == {SOS}


def test_a_press_that_was_not_kept_before_a_restart_may_be_lost() -> None:
    unheard = Done("press", 1000, 1100, None)
    assert allowed(unheard, [Restart(1150, 1500)]) == {NOTHING, SOS}
    assert allowed(unheard, []) == {SOS}, "nothing came in between: then it has to be there"


def test_a_press_before_the_button_is_armed_again_may_be_lost_and_one_after_it_may_not() -> None:
    assert NOTHING in allowed(PRESS, [Restart(500, 1050)])
    assert allowed(PRESS, [Restart(500, 990)]) == {SOS}
    assert NOTHING in allowed(PRESS, [Restart(500, None)]), "it has not said that it is on duty"


def test_a_button_that_is_down_over_a_restart_may_be_pressed_twice() -> None:
    assert max(allowed(PRESS, [Restart(1050, 1300)])) == (2, 0, 0)


def test_who_falls_or_walks_over_a_restart_has_no_finger_on_the_button() -> None:
    assert allowed(Done("fall", 0, 9000, None), [Restart(4000, 4500)]) == {NOTHING, (0, 0, 1)}
    assert allowed(Done("move", 0, 9000, None), [Restart(4000, 4500)]) == {NOTHING}


def test_a_movement_with_which_the_board_did_not_keep_up_proves_nothing() -> None:
    assert allowed(Done("fall", 0, 9000, 9000, sure=False), []) == {NOTHING, (0, 0, 1)}
    assert allowed(Done("move", 0, 9000, 9000), []) == {NOTHING}


@pytest.mark.parametrize(
    ("had", "told", "kind"),
    [
        ([], [], ""),
        (["sensor_bus"], [("fault", "sensor_bus"), ("restore", "sensor_bus")], ""),
        (["sensor_bus"], [("fault", "sensor_bus"), ("restore", "sensor_bus")] * 2, ""),
        (["sensor_bus"], [], LOST),
        (["sensor_bus"], [("fault", "sensor_bus")], LOST),
        ([], [("fault", "sensor_bus"), ("restore", "sensor_bus")], INVENTED),
        (["sensor_bus"], [("restore", "sensor_bus"), ("fault", "sensor_bus")], WRONG),
        (
            ["sensor_bus", "sensor_stuck"],
            [
                *[("fault", "sensor_bus"), ("restore", "sensor_stuck")],
                *[("fault", "sensor_stuck"), ("restore", "sensor_bus")],
            ],
            WRONG,
        ),
    ],
)
def test_a_fault_of_the_sensor_is_told_and_so_is_its_end(
    had: list[str], told: list[tuple[str, str]], kind: str
) -> None:
    assert (judge_sensor(had, told) or ("",))[0] == kind


def test_a_fault_of_the_sensor_that_is_cut_short_may_be_told_and_then_its_end_has_to_be() -> None:
    fault, restore = ("fault", "sensor_bus"), ("restore", "sensor_bus")
    assert judge_sensor([], [], ["sensor_bus"]) is None
    assert judge_sensor([], [fault, restore], ["sensor_bus"]) is None
    assert (judge_sensor([], [fault], ["sensor_bus"]) or ("",))[0] == WRONG


done = st.builds(
    lambda kind, begun, hold, kept: Done(kind, begun, begun + hold, None if kept is None else begun + kept),
    st.sampled_from(sorted(ALLOWED)),
    st.integers(0, 50_000),
    st.integers(0, 12_000),
    st.none() | st.integers(0, 20_000),
)
restarts = st.lists(st.builds(Restart, st.integers(0, 60_000), st.none() | st.integers(0, 70_000)), max_size=3)


@given(done, restarts)
def test_a_restart_only_ever_excuses(gesture: Done, some: list[Restart]) -> None:
    assert ALLOWED[gesture.kind] <= allowed(gesture, some)


in_order = st.lists(done, max_size=12).map(lambda some: sorted(some, key=lambda each: each.begun_ms))
one_by_one = in_order.filter(lambda some: len({each.begun_ms for each in some}) == len(some))


@given(one_by_one, restarts, st.data())
def test_what_each_gesture_may_become_is_no_finding_and_one_alarm_more_or_less_is(
    gestures: list[Done], some: list[Restart], data: st.DataObject
) -> None:
    became = [data.draw(st.sampled_from(sorted(allowed(each, some)))) for each in gestures]
    alarms = [Raised("it", rows, each.begun_ms) for each, rows in zip(gestures, became, strict=True) if any(rows)]
    assert judge(gestures, some, alarms) == ()
    if alarms and not some:
        taken = data.draw(st.integers(0, len(alarms) - 1))
        assert judge(gestures, some, alarms[:taken] + alarms[taken + 1 :])
        assert judge(gestures, some, [*alarms[:taken], alarms[taken], *alarms[taken:]])
