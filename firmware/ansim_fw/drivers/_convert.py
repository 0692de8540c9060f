"""Raw samples become milli-g: the one loop over every sample, so it is compiled to machine code."""

import micropython


@micropython.viper
def to_mg(raw, first: int, count: int, layout: int, samples, at: int):  # type: ignore[no-untyped-def]  # no quoted types
    """Convert count samples. Rounds to nearest, saturates, allocates nothing.

    An axis is a signed 16-bit number n; it means n * 125 >> shift milli-g.

    Args:
        raw: bytes-like.
        first: index of the first sample's first byte in raw.
        layout: hexadecimal digits from the right: shift; index of x's low byte in a sample; of its high byte (y and z
            follow two and four bytes on); bytes of a sample; by how many bits the low byte is moved up.
        samples: array('h') of x, y, z, interleaved.
        at: index in samples of the first number.
    """
    source = ptr8(raw)
    target = ptr16(samples)
    shift = layout & 15
    low = (layout >> 4) & 15
    high = (layout >> 8) & 15
    stride = (layout >> 12) & 15
    up = (layout >> 16) & 15
    half = (1 << shift) >> 1
    for sample in range(count):
        for axis in range(3):
            byte = first + sample * stride + axis * 2
            number = (source[byte + high] << 8) | ((source[byte + low] << up) & 0xFF)
            mg = (((number ^ 0x8000) - 0x8000) * 125 + half) >> shift
            if mg > 32767:
                mg = 32767
            elif mg < -32768:
                mg = -32768
            target[at + sample * 3 + axis] = mg
