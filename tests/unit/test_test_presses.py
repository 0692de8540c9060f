"""Presses that are tests because the console said so: never one that was meant."""

from sleeper_kit import ASLEEP, Pendant

from ansim_fw.core import button, indicator, link_watch, message, outbox
from ansim_fw.core.event import ALARM, CANCEL, Event
from bench_device import Bench

WINDOW_MS = 5000


def settled(**kwargs):
    """A device some seconds after its start, with its first heartbeat sent and acknowledged."""
    bench = Bench(**kwargs)
    bench.answer = True
    bench.run(2000)
    bench.sent.clear()
    bench.answer = False
    return bench


def awaiting(**kwargs):
    bench = settled(**kwargs)
    assert bench.device.await_tests(WINDOW_MS)
    return bench


def alarms(bench):
    return [event.kind for event in bench.stored if event.type == ALARM]


def acknowledge(bench, at):
    event = [event for event in bench.stored if event.type == ALARM][at]
    bench.command(message.ack(event.boot, event.seq))
    return event


def test_a_press_that_is_awaited_is_a_test_and_goes_the_whole_way():
    bench = awaiting()
    bench.press()
    assert alarms(bench) == bench.kinds(ALARM) == ["test"]
    acknowledge(bench, 0)
    assert bench.device.pattern == indicator.ACKNOWLEDGED
    assert bench.told[-1] == "acknowledged"


def test_each_press_that_is_awaited_is_a_test_of_its_own():
    bench = awaiting()
    for _ in range(3):
        bench.press()
    assert alarms(bench) == ["test"] * 3
    assert bench.kinds(CANCEL) == []


def test_whoever_presses_when_the_time_is_over_calls_for_help():
    bench = awaiting()
    bench.run(WINDOW_MS)
    bench.press()
    assert alarms(bench) == ["sos"]


def test_a_press_counts_by_when_it_is_seen_even_if_the_loop_was_held_up():
    bench = awaiting()
    bench.inputs.button_edge = True
    bench.step(WINDOW_MS + 1)
    bench.run(100)
    assert alarms(bench) == ["sos"]


def test_the_window_that_is_closed_lets_the_next_press_call_for_help():
    bench = awaiting()
    assert bench.device.await_tests(0)
    bench.press()
    assert alarms(bench) == ["sos"]


def test_a_press_right_after_a_test_calls_for_help_at_once_and_does_not_wait_to_be_let_go():
    bench = awaiting()
    bench.press()
    bench.device.await_tests(0)
    bench.inputs.button_down = True
    bench.run(2 * button.DEBOUNCE_MS)
    assert alarms(bench) == ["test", "sos"]
    bench.run(button.HOLD_MS + 500)
    bench.inputs.button_down = False
    bench.run(50)
    assert bench.kinds(CANCEL) == []


def test_a_press_that_is_held_is_a_call_for_help_though_a_test_was_awaited():
    bench = awaiting()
    bench.inputs.button_down = True
    bench.run(button.HOLD_MS + 2 * button.DEBOUNCE_MS)
    assert alarms(bench) == ["test", "sos"]
    bench.inputs.button_down = False
    bench.run(button.LET_GO_MS)
    assert alarms(bench) == ["test", "sos"]
    bench.press()
    assert alarms(bench)[2:] == ["sos"]


def test_a_press_before_the_window_is_a_call_for_help_and_no_window_opens_while_it_is_open():
    bench = settled()
    bench.press()
    assert not bench.device.await_tests(WINDOW_MS)
    event = acknowledge(bench, 0)
    bench.run(60000, 100)
    # Nobody has closed it yet.
    assert not bench.device.await_tests(WINDOW_MS)
    bench.command(message.handled(event.boot, event.seq))
    assert bench.device.await_tests(WINDOW_MS)


def test_an_alarm_of_before_a_restart_keeps_the_window_closed():
    bench = Bench(link=link_watch.DOWN, cancel_s=0)
    bench.device.restore(Event(2, 0, ALARM, "sos"))
    bench.run(1000)
    assert not bench.device.await_tests(WINDOW_MS)


def test_a_test_that_waits_for_its_receiver_does_not_keep_the_window_closed():
    bench = awaiting(link=link_watch.DOWN)
    bench.press()
    bench.run(2000)
    assert bench.device.await_tests(WINDOW_MS)


def test_a_fall_ends_the_window_and_a_press_in_its_pre_alarm_is_meant():
    bench = awaiting()
    bench.fall()
    bench.press()
    assert alarms(bench) == ["fall", "sos"]
    assert not bench.device.await_tests(WINDOW_MS)


def test_a_press_in_the_moment_of_a_fall_is_meant():
    bench = awaiting()
    bench.inputs.fall = bench.inputs.button_edge = True
    bench.step(1000)
    bench.run(100)
    assert sorted(alarms(bench)) == ["fall", "sos"]


def test_a_test_for_which_there_is_no_memory_becomes_a_call_for_help():
    bench = awaiting()
    add, failed = bench.device.outbox.add, []

    def add_later(*arguments):
        if not failed:
            failed.append(True)
            raise MemoryError
        return add(*arguments)

    bench.device.outbox.add = add_later
    bench.inputs.button_edge = True
    try:
        bench.step(1000)
        raise AssertionError("there was memory")
    except MemoryError:
        bench.inputs.button_edge = False
    bench.run(100)
    assert alarms(bench) == ["sos"]


def test_a_test_for_which_there_is_no_room_is_told_as_one():
    bench = awaiting(link=link_watch.DOWN)
    for _ in range(outbox.MAX_ENTRIES):
        bench.device.trigger()
    bench.press()
    assert "full" in bench.told
    assert len(bench.device.outbox.entries) == outbox.MAX_ENTRIES


def test_who_is_to_press_is_shown_until_the_time_is_over():
    bench = awaiting()
    bench.run(100)
    assert bench.device.pattern == indicator.IDENTIFY
    bench.run(WINDOW_MS)
    assert bench.device.pattern == indicator.READY


def test_a_device_that_awaits_tests_connects_at_once():
    calm, asked = settled(), settled()
    for bench in (calm, asked):
        bench.device.configure("spread_s", 300)
        bench.inputs.link = link_watch.DOWN
    assert asked.device.await_tests(WINDOW_MS)
    for bench in (calm, asked):
        bench.run(500)
    assert (calm.connects, asked.connects) == (0, 1)


def test_a_press_that_ends_a_sleep_is_meant():
    one = Pendant(spread_s=0)
    one.start()
    assert one.core.await_tests(WINDOW_MS)
    one.press()
    assert [event.kind for event in one.stored if event.type == ALARM] == ["test"]
    one.live(10 * 60000)
    assert one.state == ASLEEP
    one.press()
    assert [event.kind for event in one.stored if event.type == ALARM] == ["test", "sos"]


def test_a_test_that_was_acknowledged_before_a_sleep_does_not_keep_the_window_closed():
    one = Pendant(spread_s=0, heartbeat_min=10)
    one.start()
    one.core.await_tests(WINDOW_MS)
    one.press()
    one.live(60000)
    assert one.state == ASLEEP
    while one.state == ASLEEP:
        one.live(1000)
    assert one.core.await_tests(WINDOW_MS)
