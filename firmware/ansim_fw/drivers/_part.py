"""What the drivers share. The face that all of them have is in _sensor.pyi."""

import errno
import time

from micropython import const

from ansim_fw.drivers._convert import to_mg

# Bits of woke().
IMPACT = const(1)
FREE_FALL = const(2)
WATERMARK = const(4)

RATES_HZ = (25, 50, 100)
RANGES_G = (2, 4, 8, 16)
# As many samples read() returns at the most: what the smallest FIFO holds.
_BATCH = const(32)

# Samples read at once: more lengths would save little, and each costs memory.
_BURSTS = (8, 1)
# Polls one after the other, a millisecond between two.
_POLLS = const(100)


class Part:
    """A part's registers and its FIFO's port.

    Args:
        bus: where it is.
        address: the part's, 7 bits.
        sample_bytes: of one sample in its FIFO.
    """

    FIFO_SAMPLES = _BATCH
    HISTORY_SAMPLES = _BATCH

    def __init__(self, bus: "I2C", address: int, sample_bytes: int) -> None:
        self.overran = False
        # The last read ended in an error: what it had taken is lost.
        self._failed = False
        self._bus = bus
        self._address = address
        self._byte = bytearray(1)
        self._layout = 0
        # What may wake: bits as of woke().
        self._armed = 0
        # A slice allocates: every length that is read has its view.
        raw = memoryview(bytearray(_BURSTS[0] * sample_bytes))
        self._bursts = tuple([(size, raw[: size * sample_bytes]) for size in _BURSTS])

    def resume(self, rate_hz: int, range_g: int) -> None:
        """See _sensor.pyi."""
        self._expect(RATES_HZ.index(rate_hz), RANGES_G.index(range_g))
        self._armed = IMPACT

    def read(self, samples: "array[int]") -> int:
        """See _sensor.pyi."""
        failed = self._failed
        self._failed = True
        count = self._read(samples)
        self._failed = False
        if failed:
            self.overran = True
        return count

    def _expect(self, rate: int, g_range: int) -> None:
        """Note what the part is set to: indices into RATES_HZ and RANGES_G."""
        raise NotImplementedError

    def _read(self, samples: "array[int]") -> int:
        """Take what is in the FIFO; set overran if it was full."""
        raise NotImplementedError

    def _get(self, register: int) -> int:
        self._bus.readfrom_mem_into(self._address, register, self._byte)
        return self._byte[0]

    def _put(self, register: int, value: int) -> None:
        self._byte[0] = value
        self._bus.writeto_mem(self._address, register, self._byte)

    def _await(self, register: int, mask: int, value: int) -> None:
        """Wait until the bits of mask are value, for as long as no part takes."""
        for _ in range(_POLLS):
            if self._get(register) & mask == value:
                return
            time.sleep_ms(1)
        raise OSError(errno.ETIMEDOUT)

    def _take(self, register: int, count: int, samples: "array[int]") -> int:
        """Read count samples from a FIFO's port, in bursts; return their number."""
        at = 0
        for size, burst in self._bursts:
            while count - at >= size:
                self._bus.readfrom_mem_into(self._address, register, burst)
                to_mg(burst, 0, size, self._layout, samples, at * 3)
                at += size
        return at

    def _arm(self, bit: int, armed: int) -> None:
        self._armed = self._armed | bit if armed else self._armed & ~bit

    def _enabled(self, masks: "Sequence[int]") -> int:
        """Return the bits of what is armed in a register; masks: those of IMPACT, FREE_FALL, WATERMARK in it."""
        found = 0
        for i in range(3):
            if self._armed >> i & 1:
                found |= masks[i]
        return found

    def _told(self, source: int, masks: "Sequence[int]") -> int:
        """Return what is armed and what a register tells of, as bits of woke()."""
        bits = 0
        for i in range(3):
            if source & masks[i]:
                bits |= 1 << i
        return bits & self._armed


TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Sequence

    from machine import I2C
