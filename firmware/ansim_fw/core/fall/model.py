"""Reads model files. What is read is a Model; this module may be forgotten then.

Little endian: "FALL", format (1 byte), placement (1), version (2), wake_mg (2), impact_mg (2), suspect (2, signed),
certain (2, signed), still (1), same (1), moved_loss (1), blocks (1), number of trees (1), features (1); the trees, as
trees.py tells; the CRC-32 of all that (4).
"""

from micropython import const

from ansim_fw.core.fall import features, trees
from ansim_fw.core.fall.trees import Model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Crc32 = Callable[[bytes], int]

# It is another one whenever the meaning of a byte or of a feature changes.
FORMAT = const(1)
WAIST = const(1)
WRIST = const(2)

_FEATURES = const(21)
_CRC = const(4)


def load(data: bytes, crc32: "Crc32") -> Model:
    """Return the model of a file's bytes, which it keeps.

    Raises:
        ValueError: they are damaged, or of another format.
    """
    if len(data) < trees.FIRST + _CRC or crc32(data[:-_CRC]).to_bytes(_CRC, "little") != data[-_CRC:]:
        raise ValueError("the fall model is damaged")
    if data[:4] != b"FALL" or data[4] != FORMAT or not _is_sound(data):
        raise ValueError("the fall model is of another format")
    return Model(data)


def _is_sound(data: bytes) -> bool:
    """Tell whether nothing in it leads beyond its own trees and the features."""
    end = trees.FIRST + trees.TREE_BYTES * data[trees.COUNT]
    if data[_FEATURES] != features.COUNT or len(data) != end + _CRC:
        return False
    for tree in range(trees.FIRST, end, trees.TREE_BYTES):
        for at in range(tree, tree + trees.LEAVES, 2):
            if data[at] >= features.COUNT:
                return False
    return True
