"""The rig's serial port: RFC 7464 JSON texts both ways, as a device's console, in bounded memory."""

import json
import select
import sys

from micropython import const

from ansim_fw.core import json_seq

# So many bytes in one go: noise at any speed lets what is due be done in time.
_BYTES = const(64)


class Console:
    """Reads requests without waiting longer than it may, and writes messages."""

    def __init__(self) -> None:
        self._reader = json_seq.Reader()
        self._stream = sys.stdin.buffer
        self._byte = bytearray(1)
        self._ready = select.poll()
        self._ready.register(self._stream, select.POLLIN)

    def read(self, patience_ms: int) -> "bytes | None":
        """Return the next request, or None if none is complete yet; one that is too long is refused here.

        Args:
            patience_ms: so long it is waited for a first byte.
        """
        for _ in range(_BYTES):
            if not self._ready.poll(patience_ms):
                # A rig speaks no Improv: what looks like a packet of it is noise, and ends with a silence.
                self._reader.give_up()
                return None
            patience_ms = 0
            self._stream.readinto(self._byte)
            found = self._reader.feed(self._byte[0])
            if found == json_seq.TEXT:
                return self._reader.text()
            if found == json_seq.PACKET:
                self._reader.text()
            elif found == json_seq.TOO_LONG:
                self.tell(refusal(None, "too long", "A request has at most %d bytes." % json_seq.MAX_REQUEST))
        return None

    def tell(self, message: "dict[str, object]") -> None:
        sys.stdout.buffer.write(json_seq.frame(json.dumps(message)))


def refusal(number: "int | None", error: str, hint: str = "") -> "dict[str, object]":
    return {"id": number, "ok": False, "error": error, "hint": hint}
