"""What a MicroPython process writes to its terminal, made what an ESP32 writes to its UART."""

import re

RAW_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
FRIENDLY_BANNER = b'Type "help()" for more information.\r\n>>> '
# No text in UTF-8 holds the byte that marks begin with, so nothing that a program prints is held back as half a mark.
# What runtime/_run.py prints before the REPL starts, when it is to start raw.
RAW_MARK = b"\xfeansim raw\xfe"
# What runtime/_sys.py prints before bytes that are to pass as they are; four bytes of length follow.
BINARY_MARK = b"\xfeansim bin\xfe"
ENTER_RAW = b"\x01"

_TAIL_BYTES = max(len(RAW_BANNER), len(FRIENDLY_BANNER))
_BARE_LF = re.compile(rb"(?<!\r)\n")


class Output:
    """The output of one process after another.

    The unix port prints LF where an ESP32 prints CR LF; only what goes through sys.stdout.buffer is binary on both.

    Attributes:
        raw: the last banner seen was the raw REPL's.
    """

    def __init__(self) -> None:
        self.process_starts(raw=False)

    def process_starts(self, raw: bool) -> None:
        """A process starts; when raw, what it prints between RAW_MARK and the raw REPL's banner is dropped."""
        self.raw = raw
        self._tail = b""
        self._held = b""
        self._binary_bytes = 0
        self._after_cr = False
        self._entering: bytes | None = b"" if raw else None

    def feed(self, data: bytes) -> bytes:
        """Take output; return what the UART sends of it now."""
        cooked = self._cook(data)
        if self._entering is not None:
            return self._enter(cooked)
        self._follow(cooked)
        return cooked

    def _cook(self, data: bytes) -> bytes:
        out = bytearray()
        data = self._held + data
        self._held = b""
        while data:
            if self._binary_bytes:
                out += data[: self._binary_bytes]
                taken = min(len(data), self._binary_bytes)
                self._binary_bytes -= taken
                data = data[taken:]
                continue
            at = data.find(BINARY_MARK)
            start = at + len(BINARY_MARK) + 4
            if at < 0 or len(data) < start:
                whole = at if at >= 0 else len(data) - _beginning_at_end(data, BINARY_MARK)
                self._held = data[whole:]
                out += self._text(data[:whole])
                break
            out += self._text(data[:at])
            self._binary_bytes = int.from_bytes(data[start - 4 : start], "little")
            data = data[start:]
        return bytes(out)

    def _text(self, text: bytes) -> bytes:
        if not text:
            return text
        cooked = _BARE_LF.sub(b"\r\n", text)
        if self._after_cr and text.startswith(b"\n"):
            cooked = cooked[1:]
        self._after_cr = text.endswith(b"\r")
        return cooked

    def _follow(self, data: bytes) -> None:
        recent = self._tail + data
        raw_at, friendly_at = recent.rfind(RAW_BANNER), recent.rfind(FRIENDLY_BANNER)
        if raw_at != friendly_at:
            self.raw = raw_at > friendly_at
        self._tail = recent[-_TAIL_BYTES:]

    def _enter(self, data: bytes) -> bytes:
        assert self._entering is not None
        waiting = self._entering + data
        mark = waiting.find(RAW_MARK)
        if mark < 0:
            whole = len(waiting) - _beginning_at_end(waiting, RAW_MARK)
            self._entering = waiting[whole:]
            return waiting[:whole]
        banner = waiting.find(RAW_BANNER, mark)
        if banner < 0:
            self._entering = waiting[mark:]
            return waiting[:mark]
        self._entering = None
        return waiting[:mark] + waiting[banner:]


def _beginning_at_end(data: bytes, mark: bytes) -> int:
    """Return how many bytes at the end of data may be the beginning of mark."""
    return next((n for n in range(min(len(mark) - 1, len(data)), 0, -1) if data.endswith(mark[:n])), 0)
