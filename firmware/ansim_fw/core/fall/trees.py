"""A placement's model: thresholds, and boosted trees of depth 2 that are evaluated in the file's bytes as they are.

A tree is 10 bytes: three decisions (a feature's index, a threshold: above it one goes right), the root's, its left
child's and its right child's; then the four leaves from left to right, signed.
"""

import micropython
from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from micropython import ptr8  # type: ignore[attr-defined,unused-ignore]  # MicroPython's stubs have a built-in

# Where in a model file the number of trees is, and where they begin.
COUNT = const(20)
FIRST = const(22)
TREE_BYTES = const(10)
# Where in a tree its leaves begin.
LEAVES = const(6)


@micropython.viper
def score(data: object, first: int, count: int, features: object) -> int:
    """Return the sum over trees of the leaf that features lead to.

    Args:
        data: bytes; first: where in it the trees begin; count: of trees.
        features: bytes, one a feature.
    """
    model = ptr8(data)
    values = ptr8(features)
    total = 0
    tree = first
    for _ in range(count):
        side = 2 if values[model[tree]] > model[tree + 1] else 0
        child = tree + 2 + side
        leaf = tree + LEAVES + side
        if values[model[child]] > model[child + 1]:
            leaf += 1
        total += (model[leaf] ^ 0x80) - 0x80
        tree += TREE_BYTES
    return total


class Model:
    """What a placement's detector goes by.

    Attributes:
        version: the model's own, for the fleet.
        placement: model.WAIST or model.WRIST.
        wake_mg: stage 0: an axis that changes by so much from one sample to the next wakes the device.
        impact_mg: stage 1: the length of a sample from which on a window is judged.
        suspect, certain: stage 2: scores from which on a window may be, and is, a fall.
        still, same: stage 3: lying still is steps of at most still 256ths of gravity from sample to sample, in the
            same direction as before: the cosine is at least same 256ths.
        moved_loss: what half a second of anything else takes off the score.
        blocks: so many half seconds are waited for.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.placement = data[5]
        self.version = _number(data, 6)
        self.wake_mg = _number(data, 8)
        self.impact_mg = _number(data, 10)
        self.suspect = _signed(data, 12)
        self.certain = _signed(data, 14)
        self.still = data[16]
        self.same = data[17]
        self.moved_loss = data[18]
        self.blocks = data[19]

    def score(self, values: "bytes | bytearray") -> int:
        """Return how much a window with these features looks like a fall. Allocates nothing."""
        return score(self._data, FIRST, self._data[COUNT], values)


def _number(data: bytes, at: int) -> int:
    return data[at] | data[at + 1] << 8


def _signed(data: bytes, at: int) -> int:
    return (_number(data, at) ^ 0x8000) - 0x8000
