"""How deep a device sleeps while its wearer may fall: light while they move, deep once it was quiet for long enough.

In light sleep the sensor's FIFO is read again and again; in deep sleep the sensor's interrupt wakes the device, and
the FIFO has to keep the impact until the device has started.
"""

from micropython import const

from ansim_fw.core.ledger import DEEP, LIGHT

# Two samples of the sensor are so far apart.
_SAMPLE_MS = const(20)
# A start from deep sleep until the FIFO is read takes about 0.7 s, and the impact comes after the first stir.
_START_MS = const(1200)
# A start out of deep sleep costs as much as 20 s of light sleep (0.42 s at 27 mA; 0.5 mA with reads), so that who waits
# for 20 s never pays more than twice the least. Over the days of docs/power.md about 10 s costs least; this is less
# than five readings of a FIFO with 146 samples, so that it is five whatever a reading takes.
QUIET_MS = const(9500)
# Who sat or lay still for so long stirs for longer than a start takes before they fall.
STILL_MS = const(600000)
NEVER_MS = const(0x3FFFFFFF)


def limit_ms(watches: bool, is_wired: bool, history_samples: int) -> int:
    """Return after how long without a stir the device may sleep deeply.

    Args:
        watches: falls are told: the setting says so, and the sensor works.
        is_wired: the sensor's interrupt can wake the device.
        history_samples: what its FIFO keeps.
    """
    if not watches:
        return 0
    if not is_wired:
        return NEVER_MS
    return STILL_MS if history_samples * _SAMPLE_MS < _START_MS else QUIET_MS


class Watch:
    """Says DEEP or LIGHT.

    Args:
        quiet_ms: for how long there was no stir, as kept over the last sleep.
        limit_ms: as the function of that name has it.

    Attributes:
        quiet_ms: of now.
    """

    def __init__(self, quiet_ms: int, limit_ms: int) -> None:
        self.quiet_ms = quiet_ms
        self._limit_ms = limit_ms

    def step(self, elapsed_ms: int, stirred: bool) -> int:
        """Pass time; return how deep to sleep now.

        Args:
            stirred: since the last step an axis changed by more than the model's wake_mg.
        """
        self.quiet_ms = 0 if stirred else min(self.quiet_ms + elapsed_ms, NEVER_MS - 1)
        return DEEP if self.quiet_ms >= self._limit_ms else LIGHT
