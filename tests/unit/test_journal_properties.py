"""The journal against a simple model of it: shelves that fail and rot, and starts at any moment."""

from zlib import crc32

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from test_journal import Shelf
from test_wire_properties import events

from ansim_fw.core import journal, journal_reader, message
from ansim_fw.core.event import ALARM, Event


def ids(found: "list[Event]") -> "list[tuple[int, int]]":
    return [(event.boot, event.seq) for event in found]


class JournalMachine(RuleBasedStateMachine):
    """Keeps for each shelf which events stand on it, and which of those are rotten."""

    def __init__(self) -> None:
        super().__init__()
        self.shelves = (Shelf(), Shelf())
        self.journal = journal.Journal(self.shelves, crc32)
        self.events: dict[str, Event] = {}
        self.seq = 0

    def names(self, shelf: Shelf) -> "set[str]":
        """The records that can be read on a shelf."""
        if shelf.broken:
            return set()
        return {name for name, data in shelf.files.items() if data == journal.record(self.events[name], crc32)}

    def rotten(self, shelf: Shelf) -> "set[str]":
        """The files on a shelf that say something else; an empty one says nothing."""
        if shelf.broken:
            return set()
        return {name for name, data in shelf.files.items() if data} - self.names(shelf)

    @precondition(lambda self: not any(shelf.broken for shelf in self.shelves))
    @rule(torn=st.booleans())
    def the_power_goes_between_the_shelves(self, torn: bool) -> None:
        event = Event(1, self.seq, ALARM, "sos")
        self.seq += 1
        name = journal.name_of(event)
        self.events[name] = event
        self.shelves[0].files[name] = journal.record(event, crc32)
        if torn:
            self.shelves[1].files[name] = b""
        self.start_and_mend()

    @rule(count=st.integers(1, 3))
    def store(self, count: int) -> None:
        for _ in range(count):
            event = Event(1, self.seq, ALARM, "sos")
            self.seq += 1
            name = journal.name_of(event)
            self.events[name] = event
            well = [shelf for shelf in self.shelves if not shelf.broken]
            assert self.journal.store(event) == (len(well) == 2)
            assert all(name in self.names(shelf) for shelf in well)

    @precondition(lambda self: self.events)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.events)))
        well = [shelf for shelf in self.shelves if not shelf.broken]
        there = [shelf for shelf in well if name in shelf.files]
        assert self.journal.forget(self.events[name]) == (len(there) == 2)
        assert not any(name in shelf.files for shelf in well)

    @rule(number=st.integers(0, 1), broken=st.booleans())
    def shelf_fails(self, number: int, broken: bool) -> None:
        self.shelves[number].broken = broken

    @rule(number=st.integers(0, 1), damage=st.sampled_from([b"\xff" * 30, b"\0", bytes(200)]), data=st.data())
    def a_record_rots(self, number: int, damage: bytes, data: st.DataObject) -> None:
        shelf = self.shelves[number]
        # One copy of an event, not both.
        whole = self.names(self.shelves[1 - number]) & set(shelf.files)
        if whole:
            shelf.files[data.draw(st.sampled_from(sorted(whole)))] = damage

    @rule()
    def start(self) -> None:
        readable = [self.names(shelf) for shelf in self.shelves]
        rotten = [self.rotten(shelf) for shelf in self.shelves]
        failing = any(shelf.broken for shelf in self.shelves)
        both = readable[0] | readable[1]
        lacking = max(len(both - one) for one in readable)
        self.journal = journal.Journal(self.shelves, crc32)
        found, damaged = self.journal.load()
        assert ids(found) == ids([self.events[name] for name in sorted(both)])
        assert damaged == (failing or any(rotten) or lacking > 1)

    @rule()
    def start_and_mend(self) -> None:
        self.start()
        self.journal.mend()
        if not any(shelf.broken for shelf in self.shelves):
            assert self.shelves[0].files == self.shelves[1].files
            again, damaged = journal.Journal(self.shelves, crc32).load()
            assert not damaged
            assert {journal.name_of(event) for event in again} == set(self.shelves[0].files)

    @invariant()
    def nothing_stands_there_that_was_not_stored(self) -> None:
        for shelf in self.shelves:
            assert set(shelf.files) <= set(self.events)


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(max_examples=80, stateful_step_count=30)


@given(events)
def test_a_record_fits_and_tells_all_of_its_event_but_details_for_which_there_is_no_room(event: Event) -> None:
    data = journal.record(event, crc32)
    assert len(data) <= journal.MAX_RECORD
    read = journal_reader.read_record(data, crc32)
    for name in ("boot", "seq", "type", "kind", "of"):
        assert getattr(read, name) == getattr(event, name)
    fits = len(message.encode_event(event, -1, 1)) <= journal.MAX_RECORD - 4
    assert read.data == (event.data if fits else None)


@given(events, events)
def test_names_sort_as_events_happened(one: Event, other: Event) -> None:
    happened = ((one.boot, one.seq) < (other.boot, other.seq), one.boot == other.boot and one.seq == other.seq)
    names = (journal.name_of(one), journal.name_of(other))
    assert (names[0] < names[1], names[0] == names[1]) == happened
