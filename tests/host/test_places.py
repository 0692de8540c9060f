"""Places: what each can do to a device, and why it can't do the rest."""

import inspect
import os
import pty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansim.errors import BadInput, DeviceError, PortError
from ansim.home import Home
from ansim.places import CAPABILITIES, OF_METHOD, find_ground, open_place
from ansim.sandbox import WIFI, Sandbox
from ansim.virtual import ControlClient, VirtualBoard, running_boards


class Boards(Sandbox):
    """A sandbox without broker and receiver, for tests in which no device reaches them."""

    def __enter__(self) -> "Boards":
        return self


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Boards(tmp_path / "sandbox") as made:
        yield made


def test_every_stimulus_of_a_virtual_board_is_of_a_capability() -> None:
    stimuli = {name for name, _ in inspect.getmembers(ControlClient, inspect.isfunction) if not name.startswith("_")}
    # How two boards are wired is no stimulus.
    assert stimuli - {"wire"} <= set(OF_METHOD)
    assert set(OF_METHOD.values()) <= set(CAPABILITIES)


def test_a_virtual_place_has_all_capabilities_and_ends_with_its_board(sandbox: Sandbox) -> None:
    place = open_place("virtual", sandbox, name="all", speed=5)
    assert not [name for name in CAPABILITIES if place.lacks(name)]
    assert running_boards(sandbox.home)[0].control.status()["speed"] == 5
    place.close()
    assert running_boards(sandbox.home) == []


def test_a_board_that_somebody_started_runs_on(virtual_board: VirtualBoard, home: Home, sandbox: Sandbox) -> None:
    place = open_place("virtual:virtual", sandbox)
    place.stimulus.power(False)
    assert virtual_board.control.status()["state"] == "off"
    place.close()
    assert [board.name for board in running_boards(home)] == ["virtual"]
    assert "runs already" in place.lacks("boards")
    with pytest.raises(BadInput, match="let its time run faster"):
        open_place("virtual:virtual", sandbox, speed=2)


def test_a_board_on_a_port_is_flashed_and_reset_and_a_rig_is_missed(
    virtual_board: VirtualBoard, sandbox: Sandbox
) -> None:
    place = open_place(virtual_board.url, sandbox)
    has = {name for name in CAPABILITIES if not place.lacks(name)}
    assert has == {"flash", "blank", "reset"}
    with virtual_board.control.watch(timeout_s=10) as seen:
        place.stimulus.reset()
        assert any(each.event == "state" and each.details["state"] == "reset" for each in seen)
    with place.open_port(sandbox.home), virtual_board.control.watch(timeout_s=10) as seen:
        place.stimulus.reset()
        assert any(each.event == "state" and each.details["state"] == "reset" for each in seen)
    with pytest.raises(DeviceError, match="can't press its button and let it go: nobody is there"):
        place.stimulus.press()


def test_a_port_without_lines_can_t_flash(home: Home) -> None:
    assert home.path
    master, slave = pty.openpty()
    try:
        ground = find_ground(os.ttyname(slave))
        assert "no lines that drive EN and IO0" in ground.lacks("flash")
        assert "no lines that drive EN and IO0" in ground.lacks("reset")
    finally:
        os.close(master)
        os.close(slave)


def test_qemu_that_is_not_there_is_told_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="there is no qemu-system-xtensa on the PATH"):
        find_ground("qemu")


def test_a_board_that_does_not_run_and_a_board_file_that_is_not_there_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANSIM_HOME", str(tmp_path))
    for place, board in (("virtual:nobody", ""), ("virtual", "nothing"), ("/dev/ttyUSB0", "nothing")):
        with pytest.raises(BadInput, match="nobody|nothing"):
            find_ground(place, board)


def test_a_port_that_is_not_there_is_told(home: Home) -> None:
    assert home.path
    with pytest.raises(PortError, match="there is no port /dev/nothing"):
        find_ground("/dev/nothing").lacks("flash")


def test_a_real_board_has_wifi_once_its_network_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "set ANSIM_WIFI_SSID and ANSIM_WIFI_PASSPHRASE" in find_ground("/dev/ttyUSB0").lacks("wifi")
    monkeypatch.setenv("ANSIM_WIFI_SSID", WIFI.ssid)
    monkeypatch.setenv("ANSIM_WIFI_PASSPHRASE", WIFI.passphrase)
    ground = find_ground("/dev/ttyUSB0")
    assert ground.lacks("wifi") == ""
    assert ground.wifi == WIFI
    assert WIFI.passphrase not in repr(ground)


@pytest.fixture
def rig_file(tmp_path: Path) -> Callable[[str], str]:
    """Write a rig's file with these lines, and return its path."""

    def write(lines: str) -> str:
        path = tmp_path / "rig.toml"
        path.write_text(
            f"""
            rig = {{ port = "/dev/ttyUSB1", board = "esp32_devkit" }}
            device = {{ port = "/dev/ttyUSB0", board = "esp32_devkit" }}
            [lines]
            {lines}
            """
        )
        return str(path)

    return write


def test_a_rig_can_do_what_it_has_lines_for(rig_file: Callable[[str], str]) -> None:
    ground = find_ground(rig_file('button = { gpio = 16, active = "high" }\nreset = { gpio = 17, active = "high" }'))
    assert (ground.lacks("press"), ground.lacks("reset")) == ("", "")
    assert ground.lacks("power") == "the rig has no line 'power'"
    assert ground.lacks("sense") == "the rig has no line 'led'"
    assert "nobody moves it" in ground.lacks("motion")
