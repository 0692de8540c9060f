"""The face that every driver has; each is `class Sensor` in its part's file. Only the type checker reads this."""

from array import array
from typing import Protocol

from machine import I2C

class Sensor(Protocol):
    """An accelerometer. Nothing touches it before it is asked to do something.

    Any method raises OSError when the part, or the bus, does not answer, or not in time. Whatever state a part is in,
    start() gets it out of there.

    Args:
        bus: where the part is.
        address: the part's, 7 bits.

    Attributes:
        NAME: as in a board's [sensor].
        FIFO_SAMPLES: as many samples read() returns at the most.
        HISTORY_SAMPLES: as many the part keeps while nobody reads it.
        HAS_FREE_FALL: wake_on_freefall() is there.
        overran: samples were lost before those of the last read(): the FIFO was full, or the read before failed.
    """

    NAME: str
    FIFO_SAMPLES: int
    HISTORY_SAMPLES: int
    HAS_FREE_FALL: bool
    overran: bool

    def __init__(self, bus: I2C, address: int) -> None: ...
    def identify(self) -> bool:
        """Tell whether the chip that answers is this part."""

    def start(self, rate_hz: int, range_g: int) -> None:
        """Reset the part and let it sample into its FIFO, where the newest push out the oldest. Nothing wakes yet.

        Args:
            rate_hz: 25, 50 or 100; a part is up to a tenth off.
            range_g: 2, 4, 8 or 16.

        Raises:
            ValueError: the part has no such rate or range.
        """

    def resume(self, rate_hz: int, range_g: int) -> None:
        """Take over a part that start() and wake_on_impact() left running, from before a deep sleep. Nothing is sent.

        Args:
            rate_hz, range_g: what start() was given.
        """

    def read(self, samples: array[int]) -> int:
        """Take what is in the FIFO, oldest first, as milli-g. Allocates nothing.

        Args:
            samples: array('h') of x, y, z, interleaved, with room for FIFO_SAMPLES.

        Returns:
            The number of samples. If it is FIFO_SAMPLES, there may be more: read again.
        """

    def wake_on_impact(self, threshold_mg: int) -> None:
        """Raise INT1, until woke() is called, when an axis changes by threshold_mg from one sample to the next.

        A part says the threshold in steps of its own: it is rounded down, so that the part may wake for less, and
        never misses more. The FIFO goes on and keeps its history. The first sample after this call may wake, too.

        Args:
            threshold_mg: 0 switches it off.
        """

    def wake_on_watermark(self, samples: int) -> None:
        """Raise INT1 while the FIFO holds so many samples, up to 31; 0 switches it off."""

    def woke(self) -> int:
        """Tell what raised INT1 since it was asked last, as bits (_part.py), and lower it. What was armed stays so."""

    def selftest(self) -> bool:
        """Move the part's mass by its own electrodes; tell whether each axis follows as the data sheet wants it to.

        The part must not be moved for up to a second. It is stopped afterwards.
        """

    def stop(self) -> None:
        """Sleep, with the lowest current the part has."""

class FreeFallSensor(Sensor, Protocol):
    """A part with HAS_FREE_FALL."""

    def wake_on_freefall(self, threshold_mg: int, duration_ms: int) -> None:
        """Raise INT1, until woke() is called, when every axis is below threshold_mg for duration_ms.

        Args:
            threshold_mg: rounded up to the part's steps; 0 switches it off.
            duration_ms: rounded down to the part's steps, at least one.
        """
