"""Time may jump to what is due next: nothing is late, and nothing that was to happen is left out."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ansim_fw.core import link_watch, message
from bench_device import Bench

TICK_MS = 10
MINUTE_MS = 60000

doings = st.one_of(
    st.tuples(st.just("press"), st.one_of(st.integers(3, 1300), st.integers(290, 310), st.integers(980, 1010))),
    st.tuples(st.just("wait"), st.integers(0, 15 * MINUTE_MS // TICK_MS)),
    st.tuples(st.just("link"), st.sampled_from([link_watch.DOWN, link_watch.BUSY, link_watch.UP])),
    st.tuples(st.just("link_fault"), st.sampled_from(["", "link_lost", "tls_refused"])),
    st.tuples(st.just("ack"), st.integers(0, 6)),
    st.tuples(st.just("battery_mv"), st.sampled_from([3300, 3900])),
    st.tuples(st.just("fall"), st.just(True)),
    st.tuples(st.just("prealarm"), st.sampled_from([0, 1, 30, 60])),
    st.tuples(st.just("await tests"), st.sampled_from([0, 1000, 5000])),
    st.tuples(st.just("sensor_fault"), st.sampled_from(["", "sensor_bus", "sensor_stuck"])),
)


class Timed(Bench):
    """A bench that notes when each thing happened."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 0
        self.happened: list[tuple[object, ...]] = []

    def step(self, elapsed_ms: int = TICK_MS) -> None:
        self.now_ms += elapsed_ms
        super().step(elapsed_ms)

    def _act(self, action: tuple) -> None:
        about = action[1].event if hasattr(action[-1], "event") else action[-1]
        name = (about.boot, about.seq) if hasattr(about, "seq") else about
        self.happened.append((self.now_ms, action[0], name))
        super()._act(action)

    def wait(self, ticks: int, jump: bool) -> None:
        """Pass time, in ticks or, once new inputs are seen, in the longest jumps of whole ticks."""
        end_ms = self.now_ms + ticks * TICK_MS
        self.step()
        while self.now_ms < end_ms:
            idle_ms = self.device.idle_ms(self.inputs) if jump else 0
            ticks_ms = max(-(-idle_ms // TICK_MS) * TICK_MS, TICK_MS)
            self.step(min(ticks_ms, end_ms - self.now_ms))


def live(story: list[tuple[str, object]], jump: bool) -> list[tuple[object, ...]]:
    bench = Timed()
    for what, value in story:
        if what == "press":
            bench.inputs.button_down = bench.inputs.button_edge = True
            bench.wait(value, jump)
            bench.inputs.button_down = False
            bench.wait(5, jump)
        elif what == "wait":
            bench.wait(value, jump)
        elif what == "ack":
            bench.command(message.ack(3, value))
        elif what == "prealarm":
            bench.device.configure("prealarm_s", value)
        elif what == "await tests":
            bench.device.await_tests(value)
        else:
            setattr(bench.inputs, what, value)
        bench.step()
    return bench.happened


@settings(max_examples=120, deadline=None)
@given(st.lists(doings, max_size=12))
def test_a_device_that_sleeps_until_something_is_due_does_what_one_does_that_never_sleeps(
    story: list[tuple[str, object]],
) -> None:
    assert live(story, jump=True) == live(story, jump=False)
