"""The power goes in every flash operation of the journal's life on LittleFS: what was stored is there, and no more."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FIRMWARE = HERE.parents[1] / "firmware"
STEPS = 60


@pytest.mark.parametrize("seed", [1, 2])
def test_whenever_the_power_goes_the_journal_loses_nothing_and_invents_nothing(seed: int) -> None:
    micropython = Path(sys.executable).parent / "micropython"
    program = [str(micropython), "-X", "heapsize=64m", str(HERE / "journal_cuts.py")]
    done = subprocess.run(
        [*program, str(FIRMWARE), str(STEPS), str(seed)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["erases"] > 2, "no block was written anew, so the history is too short"
    assert told["cuts"] == 6 * told["operations"] - told["erases"]
    assert min(told["second_cuts"], told["brownout_cuts"]) > 500
