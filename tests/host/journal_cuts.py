"""Runs on MicroPython: a long history of the journal on LittleFS in memory, and the power cut in each operation of it.

Usage: micropython journal_cuts.py FIRMWARE STEPS SEED

The history runs once and every flash operation is kept. A power cut is those before it and a part of one, so each is
made again from them, and the journal is opened on it as at a start, mended and used. Some such starts are cut again,
in each operation of their own, and some begin a brownout: start after start, each cut anywhere. Prints JSON, or raises
what was violated.
"""

import json
import random
import sys

sys.path.insert(0, sys.argv[1])

import vfs

# Before the filesystem under test hides the firmware's files: the journal loads it when it is read.
import ansim_fw.core.journal_reader  # noqa: F401
from ansim_fw.core import message
from ansim_fw.core.event import ALARM, CANCEL, FAULT, Event
from ansim_fw.hal import journal_file

BLOCK = 4096
BLOCKS = 20
MOST_WAITING = 5
CUT_AGAIN_EVERY = 29
BROWN_OUT_EVERY = 7
BROWNOUT_STARTS = 4
RAGGED = -1
_BLANK = b"\xff" * BLOCK


class Flash:
    """A NOR flash in memory as block device; its log has every operation: address, and what was written or None."""

    def __init__(self, content: bytes) -> None:
        self.content = bytearray(content)
        self.log: list[Operation] = []

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        at = block * BLOCK + offset
        buffer[:] = memoryview(self.content)[at : at + len(buffer)]

    def writeblocks(self, block: int, buffer: bytearray, offset: int) -> None:
        self._do((block * BLOCK + offset, bytes(buffer)))

    def ioctl(self, op: int, argument: int) -> int:
        if op == 4:
            return BLOCKS
        if op == 5:
            return BLOCK
        if op == 6:
            self._do((argument * BLOCK, None))
        return 0

    def torn(self, operation: "Operation", done: int) -> "Flash":
        """Return this flash with the first done bytes of one more operation; RAGGED: a write of some bits, anywhere."""
        made = Flash(self.content)
        if done == RAGGED:
            made._write_some(*operation)
        else:
            made.apply(operation, done)
        return made

    def _write_some(self, at: int, data: bytes) -> None:
        for i in range(random.randrange(16), len(data)):
            self.content[at + i] &= data[i] | random.getrandbits(8)

    def apply(self, operation: "Operation", done: int) -> None:
        at, data = operation
        if data is None:
            self.content[at : at + done] = _BLANK[:done]
        elif self.content[at : at + done] == _BLANK[:done]:
            self.content[at : at + done] = data[:done]
        else:
            for i in range(done):
                self.content[at + i] &= data[i]

    def _do(self, operation: "Operation") -> None:
        self.log.append(operation)
        self.apply(operation, size_of(operation))


class Start:
    """The journal of a device that starts on this flash."""

    def __init__(self, flash: Flash) -> None:
        vfs.mount(vfs.VfsLfs2(flash), "/")
        self.reported: list[str] = []
        journal_file.make_shelves()
        self.journal = journal_file.open_journal(self.reported.append)
        found, self.damaged = self.journal.load()
        self.found = [told(event) for event in found]

    def end(self) -> None:
        vfs.umount("/")


def told(event: Event) -> bytes:
    """Return all of an event, to compare it by."""
    return message.encode_event(event, -1, 1)


class History:
    """What a device's journal goes through, action by action.

    Attributes:
        marks: (operations done before it, events that must be there, and that may be there) while each action runs.
    """

    def __init__(self, flash: Flash) -> None:
        self.flash = flash
        self.marks: list[tuple[int, set[bytes], set[bytes]]] = []
        self._start = Start(flash)
        self._waiting: list[Event] = []
        self._boot = 1
        self._seq = 0

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self._step(random.getrandbits(8))
        self._mark(self._waiting, self._waiting)
        self._start.end()

    def _step(self, chance: int) -> None:
        if chance < 8:
            self._restart()
        elif not self._waiting or (chance & 1 and len(self._waiting) < MOST_WAITING):
            self._store()
        else:
            self._forget(chance)

    def _restart(self) -> None:
        self._mark(self._waiting, self._waiting)
        self._start.end()
        self._start = Start(self.flash)
        check(self._start, {told(event) for event in self._waiting}, {told(event) for event in self._waiting})
        self._boot += 1
        self._seq = 0

    def _store(self) -> None:
        event = new_event(self._boot, self._seq)
        self._seq += 1
        self._mark(self._waiting, self._waiting + [event])
        assert self._start.journal.store(event)
        self._waiting.append(event)

    def _forget(self, chance: int) -> None:
        event = self._waiting.pop((chance >> 1) % len(self._waiting))
        self._mark(self._waiting, self._waiting + [event])
        assert self._start.journal.forget(event)

    def _mark(self, must: "list[Event]", may: "list[Event]") -> None:
        self.marks.append((len(self.flash.log), {told(event) for event in must}, {told(event) for event in may}))


def new_event(boot: int, seq: int) -> Event:
    chance = random.getrandbits(4)
    if chance < 4:
        return Event(boot, seq, FAULT, "low_battery", None, {"battery_mv": 3000 + seq % 1000})
    if chance < 6:
        return Event(boot, seq, CANCEL, "", (boot, seq))
    return Event(boot, seq, ALARM, "sos")


def check(start: Start, must: "set[bytes]", may: "set[bytes]") -> None:
    found = set(start.found)
    assert not start.damaged, "a power cut is no damage"
    assert len(found) == len(start.found), "an event is there twice"
    assert must <= found, ("lost", must - found)
    assert found <= may, ("invented", found - may)


class Cutter:
    """Cuts the power in every operation of a log, in parts, and more than once in some of the starts that follow."""

    def __init__(self) -> None:
        self.cuts = 0
        self.second_cuts = 0
        self.brownout_cuts = 0

    def cut_all(self, content: bytes, history: History) -> None:
        before = Flash(content)
        marks = history.marks
        mark = 0
        for number, operation in enumerate(history.flash.log):
            while mark + 1 < len(marks) and marks[mark + 1][0] <= number:
                mark += 1
            for done in parts(operation):
                self.cuts += 1
                try:
                    self._cut(before.torn(operation, done), marks[mark][1], marks[mark][2])
                except Exception:
                    print("operation", number, "of the history, at", operation[0], "with", done, "bytes of it done")
                    raise
            before.apply(operation, size_of(operation))

    def _cut(self, torn: Flash, must: "set[bytes]", may: "set[bytes]") -> None:
        content = bytes(torn.content)
        stands = go_on(torn, must, may)
        if self.cuts % CUT_AGAIN_EVERY == 0:
            self._cut_again(Flash(content), torn.log, stands)
        if self.cuts % BROWN_OUT_EVERY == 0:
            self._brown_out(Flash(content), torn.log, stands)

    def _cut_again(self, before: Flash, log: "list[Operation]", stands: "tuple[set[bytes], set[bytes]]") -> None:
        for operation in log:
            for done in parts(operation):
                self.second_cuts += 1
                go_on(before.torn(operation, done), *stands)
            before.apply(operation, size_of(operation))

    def _brown_out(self, before: Flash, log: "list[Operation]", stands: "tuple[set[bytes], set[bytes]]") -> None:
        for _ in range(BROWNOUT_STARTS):
            last = random.randrange(len(log))
            for operation in log[:last]:
                before.apply(operation, size_of(operation))
            torn = before.torn(log[last], random.randrange(size_of(log[last]) + 1))
            self.brownout_cuts += 1
            before = Flash(torn.content)
            stands = go_on(torn, *stands)
            log = torn.log


def go_on(flash: Flash, must: "set[bytes]", may: "set[bytes]") -> "tuple[set[bytes], set[bytes]]":
    """Start on what a power cut left, go on duty, store an event and start again; return what must and may be there."""
    start = Start(flash)
    check(start, must, may)
    start.journal.mend()
    newcomer = Event(0x3FFFFFFF, 0, ALARM, "fall")
    assert start.journal.store(newcomer), "the journal takes nothing after a power cut"
    start.end()
    again = Start(Flash(flash.content))
    both = set(start.found) | {told(newcomer)}
    check(again, both, both)
    again.end()
    return set(start.found), both


def size_of(operation: "Operation") -> int:
    return BLOCK if operation[1] is None else len(operation[1])


def parts(operation: "Operation") -> "tuple[int, ...]":
    """Return how much of an operation is done when the power goes; all of it is nothing of the next."""
    size = size_of(operation)
    most = 0, 1, size // 2, size - 1, random.randrange(size)
    return most if operation[1] is None else most + (RAGGED,)


def main(steps: int, seed: int) -> None:
    random.seed(seed)
    vfs.umount("/")
    flash = Flash(_BLANK * BLOCKS)
    vfs.VfsLfs2.mkfs(flash)
    content = bytes(flash.content)
    flash.log.clear()
    history = History(flash)
    history.run(steps)
    cutter = Cutter()
    cutter.cut_all(content, history)
    erases = sum(1 for _, data in flash.log if data is None)
    about = {"steps": steps, "operations": len(flash.log), "erases": erases}
    about.update(cuts=cutter.cuts, second_cuts=cutter.second_cuts, brownout_cuts=cutter.brownout_cuts)
    print(json.dumps(about))


TYPE_CHECKING = False
if TYPE_CHECKING:
    Operation = tuple[int, bytes | None]

main(int(sys.argv[2]), int(sys.argv[3]))
