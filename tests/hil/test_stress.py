"""``ansim stress`` as a person runs it: what it finds and tells, and that nothing of it is left, however it ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rig_kit import rig_in

from ansim.client import Deadline
from ansim.sandbox import WIFI, Sandbox
from ansim.stress import gestures, scenario
from ansim.stress.expect import Done
from ansim.stress.plan import PlannedGesture
from ansim.stress.result import BROKEN
from ansim.stress.run import Wish, run
from ansim.stress.unit import Heard
from unit_under_test import PATIENCE_S

pytestmark = pytest.mark.needs("boards", "flash", "wifi")

# A little of everything that can be done to a device whose presses must not be lost.
EVERYTHING = """
what = "Presses with everything going wrong."
count = 24
devices = 2
speed = 4
each = [3, 6]
gap_ms = [600, 1200]

[[gestures]]
kind = "press"

[[faults]]
kind = "radio"
chance_percent = 30
for_ms = [300, 4000]

[[faults]]
kind = "reset"
chance_percent = 20

[[faults]]
kind = "power_cut"
chance_percent = 40

[[faults]]
kind = "console"
chance_percent = 30
for_ms = [200, 1000]

[[outages]]
kind = "receiver_kill"
every_ms = [1000, 3000]
for_ms = [0, 300]
"""
SEED = 3
RUN_S = 120


def stress(folder: Path, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
    """Start the command with a temporary folder of its own, in a group of processes as a terminal makes one."""
    environment = {**os.environ, "TMPDIR": str(folder), "ANSIM_HOME": str(folder / "home"), **variables}
    command = [sys.executable, "-m", "ansim", "stress", *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def told(process: "subprocess.Popen[str]") -> dict[str, Any]:
    output, errors = process.communicate(timeout=RUN_S)
    assert output, errors
    found: dict[str, Any] = json.loads(output)
    return found


def test_every_press_has_its_row_whatever_goes_wrong_and_every_start_its_reason(tmp_path: Path) -> None:
    scenario = tmp_path / "everything.toml"
    scenario.write_text(EVERYTHING)
    page = tmp_path / "report.html"
    process = stress(tmp_path, str(scenario), "--seed", str(SEED), "--json", "--html", str(page))
    result = told(process)
    assert process.returncode == 0, result["findings"]
    assert len(result["gestures"]) == 24 and len(result["devices"]) == 2
    excused = sum(gesture["excused"] for gesture in result["gestures"])
    assert 24 - excused <= len(result["alarms"]) <= 24 + len(result["resets"])
    assert {fault["kind"] for fault in result["faults"]} >= {"reset", "power_cut", "receiver_kill"}
    assert result["resets"] and all(reset["explained_by"] for reset in result["resets"])
    assert result["levels"] and result["latency_ms"]["untroubled"]["p50"] > 0
    assert result["setting"]["command"].endswith(f"--seed {SEED} --count 24 --devices 2 --speed 4")
    assert "<svg" in page.read_text()


def test_a_hold_cancels_and_a_body_does_not(tmp_path: Path) -> None:
    process = stress(tmp_path, "cancel_races", "--count", "4", "--speed", "6", "--json")
    result = told(process)
    assert process.returncode == 0, result["findings"]
    assert {alarm["type"] for alarm in result["alarms"]} == {"alarm", "cancel"}


def test_a_fault_of_the_sensor_that_ends_with_the_run_need_not_be_told(tmp_path: Path) -> None:
    # A sensor that is silent is told after more than the 20 s that two are at this scenario's speed.
    process = stress(tmp_path, "sensor_faults", "--devices", "1", "--duration", "2", "--json")
    result = told(process)
    assert process.returncode == 0, result["findings"]
    assert [fault["kind"] for fault in result["faults"]] == ["sensor"]


def test_an_error_that_nobody_foresaw_is_a_finding_of_its_device_and_the_others_play_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    press = gestures._MAKERS["press"]

    def press_others(hands: gestures.Hands, gesture: PlannedGesture) -> Done:
        if hands.device == "AN000001":
            raise LookupError("the passphrase is hunter2")
        return press(hands, gesture)

    monkeypatch.setitem(gestures._MAKERS, "press", press_others)
    result = run(Wish("press_storm", count=4, devices=2), scenario.load("press_storm"))
    (found,) = result.findings
    assert (found.device, found.kind, found.episode) == ("AN000001", BROKEN, 0)
    assert "LookupError (test_stress.py:" in found.detail
    assert "hunter2" not in json.dumps(result.as_dict()), "the text of such an error may hold a secret"
    assert [gesture.device for gesture in result.gestures] == ["AN000002", "AN000002"]
    assert len(result.alarms) == 2
    assert "--seed 1 --count 4 --devices 2" in result.setting.command


def test_a_pendant_that_is_asleep_is_woken_by_presses_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    take, woken_by = Heard.take, list[str]()

    def listen(heard: Heard, said: dict[str, Any], now_ms: int) -> None:
        if said["event"] == "awake":
            woken_by.append(said["reason"])
        take(heard, said, now_ms)

    monkeypatch.setattr(Heard, "take", listen)
    result = run(Wish("asleep", count=3, devices=1), scenario.load("asleep"))
    assert result.findings == () and len(result.alarms) == 3
    assert "button" in woken_by


@pytest.mark.needs("press", "power")
def test_the_same_is_done_at_a_rig_through_its_wires(tmp_path: Path, sandbox: Sandbox) -> None:
    rig = rig_in(sandbox, tmp_path, "stress-rig")
    network = {"ANSIM_WIFI_SSID": WIFI.ssid, "ANSIM_WIFI_PASSPHRASE": WIFI.passphrase}
    home = str(sandbox.home.path)
    process = stress(tmp_path, "resets", "--count", "8", "--json", "--place", str(rig), ANSIM_HOME=home, **network)
    result = told(process)
    assert process.returncode == 0, result["findings"]
    assert (result["setting"]["devices"], result["setting"]["speed"]) == (1, 1)
    assert result["resets"] and all(reset["explained_by"] == "reset" for reset in result["resets"])


@pytest.mark.parametrize(
    ("moment", "how"),
    [
        ("starting", signal.SIGINT),
        ("gestures", signal.SIGINT),
        ("starting", signal.SIGTERM),
        ("gestures", signal.SIGTERM),
    ],
)
def test_ctrl_c_or_whoever_ends_it_at_any_moment_leaves_nothing(
    tmp_path: Path, moment: str, how: signal.Signals
) -> None:
    process = stress(tmp_path, "press_storm", "--devices", "1", "--duration", "600")
    assert process.stderr
    while moment not in (line := process.stderr.readline()):
        assert line, "it ended by itself"
    started = descendants(process.pid)
    if how == signal.SIGTERM:
        # As timeout(1) does: first the one, and then the whole group.
        process.send_signal(how)
    os.killpg(process.pid, how)
    output, _ = process.communicate(timeout=RUN_S)
    assert process.returncode == 130
    assert moment == "starting" or "PASSED" in output, output
    gone(started | descendants_of_folder(tmp_path))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("ansim-stress")]


def test_a_stress_run_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    process = stress(tmp_path, "press_storm", "--devices", "1", "--duration", "600")
    assert process.stderr
    while "gestures" not in (line := process.stderr.readline()):
        assert line, "it ended by itself"
    started = descendants(process.pid)
    assert len(started) > 3, "board, broker, receiver"
    process.kill()
    process.communicate(timeout=RUN_S)
    gone(started)


def descendants(pid: int) -> set[int]:
    """Return the processes below one."""
    parents = {child: stat for child in processes() if (stat := parent_of(child))}
    found: set[int] = set()
    more = {pid}
    while more:
        more = {child for child, parent in parents.items() if parent in more} - found
        found |= more
    return found


def descendants_of_folder(folder: Path) -> set[int]:
    """Return the processes that were started with this temporary folder."""
    mark = f"TMPDIR={folder}".encode()
    return {pid for pid in processes() if mark in read(pid, "environ").split(b"\0")}


def gone(pids: set[int]) -> None:
    """Wait until none of these processes runs."""
    deadline = Deadline(PATIENCE_S)
    while left := {pid: read(pid, "cmdline") for pid in pids if read(pid, "cmdline")}:
        assert not deadline.expired, left


def processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def parent_of(pid: int) -> int:
    stat: Mapping[int, bytes] = dict(enumerate(read(pid, "stat").rpartition(b")")[2].split()))
    return int(stat.get(1, b"0"))


def read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
