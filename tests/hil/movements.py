"""Movements as an accelerometer at the waist feels them, made up: for tests that need no recordings."""

import math
import random
from array import array
from collections.abc import Callable, Iterable

from ansim.falls.replay import Movement

RATE_HZ = 50.0
_NOISE_MG = 8.0

Vector = tuple[float, float, float]
UPRIGHT: Vector = (20.0, -980.0, 120.0)
ON_THE_SIDE: Vector = (930.0, 80.0, 340.0)
ON_THE_BACK: Vector = (60.0, 190.0, -960.0)
# From the beginning of a fall() to its impact.
IMPACT_MS = 3700


def movement(name: str, parts: Iterable[Iterable[Vector]], is_fall: bool = False) -> Movement:
    """Put parts together, with the noise of a sensor and a body."""
    chances = random.Random(name)
    samples = array("h")
    for vector in (vector for part in parts for vector in part):
        samples.extend(_mg(axis + chances.gauss(0, _NOISE_MG)) for axis in vector)
    return Movement(name, samples, RATE_HZ, is_fall)


def fall(free_ms: int = 340, peak_mg: float = 6000.0, lying_s: float = 14.0) -> Movement:
    """Stand, slip, turn over while falling freely, hit the ground and ring, come to rest on the side, and lie still."""
    parts = [
        still(UPRIGHT, 3.0),
        between(UPRIGHT, (520.0, -760.0, 260.0), 0.04),
        between((520.0, -760.0, 260.0), (200.0, -180.0, 110.0), 0.32),
        still((150.0, -90.0, 60.0), free_ms / 1000),
        hit(peak_mg),
        wobble(ON_THE_SIDE, 260.0, 1.6),
        still(ON_THE_SIDE, lying_s),
    ]
    return movement(f"fall-{free_ms}-{peak_mg:g}", parts, is_fall=True)


def walking(seconds: float = 20.0) -> Movement:
    return movement("walking", [still(UPRIGHT, 2.0), steps(seconds), still(UPRIGHT, 2.0)])


def running(seconds: float = 20.0) -> Movement:
    return movement("running", [steps(seconds, per_s=2.7, heel_mg=1900.0)])


def sitting_down() -> Movement:
    """Sit down on a chair, with a bump, and stay there."""
    seated: Vector = (30.0, -900.0, 380.0)
    down = between(UPRIGHT, (40.0, -720.0, 200.0), 0.5)
    return movement("sitting-down", [still(UPRIGHT, 3.0), down, impact(seated, 1750.0), still(seated, 8.0)])


def put_on_a_table() -> Movement:
    """Take the device off and put it down, on its back."""
    parts = [
        still(UPRIGHT, 2.0),
        between(UPRIGHT, ON_THE_BACK, 1.2),
        impact(ON_THE_BACK, 1600.0),
        still(ON_THE_BACK, 10.0),
    ]
    return movement("put-on-a-table", parts)


def still(posture: Vector, seconds: float) -> list[Vector]:
    return [posture] * round(seconds * RATE_HZ)


def between(start: Vector, end: Vector, seconds: float) -> list[Vector]:
    """Go smoothly from one posture to another."""
    return _over(seconds, lambda at: _mix(start, end, (1 - math.cos(math.pi * at)) / 2))


def impact(posture: Vector, peak_mg: float, rings_s: float = 0.5) -> list[Vector]:
    """Hit something so that |a| reaches peak_mg, ring, and come to rest in posture."""
    size = math.hypot(*posture)

    def at(moment: float) -> Vector:
        ringing = (peak_mg / size - 1) * math.exp(-6 * moment) * math.cos(2 * math.pi * 4 * moment)
        return _mix((0.0, 0.0, 0.0), posture, 1 + ringing)

    return _over(rings_s, at)


def hit(peak_mg: float) -> list[Vector]:
    """Hit the ground with the hip, peak_mg, and then with the shoulder; each axis rings in its own way."""

    def at(moment: float) -> Vector:
        seconds = moment * 0.6
        first = math.exp(-seconds / 0.045)
        second = math.exp(-(((seconds - 0.22) / 0.035) ** 2))
        x = 0.80 * first * math.cos(2 * math.pi * 7 * seconds) + 0.28 * second
        y = 0.45 * first * math.cos(2 * math.pi * 5 * seconds) - 0.22 * second
        z = 0.40 * first * math.cos(2 * math.pi * 9 * seconds) + 0.15 * second
        rest = _mix((0.0, 0.0, 0.0), ON_THE_SIDE, moment)
        return (rest[0] + x * peak_mg, rest[1] + y * peak_mg, rest[2] + z * peak_mg)

    return _over(0.6, at)


def wobble(posture: Vector, by_mg: float, seconds: float) -> list[Vector]:
    """Come to rest in a posture."""

    def at(moment: float) -> Vector:
        swing = by_mg * math.exp(-3 * moment) * math.sin(2 * math.pi * 2.2 * moment * seconds)
        return (posture[0] - 0.4 * swing, posture[1] + swing, posture[2] + 0.7 * swing)

    return _over(seconds, at)


def steps(seconds: float, per_s: float = 1.9, heel_mg: float = 750.0) -> list[Vector]:
    """Walk briskly: nearly 2 g at each heel strike, swinging from side to side."""

    def at(moment: float) -> Vector:
        phase = 2 * math.pi * per_s * moment * seconds
        since_heel_s = moment * seconds % (1 / per_s)
        bounce = 260 * math.sin(phase) + 140 * math.sin(2 * phase + 0.6) + heel_mg * math.exp(-since_heel_s / 0.03)
        return (UPRIGHT[0] + 150 * math.sin(phase / 2), UPRIGHT[1] - bounce, UPRIGHT[2] + 120 * math.sin(phase + 1))

    return _over(seconds, at)


def _over(seconds: float, at: Callable[[float], Vector]) -> list[Vector]:
    count = round(seconds * RATE_HZ)
    return [at(i / count) for i in range(count)]


def _mix(start: Vector, end: Vector, share: float) -> Vector:
    x, y, z = (a + (b - a) * share for a, b in zip(start, end, strict=True))
    return x, y, z


def _mg(value: float) -> int:
    return max(-16000, min(round(value), 16000))
