"""Properties that hold for every input, searched for by hypothesis."""

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from ansim_fw.core import json_seq, link_watch, message, mqtt
from ansim_fw.core.button import DEBOUNCE_MS, PRESS, RELEASE, Button
from ansim_fw.core.event import ALARM, HEARTBEAT
from ansim_fw.core.retry import Jitter, wait_ms
from bench_device import Bench

samples = st.tuples(st.integers(1, 200), st.booleans(), st.booleans())


@given(st.lists(samples, max_size=300))
def test_presses_and_releases_take_turns(played: list[tuple[int, bool, bool]]) -> None:
    button = Button()
    down = False
    for elapsed_ms, level, edge in played:
        told = button.step(elapsed_ms, level, edge)
        if told == PRESS | RELEASE:
            assert not down
        elif told & PRESS:
            assert not down
            down = True
        elif told & RELEASE:
            assert down
            down = False
        assert button.down == down


@given(st.lists(st.booleans(), max_size=200), st.integers(1, 10))
def test_a_button_held_for_twice_the_debounce_time_is_always_noticed(chatter: list[bool], tick_ms: int) -> None:
    button = Button()
    told = [button.step(tick_ms, level, False) for level in chatter]
    told += [button.step(tick_ms, True, False) for _ in range(2 * DEBOUNCE_MS // tick_ms + 2)]
    assert button.down
    assert any(one & PRESS for one in told)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=60), st.integers(1, 1000), st.integers(100, 2000))
def test_a_press_of_100_ms_is_one_press_however_the_loop_is_held_up(gaps: list[int], begins: int, held: int) -> None:
    button = Button()
    now = presses = 0
    for gap in [*gaps, *[10] * 500]:
        before, now = now, now + gap
        edge = before < begins <= now
        presses += bool(button.step(gap, begins <= now < begins + held, edge) & PRESS)
    assert presses == 1


@given(st.integers(1, 1000), st.integers(1, 10**5), st.integers(1, 10**6), st.integers(0, 2**30 - 1))
def test_no_wait_passes_its_limit(attempt: int, first_ms: int, limit_ms: int, seed: int) -> None:
    assert 0 <= wait_ms(attempt, first_ms, limit_ms, Jitter(seed)) <= limit_ms


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_legal_message_or_a_value_error(payload: bytes) -> None:
    for read in (message.decode_event, message.decode_command):
        with suppress(ValueError):
            assert isinstance(read(payload), dict)


@given(st.binary(max_size=3000))
def test_the_console_reader_holds_a_bounded_text_of_any_bytes(data: bytes) -> None:
    reader = json_seq.Reader()
    for byte in data:
        if reader.feed(byte) == json_seq.TEXT:
            assert len(reader.text()) <= json_seq.MAX_REQUEST


@given(st.lists(st.binary(min_size=1, max_size=mqtt.READ_BYTES), max_size=20))
def test_the_packet_reader_takes_any_bytes_or_refuses(chunks: list[bytes]) -> None:
    reader = mqtt.Reader()
    with suppress(ValueError):
        for chunk in chunks:
            reader.feed(chunk, len(chunk))
            while (packet := reader.next()) is not None:
                assert len(packet[2]) <= mqtt.MAX_PACKET


commands = st.one_of(
    st.builds(message.ack, st.integers(2, 4), st.integers(0, 40)),
    st.builds(message.handled, st.integers(2, 4), st.integers(0, 40)),
    st.builds(message.set_heartbeat, st.integers(1, 1440)),
    st.just(message.identify()),
)
doings = st.one_of(
    st.tuples(st.just("press"), st.integers(30, 4000)),
    st.tuples(st.just("wait"), st.integers(10, 90000)),
    st.tuples(st.just("link"), st.sampled_from([link_watch.DOWN, link_watch.BUSY, link_watch.UP])),
    st.tuples(st.just("command"), commands),
    st.tuples(st.just("battery"), st.integers(0, 4300)),
    st.tuples(st.just("durable"), st.booleans()),
)


def do(bench: Bench, what: str, value: object) -> None:
    if what == "press":
        bench.press(value)
    elif what == "wait":
        bench.run(value, max(value // 50, 10))
    elif what == "link":
        bench.inputs.link = value
    elif what == "command":
        bench.command(value)
    elif what == "battery":
        bench.inputs.battery_mv = value
    else:
        bench.durable = value


@settings(max_examples=150, deadline=None)
@given(st.lists(doings, max_size=40))
def test_whatever_happens_no_alarm_is_lost_and_no_id_comes_twice(story: list[tuple[str, object]]) -> None:
    bench = Bench()
    acknowledged = set()
    for what, value in story:
        do(bench, what, value)
        if what == "command" and b'"ack"' in value:
            found = message.decode_command(value)
            acknowledged.add((found["boot"], found["seq"]))
    raised = {(event.boot, event.seq) for event in bench.stored if event.type == ALARM}
    waiting = {(entry.event.boot, entry.event.seq) for entry in bench.device.outbox.entries}
    assert raised <= waiting | acknowledged
    # Nothing is sent before it is stored, and nothing leaves the journal without its acknowledgement.
    sent = {(event.boot, event.seq) for event, _ in bench.sent if event.type != HEARTBEAT}
    assert sent <= {(event.boot, event.seq) for event in bench.stored}
    assert {(event.boot, event.seq) for event in bench.forgotten} <= acknowledged
    firsts = [(event.boot, event.seq) for event in bench.stored]
    assert len(firsts) == len(set(firsts))
