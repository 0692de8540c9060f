"""The same movements as another sensor, mounted in another way, would have recorded them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ansim.falls.recordings import DEVICE_RATE_HZ, Recording, to_mg

Random = np.random.Generator


@dataclass(frozen=True)
class Disturbance:
    """What is done to each recording; apply takes the recording and a source of chance, and returns a new one."""

    name: str
    apply: Callable[[Recording, Random], Recording]

    def to_all(self, recordings: Sequence[Recording], seed: int) -> list[Recording]:
        """Disturb recordings; the same seed disturbs them alike."""
        return [self.apply(each, np.random.default_rng((seed, i))) for i, each in enumerate(recordings)]


def turned() -> Disturbance:
    """Each recording in another orientation, all equally likely."""

    def apply(recording: Recording, random: Random) -> Recording:
        # The orthogonal part of a matrix of normal numbers, signs set, is uniform over all turns:
        # F. Mezzadri, How to generate random matrices from the classical compact groups, 2007.
        orthogonal, upper = np.linalg.qr(random.normal(size=(3, 3)))
        turn = orthogonal * np.sign(np.diag(upper))
        return replace(recording, acc=to_mg(recording.acc @ (turn * np.sign(np.linalg.det(turn)))))

    return Disturbance("turned at random", apply)


def amplified(gain: float) -> Disturbance:
    return Disturbance(f"gain {gain:g}", lambda each, _: replace(each, acc=to_mg(each.acc * gain)))


def shifted(offset_mg: float) -> Disturbance:
    """Every axis by offset_mg, up or down by chance."""

    def apply(recording: Recording, random: Random) -> Recording:
        return replace(recording, acc=to_mg(recording.acc + offset_mg * random.choice((-1.0, 1.0), 3)))

    return Disturbance(f"offset {offset_mg:g} mg an axis", apply)


def noisy(rms_mg: float) -> Disturbance:
    def apply(recording: Recording, random: Random) -> Recording:
        return replace(recording, acc=to_mg(recording.acc + random.normal(scale=rms_mg, size=recording.acc.shape)))

    return Disturbance(f"noise {rms_mg:g} mg rms", apply)


def clipped(limit_mg: int) -> Disturbance:
    return Disturbance(
        f"stops at {limit_mg / 1000:g} g",
        lambda each, _: replace(each, acc=np.clip(each.acc, -limit_mg, limit_mg)),
    )


def sampled(rate_hz: float) -> Disturbance:
    """What was faster than half of rate_hz is lost."""
    return Disturbance(f"source at {rate_hz:g} Hz", lambda each, _: each.at_rate(rate_hz))


def off_pace(share: float) -> Disturbance:
    """The part's clock is off by share; the device takes its samples for samples at the nominal rate."""

    def apply(recording: Recording, _: Random) -> Recording:
        nominal = recording.at_rate(DEVICE_RATE_HZ)
        return replace(nominal.at_rate(DEVICE_RATE_HZ * (1 + share)), fs=DEVICE_RATE_HZ)

    return Disturbance(f"sensor's clock {share:+.0%}", apply)


def begun_later(most_s: float) -> Disturbance:
    """Each recording begins up to most_s later: where the stream of impacts is cut into windows is chance, too."""

    def apply(recording: Recording, random: Random) -> Recording:
        most = min(int(most_s * recording.fs), len(recording.acc) // 4)
        return replace(recording, acc=recording.acc[int(random.integers(most + 1)) :])

    return Disturbance(f"begun up to {most_s:g} s later", apply)


ALL = (
    begun_later(2),
    turned(),
    amplified(0.9),
    amplified(1.1),
    shifted(60),
    noisy(20),
    clipped(4000),
    sampled(25),
    sampled(20),
    off_pace(0.1),
    off_pace(-0.1),
)
