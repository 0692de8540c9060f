"""What acceleration the wearer gives a virtual board's motion sensor, at any moment.

Between two samples of a recording the acceleration goes in a straight line: a part that is faster than the recording
must not see steps, which its wake-up threshold would take for impacts. A part of the recording's rate reads its samples
as they are, because a recording begins with one of the part's samples, and a part that is switched on while one plays
falls in with it (see ``boundary``). Going down from a higher rate nothing is filtered: filter the recording first.
"""

import math
import sys
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Samples = array[int]
else:
    Samples = array  # Python 3.11 has no array[int] when it runs

Vector = tuple[float, float, float]

AT_REST: Vector = (0.0, 0.0, 1000.0)  # mg; gravity along z
LONGEST_SAMPLES = 24 * 3600 * 200  # a day at 200 Hz
SAMPLE_BYTES = 6
SLOWEST_HZ, FASTEST_HZ = 0.1, 10_000.0

# A moment this near to a sample, in periods, is that sample's: times are sums of floats.
_NEAR = 1e-6


def read_samples(data: bytes) -> Samples:
    """Return what is in a recording's file: x, y, z in mg, interleaved, from little-endian int16.

    Raises:
        ValueError: no samples, half a sample, or more than a day of them.
    """
    if not data or len(data) % SAMPLE_BYTES:
        raise ValueError(f"{len(data)} bytes are no whole number of samples of {SAMPLE_BYTES} bytes")
    if len(data) > LONGEST_SAMPLES * SAMPLE_BYTES:
        raise ValueError(f"more than {LONGEST_SAMPLES} samples, a day at 200 Hz")
    samples = array("h", data)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


@dataclass(frozen=True)
class Recording:
    """A recording that plays.

    Args:
        samples: array("h") of x, y, z in mg, interleaved; at least one sample.
        rate_hz: SLOWEST_HZ to FASTEST_HZ.
        repeat: it starts again after its last sample, without an end.
        start_ms: the moment of its first sample, which is also what there is before.
    """

    samples: Samples
    rate_hz: float
    repeat: bool
    start_ms: float

    def __len__(self) -> int:
        return len(self.samples) // 3

    @property
    def of_ms(self) -> float:
        return len(self) * self._period_ms

    @property
    def end_ms(self) -> float | None:
        return None if self.repeat else self.start_ms + self.of_ms

    def at(self, moment_ms: float) -> Vector:
        """Return the acceleration in mg; after the end the last sample's."""
        whole, fraction = self._position(moment_ms)
        if self.repeat:
            whole %= len(self)
        elif whole >= len(self) - 1:
            return self._sample(len(self) - 1)
        here = self._sample(whole)
        if not fraction:
            return here
        x, y, z = self._sample((whole + 1) % len(self))
        return (
            here[0] + (x - here[0]) * fraction,
            here[1] + (y - here[1]) * fraction,
            here[2] + (z - here[2]) * fraction,
        )

    @property
    def still_from_ms(self) -> float:
        """The moment from which on the acceleration stays as it is."""
        return math.inf if self.repeat else self.start_ms + self.of_ms - self._period_ms

    def boundary(self, moment_ms: float) -> float:
        """Return the moment of the first sample at or after that moment; before the start, that moment."""
        if moment_ms <= self.start_ms:
            return moment_ms
        whole, fraction = self._position(moment_ms)
        return self.start_ms + (whole + bool(fraction)) * self._period_ms

    def at_ms(self, now_ms: float) -> float:
        """Return how much of it has been played."""
        played_ms = max(0.0, now_ms - self.start_ms)
        return math.fmod(played_ms, self.of_ms) if self.repeat else min(played_ms, self.of_ms)

    @property
    def _period_ms(self) -> float:
        return 1000 / self.rate_hz

    def _position(self, moment_ms: float) -> tuple[int, float]:
        """Return the sample at or before a moment, and how far it is to the next one, 0 to 1; 0 before the first."""
        position = max(0.0, (moment_ms - self.start_ms) / self._period_ms)
        whole = math.floor(position + _NEAR)
        fraction = position - whole
        return whole, fraction if fraction > _NEAR else 0.0

    def _sample(self, index: int) -> Vector:
        x, y, z = self.samples[3 * index : 3 * index + 3]
        return x, y, z


class Motion:
    """The wearer: holds a posture, or plays a recording, whose last sample is held when it is over.

    Moments are in milliseconds on the chip's clock. ``progress`` may be asked by any thread.
    """

    def __init__(self) -> None:
        self._held: Vector = AT_REST
        self._playing: Recording | None = None

    def hold(self, posture_mg: Vector) -> None:
        """Keep still from now on."""
        self._held, self._playing = posture_mg, None

    def play(self, recording: Recording) -> None:
        self._playing = recording

    @property
    def end_ms(self) -> float | None:
        """When the recording is over; None if nothing plays that ends."""
        return self._playing.end_ms if self._playing else None

    def still_at(self, moment_ms: float) -> bool:
        """Tell whether the acceleration stays as it is at that moment, unless the wearer is told something else."""
        return self._playing is None or moment_ms >= self._playing.still_from_ms

    def at(self, moment_ms: float) -> Vector:
        """Return the acceleration in mg."""
        return self._playing.at(moment_ms) if self._playing else self._held

    def boundary(self, moment_ms: float) -> float:
        """Return the moment of the recording's first sample at or after that moment; with none, that moment."""
        return self._playing.boundary(moment_ms) if self._playing else moment_ms

    def progress(self, now_ms: float) -> dict[str, object]:
        """Return whether a recording plays, and where: at_ms of of_ms, in its own time; of_ms is 0 without one."""
        recording = self._playing
        if recording is None:
            return {"playing": False, "repeat": False, "at_ms": 0, "of_ms": 0}
        at_ms, of_ms = recording.at_ms(now_ms), recording.of_ms
        playing = recording.repeat or at_ms < of_ms
        return {"playing": playing, "repeat": recording.repeat, "at_ms": round(at_ms), "of_ms": round(of_ms)}
