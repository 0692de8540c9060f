"""Runs on MicroPython: what storing and forgetting alarms costs a flash, with the journal on LittleFS in memory.

Usage: micropython journal_wear.py FIRMWARE KEEPER IMAGE BLOCKS ALARMS WAITING RESTART_EVERY

KEEPER: shelves, the firmware's journal with alarms; longest, with the longest records; full, those on a filesystem in
which a stranger's file has taken all that was free; append, its peer: one file of records, flushed one by one, and
written anew as it passes 16 KB. IMAGE: a file with the filesystem to begin with; - for an empty one. WAITING alarms
stand in the journal all the time, and each newcomer's store is followed by the forgetting of the oldest. The power goes
after every RESTART_EVERY alarms (0: never). Prints JSON; a cost is [programs, erases, bytes programmed].
"""

import json
import os
import sys

sys.path.insert(0, sys.argv[1])

import vfs

from ansim_fw.core import journal
from ansim_fw.core.event import ALARM, FAULT, Event
from ansim_fw.hal import journal_file

BLOCK = 4096
APPEND_LIMIT = 16384
ENOSPC = 28
# The first start after provisioning.
BOOT = 0x80001
# Counting the blocks in use reads the whole filesystem.
COUNT_EVERY = 16
_BLANK = b"\xff" * BLOCK


class Flash:
    """A NOR flash in memory as block device, which counts."""

    def __init__(self, blocks: int) -> None:
        self.content = memoryview(bytearray(_BLANK * blocks))
        self.counts = [0, 0, 0]
        self.erases = [0] * blocks

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        at = block * BLOCK + offset
        buffer[:] = self.content[at : at + len(buffer)]

    def writeblocks(self, block: int, buffer: bytearray, offset: int) -> None:
        at = block * BLOCK + offset
        self.content[at : at + len(buffer)] = buffer
        self.counts[0] += 1
        self.counts[2] += len(buffer)

    def ioctl(self, op: int, argument: int) -> int:
        if op == 4:
            return len(self.erases)
        if op == 5:
            return BLOCK
        if op == 6:
            self.content[argument * BLOCK : (argument + 1) * BLOCK] = _BLANK
            self.counts[1] += 1
            self.erases[argument] += 1
        return 0


class Shelves:
    """The journal as the device keeps it."""

    def start(self) -> None:
        journal_file.make_shelves()
        self._journal = journal_file.open_journal(print)

    def event(self, seq: int) -> Event:
        return Event(BOOT, seq, ALARM, "sos")

    def store(self, event: Event) -> bool:
        return self._journal.store(event)

    def forget(self, event: Event) -> bool:
        return self._journal.forget(event)


class Longest(Shelves):
    """The same with records as long as they may be."""

    def event(self, seq: int) -> Event:
        event = Event(BOOT, seq, FAULT, "storage", None, {"detail": ""})
        event.data["detail"] = "x" * (journal.MAX_RECORD - len(journal.record(event, journal_file.crc32)))
        return event


class FullFilesystem(Longest):
    """The same, and somebody else has filled the filesystem."""

    def start(self) -> None:
        journal_file.make_shelves()
        self._journal = journal_file.open_journal(lambda _fault: None)
        try:
            with open("/stranger", "ab") as file:
                while True:
                    file.write(_BLANK)
                    file.flush()
        except OSError as error:
            assert error.errno == ENOSPC


class AppendFile(Shelves):
    """One file of records: an event's as it is stored, its id's as it is forgotten."""

    def __init__(self) -> None:
        self._waiting = []

    def start(self) -> None:
        self._file = open("/log", "ab")

    def store(self, event: Event) -> bool:
        self._waiting.append(event)
        self._append(self._file, event)
        self._file.flush()
        return True

    def forget(self, event: Event) -> bool:
        self._waiting.remove(event)
        self._file.write(b"\0" * 4 + event.boot.to_bytes(4, "big") + event.seq.to_bytes(4, "big"))
        self._file.flush()
        if self._file.tell() > APPEND_LIMIT:
            self._write_anew()
        return True

    def _write_anew(self) -> None:
        self._file.close()
        with open("/new", "wb") as file:
            for event in self._waiting:
                self._append(file, event)
        os.rename("/new", "/log")
        self._file = open("/log", "ab")

    def _append(self, file: object, event: Event) -> None:
        file.write(journal.record(event, journal_file.crc32))


class Cost:
    """What one kind of action cost, in all and at the worst."""

    def __init__(self, flash: Flash) -> None:
        self._flash = flash
        self._times = 0
        self._failed = 0
        self._total = [0, 0, 0]
        self._worst = [0, 0, 0]

    def pay(self, action, event: Event) -> None:
        before = self._flash.counts[:]
        if not action(event):
            self._failed += 1
        self._times += 1
        for at in range(3):
            spent = self._flash.counts[at] - before[at]
            self._total[at] += spent
            self._worst[at] = max(self._worst[at], spent)

    def told(self) -> dict:
        return {"mean": [spent / self._times for spent in self._total], "worst": self._worst, "failed": self._failed}


class History:
    """A device's life with its journal."""

    def __init__(self, flash: Flash, keeper) -> None:
        self.storing = Cost(flash)
        self.forgetting = Cost(flash)
        self.most_blocks = 0
        self._flash = flash
        self._keeper = keeper
        self._waiting = []
        self._seq = 0

    def run(self, alarms: int, waiting: int, restart_every: int) -> None:
        self.start()
        while self._seq < waiting:
            self._keeper.store(self._newcomer())
        for number in range(1, alarms + 1):
            self.storing.pay(self._keeper.store, self._newcomer())
            if number % COUNT_EVERY == 0:
                self.most_blocks = max(self.most_blocks, blocks_in_use())
            self.forgetting.pay(self._keeper.forget, self._waiting.pop(0))
            if restart_every and number % restart_every == 0:
                vfs.umount("/")
                self.start()

    def start(self) -> None:
        vfs.mount(vfs.VfsLfs2(self._flash), "/")
        self._keeper.start()

    def _newcomer(self) -> Event:
        event = self._keeper.event(self._seq)
        self._seq += 1
        self._waiting.append(event)
        return event


def blocks_in_use() -> int:
    found = os.statvfs("/")
    return found[2] - found[3]


def formatted(image: str, blocks: int) -> Flash:
    flash = Flash(blocks)
    if image == "-":
        vfs.VfsLfs2.mkfs(flash)
    else:
        with open(image, "rb") as file:
            assert file.readinto(flash.content) == len(flash.content)
    return flash


def main(keeper: str, image: str, blocks: int, alarms: int, waiting: int, restart_every: int) -> None:
    flash = formatted(image, blocks)
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(flash), "/")
    before = blocks_in_use()
    vfs.umount("/")
    flash.counts[:] = (0, 0, 0)
    flash.erases[:] = [0] * blocks
    history = History(flash, KEEPERS[keeper]())
    history.run(alarms, waiting, restart_every)
    told = {"store": history.storing.told(), "forget": history.forgetting.told()}
    told.update(blocks_before=before, most_blocks=history.most_blocks, erases=flash.erases)
    print(json.dumps(told))


KEEPERS = {"shelves": Shelves, "longest": Longest, "full": FullFilesystem, "append": AppendFile}
main(*sys.argv[2:4], *[int(one) for one in sys.argv[4:]])
