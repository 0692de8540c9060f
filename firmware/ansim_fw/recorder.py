"""What the motion sensor says, batch by batch on the console. Loaded when somebody asks."""

from binascii import b2a_base64

from ansim_fw.board_data import BOARD
from ansim_fw.motion import RATE_HZ

LONGEST_S = 3600


def start(seconds: object, duty: "loop.Duty") -> "dict[str, object]":
    """Record for so many seconds; return what the numbers mean.

    Raises:
        ValueError: seconds is not legal, or there is no sensor at work.
    """
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 1 <= seconds <= LONGEST_S:
        raise ValueError(f"seconds must be 1 to {LONGEST_S}")
    motion = duty.motion
    if motion is None or not motion.works:
        raise ValueError("no motion sensor is at work")
    motion.record = Recorder(duty, motion, seconds).take
    return {"part": BOARD["sensor"]["part"], "rate_hz": RATE_HZ, "seconds": seconds}


class Recorder:
    """Announces the batches of as many samples as come in so many seconds, and then that it is over."""

    def __init__(self, duty: "loop.Duty", motion: "Motion", seconds: int) -> None:
        self._duty = duty
        self._motion = motion
        self._left = seconds * RATE_HZ
        self._taken = 0

    def take(self, samples: "array[int]", count: int, lost: bool) -> None:
        """Announce count samples of x, y, z; lost: others were, before them."""
        count = min(count, self._left)
        data = b2a_base64(bytes(memoryview(samples)[: 3 * count])).decode().strip()
        self._duty.announce("samples", {"at": self._taken, "count": count, "lost": lost, "data": data})
        self._taken += count
        self._left -= count
        if self._left == 0:
            self._motion.record = None
            self._duty.announce("recorded", {"samples": self._taken})


TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array

    from ansim_fw import loop
    from ansim_fw.motion import Motion
