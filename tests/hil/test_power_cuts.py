"""The power goes in every flash operation from power-on to the acknowledged press, one run each, on whole devices."""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import pytest
from littlefs import UserContext

from ansim.boards import load_board
from ansim.client import Deadline
from ansim.database import Database
from ansim.event_store import Event, EventStore
from ansim.image import mount
from ansim.sandbox import Sandbox
from ansim.waiting_events import SHELVES
from unit_under_test import BOARD, PATIENCE_S, UnitUnderTest

pytestmark = pytest.mark.needs("boards", "flash", "power", "power_cut", "press", "watch", "wifi")

# How much of an operation is done when the power goes: nothing, one byte (1 % of up to 128), half, all but one.
TORN = (0, 1, 50, 99)
BROWNOUT_STARTS = 8
VFS = load_board(BOARD).partitions.vfs
# A run that is over and still on after this long had fewer operations than were counted to.
_NO_CUT_S = 1.0
_PRESS_MS = 60
# nats-server keeps a client waiting, and then sends it away, that comes back within a second of its coming back before
# ("since both have the same client ID"): it takes it for two. A device that starts takes longer.
_APART_S = 1.0
# As long as a record on a shelf: an alarm's message and its CRC.
_RECORD_BYTES = 60


Id = tuple[int, int]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Run:
    """What became of a run that was to be cut.

    Attributes:
        cut: the power went; else there were not so many operations.
        kept: the press was in the journal when the power had gone.
        arrived: the press has its row.
    """

    cut: bool
    kept: bool
    arrived: bool


class Rig:
    """A device whose power is cut in flash operation after flash operation, always with the same share of it done.

    Attributes:
        filesystem: as it was when the device was new.
    """

    def __init__(self, sandbox: Sandbox, done_percent: int) -> None:
        self.device = UnitUnderTest.on(sandbox, sandbox.start_board(f"torn-{done_percent}"))
        self._control = self.device.control
        self._done_percent = done_percent
        self._last_boot = 0
        self._rest = Deadline(0)

    def prepare(self) -> None:
        """Flash it, and switch it off with nothing waiting."""
        self.device.flash()
        self.device.connect()
        self.device.until_connected()
        # A press is an alarm at once, and the next one another.
        self.device.configure(cancel_s=0)
        self.device.disconnect()
        self._control.power(False)
        self._rest = Deadline(_APART_S)
        self.filesystem = self._read_filesystem()

    def _read_filesystem(self) -> bytes:
        with self.device.board.flash_file.open("rb") as file:
            file.seek(VFS.offset)
            return file.read(VFS.size)

    def cut_all(self, filesystem: bytes) -> list[Run]:
        """Run from power-on to the acknowledged press, cut in operation 1, 2, ... until a run has no more of them."""
        runs = [self._run(filesystem, 1)]
        while runs[-1].cut:
            runs.append(self._run(filesystem, len(runs) + 1))
        return runs

    def brown_out(self, starts: int) -> tuple[set[Id], set[Id]]:
        """Start so often, each time with a press and a cut in some operation; return what was kept, and the rows."""
        known = self.device.rows("sos")
        chances = random.Random(self._done_percent)
        kept: set[Id] = set()
        for _ in range(starts):
            self._start_and_press(cut_in=chances.randint(1, 14))
            self._until_cut(self.device.rows("sos"))
            kept |= self._waiting()
        self._start_and_press()
        self._until_idle()
        rows = [(row.boot, row.seq) for row in self._rows_since(known)]
        assert len(rows) <= starts + 1, "more alarms than presses"
        return kept, set(rows)

    def _run(self, filesystem: bytes, operation: int) -> Run:
        self._lay_down(filesystem)
        known = self.device.rows("sos")
        self._start_and_press(cut_in=operation)
        cut = self._until_cut(known)
        kept = self._waiting()
        self._start_and_press()
        boot = self._until_idle()
        others = [row for row in self._rows_since(known) if row.boot != boot]
        assert len(others) <= 1, f"a press has two rows: {others}"
        boots = [self._last_boot, *(row.boot for row in others), boot]
        assert boots == sorted(set(boots)), "a boot number is used twice"
        self._last_boot = boot
        return Run(cut, bool(kept), bool(others))

    def _start_and_press(self, cut_in: int = 0) -> None:
        """Switch it on, and press as soon as its button is armed; the power may go before."""
        time.sleep(self._rest.remaining_s)
        if cut_in:
            self._control.cut_power_at(cut_in, self._done_percent)
        self._control.power(True)
        self._wait(lambda: self._is_armed() or not self._is_on(), "start")
        if self._is_on():
            self.device.press(_PRESS_MS)

    def _until_idle(self) -> int:
        """Wait until the last press and all else is acknowledged, and switch off; return the boot of that press."""
        self.device.connect()
        boot = int(self.device.until_connected()["boot"])
        self.device.disconnect()
        self._control.power(False)
        self._rest = Deadline(_APART_S)
        assert not self._waiting()
        self.device.receives(lambda event: event.boot == boot and event.kind == "sos", "press after the cut")
        return boot

    def _rows_since(self, known: list[Event]) -> list[Event]:
        return self.device.rows("sos")[len(known) :]

    def _until_cut(self, known: list[Event]) -> bool:
        """Wait until the power goes, or the press has its row and the power does not go; tell which. It is off then."""
        self._wait(lambda: not self._is_on() or self._rows_since(known), "power cut and no row")
        deadline = Deadline(_NO_CUT_S)
        while self._is_on() and not deadline.expired:
            time.sleep(0.005)
        cut = not self._is_on()
        self._control.power(False)
        if self._rows_since(known):
            self._rest = Deadline(_APART_S)
        return cut

    def _is_on(self) -> bool:
        return bool(self._control.status()["state"] != "off")

    def _is_armed(self) -> bool:
        # The watchdog comes right after the button.
        return bool(self._control.status()["chip_state"]["watchdog_ms"])

    def _wait(self, condition: Callable[[], object], what: str) -> None:
        deadline = Deadline(PATIENCE_S)
        while not condition():
            assert not deadline.expired, f"no {what} in {PATIENCE_S:g} s"
            time.sleep(0.005)

    def _lay_down(self, filesystem: bytes) -> None:
        with self.device.board.flash_file.open("r+b") as file:
            file.seek(VFS.offset)
            file.write(filesystem)

    def _waiting(self) -> set[Id]:
        """Return the ids of the records in the journal: the name of each is boot and seq, eight digits each."""
        mounted = mount(UserContext(buffer=bytearray(self._read_filesystem())), VFS.size)
        paths = [f"{shelf}/{name}" for shelf in SHELVES for name in mounted.listdir(shelf)]
        whole = [path[-16:] for path in paths if mounted.stat(path).size]
        return {(int(name[:8], 16), int(name[8:], 16)) for name in whole}


def used(filesystem: bytes) -> bytes:
    """Return a filesystem after its first alarm, when the next ones are added to blocks that have room."""
    flash = UserContext(buffer=bytearray(filesystem))
    mounted = mount(flash, len(filesystem))
    for shelf in SHELVES:
        name = f"{shelf}/0000000000000000"
        with mounted.open(name, "wb") as file:
            file.write(bytes(_RECORD_BYTES))
        mounted.remove(name)
    return bytes(flash.buffer)


@pytest.fixture(scope="module")
def rigs(sandbox: Sandbox) -> Iterator[list[Rig]]:
    """A device for each share of an operation, flashed and off."""
    made = [Rig(sandbox, done_percent) for done_percent in TORN]
    try:
        for rig in made:
            rig.prepare()
        yield made
    finally:
        for rig in made:
            rig.device.close()


@pytest.mark.parametrize("lay_out", [bytes, used], ids=["blocks-written-anew", "blocks-with-room"])
def test_whenever_the_power_goes_each_press_that_was_kept_has_one_row(
    sandbox: Sandbox, rigs: list[Rig], lay_out: Callable[[bytes], bytes]
) -> None:
    filesystem = lay_out(rigs[0].filesystem)
    for rig, runs in zip(rigs, at_once(rigs, lambda rig: rig.cut_all(filesystem)), strict=True):
        for run in runs:
            assert run.arrived or not run.kept, "what was in the journal did not arrive"
        arrived = [run.arrived for run in runs]
        assert arrived == sorted(arrived), "a press is lost that was kept an operation earlier"
        assert runs[-1].arrived and any(run.kept for run in runs)
        nothing_else(sandbox, rig)


def test_in_a_brownout_each_press_that_was_kept_has_one_row(sandbox: Sandbox, rigs: list[Rig]) -> None:
    found = at_once(rigs, lambda rig: rig.brown_out(BROWNOUT_STARTS))
    # On a busy machine a press comes late, and one device's starts may all be over before theirs.
    assert any(kept for kept, _ in found), "every start was cut before its press"
    for rig, (kept, rows) in zip(rigs, found, strict=True):
        assert kept <= rows, "what was in the journal did not arrive"
        nothing_else(sandbox, rig)


def at_once(rigs: list[Rig], work: Callable[[Rig], Result]) -> list[Result]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(work, rigs))


def nothing_else(sandbox: Sandbox, rig: Rig) -> None:
    """The device had no fault to report, and its alarms are where people look for them."""
    heard = [each.event for each in sandbox.receiver.heard() if each.event.device == rig.device.name]
    assert not [event for event in heard if event.type == "fault"], "a power cut is no damage"
    with closing(Database.open(sandbox.home.database_url)) as database:
        found = [alarm.id for alarm in EventStore(database).alarms() if alarm.device == rig.device.name]
    assert sorted(found) == sorted(row.id for row in rig.device.rows("sos"))
