"""Records what a device's motion sensor says, in the layout of the sets of recordings."""

import base64
import binascii
import math
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ansim.client import Console, Deadline
from ansim.errors import BadInput, DeviceError
from ansim.falls.recordings import RATES_HZ, Recording, load, save

# What the device's words may come later than the samples that they tell of.
_PATIENCE_S = 10.0
# A rate that is measured is this uncertain, and by as many samples, for they come in batches.
_RATE_TOLERANCE = 0.02
_TOLERANCE_SAMPLES = 2
_MAX_BATCH_BYTES = 6 * 256

# Told with the seconds that are recorded so far.
OnSamples = Callable[[float], None]


@dataclass(frozen=True)
class Label:
    """What a recording is of."""

    subject: str
    activity: str
    is_fall: bool
    group: str
    age: int


@dataclass
class Capture:
    """Samples as they come: x, y, z in mg, interleaved.

    Attributes:
        gaps_s: when samples were lost, seconds from the beginning.
    """

    rate_hz: float
    samples: "array[int]" = field(default_factory=lambda: array("h"))
    gaps_s: list[float] = field(default_factory=list)
    _batches: list[tuple[int, int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.samples) // 3

    def take(self, said: dict[str, Any]) -> None:
        """Take a batch that the device announced.

        Raises:
            DeviceError: it is none.
        """
        batch = _decode(said)
        if said.get("lost") is True or said.get("at") != len(self):
            self.gaps_s.append(len(self) / self.rate_hz)
        self.samples += batch
        self._batches.append((len(self), int(said["ms"])))

    def measured_hz(self) -> float:
        """Return the part's rate by the device's clock; the nominal one if it is not clearly another."""
        # The last batch is cut to the seconds that were asked for, so its end says nothing of when it was read.
        (first, first_ms), (last, last_ms) = self._batches[0], self._batches[-2:][0]
        if last_ms <= first_ms:
            return self.rate_hz
        measured_hz = (last - first) * 1000 / (last_ms - first_ms)
        tolerance = max(_RATE_TOLERANCE, _TOLERANCE_SAMPLES / (last - first))
        return self.rate_hz if math.isclose(measured_hz, self.rate_hz, rel_tol=tolerance) else measured_hz


def _decode(said: dict[str, Any]) -> "array[int]":
    try:
        data = base64.b64decode(str(said["data"]), validate=True)
        if len(data) > _MAX_BATCH_BYTES or len(data) % 6 or not isinstance(said["ms"], int):
            raise ValueError("no whole samples")
    except (KeyError, ValueError, binascii.Error) as error:
        raise DeviceError(
            "the device sends samples that can't be read", "Flash the firmware that belongs to this tool."
        ) from error
    return array("h", np.frombuffer(data, "<i2").tolist())


def capture(console: Console, seconds: int, on_samples: OnSamples = lambda _: None) -> Capture:
    """Record for so many seconds of the device's time.

    Raises:
        DeviceError: the device can't, stops sending, or sends nothing that could be read.
    """
    told = console.request("record", {"seconds": seconds})
    taken = Capture(float(told["rate_hz"]))
    for said in console.announcements(Deadline(seconds + _PATIENCE_S)):
        if said["event"] == "samples":
            taken.take(said)
            on_samples(len(taken) / taken.rate_hz)
        elif said["event"] == "recorded":
            if said.get("samples") != len(taken):
                taken.gaps_s.append(len(taken) / taken.rate_hz)
            return taken
    raise DeviceError(
        f"the device on {console.name} stopped sending: {len(taken)} samples in {seconds} s",
        "Run it again; ansim selftest tells whether its sensor is well.",
    )


def recording(taken: Capture, label: Label, others: Iterable[Recording]) -> Recording:
    """Return what was taken as a recording, the next trial of its subject and activity among others.

    Raises:
        DeviceError: samples were lost, or their rate is not to be believed.
    """
    if not len(taken):
        raise DeviceError("the device sent no samples", "ansim selftest tells whether its sensor is well.")
    if taken.gaps_s:
        when = ", ".join(f"{gap_s:.1f} s" for gap_s in taken.gaps_s)
        raise DeviceError(f"samples were lost (after {when}), so this is not kept", "Run it again.")
    rate_hz = taken.measured_hz()
    if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        raise DeviceError(f"the sensor gives {rate_hz:.1f} samples a second", "Run: ansim selftest")
    mine = [other.trial for other in others if (other.subject, other.activity) == (label.subject, label.activity)]
    trial = max(mine, default=0) + 1
    return Recording(
        name=f"{label.activity}_{label.subject}_R{trial:02}",
        trial=trial,
        fall_start_s=math.nan,
        fall_end_s=math.nan,
        fs=rate_hz,
        acc=np.array(taken.samples, dtype=np.int16).reshape(-1, 3),
        **vars(label),
    )


def add(path: Path, made: Recording, others: list[Recording]) -> None:
    """Write a set with one more recording; killed on the way, the old one is still there.

    Raises:
        OSError: it can't be written.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        save(new, [*others, made])
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def existing(path: Path) -> list[Recording]:
    """Return the recordings of a file that may not be there yet.

    Raises:
        BadInput: it is no set of recordings, or no name for one.
    """
    if path.suffix != ".npz":
        raise BadInput(f"{path} can't be a set of recordings", "Its name ends in .npz.")
    if not path.parent.is_dir():
        raise BadInput(f"there is no folder {path.parent}", "Make it first, or give another file.")
    return load(path) if path.exists() else []
