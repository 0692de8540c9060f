"""Measures of samples in the ring: how long their vectors are, how long the steps between them, and which way is down.

The samples may be any 16-bit numbers: an axis counts up to +-16383 mg, so that nothing leaves 31 bits.
"""

import micropython
from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array

    from micropython import ptr16  # type: ignore[attr-defined,unused-ignore]  # MicroPython's stubs have a built-in

# screen.RING: viper takes constants of its own file only.
_RING = const(144)
_MOST_MG = const(16383)

# What fold() tells.
MEAN = const(0x4A)  # J
DEVIATION = const(0x44)  # D
MAXIMUM = const(0x4D)  # M
ABOVE = const(0x41)  # A
BELOW = const(0x42)  # B


@micropython.viper
def root(square: int) -> int:
    """Return the square root of a number below 2^30, rounded down."""
    found = 0
    bit = 1 << 28
    while bit:
        if square >= found + bit:
            square -= found + bit
            found = (found >> 1) + bit
        else:
            found >>= 1
        bit >>= 2
    return found


@micropython.viper
def lengths(ring: object, slot: int, count: int, steps: int, out: object):  # type: ignore[no-untyped-def]
    """Write the lengths of count samples, from slot on, into out (array('H')), in mg.

    Args:
        steps: 0: the length of each sample. 1: that of its difference from the sample before it.
    """
    source = ptr16(ring)
    target = ptr16(out)
    at = 3 * slot
    for i in range(count):
        if at >= 3 * _RING:
            at -= 3 * _RING
        before = at - 3 if at > 0 else 3 * _RING - 3
        square = 0
        for axis in range(3):
            value = (source[at + axis] ^ 0x8000) - 0x8000
            if steps:
                value -= (source[before + axis] ^ 0x8000) - 0x8000
            if value < 0:
                value = 0 - value
            if value > _MOST_MG:
                value = _MOST_MG
            square += value * value
        target[i] = int(root(square))
        at += 3


@micropython.viper
def fold(values: object, count: int, what: int, unit: int) -> int:
    """Return what there is to say of the first count of values (array('H')); count is not 0.

    Args:
        what: MEAN; DEVIATION: the mean distance from unit; MAXIMUM; ABOVE, BELOW: how many are above or below unit.
    """
    source = ptr16(values)
    total = 0
    for i in range(count):
        value = source[i]
        if what == MAXIMUM:
            if value > total:
                total = value
        elif what == ABOVE:
            if value > unit:
                total += 1
        elif what == BELOW:
            if value < unit:
                total += 1
        elif what == DEVIATION and value < unit:
            total += unit - value
        else:
            total += value - unit if what == DEVIATION else value
    if what == MEAN:
        return total // count
    return total // count if what == DEVIATION else total


@micropython.viper
def point(ring: object, slot: int, count: int, directions: object, row: int):  # type: ignore[no-untyped-def]
    """Write the mean of count samples, from slot on, into a row of directions (array('h') of x, y, z in mg)."""
    source = ptr16(ring)
    target = ptr16(directions)
    for axis in range(3):
        at = 3 * slot + axis
        total = 0
        for _ in range(count):
            if at >= 3 * _RING:
                at -= 3 * _RING
            total += (source[at] ^ 0x8000) - 0x8000
            at += 3
        mean = total // count
        if mean > _MOST_MG:
            mean = _MOST_MG
        elif mean < 0 - _MOST_MG:
            mean = 0 - _MOST_MG
        target[3 * row + axis] = mean


def cosine(one: "array[int]", row: int, other: "array[int]", other_row: int) -> int:
    """Return the cosine of the angle between two rows of directions, in 256ths; 0 where one of them has no length."""
    dot = 0
    square = 0
    other_square = 0
    for axis in range(3):
        a = one[3 * row + axis]
        b = other[3 * other_row + axis]
        dot += a * b
        square += a * a
        other_square += b * b
    unit = (root(square) * root(other_square)) >> 8
    return dot // unit if unit else 0
