"""From the press to the acknowledgement on the device."""

import pytest

from ansim.boards import load_board
from ansim.database import Database
from ansim.event import Event
from ansim.event_store import EventStore
from ansim_fw.core import message
from unit_under_test import PATIENCE_S, UnitUnderTest


def is_event(said: dict[str, object]) -> "object":
    return lambda event: (event.boot, event.seq) == (said["boot"], said["seq"])


def alarm_state(device: UnitUnderTest, event: Event) -> str:
    database = Database.open(device.sandbox.home.database_url)
    try:
        alarms = EventStore(database).alarms()
        return next(alarm.state for alarm in alarms if (alarm.device, alarm.boot, alarm.seq) == event.id)
    finally:
        database.close()


@pytest.mark.needs("press", "wifi")
def test_a_press_is_in_the_database_and_acknowledged_on_the_device(device: UnitUnderTest) -> None:
    device.press()
    raised = device.announced("raised", kind="sos")
    device.announced("acknowledged", boot=raised["boot"], seq=raised["seq"])
    device.announced("shown", pattern="acknowledged")
    heard = device.receives(is_event(raised), "alarm")
    assert (heard.event.type, heard.event.kind, heard.event.site) == ("alarm", "sos", "sandbox")
    assert heard.event.occurred_at is not None
    assert device.until_connected()["pending"] == 0


@pytest.mark.needs("press", "sense")
def test_a_press_is_seen_or_heard(device: UnitUnderTest) -> None:
    with device.control.sense(PATIENCE_S) as edges:
        device.press()
        assert any(edge.on for edge in edges), "neither light nor sound"


@pytest.mark.needs("press", "wifi")
def test_each_of_many_presses_is_one_row(armed: UnitUnderTest) -> None:
    before = len(armed.rows("sos"))
    for _ in range(10):
        armed.press(60)
        raised = armed.announced("raised", kind="sos")
        armed.announced("acknowledged", seq=raised["seq"])
    assert len(armed.rows("sos")) == before + 10


@pytest.mark.needs("press", "wifi")
def test_a_second_press_held_long_cancels(device: UnitUnderTest) -> None:
    device.press()
    raised = device.announced("raised", kind="sos")
    device.press(3300)
    device.announced("shown", pattern="let_go")
    device.announced("cancelled")
    cancel = device.receives(lambda event: event.of == (raised["boot"], raised["seq"]), "cancel")
    assert cancel.event.type == "cancel"
    alarm = device.receives(is_event(raised), "alarm").event
    assert alarm_state(device, alarm) == "cancelled"


@pytest.mark.needs("press", "wifi")
def test_a_body_on_the_button_cancels_nothing_and_calls_for_help(device: UnitUnderTest) -> None:
    device.press()
    first = device.announced("raised", kind="sos")
    device.control.button(True)
    device.announced("shown", pattern="let_go")
    second = device.announced("raised", kind="sos")
    device.control.button(False)
    device.receives(is_event(second), "call for help")
    alarm = device.receives(is_event(first), "alarm").event
    assert alarm_state(device, alarm) == "raised"
    assert not [heard for heard in device.sandbox.receiver.heard() if heard.event.of == (first["boot"], first["seq"])]


@pytest.mark.needs("press", "wifi")
def test_an_operator_closing_the_alarm_is_shown_on_the_device(device: UnitUnderTest, ansim: "object") -> None:
    device.press()
    raised = device.announced("raised", kind="sos")
    device.announced("acknowledged", seq=raised["seq"])
    ansim("alarms", "handle", device.name, str(raised["boot"]), str(raised["seq"]))
    device.announced("shown", pattern="handled")


@pytest.mark.needs("wifi")
def test_a_test_alarm_from_the_console_goes_the_whole_way(device: UnitUnderTest) -> None:
    triggered = device.console.request("trigger")
    heard = device.receives(is_event(triggered), "test alarm")
    assert heard.event.kind == "test"


@pytest.mark.needs("battery", "power", "wifi")
def test_the_first_message_after_a_start_is_a_heartbeat_that_says_how_the_device_is(device: UnitUnderTest) -> None:
    boot = device.info()["boot"]
    heard = device.receives(lambda event: event.boot == boot and event.type == "heartbeat", "heartbeat")
    assert heard.event.data is not None
    assert heard.event.data["fw"] == device.info()["version"]
    assert heard.event.data["reset"] == "power_on"
    assert abs(int(heard.event.data["battery_mv"]) - 3900) <= 50


@pytest.mark.needs("battery", "reset", "wifi")
def test_a_low_battery_is_a_fault(device: UnitUnderTest) -> None:
    device.control.battery(3350)
    device.control.reset()
    boot = device.until(lambda info: info["up_s"] < 5 and info["link"] == "up", "restarted")["boot"]
    device.receives(lambda event: event.boot == boot and event.kind == "battery_low", "fault")
    device.announced("shown", pattern="battery_low")


@pytest.mark.needs("power")
def test_the_heartbeat_interval_is_kept_over_a_restart(device: UnitUnderTest) -> None:
    device.configure(heartbeat_min=7)
    device.control.power(False)
    device.control.power(True)
    assert device.console.request("config", repeat=True)["heartbeat_min"] == 7
    device.configure(heartbeat_min=60)


@pytest.mark.needs("reset")
def test_each_start_has_a_number_of_its_own(device: UnitUnderTest) -> None:
    boots = [device.info()["boot"]]
    for _ in range(3):
        device.control.reset()
        boots.append(device.until(lambda info: info["boot"] != boots[-1], "restarted")["boot"])
    assert boots == sorted(set(boots))
    assert max(boots) < message.MAX_ID


@pytest.mark.needs("wifi")
def test_self_test_passes_and_says_what_it_measured(running: UnitUnderTest) -> None:
    result = running.console.request("selftest")
    assert result["passed"], result
    measured = {phase["name"]: phase["value"] for phase in result["phases"]}
    board = load_board(running.place.board_file)
    parts = {name for name, part in (("battery", board.battery), ("sensor", board.sensor)) if part}
    assert set(measured) == {"identity", "button_up", "storage", "heap", "wifi", "link"} | parts
    assert measured["identity"] == running.name


@pytest.mark.needs("press")
def test_self_test_notices_a_button_that_is_down(device: UnitUnderTest) -> None:
    device.control.button(True)
    result = device.console.request("selftest")
    assert not result["passed"]
    assert [phase["name"] for phase in result["phases"] if not phase["passed"]] == ["button_up"]
