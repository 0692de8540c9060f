from ansim_fw.core import alarm, indicator, link_watch
from ansim_fw.core.event import ALARM, CANCEL, Event
from bench_device import Bench


def test_of_too_many_alarms_one_that_is_acknowledged_is_given_up_first():
    alarms = alarm.Alarms(30000)
    for seq in range(alarm.MAX_ALARMS):
        alarms.raise_(Event(1, seq, ALARM, "sos"))
    for seq in range(1, alarm.MAX_ALARMS):
        alarms.acknowledge(1, seq)
    alarms.pass_time(20000)
    alarms.raise_(Event(1, 99, ALARM, "sos"))
    # The oldest still waits, and the wearer sees that.
    assert alarms.raised_ms() == 20000
    assert len(alarms.current) == alarm.MAX_ALARMS


def test_a_cancelled_alarm_stays_cancelled_over_a_restart():
    bench = Bench(link=link_watch.DOWN)
    bench.device.restore(Event(2, 0, ALARM, "sos"))
    bench.device.restore(Event(2, 1, CANCEL, "", (2, 0)))
    bench.run(1000)
    assert bench.patterns == [indicator.READY]
    # Both are still on their way.
    assert len(bench.device.outbox.entries) == 2
