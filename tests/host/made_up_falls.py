"""Recordings that nobody made: people who stand, walk, sit down and fall, each in their own way."""

import numpy as np
from numpy.typing import NDArray

from ansim.falls.recordings import Recording, to_mg

_UPRIGHT = np.array([30.0, -980.0, 150.0])
_LYING = np.array([900.0, 120.0, 390.0])

Vectors = NDArray[np.float64]


def recording(name: str, acc: Vectors, *, subject: str = "P1", is_fall: bool = False, fs: float = 50.0) -> Recording:
    """A recording of acc (mg, samples x 3); what it does not say is as good as anything."""
    age = 30 if subject < "P5" else 70
    group = "young" if age < 60 else "elderly"
    nan = float("nan")
    return Recording(name, subject, group, age, "F01" if is_fall else "D01", 1, is_fall, nan, nan, fs, to_mg(acc))


def still(seconds: float, posture: Vectors = _UPRIGHT) -> Vectors:
    return np.tile(posture, (round(seconds * 50), 1))


def fall(peak_mg: float = 4500.0) -> Vectors:
    """Stand, fall freely, hit the ground, and lie."""
    ringing = np.exp(-np.arange(20) / 4.0) * np.cos(np.arange(20) * 1.2)
    impact = _LYING + np.outer(ringing, _LYING) * (peak_mg / 1000 - 1)
    return np.concatenate([still(4), _between(_UPRIGHT, _LYING * 0.15, 18), impact, still(7, _LYING)])


def walk(seconds: float = 12.0, strength_mg: float = 350.0) -> Vectors:
    moments = np.arange(round(seconds * 50)) / 50
    return _UPRIGHT * (1 + np.outer(np.sin(2 * np.pi * 1.8 * moments), [1.0, 1.0, 1.0]) * strength_mg / 1000)


def sit_down(bump_mg: float = 1700.0) -> Vectors:
    bump = still(0.12) * bump_mg / 1000
    return np.concatenate([still(4), walk(3), bump, still(5, _between(_UPRIGHT, _LYING, 5)[1])])


def people(count: int = 6, of_each: int = 4) -> list[Recording]:
    """Each of count people falls, walks and sits down of_each times, a little otherwise each time."""
    chances = np.random.default_rng(7)
    made = []
    for person in range(1, count + 1):
        for trial in range(of_each):
            subject = f"P{person}"
            for kind, acc in (
                ("F", fall(chances.uniform(3000, 6000))),
                ("D-walk", walk(strength_mg=chances.uniform(200, 700))),
                ("D-sit", sit_down(chances.uniform(1200, 2600))),
            ):
                noise = chances.normal(scale=10, size=acc.shape)
                made.append(recording(f"{kind}_{subject}_{trial}", acc + noise, subject=subject, is_fall=kind == "F"))
    return made


def _between(start: Vectors, end: Vectors, samples: int) -> Vectors:
    return np.linspace(start, end, samples)
