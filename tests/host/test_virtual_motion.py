"""Moving a virtual board: the control channel and the command line."""

import json
import time
from array import array
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_virtual_control import converse, hello

from ansim.cli import cli
from ansim.errors import BadInput, DeviceError
from ansim.virtual import VirtualBoard

DEADLINE_S = 10
SECOND = array("h", [0, 0, 1000] * 50)


def test_a_recording_plays_and_ends_and_no_file_of_it_stays(virtual_board: VirtualBoard) -> None:
    control = virtual_board.control
    with control.watch(timeout_s=DEADLINE_S) as events:
        asked_ms = time.monotonic() * 1000
        control.play(SECOND, rate_hz=200.0)
        seen = [next(event for event in events if event.event == "motion") for _ in range(2)]
    assert [event.details["state"] for event in seen] == ["playing", "ended"]
    assert seen[0].details["of_ms"] == 250
    # It may be told late that it plays.
    assert seen[1].ms - asked_ms >= 249
    assert control.status()["motion"] == {"playing": False, "repeat": False, "at_ms": 250, "of_ms": 250}
    assert not list(virtual_board.folder.glob("*.s16"))


def test_a_repeated_recording_plays_until_the_board_is_still(virtual_board: VirtualBoard) -> None:
    virtual_board.control.play([0, 0, 1000, 0, 0, 900], rate_hz=1000.0, repeat=True)
    motion = virtual_board.control.status()["motion"]
    assert motion["playing"] and motion["repeat"] and motion["of_ms"] == 2
    virtual_board.control.still((0, 1000, 0))
    assert not virtual_board.control.status()["motion"]["playing"]


WRONG_REQUESTS = {
    b'{"cmd":"motion","file":"../token","rate_hz":50}': "file must be the name of a file in the board's folder",
    b'{"cmd":"motion","file":"none.s16","rate_hz":50}': "'none.s16' can't be read",
    b'{"cmd":"motion","file":"chip","rate_hz":50}': "'chip' can't be read",
    b'{"cmd":"motion","file":"mac","rate_hz":50}': "'mac' is damaged: 17 bytes are no whole number of samples",
    b'{"cmd":"motion","file":"mac\\u0000","rate_hz":50}': "can't be read",
    b'{"cmd":"motion","file":"mac"}': "rate_hz must be a number from 0.1 to 10000",
    b'{"cmd":"motion","file":"mac","rate_hz":NaN}': "rate_hz must be a number",
    b'{"cmd":"motion","file":"mac","rate_hz":true}': "rate_hz must be a number",
    b'{"cmd":"motion","file":"mac","rate_hz":50,"repeat":1}': "repeat must be true or false",
    b'{"cmd":"motion","posture_mg":[0,0]}': "posture_mg must be a list of three numbers",
    b'{"cmd":"motion","posture_mg":[0,0,1e9]}': "posture_mg must be a list of three numbers",
    b'{"cmd":"sensor","fault":"tired"}': "fault must be one of none, silent, stuck_x,",
    b'{"cmd":"sensor","fault":["none"]}': "fault must be one of",
    b'{"cmd":"sensor","noise_mg":-1}': "noise_mg must be a number from 0 to 1000",
    b'{"cmd":"sensor","offset_mg":"none"}': "offset_mg must be a list of three numbers",
}


def test_each_wrong_request_is_answered_and_the_next_one_served(virtual_board: VirtualBoard) -> None:
    _, *refused, status = converse(virtual_board, hello(virtual_board), *WRONG_REQUESTS, b'{"cmd":"status"}')
    for answer, (request, complaint) in zip(refused, WRONG_REQUESTS.items(), strict=True):
        assert not answer["ok"], request
        assert complaint in answer["error"]
    assert status["result"]["motion"]["playing"] is False


def test_noise_offset_and_faults_are_taken(virtual_board: VirtualBoard) -> None:
    virtual_board.control.sensor_errors(noise_mg=2.5, offset_mg=(10, 0, -10))
    virtual_board.control.sensor_fault("stuck_x")
    with pytest.raises(DeviceError, match="fault must be one of"):
        virtual_board.control.sensor_fault("tired")


def run(*words: str) -> str:
    done = CliRunner().invoke(cli, ["virtual", *words])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.usefixtures("virtual_board")
def test_the_command_line_plays_a_file_and_stops_it(tmp_path: Path) -> None:
    recording = tmp_path / "walk.csv"
    recording.write_text("x,y,z\n" + "0,0,1000\n" * 100)
    assert run("motion", "play", str(recording), "--rate", "20", "--repeat") == "virtual: plays walk.csv, 5.0 s\n"
    assert json.loads(run("status", "--json"))["motion"]["of_ms"] == 5000
    assert run("motion", "still", "--posture", "0", "-1000", "0") == "virtual: still\n"
    assert json.loads(run("status", "--json"))["motion"]["of_ms"] == 0
    assert run("sensor", "stalled") == "virtual: motion sensor: stalled\n"


def test_the_command_line_says_what_is_wrong_with_a_file(virtual_board: VirtualBoard, tmp_path: Path) -> None:
    recording = tmp_path / "walk.npz"
    recording.write_bytes(b"PK")
    done = CliRunner().invoke(cli, ["virtual", "motion", "play", str(recording)])
    assert isinstance(done.exception, BadInput)
    assert "ansim falls replay" in str(done.exception.hint)
    assert not virtual_board.control.status()["motion"]["playing"]
