"""The composition root: the button first, then the watchdog, then everything else, then duty."""

import sys

import micropython

from ansim_fw.board_data import BOARD
from ansim_fw.hal import pins, watchdog

pins.hold_power(BOARD)
button = pins.ButtonPin(BOARD["button"])
# Whatever goes wrong from here on, a module that can't be loaded included, the device tries again.
guard = watchdog.Watchdog()

# Ctrl-C is a byte like others: noise on the console must not stop a device. The console has its own way out.
micropython.kbd_intr(-1)


def main() -> None:
    import ansim_fw.start

    duty = ansim_fw.start.duty(button, guard)
    # The start is over: its memory is of use elsewhere.
    del sys.modules["ansim_fw.start"], ansim_fw.start
    duty.run()


main()
micropython.kbd_intr(3)
