from ansim_fw.core import journal, message
from ansim_fw.core.event import ALARM, Event
from ansim_fw.hal import journal_file


def replayed(*records):
    waiting = []
    journal_file._replay(records, waiting)
    return [(event.boot, event.seq) for event in waiting]


def raised(seq):
    return journal.EVENT, message.encode_event(Event(3, seq, ALARM, "sos"), -1, 1)


def acknowledged(seq):
    return journal.ACKNOWLEDGED, journal.id_payload(3, seq)


def test_what_was_not_acknowledged_waits_in_the_order_in_which_it_happened():
    assert replayed(raised(1), raised(2), raised(3), acknowledged(2)) == [(3, 1), (3, 3)]


def test_an_event_that_was_written_twice_is_over_with_one_acknowledgement():
    assert replayed(raised(1), raised(1), acknowledged(1)) == []


def test_a_record_of_a_later_version_is_passed_over():
    assert replayed((journal.EVENT, b'{"v":2}'), (9, b"?"), raised(1)) == [(3, 1)]
