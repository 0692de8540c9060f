"""The journal on the filesystem: an event is in it before it is sent, and in it until the receiver has it."""

import os
from binascii import crc32

from ansim_fw.core import journal, message
from ansim_fw.core.event import Event

PATH = "/journal"
_NEW_PATH = "/journal.new"

# The journal is written anew when it is past this, and twice what it was after the last time. 64 events of up to
# 512 bytes, the most that can wait, are 33 KB, so it stays below 68 KB, and below 16 KB as long as few wait.
_REWRITE_BYTES = 16384
_LONGEST_BYTES = 69632


class JournalFile:
    """An append-only file of checked records, flushed record by record.

    Attributes:
        size: bytes in the file.
    """

    def __init__(self) -> None:
        self.size = 0
        self._limit = _REWRITE_BYTES
        self._file: "BinaryIO | None" = None

    def load(self) -> "tuple[list[Event], bool]":
        """Return the events that are not acknowledged, oldest first, and whether any part was damaged."""
        try:
            with open(PATH, "rb") as file:
                data = file.read(_LONGEST_BYTES)
        except OSError:
            data = b""
        records, damaged = journal.scan(data, crc32)
        waiting = _waiting(records)
        self.size = len(data)
        if damaged:
            self.rewrite(waiting)
        return waiting, damaged > 0

    def store(self, event: Event) -> bool:
        """Make event durable; tell whether that worked."""
        return self._append(journal.EVENT, message.encode_event(event, -1, 1))

    def forget(self, event: Event) -> bool:
        """Note, durably, that event was acknowledged; tell whether that worked."""
        return self._append(journal.ACKNOWLEDGED, journal.id_payload(event.boot, event.seq))

    def due(self) -> bool:
        """Tell whether the journal should be written anew."""
        return self.size > self._limit

    def rewrite(self, waiting: "list[Event]") -> bool:
        """Replace the journal by one that holds waiting alone, all or nothing; tell whether that worked."""
        self._close()
        try:
            size = 0
            with open(_NEW_PATH, "wb") as file:
                for event in waiting:
                    size += file.write(journal.record(journal.EVENT, message.encode_event(event, -1, 1), crc32))
            os.rename(_NEW_PATH, PATH)
        except OSError:
            return False
        self.size = size
        self._limit = max(_REWRITE_BYTES, 2 * size)
        return True

    def _append(self, kind: int, payload: bytes) -> bool:
        try:
            if self._file is None:
                self._file = open(PATH, "ab")  # noqa: SIM115  kept open: opening costs a directory scan an alarm
            self.size += self._file.write(journal.record(kind, payload, crc32))
            self._file.flush()
        except OSError:
            self._close()
            return False
        return True

    def _close(self) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                pass
            self._file = None


def _waiting(records: "list[tuple[int, bytes]]") -> "list[Event]":
    done = {journal.id_of(payload) for kind, payload in records if kind == journal.ACKNOWLEDGED}
    waiting = []
    for kind, payload in records:
        if kind != journal.EVENT:
            continue
        try:
            event = message.to_event(message.decode_event(payload))
        except ValueError:
            continue
        if (event.boot, event.seq) not in done:
            waiting.append(event)
    return waiting


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO
