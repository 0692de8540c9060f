"""Movements as an accelerometer at the waist feels them, made up: nobody has to fall for a stress test."""

import math
import random
from array import array
from collections.abc import Iterable, Iterator

from ansim.falls.replay import Movement

_RATE_HZ = 50.0
_NOISE_MG = 8.0

_Vector = tuple[float, float, float]
_UPRIGHT: _Vector = (20.0, -980.0, 120.0)
_LYING: _Vector = (930.0, 80.0, 340.0)
_STANDS_S, _SLIPS_S, _RINGS_S, _LIES_S, _WALKS_S = 3.0, 0.36, 0.6, 14.0, 8.0
_STEPS_PER_S = 1.9


def fall(chance: int) -> Movement:
    """Stand, slip, fall freely, hit the ground and ring, and lie still; a little otherwise with each chance."""
    chances = random.Random(chance)
    peak_mg, free_s = chances.uniform(5000, 6500), chances.uniform(0.3, 0.4)
    parts = [_still(_UPRIGHT, _STANDS_S), _slip(), _still((150.0, -90.0, 60.0), free_s)]
    return _movement("fall", [*parts, _hit(peak_mg), _still(_LYING, _LIES_S)], chances, is_fall=True)


def walk(chance: int) -> Movement:
    """Stand, walk and stand."""
    chances = random.Random(chance)
    heel_mg = chances.uniform(500, 900)
    return _movement("walk", [_still(_UPRIGHT, _STANDS_S), _steps(heel_mg), _still(_UPRIGHT, _STANDS_S)], chances)


def _movement(name: str, parts: Iterable[Iterable[_Vector]], chances: random.Random, is_fall: bool = False) -> Movement:
    samples = array("h")
    for vector in (each for part in parts for each in part):
        samples.extend(round(axis + chances.gauss(0, _NOISE_MG)) for axis in vector)
    return Movement(name, samples, _RATE_HZ, is_fall)


def _still(posture: _Vector, seconds: float) -> Iterator[_Vector]:
    return (posture for _ in _moments(seconds))


def _slip() -> Iterator[_Vector]:
    for second in _moments(_SLIPS_S):
        yield _mix((520.0, -760.0, 260.0), (200.0, -180.0, 110.0), (1 - math.cos(math.pi * second / _SLIPS_S)) / 2)


def _hit(peak_mg: float) -> Iterator[_Vector]:
    """Hit the ground with the hip, peak_mg, and then with the shoulder; each axis rings in its own way."""
    for second in _moments(_RINGS_S):
        first, then = math.exp(-second / 0.045), math.exp(-(((second - 0.22) / 0.035) ** 2))
        rings = [first * math.cos(2 * math.pi * hertz * second) for hertz in (7, 5, 9)]
        hit = [0.80 * rings[0] + 0.28 * then, 0.45 * rings[1] - 0.22 * then, 0.40 * rings[2] + 0.15 * then]
        x, y, z = _mix((0.0, 0.0, 0.0), _LYING, second / _RINGS_S)
        yield x + hit[0] * peak_mg, y + hit[1] * peak_mg, z + hit[2] * peak_mg


def _steps(heel_mg: float) -> Iterator[_Vector]:
    """Walk: a strike of the heel with each step, swinging from side to side."""
    for second in _moments(_WALKS_S):
        phase = 2 * math.pi * _STEPS_PER_S * second
        since_heel_s = second % (1 / _STEPS_PER_S)
        bounce = 260 * math.sin(phase) + 140 * math.sin(2 * phase + 0.6) + heel_mg * math.exp(-since_heel_s / 0.03)
        yield _UPRIGHT[0] + 150 * math.sin(phase / 2), _UPRIGHT[1] - bounce, _UPRIGHT[2] + 120 * math.sin(phase + 1)


def _moments(seconds: float) -> Iterator[float]:
    return (number / _RATE_HZ for number in range(round(seconds * _RATE_HZ)))


def _mix(start: _Vector, end: _Vector, share: float) -> _Vector:
    x, y, z = (a + (b - a) * share for a, b in zip(start, end, strict=True))
    return x, y, z
