"""The core with its journal in a file, and the power cut after any action: what was stored arrives, once."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansim_fw.core import device, journal
from ansim_fw.core.event import ALARM, Event
from ansim_fw.hal import journal_file
from bench_device import Bench

FOREVER = 10**9


class PowerCutError(Exception):
    """The power went while an action was carried out."""


class Life(Bench):
    """One start of a device, until the power is cut with its actions_left-th action; torn bytes of a record remain."""

    def __init__(self, boot: int, actions_left: int, torn: int) -> None:
        super().__init__()
        self.device.boot = boot
        self.raised: list[Event] = []
        self._journal = journal_file.JournalFile()
        self._left = actions_left
        self._torn = torn
        for event in self._journal.load()[0]:
            self.device.restore(event)

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
            if self._journal.due():
                assert self._journal.rewrite(self.device.outbox.durable_events())
        super()._act(action)

    def _cut(self, action: tuple) -> None:
        self._journal._close()
        if action[0] == device.STORE:
            payload = journal_file.message.encode_event(action[1], -1, 1)
            record = journal.record(journal.EVENT, payload, journal_file.crc32)
            with Path(journal_file.PATH).open("ab") as file:
                file.write(record[: min(self._torn, len(record) - 1)])
        raise PowerCutError


@contextmanager
def journal_in_a_folder() -> Iterator[None]:
    """Have the journal elsewhere, and written anew every few alarms."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_file, "PATH", f"{folder}/journal")
        patch.setattr(journal_file, "_NEW_PATH", f"{folder}/journal.new")
        patch.setattr(journal_file, "_REWRITE_BYTES", 500)
        yield


def alarms(events: list[Event]) -> set[tuple[int, int]]:
    return {(event.boot, event.seq) for event in events if event.type == ALARM}


lives = st.tuples(st.integers(1, 80), st.integers(0, 80), st.integers(1, 6), st.booleans())


@settings(max_examples=100, deadline=None)
@given(st.lists(lives, max_size=8))
def test_whenever_the_power_is_cut_what_was_stored_arrives_and_nothing_else(story: list[tuple]) -> None:
    raised, stored, arrived = set(), set(), set()
    with journal_in_a_folder():
        for boot, (actions_left, torn, presses, answered) in enumerate([*story, (FOREVER, 0, 1, True)]):
            life = Life(boot, actions_left, torn)
            life.answer = answered
            with suppress(PowerCutError):
                for _ in range(presses):
                    life.press()
                life.run(3000)
            raised |= alarms(life.raised)
            stored |= alarms(life.stored)
            arrived |= alarms([event for event, _ in life.sent])
        assert life.device.outbox.entries == []
    assert stored <= arrived <= raised
