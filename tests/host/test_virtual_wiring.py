"""Wires between two virtual boards: what they carry, what becomes of them, and what asks for none."""

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from rig_kit import Pair, until

from ansim.errors import DeviceError
from ansim.home import Home
from ansim.rig import Rig
from ansim.virtual import VirtualBoard, stop_board

PATIENCE_S = 20

WRONG = {
    '{"cmd":"wire"}': "lines must be an object of objects",
    '{"cmd":"wire","lines":{"button":[25,1]},"pins":[]}': "lines must be an object of objects",
    '{"cmd":"wire","lines":{"door":{}},"pins":[]}': "lines are button, power, reset, not 'door'",
    '{"cmd":"wire","lines":{},"pins":[1]}': "pins must be a list of objects",
    '{"cmd":"wire","board":"x","lines":{"button":{"pin":40,"level":1}},"pins":[]}': "pin must be a whole number",
    '{"cmd":"wire","board":"x","lines":{"button":{"pin":4,"level":2}},"pins":[]}': "level must be a whole number",
    '{"cmd":"wire","board":"x","lines":{},"pins":[{"from":1}]}': "to must be a whole number",
    '{"cmd":"wire","board":"","lines":{},"pins":[]}': "board must be a text",
    '{"cmd":"wire","board":"../x","lines":{},"pins":[]}': "can't wire '../x'",
    '{"cmd":"wire","board":"absent","lines":{},"pins":[]}': "can't wire 'absent'",
}


@pytest.fixture
def pair(home: Home, tmp_path: Path, start_virtual_board: Callable[..., VirtualBoard]) -> Pair:
    """A rig and a device that its program lights up while its button is down."""
    return Pair(home, tmp_path, start_virtual_board)


def converse(board: VirtualBoard, *lines: str) -> list[dict[str, object]]:
    """Send lines as they are; return what is answered until the board hangs up."""
    with socket.create_connection(("127.0.0.1", board.control.port), PATIENCE_S) as link, link.makefile("rb") as said:
        for line in (json.dumps({"token": board.control.token}), *lines):
            link.sendall(line.encode() + b"\n")
        link.shutdown(socket.SHUT_WR)
        return [json.loads(line) for line in said]


def test_what_makes_no_sense_is_refused(virtual_board: VirtualBoard) -> None:
    answers = converse(virtual_board, *WRONG)[1:]
    for answer, problem in zip(answers, WRONG.values(), strict=True):
        assert problem in str(answer["error"])


def test_a_wire_takes_any_noise_and_lets_go_when_it_ends(virtual_board: VirtualBoard) -> None:
    noise = ('{"cmd":"wired"}', "noise", "[1]", '{"line":["button"],"on":true}', '{"line":"door","on":true}')
    held = ('{"line":"button","on":true}', '{"line":"power","on":false}')
    with virtual_board.control.watch(PATIENCE_S) as seen:
        assert converse(virtual_board, *noise, *held)[1]["ok"] is True
        happened = (each.details for each in seen if each.event in ("button", "state"))
        assert [next(happened) for _ in held] == [{"down": True}, {"state": "off"}]
        after = [next(happened) for _ in held]
    assert {"down": False} in after
    assert {"state": "running"} in after


def test_the_device_is_let_go_of_when_the_rig_is_killed(pair: Pair) -> None:
    with Rig(pair.file, pair.home) as rig:
        rig.button(True)
        rig.power(False)
        until(lambda: pair.device.control.status()["state"] == "off")
        assert pair.device.control.status()["button_down"] is True
    os.kill(pair.rig.pid, signal.SIGKILL)
    until(lambda: pair.device.control.status()["state"] == "running")
    assert pair.device.control.status()["button_down"] is False


def test_the_rig_sees_nothing_when_the_device_is_gone_and_is_wired_anew_when_it_is_back(pair: Pair) -> None:
    with Rig(pair.file, pair.home) as rig:
        until(lambda: rig.lines()["buzzer"]["driven"])
        stop_board(pair.device)
        until(lambda: not rig.lines()["buzzer"]["driven"])
        rig.press(5)
    pair.start_device()
    with Rig(pair.file, pair.home) as rig:
        until(lambda: rig.lines()["buzzer"]["driven"])
        rig.button(True)
        until(lambda: pair.device.control.status()["button_down"])


def test_the_same_wires_again_let_go_of_nothing(pair: Pair) -> None:
    with Rig(pair.file, pair.home) as rig:
        rig.button(True)
        until(lambda: pair.device.control.status()["button_down"])
    with pair.device.control.watch(timeout_s=1) as seen:
        with Rig(pair.file, pair.home):
            pass
        assert [each for each in seen if each.event == "button"] == []
    assert pair.device.control.status()["button_down"] is True


def test_another_device_takes_the_wires_of_the_one_before(
    pair: Pair, start_virtual_board: Callable[..., VirtualBoard]
) -> None:
    with Rig(pair.file, pair.home) as rig:
        rig.button(True)
    other = start_virtual_board("other")
    pair.rig.control.wire("other", {"button": (25, 1)}, {})
    until(lambda: other.control.status()["button_down"])
    until(lambda: not pair.device.control.status()["button_down"])


def test_a_board_that_does_not_run_is_not_wired(pair: Pair) -> None:
    with pytest.raises(DeviceError, match="can't wire 'elsewhere'"):
        pair.rig.control.wire("elsewhere", {}, {})
