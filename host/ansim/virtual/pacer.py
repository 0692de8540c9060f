"""One direction of a serial line at its baud rate."""

from collections import deque

BITS_PER_BYTE = 10  # start, 8 data, stop
_CHUNK_S = 0.005


class Pacer:
    """Bytes that go in leave when a line of ``baud`` would have carried them.

    Times are seconds on any clock that does not go back. A late ``take`` does not slow the line down.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._free_at = 0.0
        self.waiting_bytes = 0

    @property
    def next_due(self) -> float | None:
        """When the next bytes leave, or None."""
        return self._waiting[0][0] if self._waiting else None

    def push(self, data: bytes, baud: int, now: float) -> None:
        byte_s = BITS_PER_BYTE / baud
        chunk = max(1, int(_CHUNK_S / byte_s))
        self._free_at = max(self._free_at, now)
        for start in range(0, len(data), chunk):
            piece = data[start : start + chunk]
            self._free_at += len(piece) * byte_s
            self._waiting.append((self._free_at, piece))
        self.waiting_bytes += len(data)

    def take(self, now: float) -> bytes:
        """Return the bytes that have arrived at the other end by now."""
        arrived = []
        while self._waiting and self._waiting[0][0] <= now:
            arrived.append(self._waiting.popleft()[1])
        data = b"".join(arrived)
        self.waiting_bytes -= len(data)
        return data

    def purge(self) -> None:
        """Drop what has not arrived yet."""
        self._waiting.clear()
        self.waiting_bytes = 0
        self._free_at = 0.0
