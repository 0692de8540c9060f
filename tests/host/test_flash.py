"""``ansim flash``: from an empty virtual board to one that runs our firmware, and all that has to stop it before."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansim import flash_job
from ansim.boards import load_board
from ansim.errors import BadInput, PortError
from ansim.flash_job import Job
from ansim.home import Home
from ansim.image import Firmware
from ansim.registry import Registry
from ansim.virtual import VirtualBoard

ANSIM = Path(sys.executable).with_name("ansim")
SECRET = "correct horse battery"


def ansim(*arguments: object, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command, which must end with this exit code."""
    command = [str(ANSIM), *map(str, arguments)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def ansim_json(*arguments: object, code: int = 0, **environment: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(ansim(*arguments, "--json", code=code, **environment).stdout)
    return result


def flash(*arguments: object, code: int = 0, **environment: str) -> dict[str, Any]:
    return ansim_json("flash", "--port", "virtual", "--board", "virtual", *arguments, code=code, **environment)


def make_fleet() -> None:
    ansim("init", "--yes", "--site", "demo", "--wifi-ssid", "home", ANSIM_WIFI_PASSPHRASE=SECRET)


def test_without_a_fleet_the_firmware_is_flashed_and_the_next_step_named(virtual_board: VirtualBoard) -> None:
    done = ansim("flash", "--port", "virtual", "--board", "virtual")
    assert "PASS" in done.stdout
    assert "ansim init, ansim provision" in done.stdout
    before = ansim_json("info", "--port", "virtual")
    assert before["provisioned"] is False
    assert virtual_board.mac in done.stdout
    # Erased, it must not number its starts as before: what it reported may be in a receiver already.
    virtual_board.control.power(False)
    virtual_board.flash_file.write_bytes(b"\xff" * virtual_board.flash_file.stat().st_size)
    virtual_board.control.power(True)
    ansim("flash", "--port", "virtual", "--board", "virtual")
    assert abs(ansim_json("info", "--port", "virtual")["boot"] - before["boot"]) > 2


def test_with_a_fleet_one_command_gives_firmware_and_identity(virtual_board: VirtualBoard, home: Home) -> None:
    make_fleet()
    outcome = flash("--role", "hub")
    assert outcome["info"]["build"].startswith(outcome["info"]["version"] + "+")
    assert outcome["info"]["device"] == outcome["device"]
    assert (outcome["info"]["site"], outcome["info"]["role"]) == ("demo", "hub")
    assert virtual_board.control.stats()["clients"] == 1
    with Registry.open(home.database_url) as registry:
        assert registry.get(outcome["device"]).mac == virtual_board.mac
        assert [(entry.action, entry.result) for entry in registry.history()][-1] == ("flash", "passed")


@pytest.mark.usefixtures("virtual_board")
def test_a_device_keeps_its_name_its_site_and_its_event_ids_go_on() -> None:
    make_fleet()
    first = flash("--site", "north", "--role", "hub")
    second = flash("--discard-pending")
    assert second["device"] == first["device"]
    assert (second["info"]["site"], second["info"]["role"]) == ("north", "hub")
    assert second["info"]["boot"] > first["info"]["boot"]
    assert second["written"]["MicroPython"] == 0


@pytest.mark.usefixtures("virtual_board")
def test_events_that_nobody_acknowledged_are_not_lost_unasked() -> None:
    make_fleet()
    flash()
    ansim("trigger", "--port", "virtual")
    pending = ansim_json("info", "--port", "virtual")["pending"]
    refused = flash(code=2)
    assert f"holds {pending} event" in refused["error"]
    assert "--discard-pending" in refused["hint"]
    assert ansim_json("info", "--port", "virtual")["pending"] >= pending
    assert flash("--discard-pending")["discarded_events"] >= pending


@pytest.mark.usefixtures("virtual_board")
def test_provision_changes_the_identity() -> None:
    flash()
    make_fleet()
    options = ("--port", "virtual", "--board", "virtual", "--site", "south", "--wifi-ssid", "flat 7")
    outcome = ansim_json("provision", *options, ANSIM_WIFI_PASSPHRASE="another secret")
    assert outcome["info"]["site"] == "south"
    assert list(outcome["written"]) == ["identity"]
    assert ansim_json("config", "--port", "virtual")["wifi"] == ["flat 7", "home"]


@pytest.mark.usefixtures("virtual_board")
def test_secrets_are_in_no_output_and_no_record(home: Home) -> None:
    make_fleet()
    done = ansim("flash", "--port", "virtual", "--board", "virtual")
    with Registry.open(home.database_url) as registry:
        kept = repr(registry.history())
    for text in (done.stdout, done.stderr, kept):
        assert SECRET not in text
        assert "eyJ" not in text


def test_unplugged_in_the_middle_is_in_the_history_and_the_next_run_makes_it_good(
    start_virtual_board: Callable[..., VirtualBoard], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ansim.flasher.BACK_S", 0.5)
    make_fleet()
    board = start_virtual_board()

    def unplug(what: str, done: int, total: int) -> None:
        if what == "writing firmware" and 2 * done > total:
            os.kill(board.pid, signal.SIGKILL)

    with pytest.raises(PortError, match="went away"):
        flash_job.flash(Job(home, "virtual", "virtual"), unplug)
    with Registry.open(home.database_url) as registry:
        (device,) = registry.devices()
        assert [(entry.action, entry.result) for entry in registry.history()][-1] == ("flash", "failed")
    start_virtual_board()
    outcome = flash()
    assert outcome["device"] == device.device
    assert outcome["info"]["device"] == device.device
    assert outcome["unchanged"]["MicroPython"] > 0


def test_firmware_that_is_too_large_names_board_partition_and_biggest_files() -> None:
    board = load_board("virtual")
    small = dataclasses.replace(board.partitions, vfs=dataclasses.replace(board.partitions.vfs, size=0x8000))
    firmware = Firmware("0.1.0+00000000", {"main.py": bytes(range(256)) * 256}, {})
    with pytest.raises(BadInput, match="board virtual: .* does not fit its partition of 32768 bytes") as refused:
        flash_job.firmware_part(dataclasses.replace(board, partitions=small), firmware)
    assert "partitions.vfs in boards/virtual.toml" in refused.value.hint
    assert "main.py (65536 bytes)" in refused.value.hint


BAD_OPTIONS: list[tuple[str, list[str], int, str]] = [
    ("unknown board", ["--port", "virtual", "--board", "virtaul"], 2, "did you mean 'virtual'"),
    ("no such port", ["--port", "/dev/ttyNONE0", "--board", "virtual"], 3, "there is no port /dev/ttyNONE0"),
    ("no virtual board", ["--port", "virtual", "--board", "virtual"], 2, "no virtual board"),
    ("no such image", ["--port", "virtual", "--board", "virtual", "--micropython", "/nowhere.bin"], 2, "/nowhere.bin"),
    ("no fleet", ["--port", "virtual", "--board", "virtual", "--site", "demo"], 2, "there is no fleet"),
]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("options", "code", "says"), [row[1:] for row in BAD_OPTIONS], ids=[row[0] for row in BAD_OPTIONS]
)
def test_what_can_not_work_is_refused_at_once(options: list[str], code: int, says: str) -> None:
    refused = ansim_json("flash", *options, code=code)
    assert says in refused["error"]
    assert refused["hint"]
    assert refused["exit_code"] == code


@pytest.mark.usefixtures("home")
def test_an_illegal_passphrase_is_refused_without_being_shown() -> None:
    make_fleet()
    options = ("--port", "virtual", "--board", "virtual", "--wifi-ssid", "home")
    done = ansim("flash", *options, code=2, ANSIM_WIFI_PASSPHRASE="short")
    assert "passphrase for Wi-Fi 'home' is not legal" in done.stderr.replace("\n", " ")
    assert "short" not in done.stdout + done.stderr
