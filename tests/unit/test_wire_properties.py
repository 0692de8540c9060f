"""Properties of what comes over a wire: messages, packets, and texts of the console."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from ansim_fw.core import event_reader, json_seq, message, mqtt
from ansim_fw.core.event import ALARM, CANCEL, FAULT, HEARTBEAT, RESTORE, Event

ids = st.integers(0, message.MAX_ID)
kinds = st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=event_reader.MAX_NAME)
details = st.dictionaries(
    st.text(max_size=8), st.one_of(st.integers(-(2**62), 2**62), st.text(max_size=12)), max_size=4
)
events = st.one_of(
    st.builds(Event, ids, ids, st.sampled_from([ALARM, RESTORE]), kinds),
    st.builds(Event, ids, ids, st.just(FAULT), kinds, st.none(), st.one_of(st.none(), details)),
    st.builds(Event, ids, ids, st.just(CANCEL), st.just(""), st.tuples(ids, ids)),
    st.builds(Event, ids, ids, st.just(HEARTBEAT), st.just(""), st.none(), details),
)
chunks = st.lists(st.binary(min_size=1, max_size=mqtt.READ_BYTES), max_size=20)


@given(events, st.integers(-1, message.MAX_ID), st.integers(1, message.MAX_ID))
def test_what_a_device_writes_the_receiver_reads(event: Event, age_ms: int, attempt: int) -> None:
    payload = message.encode_event(event, age_ms, attempt)
    if len(payload) > message.MAX_BYTES:
        return
    found = event_reader.decode_event(payload)
    read = event_reader.to_event(found)
    assert [getattr(read, name) for name in Event.__slots__] == [getattr(event, name) for name in Event.__slots__]
    assert (found.get("age_ms", -1), found["try"]) == (age_ms, attempt)


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_legal_message_or_a_value_error(payload: bytes) -> None:
    for read in (event_reader.decode_event, message.decode_command):
        with suppress(ValueError):
            assert isinstance(read(payload), dict)


@given(ids, ids, st.integers(1, message.MAX_INTERVAL_MIN))
def test_what_a_receiver_says_a_device_reads(boot: int, seq: int, interval_min: int) -> None:
    for name, payload in (("ack", message.ack(boot, seq)), ("handled", message.handled(boot, seq))):
        assert message.decode_command(payload) == {"v": 1, "cmd": name, "boot": boot, "seq": seq}
    assert message.decode_command(message.set_heartbeat(interval_min))["interval_min"] == interval_min


@given(st.text(max_size=40))
def test_a_name_is_one_level_of_a_topic_and_one_token_of_a_subject(name: str) -> None:
    if event_reader.is_name(name):
        assert name.isascii() and not set(name) & set("/.+#*> ")
        assert len(message.event_topic(name, name).split("/")) == 4


@given(st.binary(max_size=3000))
def test_the_console_reader_holds_a_bounded_text_of_any_bytes(data: bytes) -> None:
    reader = json_seq.Reader()
    for byte in data:
        if reader.feed(byte) == json_seq.TEXT:
            assert len(reader.text()) <= json_seq.MAX_REQUEST


@given(st.binary(max_size=300), st.text(max_size=100).filter(lambda text: not set(text) & {"\x1e", "\n"}))
def test_after_any_noise_a_framed_text_is_read(noise: bytes, text: str) -> None:
    if len(text.encode()) > json_seq.MAX_REQUEST:
        return
    reader = json_seq.Reader()
    for byte in noise:
        if reader.feed(byte) == json_seq.TEXT:
            reader.text()
    if b"IMPROV\x01" in noise:
        # A packet that breaks off is waited for until there was a silence.
        reader.give_up()
    told = [reader.feed(byte) for byte in json_seq.frame(text)]
    assert told[-1] == json_seq.TEXT
    assert reader.text() == text.encode()


@given(chunks)
def test_the_packet_reader_takes_any_bytes_or_refuses(pieces: list[bytes]) -> None:
    reader = mqtt.Reader()
    with suppress(ValueError):
        for piece in pieces:
            reader.feed(piece, len(piece))
            while (packet := reader.next()) is not None:
                assert len(packet[2]) <= mqtt.MAX_PACKET
    assert len(reader._buffer) == mqtt.MAX_PACKET + mqtt.READ_BYTES


@given(
    st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=500)), max_size=6), st.integers(1, mqtt.READ_BYTES)
)
def test_packets_are_read_as_written_however_they_are_cut(written: list[tuple[int, bytes]], size: int) -> None:
    stream = b"".join(mqtt.publish(number, "ansim/c/d/evt", payload) for number, payload in written)
    reader = mqtt.Reader()
    found = []
    for at in range(0, len(stream), size):
        piece = stream[at : at + size]
        reader.feed(piece, len(piece))
        while (packet := reader.next()) is not None:
            found.append(packet)
    bodies = [b"\x00\x0dansim/c/d/evt" + number.to_bytes(2) + payload for number, payload in written]
    assert found == [(mqtt.PUBLISH, 2, body) for body in bodies]


@given(st.integers(0, 15), st.binary(max_size=100))
def test_a_publish_is_longer_than_its_topic_or_refused(flags: int, body: bytes) -> None:
    with suppress(ValueError):
        assert body.endswith(mqtt.payload_of(flags, body))
