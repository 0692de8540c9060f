"""The composition root: the button first, then what woke the device, then the app, if it must run."""

import gc
import sys

import micropython
import vfs

try:
    import pack  # type: ignore[import-not-found,unused-ignore]  # beside this file on a device

    # All modules are in one file, over whatever lies in that folder.
    vfs.mount(pack, "/ansim_fw")
except (ImportError, OSError):
    # They are plain files there, or frozen into MicroPython.
    pass
import ansim_fw  # noqa: F401  (it finds its modules by itself from here on)

# For a built-in module every import would look in flash first.
sys.path.clear()
sys.path.append(".frozen")

from ansim_fw.board_data import BOARD
from ansim_fw.core.ledger import BUTTON, COLD
from ansim_fw.hal import modules, sleep, watchdog
from ansim_fw.hal.button import ButtonPin

sleep.hold_power(BOARD)
button = ButtonPin(BOARD["button"])
reason = sleep.woke(BOARD)
if reason == COLD or not sleep.is_by_level(BOARD):
    button.listen()
else:
    button.peek()
# Whatever goes wrong from here on, a module that can't be loaded included, the device tries again.
guard = watchdog.Watchdog()

# Ctrl-C is a byte like others: noise on the console must not stop a device. The console has its own way out.
micropython.kbd_intr(-1)

_GARBAGE_BYTES = 16384
# Used by the start alone: its memory is of use elsewhere.
_STARTERS = (
    "ansim_fw.start",
    "ansim_fw.anew",
    "ansim_fw.wake",
    "ansim_fw.core.kept",
    "ansim_fw.core.watch",
    "ansim_fw.hal.rtc",
    "ansim_fw.watcher",
    "ansim_fw.fall_model",
    "ansim_fw.core.journal_reader",
    "ansim_fw.core.event_reader",
    "ansim_fw.core.fall.model",
    "ansim_fw.hal.sensor",
    "ansim_fw.hal.sleep",
)


def main() -> None:
    global sleep
    # What woke the device, or was down when it woke for something else, counts even if all else is forgotten.
    pressed = reason == BUTTON or (reason != COLD and button.found_down)
    woken = _look() if reason != COLD else None
    del sleep
    button.listen()
    # What is loaded now stays: side by side, with little garbage between.
    gc.threshold(_GARBAGE_BYTES)
    if woken is None and pressed:
        button.press()
    from ansim_fw.start import duty

    try:
        on_duty = duty(button, guard, woken)
    except Exception:
        if woken is None:
            raise
        # Whatever is wrong with what was kept: the device starts as after any reset, with what called it.
        if woken.pressed:
            button.press()
        fell, woken = woken.fell, None
        gc.collect()
        on_duty = duty(button, guard, None)
        on_duty.inputs.fall = fell
    for name in _STARTERS:
        modules.drop(name)
    if on_duty.sleeper is None:
        modules.drop("ansim_fw.core.ledger")
    del duty, woken
    gc.threshold(-1)
    on_duty.run()


def _look() -> "Woken | None":
    """Return what the app has to know of the sleep. Does not return while the device can sleep on."""
    try:
        from ansim_fw import wake

        return wake.look(BOARD, button, guard, reason)
    except Exception:
        # Whatever is wrong with what was kept, or with the sensor: the device starts as after any reset.
        return None


TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansim_fw.wake import Woken

main()
micropython.kbd_intr(3)
sys.path[:] = ["", ".frozen", "/lib"]
