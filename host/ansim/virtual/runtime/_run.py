"""Runs boot.py and main.py from the flash as main.c of the ESP32 port does."""

import builtins
import os
import sys

import _link
import micropython

raw_repl = False
with_main = True
_boot_done = False

# The board drops what comes between this and the raw REPL's banner: the friendly REPL's.
RAW_MARK = b"\xfeansim raw\xfe"


def boot_py(names):
    """Run boot.py; afterwards Ctrl-C interrupts."""
    global _boot_done
    _link.tell(_link.LISTENING)
    _boot_done = _file("boot.py", names)


def main_py(names):
    """Run main.py, unless boot.py failed or a tool waits for the raw REPL; leave all as the REPL needs it."""
    if _boot_done and with_main and not raw_repl:
        _link.tell(_link.MAIN)
        _file("main.py", names)
    # What a program changed, a REPL on the chip has back.
    micropython.kbd_intr(3)
    if raw_repl:
        sys.stdout.buffer.write(RAW_MARK)


def _file(name, names):
    """Run a file if it is there; return whether it did not fail."""
    try:
        os.stat(name)
    except OSError:
        return True
    _link.counts[_link.OPENS] += 1
    try:
        builtins.execfile(name, names)
    except SystemExit:
        _link.tell(_link.SOFT_RESET)
        _link.stop()
    except BaseException as error:
        sys.print_exception(error)
        return False
    return True
