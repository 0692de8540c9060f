"""What flashing leaves in the registry, on a virtual board and both databases, and what goes wrong on the way."""

import hashlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from database_kit import KINDS, database_url
from process_kit import next_line

from ansim import flash_job
from ansim.boards import load_board
from ansim.database import DatabaseUnavailable
from ansim.flash_job import Job
from ansim.home import Home
from ansim.micropython_source import image_for
from ansim.provisioning import Wishes
from ansim.registry import DeviceRetired, Registry
from ansim.schema import metadata
from ansim.virtual import VirtualBoard

ANSIM = Path(sys.executable).with_name("ansim")
SECRET = "correct horse battery"


@pytest.fixture
def fleet(home: Home) -> Home:
    command = [str(ANSIM), "init", "--yes", "--site", "demo", "--wifi-ssid", "home"]
    places = {**os.environ, "ANSIM_WIFI_PASSPHRASE": SECRET}
    subprocess.run(command, check=True, timeout=60, env=places, stdout=subprocess.DEVNULL)
    return home


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A registry, which commands in this process and its children take."""
    made = database_url(getattr(request, "param", "sqlite"), tmp_path)
    monkeypatch.setenv("ANSIM_DB", made)
    return made


def flash(home: Home, on_progress: Callable[[str, int, int], None] = lambda *_: None, **options: Any) -> str:
    job = Job(home, "virtual", "virtual", discard_pending=True, **options)
    return flash_job.flash(job, on_progress).device


def everything(url: str) -> str:
    """Return all that the database holds, as text."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        rows = [row for table in metadata.sorted_tables for row in connection.execute(table.select())]
    engine.dispose()
    return repr(rows)


@pytest.mark.parametrize("url", KINDS, indirect=True)
@pytest.mark.usefixtures("virtual_board")
def test_a_flash_leaves_what_was_written_how_it_was_tested_and_where(fleet: Home, url: str) -> None:
    device = flash(fleet, wishes=Wishes(household="N-17"), station="bench-2")
    with Registry.open(url) as registry:
        assert (registry.get(device).household, registry.get(device).state) == ("N-17", "ready")
        registry.verify()
        done = registry.history(device)
    assert [(entry.action, entry.result) for entry in done] == [
        ("enroll", "done"),
        ("credential", "issued"),
        ("flash", "passed"),
    ]
    assert {entry.station for entry in done} == {"bench-2"}
    details = done[-1].details
    image = image_for(load_board("virtual"), fleet, None)
    assert details["images"]["MicroPython"] == hashlib.sha256(image.data).hexdigest()
    assert re.fullmatch("[0-9a-f]{64}", details["images"]["firmware"])
    assert details["tests"]["answers"] == {"build": details["build"], "device": device}
    assert (details["board"], details["mac"]) == ("virtual", done[0].details["mac"])
    kept = everything(url)
    assert device in kept
    # Passphrases, tokens, keys, nkey seeds.
    assert not re.search(rf"{SECRET}|eyJ|PRIVATE KEY|\bS[UAO][A-Z2-7]{{56}}\b", kept)


@pytest.mark.usefixtures("virtual_board")
def test_a_retired_device_is_refused_before_a_byte_is_written(fleet: Home, url: str) -> None:
    device = flash(fleet)
    with Registry.open(url) as registry:
        registry.retire(device, "dropped into water")
    steps = []
    with pytest.raises(DeviceRetired, match=f"{device} .* was retired"):
        flash(fleet, lambda what, _done, _total: steps.append(what))
    assert steps and not [step for step in steps if step.startswith("writing")]
    with Registry.open(url) as registry:
        assert registry.history(device)[-1].action == "retire"
        registry.reinstate(device, "found to be dry")
    assert flash(fleet) == device


@pytest.mark.parametrize(
    ("url", "step"),
    [("sqlite", "writing MicroPython"), ("postgresql", "writing identity"), ("sqlite", "starting")],
    indirect=["url"],
)
def test_a_flash_that_was_killed_is_made_good_by_the_next_run(
    fleet: Home, url: str, virtual_board: VirtualBoard, step: str
) -> None:
    command = [str(ANSIM), "flash", "-p", "virtual", "-b", "virtual"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    while (line := next_line(process, "stderr")) and not line.startswith(step):
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert line.startswith(step)
    with Registry.open(url) as registry:
        assert {each.state for each in registry.devices()} <= {"unfinished"}
        assert flash(fleet) == "AN000001"
        (device,) = registry.devices()
        assert (device.mac, device.state) == (virtual_board.mac, "ready")
        assert [entry.action for entry in registry.history()].count("enroll") == 1
        registry.verify()


@pytest.mark.usefixtures("virtual_board")
def test_a_registry_that_is_gone_when_a_device_is_done_is_told_and_the_next_run_makes_it_good(fleet: Home) -> None:
    holder = sqlite3.connect(fleet.path / "ansim.db", isolation_level=None, check_same_thread=False)

    def lock(what: str, _done: int, _total: int) -> None:
        if what == "starting" and not holder.in_transaction:
            holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(DatabaseUnavailable, match="locked by"):
        flash(fleet, lock)
    holder.close()
    with Registry.open(fleet.database_url) as registry:
        assert [each.state for each in registry.devices()] == ["unfinished"]
        flash(fleet)
        assert [each.state for each in registry.devices()] == ["ready"]
        registry.verify()


@pytest.mark.usefixtures("virtual_board", "fleet")
def test_a_station_or_household_that_is_none_is_refused_before_the_device_is_touched() -> None:
    for option, value in (("--station", "a b"), ("--household", "=1+2")):
        command = [str(ANSIM), "flash", "-p", "virtual", "-b", "virtual", "--json", option, value]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert f"{option[2:]} '{value}' is not legal" in json.loads(done.stdout)["error"]
