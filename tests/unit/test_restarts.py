"""The core with its journal, and the power cut after any action: what was stored arrives, once."""

from contextlib import suppress
from zlib import crc32

from hypothesis import given, settings
from hypothesis import strategies as st
from test_journal import Shelf

from ansim_fw.core import device, journal
from ansim_fw.core.event import ALARM, Event
from bench_device import Bench

FOREVER = 10**9


class PowerCutError(Exception):
    """The power went while an action was carried out."""


class Life(Bench):
    """One start of a device, until the power is cut with its actions_left-th action; torn bytes of a record remain."""

    def __init__(self, boot: int, shelves: tuple[Shelf, Shelf], actions_left: int, torn: int) -> None:
        super().__init__()
        self.device.boot = boot
        self.raised: list[Event] = []
        self._shelves = shelves
        self._journal = journal.Journal(shelves, crc32)
        self._left = actions_left
        self._torn = torn
        for event in self._journal.load()[0]:
            self.device.restore(event)
        self._journal.mend()

    def _act(self, action: tuple) -> None:
        what = action[0]
        # What is raised is on its way with its step, even if the power goes before its own action.
        self.raised += [entry.event for entry in self.device.outbox.entries]
        self._left -= 1
        if self._left == 0:
            self._cut(action)
        if what == device.STORE:
            assert self._journal.store(action[1])
        elif what == device.FORGET:
            assert self._journal.forget(action[1])
        super()._act(action)

    def _cut(self, action: tuple) -> None:
        if action[0] == device.STORE:
            record = journal.record(action[1], crc32)
            self._shelves[0].files[journal.name_of(action[1])] = record[: min(self._torn, len(record) - 1)]
        elif action[0] == device.FORGET and self._torn % 2:
            self._shelves[0].remove(journal.name_of(action[1]))
        raise PowerCutError


def alarms(events: list[Event]) -> set[tuple[int, int]]:
    return {(event.boot, event.seq) for event in events if event.type == ALARM}


lives = st.tuples(st.integers(1, 80), st.integers(0, 80), st.integers(1, 6), st.booleans())


@settings(max_examples=100, deadline=None)
@given(st.lists(lives, max_size=8))
def test_whenever_the_power_is_cut_what_was_stored_arrives_and_nothing_else(story: list[tuple]) -> None:
    raised, stored, arrived = set(), set(), set()
    shelves = (Shelf(), Shelf())
    for boot, (actions_left, torn, presses, answered) in enumerate([*story, (FOREVER, 0, 1, True)]):
        life = Life(boot, shelves, actions_left, torn)
        life.answer = answered
        with suppress(PowerCutError):
            for _ in range(presses):
                life.press()
            life.run(3000)
        raised |= alarms(life.raised)
        stored |= alarms(life.stored)
        arrived |= alarms([event for event, _ in life.sent])
    assert life.device.outbox.entries == []
    assert shelves[0].files == shelves[1].files == {}
    assert stored <= arrived <= raised
