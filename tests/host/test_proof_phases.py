"""What a proof measures, against what, and what the registry makes of it; the whole way: tests/hil/test_proof.py."""

import dataclasses
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from database_kit import database_url

from ansim.boards import board_names, load_board
from ansim.errors import BadInput
from ansim.home import Home
from ansim.nats_jwt import PublicPart
from ansim.proof import Limits, Phase, Proof, check_written, expected_of, parts, plan_for, record, told
from ansim.proof.rig import is_on
from ansim.registry import Identity, Registry

CREDENTIAL = PublicPart("UABC", "XYZ", datetime(2026, 1, 2, tzinfo=UTC))
MAC = "24:6f:28:00:00:01"
IDENTITY = Identity("AN000001", MAC, "virtual", "north", "hub", 2)
INFO: dict[str, Any] = {
    "device": "AN000001",
    "mac": MAC,
    "board": "virtual",
    "site": "north",
    "role": "hub",
    "build": "f00d",
    "boot": 3 << 19 | 5,
    "provisioned": True,
    "link": "up",
    "link_fault": "",
    "rssi_dbm": -58,
}
LIMITS = Limits(battery_mv=(3700, 4400), sensor="bma400", supply=True, outputs={})


def said_of(**changed: Any) -> dict[str, Any]:
    """Return what ``selftest`` says of a sound device, with the phases in changed as (passed, value)."""
    sound = {
        "storage": (True, ""),
        "heap": (True, 90_000),
        "sensor": (True, "bma400"),
        "battery": (True, 3900),
        "button_up": (True, ""),
    }
    named = (sound | changed).items()
    return {"phases": [{"name": name, "passed": passed, "value": value} for name, (passed, value) in named]}


def failed(phases: list[Phase]) -> dict[str, str]:
    assert all(phase.hint for phase in phases if phase.passed is False)
    return {phase.name: phase.value for phase in phases if phase.passed is False}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A registry with AN000001, whose flash was written and waits for its proof."""
    made = Registry.open(database_url("sqlite", tmp_path), "bench-1")
    made.enroll(MAC, board="virtual", site="north", role="hub")
    made.issue("AN000001", CREDENTIAL)
    made.record("AN000001", "flash", "written", {}, CREDENTIAL)
    return made


def proof(passed: bool = True) -> Proof:
    return Proof("AN000001", (Phase("wifi", passed, "-58 dBm"), Phase("alarm", passed)), "rig", ((3, 7),))


def test_a_device_is_who_it_is_expected_to_be_in_every_field() -> None:
    expected = expected_of(IDENTITY, 3, "f00d")
    assert parts.identity(INFO, expected).passed
    for name, wrong in {
        "device": "AN000002",
        "mac": "24:6f:28:00:00:02",
        "board": "esp32_devkit",
        "site": "south",
        "role": "pendant",
        "build": "beef",
        "boot": 2 << 19,
        "provisioned": False,
    }.items():
        phase = parts.identity(INFO | {name: wrong}, expected)
        assert phase.passed is False
        assert str(wrong)[:8] in phase.value or name in ("boot", "provisioned")
    assert "generation" in parts.identity(INFO | {"boot": 2 << 19}, expected).value


def test_a_build_that_nobody_knows_is_not_compared() -> None:
    assert parts.identity(INFO | {"build": "other"}, expected_of(IDENTITY, 3)).passed


@pytest.mark.parametrize("answer", [{}, {"boot": "many"}, {"device": 7, "boot": None, "site": ["x"] * 100}])
def test_a_device_that_answers_nonsense_is_nobody(answer: dict[str, Any]) -> None:
    phase = parts.identity(answer, expected_of(IDENTITY, 3))
    assert phase.passed is False
    assert len(phase.value) <= 200


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, {}),
        ({"storage": (False, "28")}, {"storage": "28"}),
        ({"heap": (True, 24_575)}, {"memory": "24575 bytes free"}),
        ({"sensor": (False, "sensor_absent")}, {"sensor": "sensor_absent"}),
        ({"sensor": (False, "bma400")}, {"sensor": "bma400 fails its own test"}),
        ({"sensor": (True, "lis2dw12")}, {"sensor": "lis2dw12"}),
        ({"battery": (True, 3699)}, {"battery": "3699 mV"}),
        ({"battery": (True, 4401)}, {"battery": "4401 mV"}),
        ({"battery": (True, "none")}, {"battery": "0 mV"}),
    ],
)
def test_each_part_has_its_limit(changed: dict[str, Any], expected: dict[str, str]) -> None:
    assert failed(parts.own_parts(said_of(**changed), LIMITS)) == expected


@pytest.mark.parametrize("answer", [{}, {"phases": None}, {"phases": 7}, {"phases": [7, {"name": ["x"]}]}])
def test_parts_of_which_a_device_says_nothing_fail(answer: dict[str, Any]) -> None:
    assert set(failed(parts.own_parts(answer, LIMITS))) == {"storage", "memory", "sensor", "battery"}
    assert not parts.button_is_up(answer)


def test_what_a_board_lacks_is_not_asked_for() -> None:
    bare = Limits(battery_mv=None, sensor="", supply=False, outputs={})
    phases = [*parts.own_parts(said_of(sensor=(True, "none"), battery=(True, "none")), bare), parts.supply({}, bare)]
    assert failed(phases) == {}
    assert [phase.value for phase in phases[2:]] == ["none on this board"] * 3


def test_a_network_is_joined_and_strong_enough() -> None:
    assert parts.wifi(INFO | {"rssi_dbm": -67}, LIMITS).passed
    assert parts.wifi(INFO | {"rssi_dbm": -68}, LIMITS).passed is False
    absent = parts.wifi(INFO | {"rssi_dbm": 0, "link_fault": "wifi_absent"}, LIMITS)
    assert (absent.passed, absent.value) == (False, "not joined (wifi_absent)")


def test_a_link_that_is_not_up_says_where_it_stands() -> None:
    assert parts.link(INFO, LIMITS).passed
    assert parts.link(INFO | {"link": "tls"}, LIMITS).value == "still at tls"
    assert parts.link(INFO | {"link": "tls", "link_fault": "tls_refused"}, LIMITS).value == "tls_refused"


@pytest.mark.parametrize("name", board_names())
def test_the_limits_of_each_board_are_those_of_its_parts(name: str, tmp_path: Path) -> None:
    board = load_board(name)
    plan = plan_for(board, "person", "/dev/ttyUSB0", Home(tmp_path))
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert (plan.limits.battery_mv is None) == (board.battery is None)
    if board.battery and plan.limits.battery_mv:
        # docs/protocol.md: battery_low ends at 20 %.
        assert plan.limits.battery_mv[0] == {percent: mv for mv, percent in board.battery.curve}[20]
    assert plan.limits.sensor == (board.sensor.part if board.sensor else "")
    assert set(plan.limits.outputs) == {each for each in ("led", "buzzer", "vibration") if getattr(board.pins, each)}


def test_a_rig_presses_only_on_the_virtual_board(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing presses"):
        plan_for(load_board("virtual"), "rig", "/dev/ttyUSB0", Home(tmp_path))


def test_a_rig_knows_levels_and_tones() -> None:
    assert is_on({"out": 0}, 0)
    assert not is_on({"out": 0}, 1)
    assert not is_on({}, 1)
    assert is_on({"duty_u16": 32768}, None)
    assert not is_on({"duty_u16": 0}, None)


def test_a_proof_passes_only_with_an_alarm_that_went_the_whole_way() -> None:
    sound = proof()
    assert sound.passed
    assert not proof(False).passed
    untried = dataclasses.replace(sound, phases=(sound.phases[0], Phase("alarm", None)))
    assert not untried.passed
    # Nobody pressed: it passes, and says so.
    alone = dataclasses.replace(sound, phases=(*sound.phases, Phase("button", None)), hands="none")
    assert alone.passed
    assert alone.as_dict()["phases"][-1] == {"name": "button", "passed": None}
    assert told.lines(alone.as_dict()) == ["pass  wifi      -58 dBm", "pass  alarm", "-     button    not tried"]


@pytest.mark.parametrize("details", [{}, {"phases": 7}, {"phases": [None, 7]}])
def test_an_entry_that_something_else_wrote_has_no_lines(details: dict[str, Any]) -> None:
    assert told.lines(details) == []


def test_a_written_device_is_ready_once_its_proof_passed_and_not_when_it_failed(registry: Registry) -> None:
    assert registry.get("AN000001").state == "unfinished"
    record(registry, proof(False))
    assert registry.get("AN000001").state == "unfinished"
    record(registry, proof())
    assert registry.get("AN000001").state == "ready"
    record(registry, proof(False))
    assert registry.get("AN000001").state == "unfinished"
    assert registry.verify().devices == 1
    registry.retire("AN000001", "in water")
    record(registry, proof())
    assert registry.get("AN000001").state == "retired"


def test_only_a_device_whose_last_write_came_to_its_end_may_be_proven(registry: Registry) -> None:
    identity = registry.get("AN000001")
    check_written(registry, identity)
    record(registry, proof())
    check_written(registry, identity)
    registry.issue("AN000001", CREDENTIAL)
    with pytest.raises(BadInput, match="did not come to its end"):
        check_written(registry, identity)
    registry.record("AN000001", "provision", "failed", {})
    with pytest.raises(BadInput, match="did not come to its end"):
        check_written(registry, identity)
    registry.record("AN000001", "provision", "passed", {}, CREDENTIAL)
    check_written(registry, identity)
    registry.retire("AN000001", "in water")
    registry.reinstate("AN000001", "dry")
    with pytest.raises(BadInput, match="did not come to its end"):
        check_written(registry, identity)
