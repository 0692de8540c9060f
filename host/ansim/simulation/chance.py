"""Randomness that does not depend on what else happens: each draw is a hash of the seed and of what is drawn for."""

# The constants and shifts of Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB

# What is drawn for, the first number after the seed.
START, CONNECT, UPLINK, DOWNLINK, SURVIVES, NOTICED, REORDER, REPEAT, COMMIT, DEVICE = range(10)


def mix(*numbers: int) -> int:
    """Return 64 well-mixed bits of numbers, the same on every machine and in every process."""
    state = 0
    for number in numbers:
        state = (state + _GOLDEN + number) & _MASK
        state = ((state ^ (state >> 30)) * _FIRST) & _MASK
        state = ((state ^ (state >> 27)) * _SECOND) & _MASK
        state ^= state >> 31
    return state


class Chance:
    """The draws of one world."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def below(self, limit: int, *what: int) -> int:
        """Return a number from 0 to limit - 1, always the same for the same what."""
        return mix(self._seed, *what) % limit

    def between(self, low: int, high: int, *what: int) -> int:
        """Return a number from low to high, both included."""
        return low + self.below(high - low + 1, *what)
