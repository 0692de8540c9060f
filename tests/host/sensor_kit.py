"""A sensor model on a bench, reached by its registers, with a clock that the test moves."""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ansim.virtual.models import Accelerometer, World, make
from ansim.virtual.motion import Motion, Recording

Sample = tuple[float, float, float]


class SensorBench:
    """A part that has just got its power; time stands still until ``wait_ms``.

    Attributes:
        levels: what its INT1 did since the power came.
    """

    def __init__(self, name: str, seed: int = 0) -> None:
        self.now_ms = 0.0
        self.motion = Motion()
        self.levels: list[int] = []
        self.part: Accelerometer = make(name, World(self.motion, lambda: self.now_ms, self.levels.append, seed))
        self.part.noise_mg = 0.0
        self.part.power_on()

    @property
    def level(self) -> int:
        return self.levels[-1]

    @property
    def rises(self) -> int:
        """How often INT1 went high since the power came."""
        return sum(1 for before, after in zip(self.levels, self.levels[1:], strict=False) if (before, after) == (0, 1))

    def set(self, register: int, *values: int) -> None:
        self.part.write(bytes((register, *values)))

    def get(self, register: int) -> int:
        return self.get_bytes(register, 1)[0]

    def get_bytes(self, register: int, count: int) -> bytes:
        self.part.write(bytes((register,)))
        return self.part.read(count)

    def wait_ms(self, ms: float) -> None:
        """Let time pass, and call the part when it wants to be called, as the chip's thread does."""
        end_ms = self.now_ms + ms
        while (due_ms := self.part.due_ms) is not None and due_ms <= end_ms:
            self.now_ms = max(self.now_ms, due_ms)
            self.part.tick()
        self.now_ms = end_ms

    def hold(self, x: float, y: float, z: float) -> None:
        self.part.before_change()
        self.motion.hold((x, y, z))

    def play(self, samples: Sequence[Sequence[int]], rate_hz: float = 50.0, repeat: bool = False) -> None:
        """Play a recording from the part's next sample on."""
        flat = array("h", [value for sample in samples for value in sample])
        self.part.before_change()
        start_ms = self.part.next_sample_ms
        self.motion.play(Recording(flat, rate_hz, repeat, self.now_ms if start_ms is None else start_ms))


def words(data: bytes, order: str, shift: int = 0) -> list[int]:
    """Return the signed 16-bit words in data; order is "little" or "big"; shift counts the unused low bits."""
    pairs = (data[at : at + 2] for at in range(0, len(data), 2))
    return [int.from_bytes(pair, "little" if order == "little" else "big", signed=True) >> shift for pair in pairs]


def lis2dw12_samples(bench: SensorBench) -> list[Sample]:
    count = bench.get(0x2F) & 0x3F
    return _triples(words(bench.get_bytes(0x28, 6 * count), "little", shift=2), 16000 / 8192)


def adxl345_samples(bench: SensorBench) -> list[Sample]:
    count = bench.get(0x39) & 0x3F
    return _triples([word for _ in range(count) for word in words(bench.get_bytes(0x32, 6), "little")], 1000 / 256)


def bma400_samples(bench: SensorBench) -> list[Sample]:
    data = bench.get_bytes(0x14, int.from_bytes(bench.get_bytes(0x12, 2), "little"))
    values = []
    for at in range(0, len(data), 7):
        assert data[at] == 0x9E, "a frame of x, y and z in 12 bits"
        for low, high in zip(data[at + 1 : at + 7 : 2], data[at + 2 : at + 8 : 2], strict=True):
            value = low & 0x0F | high << 4
            values.append(value - 4096 if value & 0x800 else value)
    return _triples(values, 16000 / 2048)


def mpu6886_samples(bench: SensorBench) -> list[Sample]:
    count = int.from_bytes(bench.get_bytes(0x72, 2), "big") // 8
    frames = words(bench.get_bytes(0x74, 8 * count), "big")
    return _triples([word for at in range(0, len(frames), 4) for word in frames[at : at + 3]], 16000 / 32768)


def _triples(counts: Sequence[int], step_mg: float) -> list[Sample]:
    return [
        (counts[at] * step_mg, counts[at + 1] * step_mg, counts[at + 2] * step_mg) for at in range(0, len(counts), 3)
    ]


@dataclass(frozen=True)
class Setup:
    """How a test uses a part by its registers.

    Args:
        identity: register and value.
        stream: what to write for 50 Hz, +-16 g and a FIFO that keeps the newest.
        samples: takes everything out of the FIFO, in mg.
        step_mg: what one count is.
        depth: how many samples the FIFO holds.
    """

    name: str
    identity: tuple[int, int]
    stream: tuple[tuple[int, ...], ...]
    samples: Callable[[SensorBench], list[Sample]]
    step_mg: float
    depth: int

    def bench(self, seed: int = 0) -> SensorBench:
        """Return the part, streaming."""
        bench = SensorBench(self.name, seed)
        for write in self.stream:
            bench.set(*write)
        return bench


SETUPS = {
    setup.name: setup
    for setup in (
        Setup("adxl345", (0x00, 0xE5), ((0x31, 0x0B), (0x2C, 9), (0x38, 0x80), (0x2D, 8)), adxl345_samples, 3.91, 33),
        Setup("bma400", (0x00, 0x90), ((0x1A, 0xC7), (0x26, 0xE0), (0x19, 2)), bma400_samples, 7.82, 146),
        Setup("lis2dw12", (0x0F, 0x44), ((0x25, 0x30), (0x2E, 0xC0), (0x20, 0x44)), lis2dw12_samples, 1.96, 32),
        Setup(
            "mpu6886",
            (0x75, 0x19),
            ((0x19, 19), (0x1A, 0), (0x1C, 0x18), (0x23, 8), (0x6A, 0x40), (0x6C, 7), (0x6B, 1)),
            mpu6886_samples,
            0.49,
            128,
        ),
    )
}
