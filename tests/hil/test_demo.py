"""The demo: what it shows, and that it can fail."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansim import demo
from ansim.errors import DeviceError
from ansim.home import Home
from ansim.virtual import find_board, running_boards

pytestmark = pytest.mark.needs("boards", "flash", "press", "radio", "wifi")


def test_the_demo_ends_with_the_acknowledgement_on_the_device_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "ansim", "demo", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    moments = [moment["what"] for moment in told["alarm"]]
    assert moments[0] == "the button goes down"
    assert (
        moments.index("it is on the device's flash") <= moments.index("it is sent") < moments.index("the device knows")
    )
    assert moments[-1].startswith("the device shows it")
    assert list(tmp_path.iterdir()) == []


def test_the_demo_fails_when_no_acknowledgement_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "ACKNOWLEDGE_S", 3.0)
    home = Home(tmp_path)

    def take_the_wifi_away(step: str, _done: int, _total: int) -> None:
        if step == "pressing the button":
            find_board(home).control.wifi(False)

    with pytest.raises(DeviceError, match="no acknowledgement came back"):
        demo.run(tmp_path, take_the_wifi_away)
    assert running_boards(home) == []
