"""Stage 3: what follows a fall in doubt. Who lies still is left lying; who moves on got up, or turned over."""

from array import array

from micropython import const

from ansim_fw.core.fall import features, window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansim_fw.core.fall.trees import Model

# Half a second.
BLOCK = const(25)
_RING = const(144)

# What step() tells.
WAIT = const(0)
STAYED_DOWN = const(1)
WENT_ON = const(2)


class Aftermath:
    """Watches one half second after the other, until the doubt is over. Allocates only when it is made.

    Attributes:
        score: the window's, less what was taken off it since.
        blocks_left: half seconds to come; 0: there is no doubt.
    """

    def __init__(self, model: "Model") -> None:
        self.score = 0
        self.blocks_left = 0
        self._model = model
        self._gravity_mg = 0
        # The direction in which the wearer came to lie, and that of the last half second.
        self._directions = array("h", bytes(12))
        self._lengths = array("H", bytes(2 * BLOCK))

    def begin(self, score: int, measured: "features.Features") -> None:
        """Doubt a window with this score, whose features were just computed."""
        self.score = score
        self.blocks_left = self._model.blocks
        self._gravity_mg = measured.gravity_mg
        for axis in range(3):
            self._directions[axis] = measured.directions[3 * features.END + axis]

    def step(self, ring: "array[int]", slot: int) -> int:
        """Take the ring's newest BLOCK samples; slot is the one after them. Return WAIT, STAYED_DOWN or WENT_ON."""
        self.blocks_left -= 1
        if not self._lies_still(ring, (slot + _RING - BLOCK) % _RING):
            self.score -= self._model.moved_loss
            if self.score < self._model.suspect:
                self.blocks_left = 0
                return WENT_ON
        return WAIT if self.blocks_left else STAYED_DOWN

    def _lies_still(self, ring: "array[int]", slot: int) -> bool:
        window.lengths(ring, slot, BLOCK, 1, self._lengths)
        step_mg = window.fold(self._lengths, BLOCK, window.MEAN, 0)
        window.point(ring, slot, BLOCK, self._directions, 1)
        cosine = window.cosine(self._directions, 0, self._directions, 1)
        return step_mg << 8 <= self._model.still * self._gravity_mg and cosine >= self._model.same
