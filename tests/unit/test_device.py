from ansim_fw.core import button, device, indicator, link_watch, message, outbox, supply
from ansim_fw.core.event import ALARM, CANCEL, FAULT, HEARTBEAT, RESTORE, Event
from bench_device import Bench


def settled(**kwargs):
    """A device some seconds after its start, with its first heartbeat sent and acknowledged."""
    bench = Bench(**kwargs)
    bench.answer = True
    bench.run(2000)
    bench.sent.clear()
    bench.answer = False
    return bench


def test_a_press_is_stored_then_sent_then_shown_as_acknowledged():
    bench = settled()
    bench.press()
    event, attempt = bench.sent[0]
    assert (event.type, event.kind, attempt) == (ALARM, "sos", 1)
    assert bench.stored == [event]
    assert bench.device.pattern == indicator.RAISED
    bench.command(message.ack(event.boot, event.seq))
    assert bench.device.pattern == indicator.ACKNOWLEDGED
    assert bench.forgotten == [event]
    told = [one for one in bench.told if one in ("pressed", "raised", "journalled", "sent", "acknowledged")]
    assert told[-4:] == ["pressed", "raised", "journalled", "acknowledged"]


def test_an_alarm_that_cannot_be_stored_is_sent_all_the_same_and_a_fault_says_so():
    bench = settled(durable=False)
    bench.press()
    assert bench.kinds(ALARM) == ["sos"]
    bench.run(100)
    assert "journal" in bench.kinds(FAULT)


def test_an_alarm_is_sent_again_until_the_receiver_has_it():
    bench = settled()
    bench.press()
    bench.run(600000, 100)
    attempts = [attempt for event, attempt in bench.sent if event.type == ALARM]
    assert attempts == list(range(1, len(attempts) + 1))
    assert len(attempts) >= 10
    event = bench.sent[0][0]
    bench.command(message.ack(event.boot, event.seq))
    bench.sent.clear()
    bench.run(120000, 100)
    assert bench.kinds(ALARM) == []


def test_an_acknowledgement_for_another_event_changes_nothing():
    bench = settled()
    bench.press()
    bench.command(message.ack(3, 999))
    assert bench.device.pattern == indicator.RAISED
    assert bench.forgotten == []


def test_an_alarm_without_acknowledgement_is_shown_as_failing():
    bench = settled(link=link_watch.DOWN)
    bench.press()
    bench.run(device.FAILING_MS)
    assert bench.device.pattern == indicator.FAILING


def test_a_dead_looking_connection_is_made_anew():
    bench = settled()
    bench.press()
    bench.run(30000, 100)
    assert bench.reconnects >= 1


def test_a_second_press_held_long_cancels_and_is_no_alarm_of_its_own():
    bench = settled()
    bench.press()
    bench.press(held_ms=3200)
    assert bench.kinds(ALARM).count("sos") >= 1
    assert len({event.seq for event, _ in bench.sent if event.type == ALARM}) == 1
    cancel = [event for event, _ in bench.sent if event.type == CANCEL][0]
    assert cancel.of == (bench.sent[0][0].boot, bench.sent[0][0].seq)
    assert bench.device.pattern == indicator.CANCELLED


def test_a_hold_cancels_when_it_is_let_go_and_not_before():
    bench = settled()
    bench.press()
    bench.inputs.button_down = True
    bench.run(button.HOLD_MS)
    assert bench.device.pattern != indicator.LET_GO
    bench.run(2 * button.DEBOUNCE_MS)
    assert bench.device.pattern == indicator.LET_GO
    bench.run(button.LET_GO_MS - button.HOLD_MS - 5 * button.DEBOUNCE_MS)
    assert bench.kinds(CANCEL) == []
    assert bench.device.pattern == indicator.LET_GO
    bench.inputs.button_down = False
    bench.run(50)
    assert len(bench.kinds(CANCEL)) == 1
    assert bench.device.pattern == indicator.CANCELLED


def test_a_body_on_the_button_calls_for_help_after_10_s_and_cancels_nothing():
    bench = settled()
    bench.press()
    bench.inputs.button_down = True
    bench.run(button.LET_GO_MS - button.DEBOUNCE_MS)
    assert bench.told.count("raised") == 1
    bench.run(2 * button.DEBOUNCE_MS)
    assert bench.told.count("raised") == 2
    assert bench.device.pattern != indicator.LET_GO
    bench.run(20000)
    bench.inputs.button_down = False
    bench.run(50)
    assert bench.kinds(CANCEL) == []
    assert len({event.seq for event, _ in bench.sent if event.type == ALARM}) == 2


def test_a_body_on_the_button_cancels_nothing_though_the_loop_is_held_up_for_most_of_the_time():
    for held_up_ms in range(500, 20000, 500):
        for seen_ms in (0, 1000, 4000, 9000):
            bench = settled()
            bench.press()
            bench.inputs.button_down = True
            bench.inputs.button_edge = True
            bench.run(seen_ms)
            bench.step(held_up_ms)
            bench.run(max(button.LET_GO_MS - held_up_ms - seen_ms, 0) + 500, 500)
            bench.inputs.button_down = False
            bench.run(50)
            assert bench.kinds(CANCEL) == []
            assert bench.told.count("raised") == 2


def test_a_let_go_that_may_have_come_too_late_while_the_loop_was_held_up_cancels_nothing():
    bench = settled()
    bench.press()
    bench.inputs.button_down = True
    bench.run(5000)
    bench.inputs.button_down = False
    bench.step(6000)
    bench.run(50)
    assert bench.kinds(CANCEL) == []
    assert bench.told.count("raised") == 2


def test_a_hold_cancels_no_alarm_whose_time_was_over_when_it_began():
    bench = settled()
    bench.press()
    bench.run(20000)
    bench.press()
    bench.run(11000)
    bench.press(held_ms=9000)
    new = [event for event in bench.stored if event.kind == "sos"][1]
    assert [event.of for event in bench.stored if event.type == CANCEL] == [(new.boot, new.seq)]


def test_an_alarm_that_is_closed_before_its_hold_is_let_go_makes_the_hold_an_alarm_of_its_own():
    bench = settled()
    bench.press()
    event = bench.sent[0][0]
    bench.command(message.ack(event.boot, event.seq))
    bench.inputs.button_down = True
    bench.run(5000)
    bench.command(message.handled(event.boot, event.seq))
    bench.inputs.button_down = False
    bench.run(50)
    assert bench.kinds(CANCEL) == []
    assert len({event.seq for event, _ in bench.sent if event.type == ALARM}) == 2


def test_a_second_short_press_is_another_alarm():
    bench = settled()
    bench.press()
    bench.press()
    assert len({event.seq for event, _ in bench.sent if event.type == ALARM}) == 2


def test_a_second_press_that_ends_while_the_loop_is_held_up_cancels_nothing():
    bench = settled()
    bench.press()
    bench.inputs.button_down = True
    bench.run(1000)
    bench.inputs.button_down = False
    bench.step(2500)
    bench.run(50)
    assert bench.kinds(CANCEL) == []
    assert len({event.seq for event, _ in bench.sent if event.type == ALARM}) == 2


def test_a_hold_whose_alarm_is_closed_meanwhile_is_an_alarm_of_its_own():
    bench = settled()
    bench.press()
    event = bench.sent[0][0]
    bench.command(message.ack(event.boot, event.seq))
    bench.inputs.button_down = True
    bench.run(1000)
    bench.command(message.handled(event.boot, event.seq))
    bench.run(3000)
    assert bench.kinds(CANCEL) == []
    assert len({event.seq for event, _ in bench.sent if event.type == ALARM}) == 2


def test_a_hold_that_begins_with_the_last_moment_of_the_cancel_window_is_never_nothing():
    for wait_ms in range(29700, 30100, 10):
        bench = settled()
        bench.answer = True
        bench.press()
        bench.run(wait_ms)
        bench.inputs.button_down = True
        bench.run(3200)
        bench.inputs.button_down = False
        bench.run(2000, 400)
        alarms = len({event.seq for event, _ in bench.sent if event.type == ALARM})
        assert (len(bench.kinds(CANCEL)), alarms) in ((1, 1), (0, 2))


def test_a_cancel_for_which_there_is_no_room_is_not_shown_as_one():
    bench = settled(link=link_watch.DOWN, cancel_s=120)
    for _ in range(outbox.MAX_ENTRIES):
        bench.device.trigger()
    bench.run(1000)
    bench.press(held_ms=3200)
    assert "cancelled" not in bench.told
    assert indicator.CANCELLED not in bench.patterns


def no_memory(*_):
    raise MemoryError


def finds_no_memory(bench, elapsed_ms=10):
    """Step once; tell whether that failed for want of memory."""
    try:
        bench.step(elapsed_ms)
    except MemoryError:
        # As the loop does: what came in with the step is gone.
        bench.inputs.commands.clear()
        bench.inputs.button_edge = False
        return True
    return False


def test_a_press_in_a_step_without_memory_is_one_alarm_once_there_is_some():
    bench = settled()
    add = bench.device.outbox.add
    bench.device.outbox.add = no_memory
    bench.inputs.button_down = True
    assert [finds_no_memory(bench) for _ in range(5)] == [False, True, True, True, True]
    bench.device.outbox.add = add
    bench.run(500)
    assert len({event.seq for event, _ in bench.sent if event.type == ALARM}) == 1


def test_a_press_that_found_no_memory_is_not_forgotten_over_another_event():
    bench = settled()
    add = bench.device.outbox.add
    bench.device.outbox.add = no_memory
    bench.inputs.button_down = True
    assert [finds_no_memory(bench) for _ in range(2)] == [False, True]
    bench.device.outbox.add = add
    bench.device.report("storage")
    bench.run(500)
    assert bench.kinds(ALARM) == ["sos"]


def test_what_comes_with_a_press_and_finds_no_memory_does_not_take_the_press_with_it():
    bench = settled()
    bench.device.outbox.acknowledge = no_memory
    bench.inputs.button_edge = True
    bench.inputs.commands.append(message.decode_command(message.ack(3, 0)))
    assert finds_no_memory(bench, 1000)
    bench.run(100)
    assert bench.kinds(ALARM) == ["sos"]


def test_many_alarms_that_nobody_acknowledges_all_go_out_again_and_again():
    bench = settled()
    for _ in range(40):
        bench.device.trigger()
    bench.run(30000)
    bench.sent.clear()
    # Each RECONNECT ends the connection; it is back after a second.
    for _ in range(60):
        before = bench.reconnects
        while bench.reconnects == before:
            bench.step()
        bench.inputs.link = link_watch.DOWN
        bench.run(1000)
        bench.inputs.link = link_watch.UP
        bench.run(50)
        if bench.device.up_s > 600:
            break
    attempts = {}
    for event, _ in bench.sent:
        attempts[event.seq] = attempts.get(event.seq, 0) + 1
    assert len(attempts) == 40
    assert min(attempts.values()) >= 4
    assert 2 <= bench.reconnects <= 10


def test_what_the_link_had_no_room_for_goes_out_soon_and_is_no_attempt():
    bench = settled()
    entry = bench.device.trigger() and bench.device.outbox.entries[0]
    bench.run(30)
    assert entry.attempts == 1
    bench.device.outbox.put_off(entry)
    bench.run(outbox.ROOM_MS)
    assert [attempt for _, attempt in bench.sent] == [1, 1]


def test_a_connection_that_comes_and_goes_is_not_made_anew_without_a_pause():
    bench = settled()
    bench.press()
    attempts = bench.connects
    for _ in range(600):
        bench.inputs.link = link_watch.DOWN
        before = bench.connects
        bench.run(100)
        if bench.connects != before:
            bench.inputs.link = link_watch.UP
            bench.run(50)
    assert bench.connects - attempts < 15


def test_holding_on_after_the_press_does_not_cancel_it():
    bench = settled()
    bench.press(held_ms=5000)
    assert bench.kinds(CANCEL) == []


def test_after_the_cancel_window_a_long_press_is_a_new_alarm_at_once():
    bench = settled()
    bench.press()
    bench.run(31000, 100)
    bench.sent.clear()
    bench.inputs.button_down = True
    bench.run(60)
    assert len({event.seq for event, attempt in bench.sent if event.type == ALARM and attempt == 1}) == 1


def test_a_button_held_from_the_start_raises_the_alarm_and_then_safe_mode():
    bench = Bench()
    bench.inputs.button_down = True
    bench.run(100)
    assert bench.kinds(ALARM) == ["sos"]
    assert not bench.device.safe
    bench.run(device.SAFE_HOLD_MS)
    assert bench.device.safe
    assert "safe" in bench.told


def test_a_long_hold_later_is_not_safe_mode():
    bench = settled()
    bench.press(held_ms=device.SAFE_HOLD_MS + 1000)
    assert not bench.device.safe


def test_a_stuck_button_is_a_fault_and_its_release_a_restore():
    bench = settled()
    bench.answer = True
    bench.press(held_ms=61000)
    assert bench.kinds(FAULT) == ["button_stuck"]
    bench.run(100)
    assert bench.kinds(RESTORE) == ["button_stuck"]


def test_the_first_heartbeat_comes_with_the_first_link_and_the_next_an_interval_after_the_start():
    bench = Bench(link=link_watch.DOWN)
    bench.answer = True
    bench.run(60000, 100)
    assert bench.kinds(HEARTBEAT) == []
    bench.inputs.link = link_watch.UP
    bench.run(1000)
    assert len(bench.kinds(HEARTBEAT)) == 1
    bench.run(3600000 - 61000 - 1000, 1000)
    assert len(bench.kinds(HEARTBEAT)) == 1
    bench.run(2000, 1000)
    assert len(bench.kinds(HEARTBEAT)) == 2


def test_the_receiver_sets_the_interval_and_it_is_kept():
    bench = settled()
    bench.command(message.set_heartbeat(1))
    assert bench.saved == [("heartbeat_min", 1)]
    bench.run(61000, 1000)
    assert len(bench.kinds(HEARTBEAT)) >= 1


def test_heartbeats_are_not_written_to_flash():
    bench = settled()
    bench.command(message.set_heartbeat(1))
    bench.run(600000, 1000)
    assert bench.stored == []


def test_a_refusal_is_a_fault_at_once_told_once_and_restored():
    bench = settled()
    bench.inputs.link = link_watch.DOWN
    bench.inputs.link_fault = "broker_refused"
    bench.run(60000, 100)
    assert [event.kind for event in bench.stored] == ["broker_refused"]
    bench.inputs.link = link_watch.UP
    bench.inputs.link_fault = ""
    bench.run(1000)
    assert bench.kinds(FAULT) == ["broker_refused"]
    assert bench.kinds(RESTORE) == ["link"]


def test_a_short_loss_of_the_link_is_no_fault():
    bench = settled()
    bench.inputs.link = link_watch.DOWN
    bench.inputs.link_fault = "link_lost"
    bench.run(10000, 100)
    bench.inputs.link = link_watch.UP
    bench.inputs.link_fault = ""
    bench.run(1000)
    assert bench.stored == []


def test_while_the_link_is_down_it_connects_again_and_again_and_faster_with_an_alarm():
    calm = settled(link=link_watch.DOWN)
    calm.run(600000, 100)
    urgent = settled(link=link_watch.DOWN)
    urgent.press()
    urgent.run(600000, 100)
    assert 10 <= calm.connects < urgent.connects
    assert urgent.connects >= 600000 // link_watch.URGENT_LIMIT_MS


def test_a_low_battery_is_told_once_and_well_again_once():
    bench = settled()
    bench.inputs.battery_mv = 3690
    bench.run(60000, 1000)
    bench.inputs.battery_mv = 3705
    bench.run(60000, 1000)
    assert bench.device.pattern == indicator.BATTERY_LOW
    bench.inputs.battery_mv = 3750
    bench.run(60000, 1000)
    assert [event.kind for event in bench.stored] == ["battery_low", "battery_low"]
    assert [event.type for event in bench.stored] == [FAULT, RESTORE]


def beats(bench):
    return [event.data for event, attempt in bench.sent if event.type == HEARTBEAT and attempt == 1]


def test_a_hub_that_loses_the_mains_says_so_and_how_rarely_it_will_be_heard():
    bench = settled(mains=True)
    bench.answer = True
    bench.inputs.supply = True
    bench.run(20000, 1000)
    bench.inputs.supply = False
    bench.run(supply.MAINS_MS - 1000, 1000)
    # Somebody moves its plug.
    bench.inputs.supply = True
    bench.run(1000, 1000)
    bench.inputs.supply = False
    bench.run(supply.MAINS_MS - 1000, 1000)
    assert bench.stored == [] and beats(bench) == []
    bench.run(2000, 1000)
    assert bench.kinds(FAULT) == ["mains_lost"]
    assert [data["interval_min"] for data in beats(bench)] == [240]
    bench.run(3 * 3600000, 60000)
    assert len(beats(bench)) == 1
    bench.inputs.supply = True
    bench.run(supply.BACK_MS + 1000, 1000)
    assert bench.kinds(RESTORE) == ["mains_lost"]
    assert [data["interval_min"] for data in beats(bench)] == [240, 60]
    assert [value for name, value in bench.saved if name == "told"][-1] == 0


def test_mains_that_come_and_go_are_one_loss():
    bench = settled(mains=True)
    bench.answer = True
    bench.inputs.supply = True
    bench.run(20000, 1000)
    for at in range(1000):
        bench.inputs.supply = at % 2 == 1
        bench.run((300, 4000, 15000, 45000)[at % 4], 100)
    assert bench.kinds(FAULT) == ["mains_lost"] and bench.kinds(RESTORE) == []
    assert len(beats(bench)) == 1 + 1000 * 16 // 60 // 240
    bench.inputs.supply = True
    bench.run(supply.BACK_MS + 1000, 1000)
    assert bench.kinds(RESTORE) == ["mains_lost"]


def test_an_interval_that_the_receiver_sets_while_the_mains_are_lost_counts_when_they_are_back():
    bench = settled(mains=True)
    bench.answer = True
    bench.run(20000, 1000)
    bench.command(message.set_heartbeat(15))
    assert bench.device.heartbeat.interval_min == 60
    bench.inputs.supply = True
    bench.run(supply.BACK_MS + 1000, 1000)
    assert beats(bench)[-1]["interval_min"] == 15


def test_a_device_that_can_not_see_the_mains_says_nothing_of_them():
    bench = settled()
    bench.run(60000, 1000)
    assert bench.stored == []


def test_what_was_published_in_the_flight_that_opens_the_link_is_not_sent_again_when_it_is_up():
    bench = settled(link=link_watch.DOWN)
    bench.press()
    bench.inputs.link = link_watch.OPEN
    bench.run(100)
    assert bench.kinds(ALARM) == ["sos"]
    bench.inputs.link = link_watch.UP
    bench.run(500)
    assert bench.kinds(ALARM) == ["sos"]
    # Refused after all: all of it goes out on the next link.
    bench.inputs.link = link_watch.DOWN
    bench.run(100)
    bench.inputs.link = link_watch.OPEN
    bench.run(100)
    assert bench.kinds(ALARM) == ["sos", "sos"]


def test_what_the_journal_kept_is_sent_after_a_restart():
    bench = Bench()
    bench.device.restore(Event(2, 5, ALARM, "sos"))
    bench.run(100)
    event = bench.sent[0][0]
    assert (event.boot, event.seq) == (2, 5)
    assert bench.device.pattern == indicator.FAILING
    bench.command(message.ack(2, 5))
    assert bench.device.pattern == indicator.ACKNOWLEDGED


def test_an_unprovisioned_device_keeps_its_alarms_and_never_connects():
    bench = Bench(provisioned=False, link=link_watch.DOWN)
    bench.press()
    bench.run(60000, 100)
    assert [event.kind for event in bench.stored] == ["sos"]
    assert bench.connects == 0


def test_an_operator_closing_the_alarm_is_shown():
    bench = settled()
    bench.press()
    event = bench.sent[0][0]
    bench.command(message.ack(event.boot, event.seq))
    bench.command(message.handled(event.boot, event.seq))
    assert bench.device.pattern == indicator.HANDLED
    assert bench.told[-1] == "handled"


def test_a_test_alarm_goes_the_whole_way():
    bench = settled()
    event = bench.device.trigger()
    bench.run(50)
    assert bench.kinds(ALARM) == ["test"]
    assert bench.stored == [event]


def test_ids_never_repeat():
    bench = settled()
    for _ in range(5):
        bench.press()
    bench.run(7200000, 1000)
    firsts = [(event.boot, event.seq) for event, attempt in bench.sent if attempt == 1]
    assert len(firsts) == len(set(firsts))


def test_a_step_without_news_allocates_nothing():
    try:
        from micropython import heap_lock, heap_unlock
    except ImportError:
        # CPython has no such lock; the same file runs on MicroPython, where it has.
        return
    bench = settled()
    machine, inputs = bench.device, bench.inputs
    heap_lock()
    for _ in range(500):
        machine.step(10, inputs)
    heap_unlock()


def test_a_button_that_chatters_for_days_is_a_fault_and_raises_two_alarms_a_minute():
    bench = settled()
    bench.device._allowance.left = 2
    for _ in range(50):
        bench.press(30)
    assert bench.told.count("raised") == 2
    assert [event.kind for event in bench.stored if event.type == FAULT] == ["button_chatter"]
    bench.run(30000)
    bench.press()
    assert bench.told.count("raised") == 3
    bench.run(3600000, 1000)
    assert [event.kind for event in bench.stored if event.type == RESTORE] == ["button_chatter"]
