"""A motion sensor that fails: the receiver hears of it within a minute, of its end, too, and the button works."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansim.boards import boards_folder
from ansim.event import Event
from ansim.sandbox import Sandbox
from movements import fall, walking
from unit_under_test import UnitUnderTest

pytestmark = pytest.mark.needs("boards", "flash", "motion", "power", "press", "sensor", "speed", "wifi")

SPEED = 12
MINUTE_MS = 60_000
# So many have faults at once: what takes long is waiting.
DEVICES = 5
MOST_FALLS = 5
# After the last sample of a fall, in the device's time.
DECIDED_S = 20
# What is wrong with the part, and what the device makes of it.
FAULTS = {
    "silent": "sensor_absent",
    "wrong_id": "sensor_wrong",
    "bus_errors": "sensor_bus",
    "stalled": "sensor_silent",
    "stuck_x": "sensor_stuck",
    "stuck_y": "sensor_stuck",
    "stuck_z": "sensor_stuck",
    "saturated_x": "sensor_saturated",
    "saturated_z": "sensor_saturated",
}
# The same, noticed only when the wearer moves.
UNWIRED = {"unwired": "sensor_unwired"}


@pytest.fixture(scope="module")
def fast(sandbox: Sandbox) -> Iterator[UnitUnderTest]:
    """A device whose time runs fast."""
    unit = UnitUnderTest.on(sandbox, sandbox.start_board("sensor-faults", speed=SPEED))
    try:
        unit.flash()
        yield unit
    finally:
        unit.close()


@pytest.fixture
def device(fast: UnitUnderTest) -> Iterator[UnitUnderTest]:
    """The fast device, freshly switched on, connected, its sensor at work."""
    fast.control.sensor_fault("none")
    fast.control.still()
    fast.start_afresh()
    fast.until(lambda info: info["fall"]["state"] == "ok", "watching")
    yield fast
    fast.control.sensor_fault("none")


def now_ms(device: UnitUnderTest) -> int:
    """Return the device's own time, as its announcements tell it."""
    device.console.request("trigger")
    return int(device.announced("raised")["ms"])


def receives(device: UnitUnderTest, boot: int, type_name: str, kind: str) -> Event:
    def wanted(event: Event) -> bool:
        return (event.boot, event.type, event.kind) == (boot, type_name, kind)

    return device.receives(wanted, f"{type_name} {kind}").event


def test_a_sensor_fault_is_told_within_a_minute_and_so_is_its_end_and_the_button_works(
    several: Callable[..., list[UnitUnderTest]],
) -> None:
    devices = several(DEVICES, speed=SPEED)
    for device in devices:
        device.connect()
        device.until_connected()
        device.until(lambda info: info["fall"]["state"] == "ok", "watching")
        device.configure(cancel_s=0)
    for first in range(0, len(FAULTS), DEVICES):
        faulty = dict(zip(list(FAULTS)[first : first + DEVICES], devices, strict=False))
        began_ms = {fault: change(device, fault) for fault, device in faulty.items()}
        for fault, device in faulty.items():
            is_told(device, "fault", fault, began_ms[fault])
            assert device.info()["fall"]["state"] == FAULTS[fault]
            device.press()
            raised = device.announced("raised", kind="sos")
            device.announced("acknowledged", seq=raised["seq"])
        ended_ms = {fault: change(device, "none") for fault, device in faulty.items()}
        for fault, device in faulty.items():
            is_told(device, "restore", fault, ended_ms[fault])
            assert device.info()["fall"]["state"] == "ok"


def test_an_interrupt_that_does_not_arrive_is_told_and_falls_are_told_all_the_same(device: UnitUnderTest) -> None:
    moving = walking()
    device.control.play(moving.samples, moving.rate_hz, repeat=True)
    began_ms = change(device, "unwired")
    is_told(device, "fault", "unwired", began_ms)
    falls(device)
    device.control.play(moving.samples, moving.rate_hz, repeat=True)
    is_told(device, "restore", "unwired", change(device, "none"))


def falls(device: UnitUnderTest) -> None:
    """Let the wearer fall until it is told; again only if samples were lost meanwhile.

    A sensor keeps less than a second, and no wire tells when to read it: a machine that stands still for some tens of
    milliseconds makes a gap in a movement that is played so fast.
    """
    down = fall()
    for _ in range(MOST_FALLS):
        before = device.info()
        device.control.play(down.samples, down.rate_hz)
        told_s = before["up_s"] + len(down.samples) // 3 / down.rate_hz + DECIDED_S
        while (now := device.info())["fall"]["fall"] == before["fall"]["fall"] and now["up_s"] < told_s:
            time.sleep(0.02)
        if now["fall"]["fall"] > before["fall"]["fall"]:
            device.announced("prealarm", kind="fall")
            return
        assert now["fall"]["gaps"] > before["fall"]["gaps"], f"a fall without a gap is not told: {now}"
    raise AssertionError(f"{MOST_FALLS} falls, each with a gap, and none is told")


def change(device: UnitUnderTest, fault: str) -> int:
    """Let the sensor have that fault from now on; return when that is, in ms of the device's time."""
    changed_ms = now_ms(device)
    device.control.sensor_fault(fault)
    return changed_ms


def is_told(device: UnitUnderTest, type_name: str, fault: str, since_ms: int) -> None:
    """Wait until the receiver has heard that a fault began or ended, which must be within a minute."""
    kind = (FAULTS | UNWIRED)[fault]
    told = device.announced("journalled", kind=kind)
    # What shows a fault may be in samples that were lost, as in falls(): then it shows the next time.
    gaps = device.info()["fall"].get("gaps", 0)
    assert told["ms"] - since_ms < (2 if gaps else 1) * MINUTE_MS, f"{fault}: too late"
    receives(device, told["boot"], type_name, kind)


def test_a_still_sensor_whose_noise_is_less_than_a_step_is_no_fault(device: UnitUnderTest) -> None:
    device.control.sensor_errors(noise_mg=0.5)
    try:
        boot = device.info()["boot"]
        until_s = device.info()["up_s"] + 2 * MINUTE_MS // 1000
        while (info := device.info())["up_s"] < until_s:
            assert info["fall"]["state"] == "ok"
        assert [event for event in device.rows("sensor_stuck") if event.boot == boot] == []
    finally:
        device.control.sensor_errors(noise_mg=1.3)


def test_a_sensor_that_is_not_there_when_the_device_starts_is_told_and_used_once_it_is(device: UnitUnderTest) -> None:
    device.control.power(False)
    device.control.sensor_fault("silent")
    device.control.power(True)
    device.announced("journalled", kind="sensor_absent")
    device.control.sensor_fault("none")
    device.until(lambda info: info["fall"]["state"] == "ok", "watching")


def test_a_stuck_sensor_is_told_where_its_interrupt_is_not_wired(sandbox: Sandbox, tmp_path: Path) -> None:
    text = (boards_folder() / "virtual.toml").read_text(encoding="utf-8")
    board = tmp_path / "unwired.toml"
    board.write_text(text.replace('name = "virtual"', 'name = "unwired"').replace("interrupt = 34\n", ""))
    unit = UnitUnderTest.on(sandbox, sandbox.start_board("unwired", board=str(board), speed=SPEED), str(board))
    try:
        unit.flash()
        unit.connect()
        unit.until(lambda info: info["fall"]["state"] == "ok", "watching")
        began_ms = now_ms(unit)
        unit.control.sensor_fault("stuck_x")
        assert unit.announced("journalled", kind="sensor_stuck")["ms"] - began_ms < MINUTE_MS
    finally:
        unit.close()


def test_without_a_sound_model_the_device_says_so_and_its_button_works(
    several: Callable[..., list[UnitUnderTest]], enter_repl: Callable[[UnitUnderTest], Callable[..., str]]
) -> None:
    device = several(1, speed=SPEED)[0]
    device.connect()
    spoil = "with open(path, 'r+b') as file:\n    file.write(b'X')"
    for damage in (spoil, "open(path, 'wb').close()", "os.remove(path)"):
        enter_repl(device)("exec", f"import os\npath = '/fall_waist.bin'\n{damage}")
        device.start_afresh()
        boot = device.info()["boot"]
        receives(device, boot, "fault", "fall_model")
        assert device.info()["fall"]["state"] == "fall_model"
        device.press()
        raised = device.announced("raised", kind="sos")
        device.announced("acknowledged", seq=raised["seq"])


def test_who_switches_falls_off_has_no_faults_of_the_sensor_either(device: UnitUnderTest) -> None:
    device.control.sensor_fault("silent")
    device.announced("journalled", kind="sensor_absent")
    device.configure(fall=0)
    try:
        device.announced("journalled", kind="sensor_absent")
        assert device.info()["fall"]["state"] == "off"
    finally:
        device.configure(fall=1)


def test_the_self_test_names_a_sensor_that_fails(device: UnitUnderTest) -> None:
    def phase() -> dict[str, object]:
        result = device.console.request("selftest", timeout_s=10, again=True)
        return next(each for each in result["phases"] if each["name"] == "sensor")

    assert phase() == {"name": "sensor", "passed": True, "value": "lis2dw12"}
    device.control.sensor_fault("stuck_y")
    assert phase()["passed"] is False
    device.control.sensor_fault("silent")
    assert phase()["passed"] is False
