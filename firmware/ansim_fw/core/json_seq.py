"""RFC 7464 JSON text sequences, read byte by byte in bounded memory."""

from micropython import const

RS = const(0x1E)
LF = const(0x0A)
MAX_REQUEST = const(200)

# What feed() tells.
NOTHING = const(0)
TEXT = const(1)
TOO_LONG = const(2)


class Reader:
    """Finds texts between RS and LF; all else is noise. Holds MAX_REQUEST bytes, whatever comes."""

    def __init__(self) -> None:
        self._buffer = bytearray(MAX_REQUEST)
        self._length = -1

    def feed(self, byte: int) -> int:
        """Take one byte; TEXT: a text is complete, take it with text(); TOO_LONG: one was dropped."""
        if byte == RS:
            self._length = 0
            return NOTHING
        if self._length < 0:
            return NOTHING
        if byte == LF:
            return TEXT
        if self._length == MAX_REQUEST:
            self._length = -1
            return TOO_LONG
        self._buffer[self._length] = byte
        self._length += 1
        return NOTHING

    def text(self) -> bytes:
        """Return the complete text and wait for the next one."""
        found = bytes(self._buffer[: self._length])
        self._length = -1
        return found


def frame(text: str) -> bytes:
    """Return text as one element of a sequence."""
    return b"\x1e" + text.encode() + b"\n"
