"""What is taken away from a device comes back; the alarm is still there."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansim.broker import Broker
from ansim.sandbox import BackgroundReceiver, Sandbox
from unit_under_test import PATIENCE_S, UnitUnderTest


def raise_alarm(device: UnitUnderTest) -> tuple[int, int]:
    # Before it answers, a device that was just switched on may not listen to its button yet.
    device.info()
    device.press()
    raised = device.announced("raised", kind="sos")
    return raised["boot"], raised["seq"]


def arrives_once(device: UnitUnderTest, alarm: tuple[int, int]) -> None:
    device.receives(lambda event: (event.boot, event.seq) == alarm, f"alarm {alarm}")
    assert [event.id for event in device.rows("sos")].count((device.name, *alarm)) == 1


@pytest.mark.needs("press", "radio", "wifi")
def test_an_alarm_without_wifi_is_shown_as_failing_and_arrives_once_it_is_back(device: UnitUnderTest) -> None:
    device.control.wifi(False)
    alarm = raise_alarm(device)
    device.announced("shown", pattern="failing")
    assert device.info()["pending"] >= 1
    device.control.wifi(True)
    arrives_once(device, alarm)
    device.announced("acknowledged", seq=alarm[1])


@pytest.mark.needs("power", "press", "radio", "wifi")
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


@pytest.mark.needs("press", "wifi")
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
        unit = UnitUnderTest.on(sandbox, sandbox.start_board())
        try:
            unit.flash()
            unit.connect()
            yield unit
        finally:
            unit.close()


@pytest.mark.needs("boards", "flash", "press", "wifi")
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
import gc
# As main.py does: what is loaded lies side by side.
gc.threshold(16384)
from ansim_fw import start
from ansim_fw.board_data import BOARD
from ansim_fw.hal import watchdog
from ansim_fw.hal.button import ButtonPin

def no_memory(*_):
    raise MemoryError

duty = start.duty(ButtonPin(BOARD["button"]), watchdog.Watchdog(), None)
cycle = duty.cycle

def run(until):
    # It is run() that looks for memory where a cycle has found none.
    def once():
        duty.leave = until()
        if not duty.leave:
            cycle()

    duty.cycle = once
    duty.run()
"""
WITHOUT_MEMORY_TO_STORE = """
from ansim_fw.hal.link import STATE_NAMES

def poll(elapsed_ms):
    # So often that the device would start anew, if the alarm were on flash.
    if len(lacks) < 9:
        lacks.append(1)
        no_memory()
    connects(elapsed_ms)

def feed(_):
    if len(lacks) == 9:
        fed.add(STATE_NAMES[duty.link.state])

lacks = []
fed = set()
watchdog.Watchdog.feed = feed
connects = duty.link.poll
duty.link.poll = poll
duty.journal.store = no_memory
duty.device.trigger()
run(lambda: duty.device.up_s and not duty.device.outbox.entries)
print("fed on the way", "tls" in fed)
"""


def test_an_alarm_that_there_is_no_memory_to_store_arrives_before_a_new_start_and_a_fault_says_so(
    device: UnitUnderTest, enter_repl: Callable[[UnitUnderTest], Callable[..., str]]
) -> None:
    repl = enter_repl(device)
    last_boot = device.rows("sos")[-1].boot
    assert "fed on the way True" in repl("exec", ON_DUTY + WITHOUT_MEMORY_TO_STORE)
    for kind in ("test", "journal"):
        device.receives(lambda event, kind=kind: event.boot > last_boot and event.kind == kind, kind)


WITHOUT_MEMORY_TO_TELL = """
import sys

def cycle():
    duty.leave = cycles.pop(0)
    raise MemoryError

def announce(what, about=None):
    if what == "error":
        raise MemoryError

cycles = [False, False, True]
duty.cycle = cycle
duty.announce = announce
# Giving memory back fails, too: no name of a module.
sys.modules[0] = duty.motion = None
duty.open_motion = no_memory
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


WITHOUT_MEMORY_TO_CONNECT = """
from ansim_fw.hal.link import STATE_NAMES

def poll(elapsed_ms):
    if duty.motion is not None and STATE_NAMES[duty.link.state] == "tcp":
        no_memory()
    connects(elapsed_ms)

connects = duty.link.poll
duty.link.poll = poll
duty.device.trigger()

def is_watching_again():
    if duty.device.outbox.entries or not duty.device.up_s:
        return False
    duty.link.poll = connects
    duty.wait_ms = 0
    return duty.motion is not None and not duty.motion.busy

run(is_watching_again)
print("watches", duty.motion.listens, duty.motion.fault)
"""


def test_falls_give_their_memory_to_an_alarm_that_has_none_to_connect_and_are_told_again_after_it(
    device: UnitUnderTest, enter_repl: Callable[[UnitUnderTest], Callable[..., str]]
) -> None:
    repl = enter_repl(device)
    last_boot = device.rows("sos")[-1].boot
    assert "watches True \n" in repl("exec", ON_DUTY + WITHOUT_MEMORY_TO_CONNECT).replace("\r", "")
    device.receives(lambda event: event.boot > last_boot and event.kind == "test", "test")


WITH_FALLS_TO_COME = """
duty.motion = None
duty.open_motion = no_memory
duty.wait_ms = 5000
duty.link.poll = no_memory
cycles = [False, True]
run(lambda: cycles.pop(0))
print("waits", duty.open_motion is duty.reopen_motion, duty.wait_ms > 5000)
"""


def test_falls_that_are_not_told_yet_give_their_memory_to_a_connection_that_has_none(
    device: UnitUnderTest, enter_repl: Callable[[UnitUnderTest], Callable[..., str]]
) -> None:
    assert "waits True True" in enter_repl(device)("exec", ON_DUTY + WITH_FALLS_TO_COME)


WITHOUT_MEMORY_FOR_FALLS = """
from ansim_fw.hal.link import STATE_NAMES

def opens():
    tries.append(duty.inputs.radio)
    no_memory()

tries = []
while STATE_NAMES[duty.link.state] != "up":
    duty.cycle()
# The radio was on before.
duty.link.wifi.on = True
duty.motion = None
duty.open_motion = opens
duty.wait_ms = 0
for _ in range(50):
    duty.cycle()
print("tries", tries, repr(duty.inputs.sensor_fault))
"""


def test_falls_that_have_no_memory_beside_a_connection_wait_for_it_before_they_are_a_fault(
    device: UnitUnderTest, enter_repl: Callable[[UnitUnderTest], Callable[..., str]]
) -> None:
    assert "tries [True] ''" in enter_repl(device)("exec", ON_DUTY + WITHOUT_MEMORY_FOR_FALLS)


WITH_A_COMMAND = """
class Sleeper:
    def sleep_ms(self, inputs):
        knows.append(len(inputs.commands))
        return 0

def poll(elapsed_ms):
    connects(elapsed_ms)
    if not duty.announcements and not sent:
        sent.append({"cmd": "identify"})
        duty.link.commands.extend(sent)

knows = []
sent = []
connects = duty.link.poll
duty.link.poll = poll
while not sent:
    knows.clear()
    duty.sleeper = None if duty.announcements else Sleeper()
    duty.cycle()
print("knows", knows)
"""


def test_a_command_that_comes_right_before_a_sleep_is_known_to_whoever_decides(
    device: UnitUnderTest, enter_repl: Callable[[UnitUnderTest], Callable[..., str]]
) -> None:
    assert "knows [1]" in enter_repl(device)("exec", ON_DUTY + WITH_A_COMMAND)


@pytest.mark.needs("press", "radio", "wifi")
@pytest.mark.parametrize("presses", [3])
def test_presses_before_the_network_is_there_all_arrive(armed: UnitUnderTest, presses: int) -> None:
    armed.control.wifi(False)
    alarms = [raise_alarm(armed) for _ in range(presses)]
    armed.control.wifi(True)
    for alarm in alarms:
        arrives_once(armed, alarm)


@pytest.mark.needs("power", "press", "wifi")
def test_a_button_held_from_power_on_raises_the_alarm_and_enters_safe_mode(device: UnitUnderTest) -> None:
    device.control.power(False)
    device.control.button(True)
    device.control.power(True)
    raised = device.announced("raised", kind="sos")
    device.announced("safe")
    device.control.button(False)
    arrives_once(device, (raised["boot"], raised["seq"]))
    assert device.info()["mode"] == "safe"
