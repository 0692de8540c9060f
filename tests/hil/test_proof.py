"""The proof before the label, on whole devices: it passes, or it says what failed and what to try."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ansim.boards import load_board
from ansim.client import Deadline
from ansim.database import Database
from ansim.event_store import EventStore
from ansim.proof import PHASES, Hands, Phase, Proof, ProofPlan, Step, expected_of, plan_for, prove
from ansim.proof.advice import ADVICE
from ansim.registry import Registry
from ansim.sandbox import WIFI
from ansim.serial_link import PortBusy
from unit_under_test import PATIENCE_S, UnitUnderTest

Technician = Callable[[Step], None]
# A press takes 0.2 s; the window is open for 5 s.
_MOST_TESTS = 60


@pytest.fixture
def bench(device: UnitUnderTest) -> "Bench":
    return Bench(device)


class Bench:
    """A device, and the technician who proves it."""

    def __init__(self, device: UnitUnderTest) -> None:
        self.device = device
        with Registry.open(device.sandbox.home.database_url) as registry:
            identity = registry.get(device.name)
        self.expected = expected_of(identity, identity.generation)
        self.asked: list[str] = []

    def plan(self, hands: Hands, expected: dict[str, Any] | None = None, **limits: Any) -> ProofPlan:
        plan = plan_for(load_board(self.device.place.board_file), hands, self.device.url, self.device.sandbox.home)
        return replace(plan, expected=expected or self.expected, limits=replace(plan.limits, **limits))

    def prove(self, hands: Hands = "rig", technician: Technician = lambda _: None, **changes: Any) -> Proof:
        """Prove it, with a technician who does what is asked."""

        def say(step: Step) -> None:
            self.asked.append(step.ask or step.phase)
            technician(step)

        return prove(self.device.console, self.plan(hands, **changes), say)

    def fails(self, name: str, proof: Proof) -> Phase:
        """Return the phase of that name, which is the only one that failed, with something to try."""
        assert [phase.name for phase in proof.failed] == [name], proof.as_dict()
        assert not proof.passed
        (failed,) = proof.failed
        assert failed.hint
        return failed

    def calls_for_help(self) -> None:
        """A press from now on is meant."""
        self.device.press()
        self.device.announced("raised", kind="sos")

    def alarm_state(self, kind: str, of: tuple[int, int]) -> str:
        database = Database.open(self.device.sandbox.home.database_url)
        try:
            alarms = EventStore(database).alarms()
        finally:
            database.close()
        return next(each.state for each in alarms if each.id == (self.device.name, *of) and each.kind == kind)


@pytest.mark.needs("press", "sense", "watch", "wifi")
def test_a_sound_device_passes_by_the_hands_of_the_rig_and_its_button_calls_for_help_then(bench: Bench) -> None:
    proof = bench.prove()
    assert proof.passed, proof.as_dict()
    assert [phase.name for phase in proof.phases] == list(PHASES)
    assert all(phase.passed for phase in proof.phases)
    assert bench.alarm_state("test", proof.alarms[0]) == "raised"
    bench.calls_for_help()


@pytest.mark.needs("press", "sense", "watch", "wifi")
def test_a_technician_presses_when_asked_and_presses_again_once_light_and_sound_were_there(bench: Bench) -> None:
    def technician(step: Step) -> None:
        if step.ask == "confirm":
            bench.device.announced("shown", pattern="acknowledged")
            bench.device.until(lambda _: look(bench) == {"led", "buzzer", "vibration"}, "all on")
            bench.device.until(lambda _: look(bench) == {"led"}, "seen from its beginning to its end")
        if step.ask:
            bench.device.press()

    proof = bench.prove("person", technician)
    assert proof.passed, proof.as_dict()
    assert [each for each in bench.asked if each in ("press", "confirm")] == ["press", "confirm"]
    assert len(proof.alarms) == 2
    bench.calls_for_help()


def look(bench: Bench) -> set[str]:
    pins = bench.device.control.status()["chip_state"]["pins"]
    outputs = bench.plan("none").limits.outputs
    return {name for name, (gpio, level) in outputs.items() if pins[str(gpio)]["out"] == level}


@pytest.mark.needs("press", "wifi")
def test_nobody_presses(bench: Bench) -> None:
    failed = bench.fails("button", bench.prove("person", press_s=2.0))
    assert failed.value == "not pressed"
    bench.calls_for_help()


@pytest.mark.needs("press", "wifi")
def test_a_press_that_bounces_or_comes_twice_confirms_nothing(bench: Bench) -> None:
    def technician(step: Step) -> None:
        if step.ask:
            bench.device.press()

    failed = bench.fails("outputs", bench.prove("person", technician, confirm_s=2.5))
    assert "not confirmed" in failed.value
    bench.calls_for_help()


@pytest.mark.needs("wifi")
def test_without_hands_the_alarm_goes_the_whole_way_and_button_and_outputs_are_not_tried(bench: Bench) -> None:
    proof = bench.prove("none")
    assert proof.passed, proof.as_dict()
    assert [phase.name for phase in proof.phases if phase.passed is None] == ["button", "outputs"]


@pytest.mark.needs("watch")
def test_a_device_that_is_somebody_else_is_not_even_asked_for_a_press(bench: Bench) -> None:
    proof = bench.prove(expected=bench.expected | {"device": "AN999999", "generation": 77})
    failed = bench.fails("identity", proof)
    assert "AN999999" in failed.value
    assert "generation" in failed.value
    assert {phase.passed for phase in proof.phases[1:]} == {None}
    assert bench.asked == ["identity"]


@pytest.mark.needs("battery", "power", "sensor", "supply", "watch", "wifi")
def test_an_empty_cell_another_sensor_and_a_missing_charger_fail_together(bench: Bench) -> None:
    control = bench.device.control

    def spoil() -> None:
        control.battery(3500)
        control.sensor_fault("wrong_id")
        control.supply(False)

    try:
        restart(bench, spoil)
        bench.device.until_connected()
        proof = bench.prove()
    finally:
        control.sensor_fault("none")
        control.supply(True)
    found = {phase.name: (phase.value, phase.limit) for phase in proof.failed}
    assert found == {
        "sensor": ("sensor_wrong", "lis2dw12"),
        "battery": ("3500 mV", "3730 to 4410 mV"),
        "supply": ("missing", "there"),
    }
    assert not set(bench.asked) & {"wifi", "press"}


@pytest.mark.needs("sensor", "watch", "wifi")
def test_a_sensor_that_answers_and_does_not_move_fails_its_own_test(bench: Bench) -> None:
    bench.device.control.sensor_fault("stuck_y")
    try:
        assert bench.fails("sensor", bench.prove()).value == "lis2dw12 fails its own test"
    finally:
        bench.device.control.sensor_fault("none")


@pytest.mark.needs("press", "watch", "wifi")
def test_a_button_that_is_down_before_anybody_was_asked(bench: Bench) -> None:
    bench.device.configure(cancel_s=0)
    bench.device.control.button(True)
    try:
        bench.device.announced("pressed")
        assert bench.fails("button", bench.prove()).value.startswith("down")
    finally:
        bench.device.control.button(False)
        bench.device.configure(cancel_s=30)


@pytest.mark.needs("power", "radio", "watch", "wifi")
def test_a_weak_network_fails_before_anybody_is_asked(bench: Bench) -> None:
    bench.device.control.rssi(-80)
    try:
        restart(bench, lambda: None)
        failed = bench.fails("wifi", bench.prove())
    finally:
        bench.device.control.rssi(-55)
    assert (failed.value, failed.limit) == ("-80 dBm", "at least -67 dBm")
    assert "press" not in bench.asked


def restart(bench: Bench, between: Callable[[], None]) -> None:
    bench.device.control.power(False)
    between()
    bench.device.control.power(True)


@pytest.mark.needs("power", "radio", "watch", "wifi")
def test_a_device_without_a_network_says_why(bench: Bench) -> None:
    restart(bench, lambda: bench.device.control.wifi(False))
    proof = bench.prove(link_s=2.0)
    assert [phase.name for phase in proof.failed] == ["wifi", "link"]
    assert "press" not in bench.asked


@pytest.mark.needs("power", "radio", "watch", "wifi")
def test_a_network_behind_which_there_is_no_broker(bench: Bench) -> None:
    control = bench.device.control
    control.network(WIFI.ssid, WIFI.passphrase, service="no_way_out")
    try:
        restart(bench, lambda: None)
        assert bench.fails("link", bench.prove(link_s=3.0)).value in ("still at tcp", "broker_unreachable")
    finally:
        control.network(WIFI.ssid, WIFI.passphrase)


@pytest.mark.needs("sense", "watch", "wifi")
def test_an_output_that_nothing_drives(bench: Bench) -> None:
    wired = bench.plan("rig").limits.outputs
    failed = bench.fails("outputs", bench.prove(outputs={**wired, "siren": (14, 1)}, confirm_s=3.0))
    assert (failed.value, failed.limit) == ("buzzer, led, vibration", "buzzer, led, siren, vibration")


@pytest.mark.needs("press", "wifi")
def test_nobody_is_asked_for_a_press_while_an_alarm_of_a_person_is_open(bench: Bench) -> None:
    bench.device.press()
    bench.device.announced("acknowledged", kind="sos")
    failed = bench.fails("button", bench.prove("person", press_s=2.0))
    assert "an alarm is open" in failed.value
    assert "press" not in bench.asked


@pytest.mark.needs("press", "stall", "wifi")
def test_an_alarm_that_no_receiver_acknowledges(bench: Bench) -> None:
    def technician(step: Step) -> None:
        if step.ask == "press":
            # What is sent from now on reaches nobody.
            bench.device.control.stall()
            bench.device.press()

    failed = bench.fails("alarm", bench.prove("person", technician, ack_s=3.0))
    assert failed.value == "not acknowledged"
    assert "confirm" not in bench.asked


@pytest.mark.needs("press", "wifi")
def test_a_call_for_help_during_a_proof_ends_it_and_nothing_is_a_test_after_it(bench: Bench) -> None:
    def technician(step: Step) -> None:
        if step.ask == "press":
            bench.device.press(3300)

    proof = bench.prove("person", technician)
    assert [phase.value for phase in proof.failed] == ["an alarm 'sos' that is no test"]
    bench.device.receives(lambda event: event.kind == "sos", "call for help")
    with pytest.raises(Exception, match="an alarm is open"):
        bench.device.console.request("trigger", {"press": 5})


@pytest.mark.needs("press", "wifi")
def test_whoever_takes_the_device_off_the_bench_has_a_lifeline(bench: Bench) -> None:
    device = bench.device
    device.console.request("trigger", {"press": 1})
    device.announced("shown", pattern="identify")
    # Nobody asks again.
    device.announced("shown", pattern="ready")
    bench.calls_for_help()


@pytest.mark.needs("power", "press", "wifi")
def test_a_power_cut_ends_the_window(bench: Bench) -> None:
    bench.device.console.request("trigger", {"press": 5})
    restart(bench, lambda: None)
    bench.device.until_connected()
    bench.calls_for_help()


@pytest.mark.needs("press", "wifi")
def test_a_station_that_is_killed_while_it_waits_for_a_press_leaves_a_lifeline(bench: Bench) -> None:
    device, home = bench.device, bench.device.sandbox.home
    with Registry.open(home.database_url) as registry:
        registry.record(device.name, "provision", "written")
    device.disconnect()
    command = [sys.executable, "-m", "ansim", "prove", "--port", device.url]
    environment = {**os.environ, "ANSIM_HOME": str(home.path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("Press its button" in line for line in process.stderr)
        process.kill()
    connect_when_free(device)
    raised: list[str] = []
    while "sos" not in raised:
        assert len(raised) < _MOST_TESTS, raised
        device.press()
        raised.append(device.announced("raised")["kind"])
    with Registry.open(home.database_url) as registry:
        assert registry.get(device.name).state == "unfinished"


def connect_when_free(device: UnitUnderTest) -> None:
    """Open the port of a virtual board that may not have noticed yet that whoever had it open is gone."""
    deadline = Deadline(PATIENCE_S)
    while True:
        try:
            return device.connect()
        except PortBusy:
            assert not deadline.expired
            time.sleep(0.02)


@pytest.mark.needs("press", "sense", "watch", "wifi")
def test_the_command_records_what_it_measured_and_closes_its_test_alarms(
    bench: Bench, ansim: Callable[..., str]
) -> None:
    name, home = bench.device.name, bench.device.sandbox.home
    with Registry.open(home.database_url) as registry:
        registry.record(name, "provision", "written")
        assert registry.get(name).state == "unfinished"
    bench.device.disconnect()
    told = json.loads(ansim("prove", "--port", bench.device.url, "--hands", "rig", "--json"))
    assert (told["ok"], told["device"], told["hands"]) == (True, name, "rig")
    with Registry.open(home.database_url) as registry:
        assert registry.get(name).state == "ready"
        entry = registry.history(name)[-1]
    assert (entry.action, entry.result) == ("proof", "passed")
    measured = {phase["name"]: phase for phase in entry.details["phases"]}
    assert measured["wifi"]["limit"] == "at least -67 dBm"
    tests = bench.device.rows("test")
    assert bench.alarm_state("test", (tests[-1].boot, tests[-1].seq)) == "handled"
    shown = ansim("registry", "show", name)
    assert "proof passed" in shown
    assert "hands=rig" in shown
    assert "pass  wifi      -55 dBm  (at least -67 dBm)" in shown


@pytest.mark.needs("flash", "press", "sense", "watch", "wifi")
def test_a_pendant_that_would_connect_within_five_minutes_is_proven_at_once(bench: Bench) -> None:
    bench.device.write_identity(role="pendant", spread_s=300)
    try:
        bench.device.connect()
        with Registry.open(bench.device.sandbox.home.database_url) as registry:
            expected = expected_of(registry.get(bench.device.name), registry.get(bench.device.name).generation)
        proof = bench.prove(expected=expected | {"role": "pendant"}, link_s=15.0)
    finally:
        bench.device.write_identity()
    assert proof.passed, proof.as_dict()


def test_each_phase_has_something_to_try() -> None:
    assert set(ADVICE) == set(PHASES)
