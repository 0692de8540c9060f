from ansim_fw.core.event import ALARM, FAULT, HEARTBEAT, Event
from ansim_fw.core.outbox import ALARM_LIMIT_MS, MAX_ENTRIES, OTHER_LIMIT_MS, STORE_TIMEOUT_MS, Outbox
from ansim_fw.core.retry import Jitter


def outbox(*types):
    made = Outbox(Jitter(7))
    for seq, type_number in enumerate(types):
        made.add(Event(1, seq, type_number, "x"), 0, True)
    return made


def test_alarms_go_ahead_of_faults_and_faults_ahead_of_heartbeats():
    made = outbox(HEARTBEAT, FAULT, ALARM, FAULT, ALARM)
    order = [made.next_due().event.seq for _ in range(5)]
    assert order == [2, 4, 1, 3, 0]
    assert made.next_due() is None


def test_nothing_goes_out_before_it_is_stored():
    made = Outbox(Jitter(7))
    event = Event(1, 0, ALARM, "sos")
    made.add(event, 0, False)
    assert made.next_due() is None
    made.mark_stored(event)
    assert made.next_due().event is event


def test_an_event_that_is_never_reported_as_stored_goes_out_all_the_same():
    made = Outbox(Jitter(7))
    made.add(Event(1, 0, ALARM, "sos"), 0, False)
    made.pass_time(STORE_TIMEOUT_MS)
    assert made.next_due() is None
    made.pass_time(1)
    assert made.next_due().event.seq == 0


def test_only_its_own_acknowledgement_removes_an_event():
    made = outbox(ALARM)
    assert made.acknowledge(1, 9) is None
    assert made.acknowledge(9, 0) is None
    assert made.acknowledge(1, 0).seq == 0
    assert made.acknowledge(1, 0) is None


def test_retries_go_on_for_ever_and_never_slower_than_their_limit():
    for type_number, limit_ms in ((ALARM, ALARM_LIMIT_MS), (FAULT, OTHER_LIMIT_MS)):
        made = outbox(type_number)
        waited_ms = 0
        times = 0
        while times < 50:
            if made.next_due() is not None:
                assert waited_ms <= limit_ms
                waited_ms = 0
                times += 1
            made.pass_time(100)
            waited_ms += 100


def test_a_new_link_makes_everything_due_at_once():
    made = outbox(ALARM, FAULT)
    made.next_due(), made.next_due()
    assert made.next_due() is None
    made.resend_all()
    assert made.next_due().event.type == ALARM


def test_full_it_gives_up_heartbeats_then_the_oldest_fault_and_no_alarm():
    made = outbox(HEARTBEAT, FAULT, FAULT)
    for seq in range(10, 10 + MAX_ENTRIES - 3):
        assert made.add(Event(1, seq, ALARM, "sos"), 0, True) == (True, None)
    given_up = [made.add(Event(2, seq, ALARM, "sos"), 0, True)[1].seq for seq in range(3)]
    assert given_up == [0, 1, 2]
    assert made.add(Event(2, 9, ALARM, "sos"), 0, True) == (False, None)
    assert len(made.entries) == MAX_ENTRIES


def test_a_fault_never_pushes_out_an_alarm():
    made = outbox(*[ALARM] * MAX_ENTRIES)
    assert made.add(Event(2, 0, FAULT, "x"), 0, True) == (False, None)


def test_an_unknown_age_stays_unknown():
    made = Outbox(Jitter(7))
    made.add(Event(1, 0, ALARM, "sos"), -1, True)
    made.pass_time(5000)
    assert made.entries[0].age_ms == -1


def test_an_alarm_is_in_memory_alone_while_the_journal_would_not_take_it():
    made = outbox(ALARM)
    assert not made.in_memory_alone()
    fault, alarm = Event(2, 0, FAULT, "x"), Event(2, 1, ALARM, "sos")
    for event in (fault, alarm):
        made.add(event, 0, False)
    made.mark_stored(fault, False)
    assert not made.in_memory_alone()
    made.mark_stored(alarm, False)
    assert made.in_memory_alone()
    made.acknowledge(2, 1)
    assert not made.in_memory_alone()
