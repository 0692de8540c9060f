"""What MicroPython starts on a rig (docs/rig.md)."""

import micropython

# First of all: noise on the line must not stop what holds a device's power and button. Ctrl-C is a byte like others.
micropython.kbd_intr(-1)


def main() -> None:
    import machine
    from rig.console import Console
    from rig.rig import Rig

    console = Console()
    try:
        Rig(console).run()
    except Exception as error:
        # A reset lets go of all lines, and a traceback is nothing for whoever reads JSON.
        console.tell({"event": "error", "error": type(error).__name__})
        machine.reset()


main()
