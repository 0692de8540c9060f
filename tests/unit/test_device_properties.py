"""Properties of the whole device: whatever happens to it, in whatever order."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ansim_fw.core import link_watch, message
from ansim_fw.core.event import ALARM, HEARTBEAT
from bench_device import Bench

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


@settings(max_examples=150)
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
