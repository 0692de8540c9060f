"""Broker and key changes are killed at any moment: whoever is in the field is let in, whoever is not is refused."""

import fcntl
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from mqtt_device import make_home
from revocation_kit import Town, town

from ansim.home import Home
from ansim.registry import Registry

RUN = "from ansim.cli import main; main()"
ROUNDS = 3
# From before a server is there until a broker has taken what was changed.
SPAN_S = 3.0


def start(home: Home, *arguments: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "ANSIM_HOME": str(home.path)}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def killed(home: Home, retired: str, chance: random.Random) -> None:
    """Retire a device while a broker runs and keys are changed, and kill both."""
    programs = [start(home, "broker"), start(home, "keys", "rotate")]
    time.sleep(chance.uniform(0, SPAN_S))
    with Registry.open(home.database_url) as registry:
        registry.retire(retired, "lost")
    time.sleep(chance.uniform(0, SPAN_S))
    for each in chance.sample(programs, len(programs)):
        each.kill()
    for each in programs:
        each.wait()
    with (home.broker / "lock").open("a") as lock:
        # Its server ends with it, which takes a moment.
        fcntl.flock(lock, fcntl.LOCK_EX)


def provision_some(fleet: Town, held: dict[str, str], out: list[tuple[str, str]], chance: random.Random) -> None:
    """Provision two devices, one anew; of that one, nobody may have seen whether it was written."""
    device = fleet.enrol(len(held) + len(out) + 1)
    held[device] = fleet.provision(device)
    again = chance.choice(sorted(held))
    token = fleet.issue(again)
    if chance.random() < 0.5:
        fleet.found(again, token)
        out.append((again, held[again]))
        held[again] = token


def test_whoever_is_killed_nobody_in_the_field_is_cut_off_and_nobody_else_is_let_in(tmp_path: Path) -> None:
    home, chance = make_home(tmp_path / "home"), random.Random()
    held: dict[str, str] = {}
    out: list[tuple[str, str]] = []
    for _ in range(ROUNDS):
        with town(home) as fleet:
            provision_some(fleet, held, out, chance)
        retired = chance.choice(sorted(held))
        killed(home, retired, chance)
        out.append((retired, held.pop(retired)))
        with town(home) as fleet:
            assert [device for device, token in held.items() if not fleet.lets_in(device, token)] == []
            assert [device for device, token in out if fleet.lets_in(device, token)] == []
            assert fleet.complaints == []
            fleet.registry.verify()
