"""When to try again: waits that grow to a limit, spread so that a fleet does not act in step."""

from micropython import const

_MASK = const(0x3FFFFFFF)
# An odd number without a pattern: devices of one box have numbers in a row, and must not act in a row.
_SCATTER = const(0x2C1B3C6D)


class Jitter:
    """A small random generator (xorshift, 30 bits), seeded by a device's own number: a run can be repeated.

    Attributes:
        state: all that it is, 1 to 2^30 - 1.
    """

    def __init__(self, seed: int) -> None:
        self.state = ((seed & _MASK) * _SCATTER & _MASK) or 1
        for _ in range(4):
            self.below(1)

    def below(self, limit: int) -> int:
        """Return a number from 0 to limit - 1; limit up to 2^30."""
        # Marsaglia, "Xorshift RNGs", J. Stat. Soft. 8 (2003), with shifts whose period is 2^30 - 1 (tested), masked
        # first to stay small ints.
        state = self.state
        state ^= (state & 0x1FFFF) << 13
        state ^= state >> 19
        state ^= (state & 0x7FFFF) << 11
        self.state = state or 1
        return state % limit


def wait_ms(attempt: int, first_ms: int, limit_ms: int, jitter: Jitter) -> int:
    """Return how long to wait after an attempt.

    Doubles from first_ms; the random part, up to a quarter, is inside limit_ms, which is never passed.

    Args:
        attempt: which attempt went before, from 1.
    """
    grown_ms = first_ms << min(attempt - 1, 10)
    base_ms = min(grown_ms, limit_ms - limit_ms // 4)
    return base_ms + jitter.below(min(base_ms // 3, limit_ms - base_ms) + 1)
