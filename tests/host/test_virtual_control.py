"""The control channel: the world around a virtual board, for those who know its token."""

import json
import socket
from dataclasses import replace
from typing import Any

import pytest

from ansim.errors import DeviceError
from ansim.virtual import VirtualBoard

DEADLINE_S = 10
BUTTON_GPIO = 33  # boards/virtual.toml; active low


def converse(board: VirtualBoard, *lines: bytes) -> list[dict[str, Any]]:
    """Send lines as they are, and return what is answered until the board has nothing more to say."""
    port = board.control.port
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as link, link.makefile("rb") as answers:
        for line in lines:
            link.sendall(line + b"\n")
        link.shutdown(socket.SHUT_WR)
        return [json.loads(line) for line in answers]


def hello(board: VirtualBoard) -> bytes:
    return json.dumps({"token": board.control.token}).encode()


def test_nobody_acts_without_the_token(virtual_board: VirtualBoard) -> None:
    stranger = replace(virtual_board.control, token="0" * 32)
    with pytest.raises(DeviceError, match="wrong token"):
        stranger.power(False)
    assert converse(virtual_board, b'{"cmd":"power","on":false}')[0]["error"] == "wrong token"
    assert virtual_board.control.status()["state"] == "running"


def test_the_token_is_for_its_owner_only(virtual_board: VirtualBoard) -> None:
    assert (virtual_board.folder / "token").stat().st_mode & 0o777 == 0o600
    assert virtual_board.control.token not in repr(virtual_board)
    assert virtual_board.control.token not in virtual_board.log_file.read_text()


WRONG_REQUESTS = {
    b'{"cmd":"press","hold_ms":0}': "hold_ms must be a whole number from 1 to 600000",
    b'{"cmd":"press","hold_ms":true}': "hold_ms must be a whole number",
    b'{"cmd":"battery","mv":"full"}': "mv must be a whole number",
    b'{"cmd":"wifi","on":1}': "on must be true or false",
    b'{"cmd":"network","ssid":"","passphrase":"x"}': "ssid must be a text of 1 to 32 bytes",
    b'{"cmd":"network","ssid":"x","passphrase":"","service":"all"}': "service must be one of full, no_address,",
    b'{"cmd":"network","ssid":"x","passphrase":"","service":[]}': "service must be one of",
    b'{"cmd":"network","ssid":"x","passphrase":"","access_points":[256]}': "access_points must be a list of whole",
    b'{"cmd":"explode"}': "unknown command 'explode'",
    b'{"cmd":["status"]}': "unknown command",
    b"not json": "unknown command",
    b"[" * 2000: "unknown command",
}


def test_each_wrong_request_is_answered_and_the_next_one_served(virtual_board: VirtualBoard) -> None:
    _, *refused, status = converse(virtual_board, hello(virtual_board), *WRONG_REQUESTS, b'{"cmd":"status"}')
    for answer, (request, complaint) in zip(refused, WRONG_REQUESTS.items(), strict=True):
        assert not answer["ok"], request
        assert complaint in answer["error"]
    assert status["result"]["state"] == "running"


def test_an_endless_line_ends_the_connection_and_not_the_board(virtual_board: VirtualBoard) -> None:
    assert len(converse(virtual_board, hello(virtual_board), b"x" * 10_000)) == 1
    assert virtual_board.control.status()["state"] == "running"


def test_power_and_reset_are_seen_by_a_watcher_in_their_order(virtual_board: VirtualBoard) -> None:
    control = virtual_board.control
    with control.watch(timeout_s=DEADLINE_S) as events:
        control.power(False)
        assert control.status()["state"] == "off"
        control.reset()
        assert control.status()["state"] == "off", "a board without power has nothing to reset"
        control.power(True)
        states = []
        times = []
        while len(states) < 2:
            seen = next(events)
            times.append(seen.ms)
            if seen.event == "state":
                states.append(seen.details["state"])
    assert states == ["off", "running"]
    assert times == sorted(times)


def test_a_press_is_down_and_up_again(virtual_board: VirtualBoard) -> None:
    with virtual_board.control.watch(timeout_s=DEADLINE_S) as events:
        virtual_board.control.press(hold_ms=50)
        presses = [next(events) for _ in range(2)]
    assert [(seen.event, seen.details["down"]) for seen in presses] == [("button", True), ("button", False)]
    assert presses[1].ms - presses[0].ms >= 49


def test_a_button_that_is_held_cannot_be_pressed(virtual_board: VirtualBoard) -> None:
    virtual_board.control.button(True)
    with pytest.raises(DeviceError, match="held down already"):
        virtual_board.control.press()
    virtual_board.control.button(False)
    virtual_board.control.press(hold_ms=1)


def test_a_wifi_passphrase_appears_in_no_file_and_no_answer(virtual_board: VirtualBoard) -> None:
    passphrase = "correct horse battery"
    virtual_board.control.network("home", passphrase)
    virtual_board.control.wifi(False)
    virtual_board.control.rssi(-80)
    assert passphrase not in json.dumps(virtual_board.control.status())
    for path in virtual_board.folder.rglob("*"):
        assert path.is_dir() or passphrase.encode() not in path.read_bytes(), path


def test_a_board_that_ended_is_told_by_name_with_the_way_to_start_it(virtual_board: VirtualBoard) -> None:
    gone = replace(virtual_board.control, port=1)
    with pytest.raises(DeviceError, match="'virtual' does not answer") as caught:
        gone.status()
    assert caught.value.hint == "Start it with: ansim virtual start virtual"
