"""Properties of the whole device: whatever happens to it, in whatever order."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ansim_fw.core import device, link_watch, message
from ansim_fw.core.event import ALARM, CANCEL, HEARTBEAT
from bench_device import Bench

commands = st.one_of(
    st.builds(message.ack, st.integers(2, 4), st.integers(0, 40)),
    st.builds(message.handled, st.integers(2, 4), st.integers(0, 40)),
    st.builds(message.set_heartbeat, st.integers(1, 1440)),
    st.just(message.identify()),
)
doings = st.one_of(
    st.tuples(st.just("press"), st.one_of(st.integers(30, 4000), st.integers(4000, 15000))),
    st.tuples(st.just("wait"), st.integers(10, 90000)),
    st.tuples(st.just("link"), st.sampled_from([link_watch.DOWN, link_watch.BUSY, link_watch.UP])),
    st.tuples(st.just("command"), commands),
    st.tuples(st.just("battery"), st.integers(0, 4300)),
    st.tuples(st.just("durable"), st.booleans()),
    st.tuples(st.just("fall"), st.none()),
    st.tuples(st.just("sensor"), st.sampled_from(["", "sensor_absent", "sensor_silent"])),
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
    elif what == "fall":
        bench.fall()
    elif what == "sensor":
        bench.inputs.sensor_fault = value
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


class Told(Bench):
    """A bench that notes in which order events were stored, sent and acknowledged."""

    def __init__(self, prealarm_s: int) -> None:
        super().__init__(prealarm_s=prealarm_s)
        self.order: list[tuple[str, tuple[int, int]]] = []

    def _act(self, action: tuple) -> None:
        if action[0] in (device.STORE, device.SEND, device.FORGET):
            event = action[1].event if action[0] == device.SEND else action[1]
            self.order.append((action[0], (event.boot, event.seq)))
        super()._act(action)

    def never(self, what: int, event_id: tuple[int, int], before: tuple[int, tuple[int, int]]) -> bool:
        """Tell whether what did not happen to an event before the first time of something else."""
        end = self.order.index(before) if before in self.order else len(self.order)
        return (what, event_id) not in self.order[:end]


@settings(max_examples=150)
@given(st.lists(doings, max_size=30), st.sampled_from([0, 5, 30, 60]))
def test_an_alarm_that_is_cancelled_before_it_was_sent_follows_its_cancel_and_all_others_arrive(
    story: list[tuple[str, object]], prealarm_s: int
) -> None:
    bench = Told(prealarm_s)
    for what, value in story:
        do(bench, what, value)
    bench.inputs.link = link_watch.UP
    bench.answer = True
    bench.run(400_000, 100)
    assert [entry.event.kind for entry in bench.device.outbox.entries] == []
    for cancel in [event for event in bench.stored if event.type == CANCEL]:
        own = (cancel.boot, cancel.seq)
        if bench.never(device.SEND, cancel.of, (device.STORE, own)):
            assert bench.never(device.SEND, cancel.of, (device.FORGET, own))
