"""The suite itself on a rig's place, which it is given as a person gives it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rig_kit import rig_in

from ansim.rig import Rig, load_rig
from ansim.sandbox import Sandbox

pytestmark = pytest.mark.needs("boards")

HERE = Path(__file__).parent


def test_the_alarm_path_holds_on_two_boards_that_are_wired(sandbox: Sandbox, tmp_path: Path) -> None:
    path = rig_in(sandbox, tmp_path, "suite")
    # Their home is not that of the suite, which can't wire them.
    Rig(load_rig(path), sandbox.home).close()
    environment = {
        **os.environ,
        "ANSIM_WIFI_SSID": sandbox.wifi.ssid,
        "ANSIM_WIFI_PASSPHRASE": sandbox.wifi.passphrase,
    }
    command = [sys.executable, "-m", "pytest", "-n0", "--place", str(path), str(HERE / "test_alarm_path.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the device on the rig of rig.toml" in done.stdout
    assert " passed" in done.stdout


def test_a_device_is_proven_by_the_rig_that_has_all_its_lines(
    sandbox: Sandbox, tmp_path: Path, ansim: Callable[..., str]
) -> None:
    path = rig_in(sandbox, tmp_path, "proving")
    port = load_rig(path).device.port
    ansim("flash", "--port", port, "--board", "virtual")
    proof = json.loads(ansim("prove", "--port", port, "--rig", str(path), "--json"))
    assert proof["passed"] and proof["hands"] == "rig"
    assert all(phase["passed"] for phase in proof["phases"])
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("led")))
    with pytest.raises(AssertionError, match="the rig has no line 'led'"):
        ansim("prove", "--port", port, "--rig", str(path))
