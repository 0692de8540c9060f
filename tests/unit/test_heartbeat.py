from ansim_fw.core import link_watch, message, outbox
from ansim_fw.core.event import HEARTBEAT
from bench_device import Bench


def test_a_heartbeat_that_finds_no_room_comes_as_soon_as_there_is_some():
    bench = Bench(link=link_watch.DOWN, cancel_s=0)
    for _ in range(outbox.MAX_ENTRIES):
        bench.press()
    bench.inputs.link = link_watch.UP
    bench.run(120000, 100)
    assert bench.kinds(HEARTBEAT) == []
    bench.command(message.ack(3, 0))
    bench.run(61000, 100)
    assert len(bench.kinds(HEARTBEAT)) >= 1
