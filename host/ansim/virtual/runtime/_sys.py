"""The chip's sys module: a platform named esp32, and a standard output whose buffer is binary."""

import io
import sys
from collections import namedtuple

import _micropython

__name__ = "sys"
argv = sys.argv
byteorder = sys.byteorder
exit = sys.exit
maxsize = sys.maxsize
modules = sys.modules
path = sys.path
print_exception = sys.print_exception
stdin = sys.stdin
version = sys.version
version_info = sys.version_info
platform = "esp32"
_fields = ("name", "version", "_machine", "_mpy", "_build")
implementation = namedtuple("implementation", _fields)(
    "micropython",
    sys.implementation.version,
    "Ansim virtual board with ESP32",
    sys.implementation._mpy,
    "ANSIM_VIRTUAL",
)
del _fields


class _Buffer(io.IOBase):
    """Bytes as they are; the board turns LF into CR LF, as print() on the chip does, but not for these."""

    def write(self, data, *extent):
        """Write data, its first extent[0] bytes, or extent[1] bytes from extent[0] on, as a stream does."""
        if extent:
            start = extent[0] if len(extent) > 1 else 0
            data = bytes(memoryview(data)[start : start + extent[-1]])
        return _micropython.write_binary(data)


class _Stdout(io.IOBase):
    def __init__(self):
        self.buffer = _Buffer()

    def write(self, text):
        return sys.stdout.write(text)


stdout = stderr = _Stdout()
