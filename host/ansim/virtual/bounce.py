"""A press as a worn contact gives it: closed and open many times before it stays so, and again when it is let go."""

from random import Random

# The chip counts what it did not look at in bytes.
MAX_EDGES = 200
LONGEST_US = 600_000_000
# How often a contact opens again, at the most, each time that it is closed or let go.
_MOST_BOUNCES = 8


def bouncing_press(seed: int, hold_ms: int, bounce_ms: int) -> list[int]:
    """Return the moments in microseconds at which the contact closes and opens, in turn, from 0 on.

    Args:
        seed: the same one is the same press.
        hold_ms: from the first contact until it is let go, more than bounce_ms.
        bounce_ms: how long the contact bounces each time, 1 and up.
    """
    random, us = Random(seed), bounce_ms * 1000
    closes = sorted(random.sample(range(1, us), 2 * random.randint(0, _MOST_BOUNCES)))
    opens = sorted(random.sample(range(1, us), 2 * random.randint(0, _MOST_BOUNCES)))
    return [0, *closes, hold_ms * 1000, *(hold_ms * 1000 + edge for edge in opens)]
