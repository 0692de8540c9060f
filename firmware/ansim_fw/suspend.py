"""The app's way into deep sleep, which ends in a start."""

from micropython import const

from ansim_fw import wake
from ansim_fw.board_data import BOARD
from ansim_fw.core.kept import Kept
from ansim_fw.core.watch import STILL_MS, limit_ms
from ansim_fw.hal import sleep

# So soon wake.py has the device, where the sensor is to be read on in light sleep.
_NAP_MS = const(10)


def fall_asleep(duty: "Duty", sleeper: "Sleeper", ms: int, watched: "Watched | None") -> None:
    """Sleep for ms at the most, once the link is off. Returns if the button changed at the last moment: all goes on.

    Args:
        watched: what wake.py is to know of the motion sensor, see Duty; None: nobody listens to it.
    """
    duty.outputs.set(0)
    kept = Kept()
    sleeper.keep(kept)
    kept.quick = duty.link.quick()
    kept.fall = duty.placement
    by_sensor, naps = _prepare_watch(kept, watched)
    if naps:
        ms = _NAP_MS
    duty.announce("asleep", {"ms": ms})
    duty.tell_all()
    blind = bool(kept.stuck) and sleep.is_by_level(BOARD)
    sleep.arm(BOARD, not blind, by_sensor, bool(kept.stuck))
    wake.leave(BOARD, duty.button, kept, ms, bool(kept.stuck))


def _prepare_watch(kept: Kept, watched: "Watched | None") -> "tuple[bool, bool]":
    """Note what wake.py has to know; return whether the sensor wakes, and whether wake.py is to read it at once."""
    blind = bool(kept.stuck) and sleep.is_by_level(BOARD)
    if watched is None:
        return False, blind
    kept.impact_mg, kept.wake_mg, kept.quiet_ms, wired, history_samples = watched
    quiet_ms = limit_ms(True, wired, history_samples)
    # A part whose history is long enough need not be watched: its interrupt wakes in time.
    return wired, blind or (quiet_ms >= STILL_MS and kept.quiet_ms < quiet_ms)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansim_fw.core.sleeper import Sleeper
    from ansim_fw.loop import Duty

    Watched = tuple[int, int, int, bool, int]
