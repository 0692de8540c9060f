"""The serial console as bytes: read without blocking, written as JSON text sequences and Improv packets."""

import json
import sys

from micropython import const

from ansim_fw.core import json_seq

NOTHING = json_seq.NOTHING
TEXT = json_seq.TEXT
TOO_LONG = json_seq.TOO_LONG
PACKET = json_seq.PACKET
BREAK = const(3)

# So many bytes a cycle: noise at any speed costs a bounded share of it.
BYTES_PER_CYCLE = const(64)
_QUIET_MS = const(200)
# A packet does not come in pieces so far apart; the loop may be held up for nearly as long.
_LOST_MS = const(2000)
# Whoever asked something is there for so long.
_ATTENDED_MS = const(60000)
_CR = const(0x0D)
_CTRL_C = const(0x03)


class ConsolePort:
    """Reads requests byte by byte.

    Ctrl-C as mpremote sends it (CR, 0x03) counts only as the first thing after a silence: noise does not stop a device.
    Nor does it keep one awake: somebody is there who asked something that is a request.
    """

    def __init__(self) -> None:
        self.reader = json_seq.Reader()
        self.stream = sys.stdin.buffer
        self._byte = bytearray(1)
        self._quiet_ms = _LOST_MS
        self._alone_ms = _ATTENDED_MS
        self._breaking = False

    @property
    def attended(self) -> bool:
        """Whether somebody is at the console."""
        return self._alone_ms < _ATTENDED_MS

    def attend(self) -> None:
        """Note that somebody asked something."""
        self._alone_ms = 0

    def pass_time(self, elapsed_ms: int) -> None:
        self._quiet_ms = min(self._quiet_ms + elapsed_ms, _LOST_MS)
        self._alone_ms = min(self._alone_ms + elapsed_ms, _ATTENDED_MS)

    def read(self) -> int:
        """Take one byte that is there; return NOTHING, TEXT or PACKET (in reader.text()), TOO_LONG or BREAK."""
        self.stream.readinto(self._byte)
        byte = self._byte[0]
        if self._breaking and byte == _CTRL_C:
            self._breaking = False
            return BREAK
        if self._quiet_ms >= _LOST_MS:
            self.reader.give_up()
        self._breaking = byte == _CR and self._quiet_ms >= _QUIET_MS
        self._quiet_ms = 0
        return self.reader.feed(byte)

    def write(self, message: "dict[str, object]") -> None:
        sys.stdout.buffer.write(json_seq.frame(json.dumps(message)))
