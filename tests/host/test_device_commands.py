"""info, config, selftest, trigger and monitor, on a virtual board that runs our firmware."""

import contextlib
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansim.client import Deadline
from ansim.virtual import VirtualBoard

ANSIM = Path(sys.executable).with_name("ansim")


def ansim(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command on the virtual board; it must end with this exit code."""
    command = [str(ANSIM), *arguments, "--port", "virtual"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def ansim_json(*arguments: str, code: int = 0) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(ansim(*arguments, "--json", code=code).stdout)
    return result


@pytest.fixture
def flashed_board(virtual_board: VirtualBoard) -> VirtualBoard:
    """A virtual board with our firmware and no identity."""
    ansim("flash", "--board", "virtual")
    return virtual_board


def test_settings_are_shown_changed_and_kept_over_a_restart(flashed_board: VirtualBoard) -> None:
    assert ansim_json("config")["heartbeat_min"] == 60
    changes = ("--heartbeat-min", "15", "--cancel-s", "0", "--prealarm-s", "10", "--fall", "2")
    assert ansim_json("config", *changes)["heartbeat_min"] == 15
    boot = ansim_json("info")["boot"]
    flashed_board.control.reset()
    assert ansim_json("info")["boot"] == boot + 1
    kept = ansim_json("config")
    assert (kept["heartbeat_min"], kept["cancel_s"], kept["prealarm_s"], kept["fall"]) == (15, 0, 10, 2)
    assert "heartbeat_min" in ansim("config").stdout
    ansim("config", "--heartbeat-min", "0", code=2)


@pytest.mark.usefixtures("flashed_board")
def test_a_self_test_names_what_failed_and_says_so_in_its_exit_code() -> None:
    result = ansim_json("selftest", code=4)
    outcome = {phase["name"]: phase["passed"] for phase in result["phases"]}
    assert (outcome["identity"], outcome["storage"], outcome["battery"]) == (False, True, True)
    shown = ansim("selftest", code=4)
    assert "FAIL  identity" in shown.stdout
    assert "pass  storage" in shown.stdout
    assert "failed its self-test: identity" in shown.stderr


@pytest.mark.usefixtures("flashed_board")
def test_a_test_alarm_that_nobody_acknowledges_is_a_failure_only_where_one_waits_for_it() -> None:
    assert ansim_json("trigger")["acknowledged"] is False
    refused = ansim_json("trigger", "--wait", "0.2", code=4)
    assert "no receiver acknowledged the test alarm" in refused["error"]


@pytest.fixture
def announced(flashed_board: VirtualBoard) -> Iterator["queue.Queue[str]"]:
    """The lines that ``ansim monitor --json`` prints, as they come."""
    command = [str(ANSIM), "monitor", "--port", flashed_board.url, "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line)

    reader = threading.Thread(target=read)
    reader.start()
    yield lines
    process.kill()
    process.wait()
    reader.join()
    if process.stdout:
        process.stdout.close()


def next_of(lines: "queue.Queue[str]", event: str, timeout_s: float) -> dict[str, Any]:
    """Return the next announcement of event; raises queue.Empty when none comes in time."""
    deadline = Deadline(timeout_s)
    while True:
        told: dict[str, Any] = json.loads(lines.get(timeout=deadline.remaining_s))
        if told["event"] == event:
            return told


def test_the_monitor_shows_a_press_as_it_happens(flashed_board: VirtualBoard, announced: "queue.Queue[str]") -> None:
    deadline = Deadline(30)
    armed = None
    while armed is None and not deadline.expired:
        # What a device says while the port is being opened is lost, so it is started again until it is heard.
        flashed_board.control.reset()
        with contextlib.suppress(queue.Empty):
            armed = next_of(announced, "armed", 3)
    assert armed
    flashed_board.control.press()
    assert next_of(announced, "raised", 10)["kind"] == "sos"
