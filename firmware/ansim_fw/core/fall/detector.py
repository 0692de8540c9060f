"""Tells falls in a stream of samples: stages 1 to 3. Stage 0 is the sensor's, which wakes whoever feeds this."""

from array import array

from micropython import const

from ansim_fw.core.fall import screen
from ansim_fw.core.fall.aftermath import BLOCK, STAYED_DOWN, WAIT, Aftermath
from ansim_fw.core.fall.features import AFTER, Features

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansim_fw.core.fall.trees import Model

# What feed() tells.
IMPACT = const(1)
SUSPECT = const(2)
FALL = const(4)
CLEARED = const(8)
DECIDED = const(16)


class Detector:
    """Judges every impact once, whatever batches the samples come in. Allocates only when it is made.

    Attributes:
        model: by which it judges.
        features: bytes, what the last window was judged by; score: what the model made of them.
    """

    def __init__(self, model: "Model") -> None:
        self.model = model
        self.score = 0
        self._measured = Features()
        self.features = self._measured.values
        self._aftermath = Aftermath(model)
        self._ring = array("h", bytes(6 * screen.RING))
        self._impact = (model.impact_mg * model.impact_mg >> 2) - 1
        self.restart()

    @property
    def busy(self) -> bool:
        """Whether it waits for the samples that follow."""
        return self._window_left > 0 or self._aftermath.blocks_left > 0

    def restart(self) -> None:
        """There is a gap before the next sample: what waited for samples is dropped."""
        self._slot = 0
        self._have = 0
        # A sample stronger than this begins a window, or takes the window over.
        self._limit = self._impact
        # Samples to come until the window is complete (0: there is none), and until the half second is.
        self._window_left = 0
        self._block_left = 0
        self._aftermath.blocks_left = 0

    def feed(self, samples: "array[int]", count: int) -> int:
        """Take the first count of samples, array('h') of x, y, z in mg at 50 Hz. Allocates nothing.

        Returns:
            Bits of what they brought: IMPACT; DECIDED: a window was judged; SUSPECT: it may be a fall; FALL: it is one;
            CLEARED: it is none, at once or after what followed.
        """
        told = 0
        first = 0
        while first < count:
            end = min(count, first + self._due())
            taken = screen.take(samples, first, end, self._ring, self._slot, self._limit)
            told |= self._advance(abs(taken))
            if taken < 0:
                told |= self._strike()
            elif self._window_left:
                told |= self._fill(taken)
            first += abs(taken)
        return told

    def _due(self) -> int:
        """Return how many samples may be taken before something is to be done."""
        due = self._window_left or screen.RING
        return min(due, self._block_left) if self._aftermath.blocks_left else due

    def _advance(self, count: int) -> int:
        self._slot = (self._slot + count) % screen.RING
        self._have = min(self._have + count, screen.RING)
        if self._aftermath.blocks_left == 0:
            return 0
        self._block_left -= count
        return 0 if self._block_left else self._wait_on()

    def _strike(self) -> int:
        """The newest sample is the strongest of its window."""
        told = 0 if self._window_left else IMPACT
        self._limit = screen.strength(self._ring, (self._slot or screen.RING) - 1)
        self._window_left = AFTER - 1
        return told

    def _fill(self, count: int) -> int:
        self._window_left -= count
        return 0 if self._window_left else self._judge()

    def _judge(self) -> int:
        self._limit = self._impact
        self._measured.compute(self._ring, self._slot, self._have)
        self.score = self.model.score(self.features)
        if self.score < self.model.suspect:
            return DECIDED | (0 if self._aftermath.blocks_left else CLEARED)
        if self.score >= self.model.certain:
            self._aftermath.blocks_left = 0
            return DECIDED | SUSPECT | FALL
        if not self._aftermath.blocks_left or self.score > self._aftermath.score:
            self._aftermath.begin(self.score, self._measured)
            self._block_left = BLOCK
        return DECIDED | SUSPECT

    def _wait_on(self) -> int:
        """Half a second more is over."""
        self._block_left = BLOCK
        found = self._aftermath.step(self._ring, self._slot)
        if found == WAIT:
            return 0
        return FALL if found == STAYED_DOWN else CLEARED
