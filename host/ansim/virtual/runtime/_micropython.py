"""The chip's micropython module, whose kbd_intr() works."""

import sys
import termios

import micropython

__name__ = "micropython"
const = micropython.const
RingIO = micropython.RingIO
heap_lock = micropython.heap_lock
heap_unlock = micropython.heap_unlock
mem_info = micropython.mem_info
opt_level = micropython.opt_level
qstr_info = micropython.qstr_info
schedule = micropython.schedule
stack_use = micropython.stack_use

# Signals by the kernel never come; these say to the board that Ctrl-C interrupts, and that it does not.
_ISIG = 1
_NOFLSH = 128
_BINARY_MARK = b"\xfeansim bin\xfe"

# The terminal's modes as a list that tcsetattr takes.
_modes = termios.tcgetattr(0)


def kbd_intr(character):
    """-1: every byte is data; 3: Ctrl-C interrupts. Other characters are not supported here."""
    if character not in (-1, 3):
        raise NotImplementedError("only Ctrl-C or none")
    _modes[3] = _NOFLSH if character == -1 else _ISIG
    termios.tcsetattr(0, termios.TCSANOW, _modes)


def alloc_emergency_exception_buf(size):
    pass


def write_binary(data):
    """Write bytes to standard output; the board changes none of them."""
    if b"\n" in data or _BINARY_MARK[0:1] in data:
        sys.stdout.buffer.write(_BINARY_MARK + len(data).to_bytes(4, "little") + data)
    else:
        sys.stdout.buffer.write(data)
    return len(data)
