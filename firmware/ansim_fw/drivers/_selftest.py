"""What the self-tests share; loaded for them only."""

import errno
import time
from array import array

from micropython import const

_POLLS = const(100)
_POLL_MS = const(20)


def mean_mg(sensor: "Sensor", settle_ms: int, count: int) -> "list[int]":
    """Return x, y and z, each the mean of count samples in milli-g, of those that come once settle_ms are over.

    Raises:
        OSError: the part does not sample.
    """
    samples = array("h", bytes(6 * sensor.FIFO_SAMPLES))
    time.sleep_ms(settle_ms)
    for _ in range(_POLLS):
        if sensor.read(samples) < sensor.FIFO_SAMPLES:
            break
    sums = [0, 0, 0]
    left = count
    for _ in range(_POLLS):
        taken = min(sensor.read(samples), left)
        for i in range(3 * taken):
            sums[i % 3] += samples[i]
        left -= taken
        if left == 0:
            return [total // count for total in sums]
        time.sleep_ms(_POLL_MS)
    raise OSError(errno.ETIMEDOUT)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansim_fw.drivers._sensor import Sensor
