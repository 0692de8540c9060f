"""Movements made up for the detector's tests, and its models as a device has them. Runs on CPython and MicroPython."""

import binascii
import json
import math
import struct
from array import array

from ansim_fw.core.fall import features
from ansim_fw.core.fall.detector import FALL, Detector
from ansim_fw.core.fall.model import FORMAT, Model, load

RATE_HZ = 50
G_MG = 1000
MODELS = __file__.rsplit("/", 1)[0] + "/../../firmware/models/"
FIELDS = "version wake_mg impact_mg suspect certain still same moved_loss blocks"


def model(name: str = "fall_waist", **changes: int) -> Model:
    """Return a model of the repository, with some of its numbers changed."""
    with open(MODELS + name + ".json") as file:  # noqa: PTH123  MicroPython has no pathlib
        told = json.load(file)
    told.update(changes)
    return load(pack(told), binascii.crc32)


def pack(told: dict) -> bytes:
    """Pack a model; tests/host holds it against the host's own packer, which MicroPython does not run."""
    numbers = [told[name] for name in FIELDS.split()] + [len(told["trees"]), features.COUNT]
    placement = ("waist", "wrist").index(told["placement"]) + 1
    data = struct.pack("<4sBBHHHhhBBBBBB", b"FALL", FORMAT, placement, *numbers)
    for tree in told["trees"]:
        decisions = [each[i] for i in range(3) for each in (tree["features"], tree["thresholds"])]
        data += bytes(decisions) + struct.pack("4b", *tree["leaves"])
    return data + struct.pack("<I", binascii.crc32(data))


class Movement:
    """Samples in mg, made piece by piece. z is up while the wearer stands; every sample has a little noise."""

    def __init__(self, seed: int = 1) -> None:
        self.samples = array("f")
        self._seed = seed

    def add(self, x: float, y: float, z: float) -> None:
        for value in (x, y, z):
            self.samples.append(value + self._noise())

    def rest(self, seconds: float, tilt_deg: float = 0) -> "Movement":
        """Stand (0 degrees), sit or lie (90) still."""
        for _ in range(int(seconds * RATE_HZ)):
            self._lean(tilt_deg, G_MG)
        return self

    def walk(self, seconds: float, strength_mg: float = 350) -> "Movement":
        for i in range(int(seconds * RATE_HZ)):
            step = math.sin(2 * math.pi * 1.9 * i / RATE_HZ)
            self.add(strength_mg / 2 * step, 0, G_MG + strength_mg * step)
        return self

    def fall(self, impact_mg: float = 5000, tilt_deg: float = 90, weightless_s: float = 0.4) -> "Movement":
        """Topple over, weightless in the end, hit the ground and bounce a little."""
        count = int(0.6 * RATE_HZ)
        weightless = int(weightless_s * RATE_HZ)
        for i in range(count):
            self._lean(tilt_deg * (i / count) ** 2, G_MG * (0.35 if count - i <= weightless else 0.9))
        for share in (0.45, 1, 0.7, 0.15, 0.5, 0.3, 0.1, 0.25, 0.15, 0.2):
            self._lean(tilt_deg, max(share * impact_mg, 300))
        return self

    def jump(self, impact_mg: float = 3500) -> "Movement":
        for length_mg in [1600] * 6 + [150] * 15 + [0.5 * impact_mg, impact_mg, 0.6 * impact_mg, 1500, 800, 1200, 900]:
            self._lean(0, length_mg)
        return self

    def sit_down(self, impact_mg: float = 2200) -> "Movement":
        """Drop onto a chair: the trunk bends, and is upright again."""
        for i in range(25):
            self._lean(25 * math.sin(math.pi * i / 25), 800)
        for length_mg in (0.7 * impact_mg, impact_mg, 0.6 * impact_mg, 1100, 900, 1050, 980):
            self._lean(0, length_mg)
        return self

    def as_array(self, turn: tuple = (0, 0, 0), gain: float = 1, limit_mg: int = 16000) -> "array[int]":
        """Return them as a sensor gives them that is turned by three angles (degrees), is off by gain, and clips."""
        out = array("h")
        for at in range(0, len(self.samples), 3):
            for value in turned(tuple(self.samples[at : at + 3]), turn):
                out.append(int(round(min(max(value * gain, -limit_mg), limit_mg))))
        return out

    def _lean(self, tilt_deg: float, length_mg: float) -> None:
        angle = math.radians(tilt_deg)
        self.add(length_mg * math.sin(angle), 0, length_mg * math.cos(angle))

    def _noise(self) -> float:
        self._seed = (self._seed * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._seed >> 16) % 21 - 10


def turned(sample: tuple, turn: tuple) -> tuple:
    x, y, z = sample
    for degrees in turn:
        c = math.cos(math.radians(degrees))
        s = math.sin(math.radians(degrees))
        # Around z, and then the axes change their roles.
        x, y, z = z, c * x - s * y, s * x + c * y
    return x, y, z


def play(detector: Detector, samples: "array[int]", batches: tuple = (16,)) -> list[tuple[int, int]]:
    """Feed samples in batches of these sizes, again and again; return (samples fed so far, bits) of what was told."""
    told = []
    first = turn = 0
    count = len(samples) // 3
    while first < count:
        size = min(batches[turn % len(batches)], count - first)
        found = detector.feed(samples[3 * first : 3 * (first + size)], size)
        first += size
        turn += 1
        if found:
            told.append((first, found))
    return told


def falls(detector: Detector, samples: "array[int]") -> int:
    """Return how many falls are told in samples."""
    return sum(1 for _, bits in play(detector, samples) if bits & FALL)
