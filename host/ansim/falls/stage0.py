"""Stage 0: where a sensor's own threshold would have woken the device."""

import numpy as np
from numpy.typing import NDArray

from ansim.falls.recordings import Samples


def wakes_at(acc: Samples, wake_mg: int) -> NDArray[np.uint32]:
    """Return the indices n, ascending, of acc (mg, samples x 3) where an axis is at least wake_mg from n - 1.

    With a threshold of 0 all are: the device never sleeps.
    """
    before = np.concatenate([acc[:1], acc[:-1]]).astype(np.int32)
    steps = np.abs(acc - before).max(axis=1, initial=0)
    return np.flatnonzero(steps >= wake_mg).astype(np.uint32)
