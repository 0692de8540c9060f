from binascii import crc32

from ansim_fw.core import event_reader, journal, journal_reader, message
from ansim_fw.core.event import ALARM, CANCEL, FAULT, Event


class Shelf:
    """A shelf in memory."""

    def __init__(self):
        self.files = {}
        self.broken = False

    def names(self):
        self._check()
        return list(self.files)

    def read(self, name):
        self._check()
        return self.files[name]

    def write(self, name, data):
        self._check()
        self.files[name] = data

    def remove(self, name):
        self._check()
        if name not in self.files:
            raise OSError(2)
        del self.files[name]

    def _check(self):
        if self.broken:
            raise OSError(5)


def sos(seq, boot=3):
    return Event(boot, seq, ALARM, "sos")


def stored(*events):
    """Return two shelves with these events."""
    shelves = (Shelf(), Shelf())
    kept = journal.Journal(shelves, crc32)
    for one in events:
        assert kept.store(one)
    return shelves


def loaded(shelves):
    """Return the ids that a start finds, and whether it finds damage; what can be mended is mended then."""
    kept = journal.Journal(shelves, crc32)
    events, damaged = kept.load()
    kept.mend()
    return [(one.boot, one.seq) for one in events], damaged


def test_what_waits_comes_back_oldest_first():
    assert loaded(stored(sos(2), sos(0, boot=4), sos(1))) == ([(3, 1), (3, 2), (4, 0)], False)


def test_what_is_acknowledged_does_not_come_back():
    shelves = stored(sos(1), sos(2))
    assert journal.Journal(shelves, crc32).forget(sos(1))
    assert loaded(shelves) == ([(3, 2)], False)


def test_all_of_an_event_comes_back():
    shelves = stored(Event(3, 7, CANCEL, "", (3, 6)), Event(3, 8, FAULT, "link_lost", None, {"tries": 3}))
    cancel, fault = journal.Journal(shelves, crc32).load()[0]
    assert (cancel.type, cancel.of, fault.kind, fault.data) == (CANCEL, (3, 6), "link_lost", {"tries": 3})


def test_the_longest_legal_event_fits_and_details_that_do_not_fit_are_left_out():
    top = message.MAX_ID
    for longest in (
        Event(top, top, CANCEL, "", (top, top)),
        Event(top, top, FAULT, "k" * event_reader.MAX_NAME, None, {"detail": "x" * 300}),
    ):
        data = journal.record(longest, crc32)
        assert len(data) <= journal.MAX_RECORD
        assert journal_reader.read_record(data, crc32).has_id(top, top)


def test_one_damaged_copy_loses_nothing_and_is_told_of_once():
    for damage in (b"", b"\0", b"\xff" * 40, bytes(300)):
        shelves = stored(sos(1), sos(2))
        for name in list(shelves[0].files):
            shelves[0].files[name] = damage
        assert loaded(shelves) == ([(3, 1), (3, 2)], True)
        assert loaded(shelves) == ([(3, 1), (3, 2)], False)
        assert shelves[0].files == shelves[1].files


def test_any_flipped_bit_of_a_record_is_noticed():
    data = journal.record(sos(1), crc32)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            journal_reader.read_record(bytes(flipped), crc32)
            raise AssertionError(bit)
        except journal_reader.DamagedError:
            pass


def test_a_shelf_that_is_gone_loses_nothing_and_is_told_of():
    shelves = stored(sos(1), sos(2))
    shelves[1].broken = True
    assert loaded(shelves) == ([(3, 1), (3, 2)], True)
    shelves[1].broken = False
    shelves[1].files.clear()
    assert loaded(shelves) == ([(3, 1), (3, 2)], True)
    assert loaded(shelves) == ([(3, 1), (3, 2)], False)


def test_a_power_cut_between_the_two_shelves_is_no_damage():
    shelves = stored(sos(1))
    shelves[0].files[journal.name_of(sos(2))] = journal.record(sos(2), crc32)
    assert loaded(shelves) == ([(3, 1), (3, 2)], False)
    shelves[1].files[journal.name_of(sos(3))] = b""
    assert loaded(shelves) == ([(3, 1), (3, 2)], False)
    assert shelves[0].files == shelves[1].files


def test_a_shelf_that_fails_is_told_and_the_other_one_keeps_the_event():
    shelves = stored()
    shelves[0].broken = True
    assert not journal.Journal(shelves, crc32).store(sos(1))
    shelves[0].broken = False
    assert loaded(shelves) == ([(3, 1)], False)


def test_a_record_under_another_name_is_damage():
    shelves = stored()
    shelves[0].files["0000000300000009"] = journal.record(sos(1), crc32)
    assert loaded(shelves) == ([], True)


def test_a_record_of_a_later_version_stays_where_it_is():
    payload = b'{"v":2,"new":true}'
    data = crc32(payload).to_bytes(4, "big") + payload
    shelves = stored(sos(1))
    shelves[0].files["later"] = data
    assert loaded(shelves) == ([(3, 1)], False)
    assert shelves[0].files["later"] == data


def test_what_is_acknowledged_before_it_is_mended_is_not_written_again():
    shelves = stored(sos(1))
    shelves[0].files.clear()
    kept = journal.Journal(shelves, crc32)
    kept.load()
    kept.forget(sos(1))
    kept.mend()
    assert loaded(shelves) == ([], False)
