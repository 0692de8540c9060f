"""DTR and RTS to EN and IO0: the two transistors and the capacitor of an ESP32 devkit.

Espressif's devkits drive EN low while RTS is asserted and DTR is not, and IO0 low while DTR is asserted and
RTS is not; with both asserted or none, neither is driven. (Schematic of the ESP32-DevKitC, "auto program".)
"""

from enum import Enum, auto

# EN rises by an RC; a real one takes some milliseconds. RFC 2217 clients change one line at a time, each
# change taking 50 ms or more, so the way from RTS alone to DTR alone leads through a long time with both, in
# which an ideal EN would have risen and the chip have sampled IO0 as high. Here EN waits for the next change.
RISE_MS = 500


class Strap(Enum):
    """What the lines did to the chip."""

    RESET = auto()  # EN went low: the chip is held in reset
    RUN = auto()  # EN rose with IO0 high: boot from flash
    DOWNLOAD = auto()  # EN rose with IO0 low: the ROM's download mode


class _En(Enum):
    HIGH = auto()
    LOW = auto()
    RISING = auto()


class Lines:
    """The state of EN as DTR and RTS change. Times are milliseconds on any clock that does not go back."""

    def __init__(self) -> None:
        self.io0_low = False
        self._en = _En.HIGH
        self._rises_at_ms = 0

    @property
    def rises_at_ms(self) -> int | None:
        """When ``tick`` has to be called, or None."""
        return self._rises_at_ms if self._en is _En.RISING else None

    @property
    def held_in_reset(self) -> bool:
        return self._en is not _En.HIGH

    def set(self, dtr: bool, rts: bool, now_ms: int) -> Strap | None:
        """Both lines as they are now; return what that did to the chip."""
        self.io0_low = dtr and not rts
        if rts and not dtr:
            return self._go_low()
        if self._en is _En.HIGH:
            return None
        if rts:
            self._start_rising(now_ms)
            return None
        self._en = _En.HIGH
        return Strap.DOWNLOAD if dtr else Strap.RUN

    def tick(self, now_ms: int) -> Strap | None:
        """Return RUN once EN has been rising with both lines asserted for RISE_MS."""
        if self._en is _En.RISING and now_ms >= self._rises_at_ms:
            self._en = _En.HIGH
            return Strap.RUN
        return None

    def _go_low(self) -> Strap | None:
        was, self._en = self._en, _En.LOW
        return Strap.RESET if was is _En.HIGH else None

    def _start_rising(self, now_ms: int) -> None:
        if self._en is _En.LOW:
            self._en = _En.RISING
            self._rises_at_ms = now_ms + RISE_MS
