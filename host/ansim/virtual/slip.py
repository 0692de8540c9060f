"""SLIP framing (RFC 1055), as the ESP ROM loaders use it: END before and after each frame."""

END = b"\xc0"
ESC = b"\xdb"
_ESC_END = b"\xdb\xdc"
_ESC_ESC = b"\xdb\xdd"


def encode(frame: bytes) -> bytes:
    """Return frame with its special bytes escaped, between two ENDs."""
    return END + frame.replace(ESC, _ESC_ESC).replace(END, _ESC_END) + END


def decode(escaped: bytes) -> bytes | None:
    """Return the frame between two ENDs with its escapes undone, or None where an escape is wrong."""
    if escaped.count(ESC) != escaped.count(_ESC_END) + escaped.count(_ESC_ESC):
        return None
    return escaped.replace(_ESC_END, END).replace(_ESC_ESC, ESC)


class Deframer:
    """Cuts a byte stream into frames; holds at most ``limit`` bytes of an unfinished one."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._partial = bytearray()
        self._in_frame = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that data completes. Noise, empty, broken and too long frames are dropped."""
        *finished, rest = data.split(END)
        frames = [frame for piece in finished if (frame := self._finish(piece))]
        if self._in_frame:
            self._partial += rest
            self._drop_too_long()
        return frames

    def _finish(self, piece: bytes) -> bytes | None:
        whole = bytes(self._partial) + piece
        inside, self._in_frame = self._in_frame, True
        self._partial.clear()
        return decode(whole) if inside and len(whole) <= self._limit else None

    def _drop_too_long(self) -> None:
        if len(self._partial) > self._limit:
            self._partial.clear()
            self._in_frame = False
