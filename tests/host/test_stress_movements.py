"""Made-up movements: the model that devices have takes each of the falls for one, and none of the walks."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from ansim.falls.recordings import Recording
from ansim.falls.replay import Movement
from ansim.falls.replay_prediction import predict
from ansim.stress.movements import fall, walk

CHANCES = range(24)
ON_THE_BODY = 1


def recording(name: str, movement: Movement) -> Recording:
    acc = np.array(movement.framed(), np.int16).reshape(-1, 3)
    nan = math.nan
    return Recording(name, "made up", "young", 30, "", 1, movement.is_fall, nan, nan, movement.rate_hz, acc)


def test_every_fall_is_told_and_no_walk() -> None:
    made = [recording(f"fall {chance}", fall(chance)) for chance in CHANCES]
    made += [recording(f"walk {chance}", walk(chance)) for chance in CHANCES]
    told = predict(made, ON_THE_BODY)
    assert [name for name, alarm in told.items() if alarm] == [f"fall {chance}" for chance in CHANCES]


@pytest.mark.parametrize("make", [fall, walk])
def test_the_same_chance_is_the_same_movement_and_another_is_another(make: Callable[[int], Movement]) -> None:
    assert make(3) == make(3)
    assert make(3) != make(4)
