"""A battery that runs low, and is well again, without chatter between the two."""

from micropython import const

# Volts sag under a radio's load and rise again: well again needs this much more than low did.
HYSTERESIS_MV = const(100)

UNCHANGED = const(0)
LOW = const(1)
WELL = const(2)


class Battery:
    """Tells when the voltage goes below low_mv, and when it is back above low_mv + HYSTERESIS_MV.

    A reading of 0 means that the board measures no battery.
    """

    def __init__(self, low_mv: int) -> None:
        self.low_mv = low_mv
        self.low = False

    def step(self, battery_mv: int) -> int:
        """Take a reading; return LOW or WELL when that is news, else UNCHANGED."""
        if battery_mv <= 0:
            return UNCHANGED
        if not self.low and battery_mv < self.low_mv:
            self.low = True
            return LOW
        if self.low and battery_mv >= self.low_mv + HYSTERESIS_MV:
            self.low = False
            return WELL
        return UNCHANGED
