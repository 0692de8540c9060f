"""Stage 1: looks at every sample, as cheaply as possible, and keeps the last of them.

A sample is x, y, z in mg; its strength is a quarter of its magnitude's square. That is at most 3 * 2^28 for any three
16-bit numbers, and so a small int on every chip.
"""

import micropython
from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array

    from micropython import ptr16  # type: ignore[attr-defined,unused-ignore]  # MicroPython's stubs have a built-in

# Samples that the ring keeps.
RING = const(144)


@micropython.viper
def take(samples: object, first: int, end: int, ring: object, slot: int, limit: int) -> int:
    """Copy samples into the ring until one is stronger than limit; return how many.

    Args:
        samples: array('h') of x, y, z, interleaved: those from first to before end are to be taken.
        ring: array('h') of RING samples, of which the next to be overwritten is in slot.
        limit: a strength. If the last sample taken is stronger, the number returned is negative.
    """
    source = ptr16(samples)
    target = ptr16(ring)
    to = 3 * slot
    for sample in range(first, end):
        at = 3 * sample
        x = source[at]
        y = source[at + 1]
        z = source[at + 2]
        target[to] = x
        target[to + 1] = y
        target[to + 2] = z
        to += 3
        if to == 3 * RING:
            to = 0
        # A ptr16 reads unsigned.
        x = (x ^ 0x8000) - 0x8000
        y = (y ^ 0x8000) - 0x8000
        z = (z ^ 0x8000) - 0x8000
        if ((x * x) >> 2) + ((y * y) >> 2) + ((z * z) >> 2) > limit:
            return first - sample - 1
    return end - first


def strength(ring: "array[int]", slot: int) -> int:
    """Return the strength of the sample in a slot of the ring."""
    total = 0
    for at in range(3 * slot, 3 * slot + 3):
        total += (ring[at] * ring[at]) >> 2
    return total
