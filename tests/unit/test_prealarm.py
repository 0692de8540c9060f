"""A fall: an event at once, on the air only when its wearer had time to say that it is none."""

from ansim_fw.core import button, indicator, link_watch, message, outbox
from ansim_fw.core.event import ALARM, CANCEL, FAULT, Event
from bench_device import Bench

PREALARM_MS = 30000


def settled(**kwargs):
    """A device some seconds after its start, with its first heartbeat sent and acknowledged."""
    bench = Bench(**kwargs)
    bench.answer = True
    bench.run(2000)
    bench.sent.clear()
    return bench


def fallen(**kwargs):
    """A device whose wearer has just fallen."""
    bench = settled(**kwargs)
    bench.fall()
    return bench


def alarms(bench):
    """The kinds of the alarms that went out, each once."""
    found = {}
    for event, _ in bench.sent:
        if event.type == ALARM:
            found[event.seq] = event.kind
    return sorted(found.values())


def test_a_fall_is_stored_at_once_and_shown_and_sent_when_its_time_to_cancel_is_over():
    bench = fallen()
    assert [event.kind for event in bench.stored] == ["fall"]
    assert bench.device.pattern == indicator.PREALARM
    bench.run(PREALARM_MS - 100)
    assert bench.sent == []
    bench.run(100)
    assert alarms(bench) == ["fall"]
    assert [one for one in bench.told if one in ("prealarm", "raised")] == ["prealarm", "raised"]
    assert bench.device.pattern == indicator.ACKNOWLEDGED


def test_its_age_on_the_wire_is_since_the_fall():
    bench = fallen()
    bench.answer = False
    bench.run(PREALARM_MS)
    entry = bench.device.outbox.entries[0]
    assert PREALARM_MS <= entry.age_ms <= PREALARM_MS + 20


def test_without_a_time_to_cancel_a_fall_goes_out_at_once():
    bench = fallen(prealarm_s=0)
    bench.run(30)
    assert alarms(bench) == ["fall"]
    assert indicator.PREALARM not in bench.patterns


def test_a_hold_cancels_and_the_receiver_hears_of_the_cancel_before_it_hears_of_the_fall():
    bench = fallen()
    bench.run(5000)
    bench.press(held_ms=3200)
    fall = bench.stored[0]
    sent = [event for event, _ in bench.sent]
    assert [event.type for event in sent] == [CANCEL, ALARM]
    assert sent[0].of == (fall.boot, fall.seq)
    assert bench.device.pattern == indicator.CANCELLED
    bench.run(PREALARM_MS)
    assert bench.forgotten == sent
    assert "raised" not in bench.told


def test_a_cancelled_fall_waits_until_the_receiver_has_its_cancel():
    bench = fallen()
    bench.answer = False
    bench.press(held_ms=3200)
    bench.run(600000, 100)
    assert {event.type for event, _ in bench.sent} == {CANCEL}
    cancel = bench.sent[0][0]
    bench.command(message.ack(cancel.boot, cancel.seq))
    bench.run(100)
    assert bench.sent[-1][0].kind == "fall"


def test_an_sos_that_was_cancelled_before_it_could_be_sent_follows_its_cancel_too():
    bench = settled(link=link_watch.DOWN)
    bench.press()
    bench.press(held_ms=3200)
    bench.inputs.link = link_watch.UP
    bench.run(200)
    assert [event.type for event, _ in bench.sent if event.type in (ALARM, CANCEL)] == [CANCEL, ALARM]


def test_a_short_press_calls_for_help_and_the_fall_goes_out_too():
    bench = fallen()
    bench.run(5000)
    bench.press()
    bench.run(50)
    assert alarms(bench) == ["fall", "sos"]
    assert bench.device.pattern != indicator.PREALARM


def test_a_press_in_the_last_moment_is_waited_for():
    for wait_ms in range(PREALARM_MS - 300, PREALARM_MS + 100, 10):
        bench = settled()
        bench.fall()
        bench.run(wait_ms)
        bench.inputs.button_down = True
        bench.run(9900)
        bench.inputs.button_down = False
        bench.run(1000)
        types = [event.type for event, _ in bench.sent]
        # Cancelled, with nobody called before; or raised before the press, and then cancelled.
        assert types in ([CANCEL, ALARM], [ALARM, CANCEL])
        assert types[0] == CANCEL or wait_ms >= PREALARM_MS - button.DEBOUNCE_MS - 20


def test_a_hold_that_ends_in_the_last_millisecond_cancels():
    bench = fallen()
    bench.run(PREALARM_MS - button.HOLD_MS)
    bench.press(held_ms=3200)
    assert [event.type for event, _ in bench.sent] == [CANCEL, ALARM]


def test_a_body_that_presses_the_button_after_the_fall_calls_for_help_and_the_fall_goes_out_with_it():
    for wait_ms in (0, 5000, PREALARM_MS - 5000):
        bench = fallen()
        bench.run(wait_ms)
        bench.inputs.button_down = True
        bench.run(button.LET_GO_MS - button.DEBOUNCE_MS)
        assert alarms(bench) == []
        bench.run(100)
        assert alarms(bench) == ["fall", "sos"]
        bench.run(60000)
        bench.inputs.button_down = False
        bench.run(1000)
        assert "cancelled" not in bench.told


def test_a_fall_that_may_be_let_off_is_shown_as_that_and_then_as_cancelled():
    bench = fallen()
    bench.press(held_ms=5000)
    shown = [pattern for pattern in bench.patterns if pattern != indicator.READY]
    assert shown[-3:] == [indicator.PREALARM, indicator.LET_GO, indicator.CANCELLED]


def test_a_finger_that_was_down_before_the_fall_cancels_nothing():
    bench = settled()
    bench.press()
    bench.inputs.button_down = True
    bench.run(1000)
    bench.fall()
    bench.run(3000)
    bench.inputs.button_down = False
    bench.run(50)
    # It cancels the sos before; the fall came after it.
    assert bench.told.count("cancelled") == 1
    bench.run(PREALARM_MS)
    assert "fall" in alarms(bench)


def test_after_the_prealarm_a_hold_cancels_as_it_cancels_any_alarm():
    bench = fallen()
    bench.run(PREALARM_MS + 1000)
    bench.press(held_ms=3200)
    assert [event.type for event, _ in bench.sent] == [ALARM, CANCEL]


def test_a_second_fall_says_nothing_new_until_somebody_has_heard_of_the_first():
    bench = fallen()
    bench.answer = False
    bench.fall()
    bench.run(PREALARM_MS)
    bench.fall()
    bench.run(PREALARM_MS)
    assert alarms(bench) == ["fall"]
    fall = bench.stored[0]
    bench.command(message.ack(fall.boot, fall.seq))
    bench.fall()
    assert bench.device.pattern == indicator.PREALARM
    bench.run(PREALARM_MS + 100)
    assert alarms(bench) == ["fall", "fall"]


def test_a_fall_after_a_cancelled_one_counts_even_while_the_cancel_is_on_its_way():
    bench = fallen(link=link_watch.DOWN)
    bench.press(held_ms=3200)
    bench.fall()
    assert bench.device.pattern == indicator.PREALARM
    assert [event.kind for event in bench.stored if event.type == ALARM] == ["fall", "fall"]


def test_a_fall_with_an_sos_on_its_way_is_an_alarm_of_its_own():
    bench = settled()
    bench.answer = False
    bench.press()
    bench.fall()
    assert bench.device.pattern == indicator.PREALARM
    bench.run(PREALARM_MS + 100)
    assert alarms(bench) == ["fall", "sos"]


def test_a_restart_in_the_prealarm_raises_the_fall():
    before = fallen()
    after = Bench()
    after.device.restore(Event(before.stored[0].boot - 1, before.stored[0].seq, ALARM, "fall"))
    after.run(50)
    assert alarms(after) == ["fall"]
    assert after.device.pattern == indicator.FAILING


def test_a_restart_after_a_cancel_sends_the_cancel_first():
    bench = Bench()
    bench.answer = True
    bench.device.restore(Event(2, 0, ALARM, "fall"))
    bench.device.restore(Event(2, 1, CANCEL, "", (2, 0)))
    bench.run(200)
    assert [event.type for event, _ in bench.sent if event.type in (ALARM, CANCEL)] == [CANCEL, ALARM]


def test_a_device_that_is_not_provisioned_tells_no_fall_but_keeps_a_press():
    bench = Bench(provisioned=False, link=link_watch.DOWN)
    bench.fall()
    assert bench.device.pattern == indicator.UNPROVISIONED
    bench.run(PREALARM_MS + 20)
    assert bench.stored == [] and bench.device.outbox.entries == []
    bench.press()
    assert [event.kind for event in bench.stored] == ["sos"]
    bench.fall()
    assert bench.device.pattern == indicator.RAISED
    assert [event.kind for event in bench.stored] == ["sos"]


def test_a_fall_that_cannot_be_stored_still_has_its_prealarm_and_a_fault_says_so_at_once():
    bench = fallen(durable=False)
    bench.run(100)
    assert bench.kinds(FAULT) == ["journal"]
    assert alarms(bench) == []
    bench.run(PREALARM_MS)
    assert alarms(bench) == ["fall"]


def test_a_fall_for_which_there_is_no_room_is_told_as_one_and_a_cancel_without_room_leaves_it_to_be_raised():
    bench = settled(link=link_watch.DOWN)
    for _ in range(outbox.MAX_ENTRIES):
        bench.device.trigger()
    bench.fall()
    assert "full" in bench.told
    assert bench.device.pattern == indicator.RAISED
    bench = settled(link=link_watch.DOWN)
    for _ in range(outbox.MAX_ENTRIES - 1):
        bench.device.trigger()
    bench.run(PREALARM_MS, 1000)
    bench.fall()
    bench.press(held_ms=3200)
    assert "cancelled" not in bench.told
    bench.run(PREALARM_MS)
    assert bench.device.alarms.waits("fall")


def test_an_acknowledgement_of_what_was_never_sent_changes_nothing():
    bench = fallen()
    fall = bench.stored[0]
    bench.command(message.ack(fall.boot, fall.seq))
    bench.command(message.handled(fall.boot, fall.seq))
    assert bench.forgotten == []
    bench.run(PREALARM_MS)
    assert alarms(bench) == ["fall"]


def test_the_link_is_made_in_the_prealarm_and_not_taken_for_dead():
    bench = settled(link=link_watch.DOWN)
    bench.run(120000)
    before = bench.connects
    bench.fall()
    assert bench.connects == before + 1
    bench.inputs.link = link_watch.UP
    bench.run(PREALARM_MS - 2000)
    assert bench.reconnects == 0


def test_a_new_length_counts_from_the_next_fall_on():
    bench = fallen()
    bench.device.configure("prealarm_s", 5)
    bench.run(PREALARM_MS - 100)
    assert alarms(bench) == []
    bench.run(200)
    bench.fall()
    bench.run(5100)
    assert alarms(bench) == ["fall", "fall"]


def no_memory(*_):
    raise MemoryError


def finds_no_memory(bench):
    try:
        bench.step()
    except MemoryError:
        bench.inputs.fall = False
        return True
    return False


def test_a_fall_in_a_step_without_memory_is_one_alarm_once_there_is_some():
    bench = settled()
    add = bench.device.outbox.add
    bench.device.outbox.add = no_memory
    bench.inputs.fall = True
    assert [finds_no_memory(bench) for _ in range(3)] == [True, True, True]
    assert bench.device.idle_ms(bench.inputs) <= 10
    bench.device.outbox.add = add
    bench.run(PREALARM_MS + 100)
    assert alarms(bench) == ["fall"]


def test_a_fall_after_a_press_without_memory_for_either_is_an_alarm_too_once_there_is_some():
    bench = settled()
    add = bench.device.outbox.add
    bench.device.outbox.add = no_memory
    bench.inputs.button_down = True
    assert [finds_no_memory(bench) for _ in range(5)][-1]
    bench.inputs.button_down = False
    bench.inputs.fall = True
    assert finds_no_memory(bench)
    bench.device.outbox.add = add
    bench.run(PREALARM_MS + 100)
    assert sorted(alarms(bench)) == ["fall", "sos"]


def test_a_fall_whose_time_is_over_in_a_step_without_memory_goes_out_once_there_is_some():
    bench = fallen()
    raise_ = bench.device.alarms.raise_
    bench.device.alarms.raise_ = no_memory
    for _ in range(PREALARM_MS // 10 + 5):
        finds_no_memory(bench)
    assert alarms(bench) == []
    bench.device.alarms.raise_ = raise_
    bench.run(50)
    assert alarms(bench) == ["fall"]


def test_a_prealarm_allocates_nothing_while_it_lasts():
    try:
        from micropython import heap_lock, heap_unlock
    except ImportError:
        # CPython has no such lock; the same file runs on MicroPython, where it has.
        return
    bench = fallen()
    bench.run(1000)
    machine, inputs = bench.device, bench.inputs
    heap_lock()
    for _ in range(500):
        machine.step(10, inputs)
    heap_unlock()
