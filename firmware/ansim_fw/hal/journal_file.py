"""The journal on the filesystem: an event is in it before it is sent, and in it until the receiver has it."""

import errno
import os
from binascii import crc32

from ansim_fw.core import journal, message
from ansim_fw.core.event import Event

PATH = "/journal"
_NEW_PATH = "/journal.new"
_BAD_PATH = "/journal.bad"

# The journal is written anew when it is past this, and twice what it was after the last time. 64 events of up to
# 512 bytes, the most that can wait, are 33 KB, so it stays below 68 KB, and below 16 KB as long as few wait.
_REWRITE_BYTES = 16384
_PIECE_BYTES = 512


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
        scanner = journal.Scanner(crc32)
        waiting: list[Event] = []
        try:
            with open(PATH, "rb") as file:
                piece = file.read(_PIECE_BYTES)
                while piece:
                    self.size += len(piece)
                    _replay(scanner.feed(piece), waiting)
                    piece = file.read(_PIECE_BYTES)
        except OSError as error:
            if error.errno != errno.ENOENT:
                scanner.damaged += 1
        _replay(scanner.finish(), waiting)
        if scanner.damaged:
            self.rewrite(waiting)
        return waiting, scanner.damaged > 0

    def set_aside(self) -> None:
        """Keep a journal that can't be read under another name, and start a new one."""
        try:
            os.rename(PATH, _BAD_PATH)
        except OSError:
            pass

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


def _replay(records: "list[tuple[int, bytes]]", waiting: "list[Event]") -> None:
    """Bring waiting, the events that are not acknowledged, up to date with the next records."""
    for kind, payload in records:
        if kind == journal.ACKNOWLEDGED:
            boot, seq = journal.id_of(payload)
            for at in range(len(waiting)):
                if waiting[at].has_id(boot, seq):
                    waiting.pop(at)
                    break
        elif kind == journal.EVENT:
            try:
                event = message.to_event(message.decode_event(payload))
            except ValueError:
                # From a later version: an older one can't send what it can't read.
                continue
            # Written anew between its raising and its storing, a journal has an event twice.
            if not any(one.has_id(event.boot, event.seq) for one in waiting):
                waiting.append(event)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO
