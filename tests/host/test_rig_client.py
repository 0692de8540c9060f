"""A rig and a device, both virtual boards: what the rig is asked for happens to the device, and is seen."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rig_kit import Pair, flash_of, rig_toml, until

from ansim.errors import DeviceError, PortError
from ansim.home import Home
from ansim.rig import Edge, Rig, load_rig
from ansim.rig.check import check
from ansim.rig.flashing import flash_rig
from ansim.rig.program import program
from ansim.serial_link import PortBusy, open_port
from ansim.virtual import VirtualBoard
from ansim.virtual.bounce import bouncing_press
from chip_kit import PATIENCE_S


@pytest.fixture
def pair(home: Home, tmp_path: Path, start_virtual_board: Callable[..., VirtualBoard]) -> Pair:
    """A rig and a device that its program lights up while its button is down."""
    return Pair(home, tmp_path, start_virtual_board)


def changes(edges: list[Edge]) -> list[tuple[str, bool]]:
    return [(edge.line, edge.on) for edge in edges]


def test_a_press_reaches_the_device_whose_light_the_rig_sees(pair: Pair) -> None:
    with Rig(pair.file, pair.home) as rig, rig.sense(2) as edges:
        rig.press(200)
        seen = list(edges)
    assert sorted(changes(seen)) == [("button", False), ("button", True), ("led", False), ("led", True)]
    at = {(edge.line, edge.on): edge.us for edge in seen}
    assert at["button", True] < at["led", True] < at["led", False]
    # It is let go at its moment, however late this machine had it pressed.
    assert at["button", False] - at["button", True] >= 100_000


def test_a_loop_over_what_is_sensed_goes_on_where_the_last_one_ended(pair: Pair) -> None:
    with Rig(pair.file, pair.home) as rig, rig.sense(1) as edges:
        rig.button(True)
        assert changes(list(edges)) == [("button", True), ("led", True)]
        rig.button(False)
        assert changes(list(edges)) == [("button", False), ("led", False)]


def test_what_somebody_left_unread_is_not_sensed_again(pair: Pair) -> None:
    with Rig(pair.file, pair.home) as rig:
        with rig.sense(2) as edges:
            rig.press(20)
            assert next(iter(edges)).line == "button"
        with rig.sense(1) as edges:
            rig.reset()
            assert {edge.line for edge in edges} == {"reset"}


def test_a_worn_contact_bounces_on_the_device(pair: Pair) -> None:
    moments = bouncing_press(seed=7, hold_ms=100, bounce_ms=8)
    with Rig(pair.file, pair.home) as rig, pair.device.control.watch(timeout_s=2) as seen:
        rig.bounce(moments)
        assert [each.details["down"] for each in seen if each.event == "button"] == [True, False] * (len(moments) // 2)


def test_power_and_reset_reach_the_device(pair: Pair) -> None:
    with Rig(pair.file, pair.home) as rig, pair.device.control.watch(timeout_s=2) as seen:
        rig.power(False)
        until(lambda: pair.device.control.status()["state"] == "off")
        rig.power(True)
        rig.reset()
        causes = [each.details["cause"] for each in seen if each.event == "reset"]
    assert causes == ["power_on", "en"]


def test_power_that_is_taken_away_later_goes_by_itself(pair: Pair) -> None:
    with Rig(pair.file, pair.home) as rig:
        with pair.device.control.watch(timeout_s=20) as seen:
            rig.power(False, after_us=200_000)
            assert next(each for each in seen if each.event == "state").details == {"state": "off"}
        rig.power(True)


def test_each_line_is_as_it_is_after_the_rig_is_left(pair: Pair) -> None:
    with Rig(pair.file, pair.home) as rig:
        rig.power(False)
        rig.button(True)
    with Rig(pair.file, pair.home) as rig:
        until(lambda: rig.lines()["led"] == {"on": False, "driven": False})
        found = rig.lines()
        assert (found["power"]["on"], found["button"]["on"]) == (False, True)


def test_what_a_rig_has_no_line_for_it_refuses(pair: Pair, tmp_path: Path) -> None:
    text = rig_toml(tmp_path).read_text().partition("[lines]")[0] + "[lines.led]\ngpio = 18\nactive = 'high'\n"
    file = load_rig(rig_toml(tmp_path, text))
    with Rig(file, pair.home) as rig, pytest.raises(DeviceError, match="the rig on virtual:rig refuses 'press'"):
        rig.press()


def test_whoever_finds_a_rig_in_use_leaves_its_wires_alone(pair: Pair, tmp_path: Path) -> None:
    other = rig_toml(tmp_path, pair.path.read_text().replace("gpio = 25", "gpio = 4"))
    with Rig(pair.file, pair.home) as rig:
        with pytest.raises(PortBusy):
            Rig(load_rig(other), pair.home)
        rig.button(True)
        until(lambda: pair.device.control.status()["button_down"])


def test_a_board_that_is_no_rig_is_told(pair: Pair, tmp_path: Path) -> None:
    text = rig_toml(tmp_path).read_text().replace("virtual:rig", "virtual:x").replace("virtual:device", "virtual:rig")
    swapped = load_rig(rig_toml(tmp_path, text.replace("virtual:x", "virtual:device")))
    with pytest.raises(DeviceError) as caught:
        Rig(swapped, pair.home)
    assert caught.value.message.startswith("the rig on virtual:device does not answer")
    assert "ansim rig flash" in caught.value.hint


def test_a_rig_that_runs_another_program_is_told_to_be_flashed(pair: Pair) -> None:
    files = {**program().files, "rig/build.py": b'BUILD = "0badf00d"\n'}
    pair.restart_rig(flash_of(files))
    with pytest.raises(DeviceError, match="another program than this checkout's: '0badf00d'"):
        Rig(pair.file, pair.home)


def test_a_rig_is_flashed_over_whatever_it_was(pair: Pair) -> None:
    pair.restart_rig(flash_of({"main.py": b"print('not a rig')"}))
    report, info = flash_rig(pair.file, pair.home, lambda *_: None)
    assert report.written["rig"] > 0
    assert info["build"] == program().build
    assert flash_rig(pair.file, pair.home, lambda *_: None)[0].written["rig"] == 0
    with Rig(pair.file, pair.home) as rig:
        rig.press(20)


def test_a_port_that_nobody_has_is_named(home: Home, tmp_path: Path) -> None:
    text = rig_toml(tmp_path).read_text().replace("virtual:rig", str(tmp_path / "no-port"))
    with pytest.raises(PortError, match="there is no port .*no-port"):
        Rig(load_rig(rig_toml(tmp_path, text)), home)


def ansim(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ansim", "rig", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_does_what_it_says(pair: Pair) -> None:
    file = str(pair.path)
    pair.restart_rig(flash_of({"main.py": b"print('not a rig')"}))
    flashed = ansim("flash", file)
    assert flashed.returncode == 0, flashed.stderr
    assert "PASS  the rig on virtual:rig runs" in flashed.stdout
    for words, told in (
        (("press", file, "--hold-ms", "20"), "button pressed for 20 ms"),
        (("button", file, "down"), "button down"),
        (("power", file, "off"), "power off"),
        (("reset", file, "--json"), '{"ok": true}'),
    ):
        done = ansim(*words)
        assert (done.returncode, done.stdout.strip()) == (0, told), done.stderr
    until(lambda: pair.device.control.status()["state"] == "off")
    assert pair.device.control.status()["button_down"] is True


def test_ctrl_c_takes_the_finger_off_the_button(pair: Pair) -> None:
    command = [sys.executable, "-m", "ansim", "rig", "press", str(pair.path), "--hold-ms", "600000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as pressing:
        until(lambda: pair.device.control.status()["button_down"])
        pressing.send_signal(signal.SIGINT)
        pressing.communicate(timeout=PATIENCE_S)
    assert pressing.returncode == 130
    until(lambda: not pair.device.control.status()["button_down"])


def test_a_check_says_that_another_program_has_the_device_s_port(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansim.rig.check._START_S", 0.5)
    with Rig(pair.file, pair.home) as rig, open_port(pair.device.url, pair.home), pytest.raises(PortBusy):
        list(check(rig, pair.home))


def test_the_command_names_what_is_wrong(pair: Pair, tmp_path: Path) -> None:
    assert ansim("press", str(tmp_path / "absent.toml")).returncode == 2
    missing = ansim("check", str(pair.path), "--json")
    assert missing.returncode == 4
    assert '"part": "device", "passed": false' in missing.stdout
