"""Runs on MicroPython: a provisioned filesystem with waiting events, and one bit of it flipped, in every block in turn.

Usage: micropython journal_rot.py FIRMWARE IMAGE FLIPS

IMAGE is what provisioning writes. Prints JSON: for each block with something in it [lost, told]: starts of FLIPS in
which a waiting event was gone, and in which the start said that the journal was damaged.
"""

import json
import random
import sys

sys.path.insert(0, sys.argv[1])

import vfs

# Before the filesystem under test hides the firmware's files: the journal loads it when it is read.
import ansim_fw.core.journal_reader  # noqa: F401
from ansim_fw.core.event import ALARM, Event
from ansim_fw.hal import journal_file

BLOCK = 4096
WAITING = 3
HISTORY = 30
_BLANK = b"\xff" * 16


class Flash:
    """A flash in memory as block device."""

    def __init__(self, content: bytearray) -> None:
        self.content = content

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        at = block * BLOCK + offset
        buffer[:] = memoryview(self.content)[at : at + len(buffer)]

    def writeblocks(self, block: int, buffer: bytearray, offset: int) -> None:
        at = block * BLOCK + offset
        self.content[at : at + len(buffer)] = buffer

    def ioctl(self, op: int, argument: int) -> int:
        if op == 4:
            return len(self.content) // BLOCK
        if op == 5:
            return BLOCK
        if op == 6:
            self.content[argument * BLOCK : (argument + 1) * BLOCK] = b"\xff" * BLOCK
        return 0


def sos(seq: int) -> Event:
    return Event(1, seq, ALARM, "sos")


def live(flash: Flash) -> None:
    """Store HISTORY events and have all but the last ones acknowledged."""
    vfs.mount(vfs.VfsLfs2(flash), "/")
    journal = journal_file.open_journal(print)
    for seq in range(HISTORY):
        assert journal.store(sos(seq))
        if seq >= WAITING:
            assert journal.forget(sos(seq - WAITING))
    vfs.umount("/")


def start(flash: Flash) -> "tuple[bool, bool]":
    """Return whether a start on this flash misses a waiting event, and whether it finds damage."""
    vfs.mount(vfs.VfsLfs2(flash), "/")
    found, damaged = journal_file.open_journal(print).load()
    vfs.umount("/")
    seqs = [event.seq for event in found]
    return any(seq not in seqs for seq in range(HISTORY - WAITING, HISTORY)), damaged


def flipped(content: bytes, block: int) -> bytearray:
    """Return content with a bit flipped at a random place of block where something is written."""
    made = bytearray(content)
    while True:
        at = block * BLOCK + random.randrange(BLOCK)
        if content[at : at + 16] != _BLANK:
            made[at] ^= 1 << random.randrange(8)
            return made


def main(image: str, flips: int) -> None:
    with open(image, "rb") as file:  # noqa: PTH123  MicroPython has no pathlib
        flash = Flash(bytearray(file.read()))
    live(flash)
    content = bytes(flash.content)
    told = {}
    for block in range(len(content) // BLOCK):
        if content[block * BLOCK : (block + 1) * BLOCK] != b"\xff" * BLOCK:
            starts = [start(Flash(flipped(content, block))) for _ in range(flips)]
            told[block] = [sum([lost for lost, _ in starts]), sum([damaged for _, damaged in starts])]
    print(json.dumps(told))


random.seed(1)
main(sys.argv[2], int(sys.argv[3]))
