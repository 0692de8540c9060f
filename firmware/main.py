"""The composition root: the button first, then everything else, then duty."""

import micropython

from ansim_fw.board_data import BOARD
from ansim_fw.hal import pins

pins.hold_power(BOARD)
button = pins.ButtonPin(BOARD["button"])

# Ctrl-C is a byte like others: noise on the console must not stop a device. The console has its own way out.
micropython.kbd_intr(-1)


def main() -> None:
    from ansim_fw import start

    start.duty(button).run()


main()
micropython.kbd_intr(3)
