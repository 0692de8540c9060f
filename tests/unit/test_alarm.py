from ansim_fw.core import alarm
from ansim_fw.core.event import ALARM, Event


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
