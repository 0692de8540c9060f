"""Stage 2, its measures: what a window around an impact looks like, as one byte each.

A window is HISTORY samples, the largest sample of the impact, and what follows it: AFTER samples with that one. Nothing
depends on how the device is turned: only lengths of vectors and angles between them count. Nothing depends on what |a|
is at rest: all lengths are in units of the gravity that is felt at the window's end.
"""

from array import array

from micropython import const

from ansim_fw.core.fall import window

TYPE_CHECKING = False

HISTORY = const(64)
AFTER = const(80)
COUNT = const(31)

_RING = const(144)
_LONGEST = const(80)
# Where the window is calm, and how much gravity (mg) can be; outside of that it was no rest.
_CALM_FROM = const(112)
_CALM_COUNT = const(32)
_LEAST_G_MG = const(600)
_MOST_G_MG = const(1600)

# Ranges of samples, from and to before: J: how long the steps between samples are; D: how far the length is from
# gravity; M: how long the longest is; A, B: how many are longer or shorter than so many 64ths of gravity.
_RANGES = (
    b"M\x32\x48\x40"  # impact
    b"D\x36\x54\x40"
    b"J\x3b\x48\x40"
    b"A\x36\x54\x60"
    b"J\x00\x20\x40"  # before
    b"J\x20\x30\x40"
    b"J\x30\x3c\x40"
    b"D\x0e\x36\x40"
    b"M\x00\x38\x40"
    b"B\x20\x41\x2d"
    b"J\x48\x50\x40"  # after
    b"J\x50\x60\x40"
    b"J\x60\x70\x40"
    b"J\x70\x80\x40"
    b"J\x80\x90\x40"
    b"B\x44\x80\x2d"
    b"A\x54\x80\x53"
    b"M\x5e\x90\x40"
)
_COUNT_RANGES = const(18)
# Ranges whose mean is a direction; those before the impact move on to where the samples begin.
_DIRECTIONS = b"\x00\x0a\x20\x2a\x32\x3c\x3d\x46\x4a\x54\x58\x68\x80\x90\x36\x4f"
_COUNT_DIRECTIONS = const(8)
IMPACT = const(3)
END = const(6)
_PUSH = const(7)
# Pairs of directions whose angle counts.
_ANGLES = b"\x00\x04\x00\x05\x00\x06\x01\x06\x00\x03\x03\x06\x04\x06\x01\x02\x00\x02\x05\x06\x02\x06"
_COUNT_ANGLES = const(11)


class Features:
    """Measures windows. Allocates only when it is made.

    Attributes:
        values: COUNT bytes, the last window's.
        directions: array('h') of x, y, z in mg, the last window's: rows of _DIRECTIONS.
        gravity_mg: the last window's.
    """

    def __init__(self) -> None:
        self.values = bytearray(COUNT)
        self.directions = array("h", bytes(6 * _COUNT_DIRECTIONS))
        self.gravity_mg = _LEAST_G_MG
        self._lengths = array("H", bytes(2 * _LONGEST))

    def compute(self, ring: "array[int]", slot: int, have: int) -> None:
        """Measure the window that ends with the ring's newest sample.

        Args:
            ring: array('h') of screen.RING samples: x, y, z in mg.
            slot: the oldest sample's.
            have: how many of the ring's samples, of the newest, there are; at least AFTER.
        """
        missing = _RING - have
        window.lengths(ring, (slot + _CALM_FROM) % _RING, _CALM_COUNT, 0, self._lengths)
        self.gravity_mg = min(max(window.fold(self._lengths, _CALM_COUNT, window.MEAN, 0), _LEAST_G_MG), _MOST_G_MG)
        for row in range(_COUNT_RANGES):
            self.values[row] = self._measure(ring, slot, missing, 4 * row)
        for row in range(_COUNT_DIRECTIONS):
            self._direct(ring, slot, missing, row)
        self._compare()

    def _measure(self, ring: "array[int]", slot: int, missing: int, row: int) -> int:
        what = _RANGES[row]
        # A step needs the sample before it.
        first = max(_RANGES[row + 1], missing + 1)
        count = _RANGES[row + 2] - first
        if count <= 0:
            return 0
        window.lengths(ring, (slot + first) % _RING, count, what == window.MEAN, self._lengths)
        value = window.fold(self._lengths, count, what, self.gravity_mg * _RANGES[row + 3] >> 6)
        return value if what == window.ABOVE or what == window.BELOW else self._in_g(value)

    def _direct(self, ring: "array[int]", slot: int, missing: int, row: int) -> None:
        count = _DIRECTIONS[2 * row + 1] - _DIRECTIONS[2 * row]
        first = (slot + max(_DIRECTIONS[2 * row], missing)) % _RING
        window.point(ring, first, count, self.directions, row)

    def _compare(self) -> None:
        at = _COUNT_RANGES
        for pair in range(0, 2 * _COUNT_ANGLES, 2):
            cosine = window.cosine(self.directions, _ANGLES[pair], self.directions, _ANGLES[pair + 1])
            self.values[at] = min(max(cosine + 256 >> 1, 0), 255)
            at += 1
        for axis in range(3):
            self.directions[3 * _PUSH + axis] -= self.directions[3 * END + axis]
        self.values[at] = self._length(IMPACT)
        self.values[at + 1] = self._length(_PUSH)

    def _length(self, row: int) -> int:
        window.lengths(self.directions, row, 1, 0, self._lengths)
        return self._in_g(self._lengths[0])

    def _in_g(self, length_mg: int) -> int:
        return squeeze((length_mg << 8) // self.gravity_mg)


def squeeze(value: int) -> int:
    """Return a value, not negative, as a byte: itself up to 63, then its magnitude to 1 in 32; 255 at most."""
    base = 0
    while value > 63:
        value >>= 1
        base += 32
    return min(base + value, 255)
