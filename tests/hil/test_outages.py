"""What is taken away from a device comes back; the alarm is still there."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansim.broker import Broker
from ansim.sandbox import BackgroundReceiver, Sandbox
from unit_under_test import PATIENCE_S, UnitUnderTest


def raise_alarm(device: UnitUnderTest) -> tuple[int, int]:
    device.press()
    raised = device.announced("raised", kind="sos")
    return raised["boot"], raised["seq"]


def arrives_once(device: UnitUnderTest, alarm: tuple[int, int]) -> None:
    device.receives(lambda event: (event.boot, event.seq) == alarm, f"alarm {alarm}")
    assert [event.id for event in device.rows("sos")].count((device.name, *alarm)) == 1


def test_an_alarm_without_wifi_is_shown_as_failing_and_arrives_once_it_is_back(device: UnitUnderTest) -> None:
    device.control.wifi(False)
    alarm = raise_alarm(device)
    device.announced("shown", pattern="failing")
    assert device.info()["pending"] >= 1
    device.control.wifi(True)
    arrives_once(device, alarm)
    device.announced("acknowledged", seq=alarm[1])


def test_an_alarm_survives_a_power_cut(device: UnitUnderTest) -> None:
    device.control.wifi(False)
    alarm = raise_alarm(device)
    device.announced("journalled", seq=alarm[1])
    device.control.power(False)
    device.control.wifi(True)
    device.control.power(True)
    arrives_once(device, alarm)
    heard = device.receives(lambda event: (event.boot, event.seq) == alarm, "alarm").event
    assert heard.occurred_at is None, "a device without a clock can't know how long it was off"
    assert device.until_connected()["boot"] > alarm[0]


def test_an_alarm_waits_for_a_broker_that_is_down(device: UnitUnderTest) -> None:
    broker = device.sandbox.broker
    broker.stop()
    try:
        alarm = raise_alarm(device)
        device.until(lambda info: info["link"] != "up", "disconnected")
    finally:
        broker.start()
    arrives_once(device, alarm)


@pytest.fixture
def unheard(tmp_path: Path) -> Iterator[UnitUnderTest]:
    """A device of a fleet whose broker runs, and whose receiver was never started."""
    sandbox = Sandbox(tmp_path)
    sandbox.make_fleet()
    with Broker(sandbox.home, mqtt_port=0, client_port=0):
        board = sandbox.start_board()
        unit = UnitUnderTest(sandbox, board)
        try:
            unit.flash()
            unit.connect()
            yield unit
        finally:
            unit.close()
            sandbox.stop_board(board)


def test_an_alarm_that_the_broker_took_is_sent_again_until_a_receiver_has_it(unheard: UnitUnderTest) -> None:
    alarm = raise_alarm(unheard)
    for _ in range(3):
        unheard.announced("sent", seq=alarm[1])
    with BackgroundReceiver(unheard.sandbox.home) as receiver:
        heard = receiver.wait_for(lambda event: (event.boot, event.seq) == alarm, PATIENCE_S)
        assert heard is not None and heard.event.attempt > 3
        unheard.announced("acknowledged", seq=alarm[1])


def test_a_reset_by_the_watchdog_is_reported(device: UnitUnderTest, enter_repl: "object") -> None:
    repl = enter_repl(device)
    repl("exec", "--no-follow", "from machine import WDT; WDT(timeout=1000)")
    device.connect()
    info = device.until(lambda info: info["link"] == "up", "restarted")
    assert info["reset"] == "watchdog"
    device.receives(lambda event: event.boot == info["boot"] and event.kind == "watchdog", "fault")


ON_DUTY = """
from ansim_fw import start
from ansim_fw.board_data import BOARD
from ansim_fw.hal import pins, watchdog

def no_memory(*_):
    raise MemoryError

duty = start.duty(pins.ButtonPin(BOARD["button"]), watchdog.Watchdog())
"""
WITHOUT_MEMORY_TO_STORE = """
duty._journal.store = no_memory
duty.device.trigger()
while duty.device.outbox.entries or not duty.device.up_s:
    try:
        duty.cycle()
    except MemoryError:
        pass
"""


def test_an_alarm_that_there_is_no_memory_to_store_arrives_and_a_fault_says_so(
    device: UnitUnderTest, enter_repl: Callable[[UnitUnderTest], Callable[..., str]]
) -> None:
    repl = enter_repl(device)
    last_boot = device.rows("sos")[-1].boot
    repl("exec", ON_DUTY + WITHOUT_MEMORY_TO_STORE)
    for kind in ("test", "journal"):
        device.receives(lambda event, kind=kind: event.boot > last_boot and event.kind == kind, kind)


WITHOUT_MEMORY_TO_TELL = """
def cycle():
    duty._leave = cycles.pop(0)
    raise MemoryError

def announce(what, about=None):
    if what == "error":
        raise MemoryError

cycles = [False, False, True]
duty.cycle = cycle
duty.announce = announce
try:
    duty.run()
except MemoryError:
    pass
print("left", cycles)
"""


def test_an_error_that_there_is_no_memory_to_tell_does_not_end_the_duty(
    device: UnitUnderTest, enter_repl: Callable[[UnitUnderTest], Callable[..., str]]
) -> None:
    assert "left []" in enter_repl(device)("exec", ON_DUTY + WITHOUT_MEMORY_TO_TELL)


@pytest.mark.parametrize("presses", [3])
def test_presses_before_the_network_is_there_all_arrive(device: UnitUnderTest, presses: int) -> None:
    device.configure(cancel_s=0)
    device.control.wifi(False)
    alarms = [raise_alarm(device) for _ in range(presses)]
    device.control.wifi(True)
    for alarm in alarms:
        arrives_once(device, alarm)
    device.configure(cancel_s=30)


def test_a_button_held_from_power_on_raises_the_alarm_and_enters_safe_mode(device: UnitUnderTest) -> None:
    device.control.power(False)
    device.control.button(True)
    device.control.power(True)
    raised = device.announced("raised", kind="sos")
    device.announced("safe")
    device.control.button(False)
    arrives_once(device, (raised["boot"], raised["seq"]))
    assert device.info()["mode"] == "safe"
