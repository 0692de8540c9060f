"""How long a gesture's alarm took: each gesture's own, whatever came after it in its episode."""

from ansim.stress.expect import Done
from ansim.stress.player import acknowledged
from ansim.stress.unit import Heard


def heard() -> Heard:
    first, second = (1, 0), (1, 1)
    return Heard(
        raised=[(5000, first), (9000, second)],
        kept={first: 5010, second: 9010},
        acknowledged={first: 5050, second: 9070},
    )


def test_a_fall_is_reckoned_from_the_end_of_its_own_pre_alarm() -> None:
    assert acknowledged(heard(), Done("fall", 1000, 5100, 5100)) == (5050, 50)
    assert acknowledged(heard(), Done("fall", 6000, 9100, 9100)) == (9070, 70)


def test_a_press_is_reckoned_from_the_moment_in_which_the_button_went_down() -> None:
    assert acknowledged(heard(), Done("press", 4900, 5000, 5010)) == (5050, 150)


def test_of_a_gesture_that_raised_nothing_nothing_is_told() -> None:
    assert acknowledged(heard(), Done("press", 5500, 5600, None)) == (None, None)
    assert acknowledged(Heard(raised=[(5000, (1, 0))]), Done("press", 4900, 5000, 5010)) == (None, None)
