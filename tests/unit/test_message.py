import json

from ansim_fw.core import event_reader, message
from ansim_fw.core.event import ALARM, CANCEL, HEARTBEAT, Event

SOS = b'{"v":1,"boot":3,"seq":7,"type":"alarm","kind":"sos","age_ms":42,"try":1}'


def refused(read, payload):
    try:
        read(payload)
    except ValueError:
        return True
    return False


def test_an_alarm_is_written_as_documented():
    assert message.encode_event(Event(3, 7, ALARM, "sos"), 42, 1) == SOS


def test_an_unknown_age_is_left_out():
    assert b"age_ms" not in message.encode_event(Event(3, 7, ALARM, "sos"), -1, 1)


def test_a_cancel_names_its_alarm():
    found = event_reader.decode_event(message.encode_event(Event(3, 8, CANCEL, "", (3, 7)), 10, 1))
    assert found["of"] == [3, 7]
    assert event_reader.to_event(found).of == (3, 7)


def test_what_was_written_is_read_back():
    data = {"battery_mv": 3912, "fw": "0.1.0"}
    found = event_reader.decode_event(message.encode_event(Event(3, 9, HEARTBEAT, "", None, data), 0, 2))
    event = event_reader.to_event(found)
    assert (event.boot, event.seq, event.type, event.data) == (3, 9, HEARTBEAT, data)
    assert found["try"] == 2


def test_broken_messages_are_refused():
    odd_keys = (b"{[]:1}", b"{{}:1}", b"{7:1}")
    for bad in (b"", b"{", b"[]", b"\xff\xfe\x00", b"null", b"[" * 400, SOS + b"x", b" " * 600 + SOS) + odd_keys:
        assert refused(event_reader.decode_event, bad), bad
        assert refused(message.decode_command, bad), bad


def test_each_member_that_is_not_legal_is_refused():
    legal = json.loads(SOS)
    for name, value in (
        ("v", 2),
        ("v", 1.0),
        ("v", True),
        ("boot", -1),
        ("boot", True),
        ("boot", 2**30),
        ("seq", "7"),
        ("seq", 1.5),
        ("type", "party"),
        ("kind", ""),
        ("kind", "SOS"),
        ("kind", "x" * 25),
        ("age_ms", -1),
        ("try", 0),
        ("data", []),
        ("data", {"deep": {}}),
    ):
        changed = dict(legal)
        changed[name] = value
        assert refused(event_reader.decode_event, json.dumps(changed).encode()), (name, value)


def test_commands_are_read_back():
    assert message.decode_command(message.ack(3, 7)) == {"v": 1, "cmd": "ack", "boot": 3, "seq": 7}
    assert message.decode_command(message.handled(3, 7))["cmd"] == "handled"
    assert message.decode_command(message.set_heartbeat(60))["interval_min"] == 60
    assert message.decode_command(message.identify())["cmd"] == "identify"


def test_commands_that_are_not_legal_are_refused():
    assert refused(message.decode_command, b'{"v":1,"cmd":"explode"}')
    assert refused(message.decode_command, b'{"v":1,"cmd":"ack","boot":3}')
    assert refused(message.decode_command, message.set_heartbeat(0))
    assert refused(message.decode_command, message.set_heartbeat(1441))


def test_names_fit_topics():
    for name in ("AN000001", "seoul-01", "a", "x" * 24):
        assert event_reader.is_name(name)
    for name in ("", "a.b", "a b", "a/b", "안심", "x" * 25, "+", "#", "\u212a", None, 7):
        assert not event_reader.is_name(name)
