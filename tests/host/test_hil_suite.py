"""Hardware in the loop: a test says what it needs, uses no more, and is skipped where its place lacks it."""

import os
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

HIL = Path(__file__).parents[1] / "hil"
PRESSES = """
import pytest

@pytest.mark.needs({asks})
def test_a_press(sandbox, place):
    from unit_under_test import UnitUnderTest
    UnitUnderTest(sandbox, place).press(1)
"""
SWALLOWS = """
import contextlib
from unit_under_test import UnitUnderTest

def test_a_press(sandbox, place):
    with contextlib.suppress(Exception):
        UnitUnderTest(sandbox, place).press(1)
"""
STARTS_A_BOARD = """
def test_a_board(sandbox):
    sandbox.start_board("one")
"""


@pytest.fixture
def plain_port() -> Iterator[str]:
    """A serial port that is a plain TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"socket://127.0.0.1:{server.getsockname()[1]}"


def run_suite(folder: Path, text: str, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run a test file with the suite's conftest, as pytest tests/hil does."""
    file = folder / "test_written.py"
    file.write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-rs", str(file), *options]
    environment = {**os.environ, "PYTHONPATH": str(HIL), "ANSIM_HOME": str(folder / "home")}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("asks", "says"), [('"press"', "1 passed"), ('"reset"', "needs('press'): press its button and let it go")]
)
def test_a_test_uses_only_what_it_asked_for(tmp_path: Path, asks: str, says: str) -> None:
    done = run_suite(tmp_path, PRESSES.format(asks=asks))
    assert says in done.stdout, done.stdout + done.stderr
    assert (done.returncode == 0) == ("passed" in says)


@pytest.mark.parametrize(("text", "name"), [(SWALLOWS, "press"), (STARTS_A_BOARD, "boards")])
def test_it_is_told_also_where_the_test_looks_away_and_of_boards_that_it_starts(
    tmp_path: Path, text: str, name: str
) -> None:
    done = run_suite(tmp_path, text)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"needs({name!r})" in done.stdout


def test_a_place_that_lacks_something_skips_with_its_reason_and_the_reports_have_it(
    tmp_path: Path, plain_port: str
) -> None:
    junit, page = tmp_path / "hil.xml", tmp_path / "hil.html"
    options = ("--place", plain_port, "--junitxml", str(junit), "--html", str(page))
    done = run_suite(tmp_path, PRESSES.format(asks='"press"'), *options)
    assert done.returncode == 0, done.stdout + done.stderr
    reason = f"the device on {plain_port} can't press its button and let it go: nobody is there to do it"
    (place,) = [line for line in done.stdout.splitlines() if line.startswith("place: ")]
    assert place.startswith(f"place: the device on {plain_port}; without ")
    assert {"flash", "press", "power"} < set(place.partition("; without ")[2].split(", "))
    assert reason in done.stdout
    (case,) = ET.parse(junit).getroot().iter("testcase")
    assert [prop.get("value") for prop in case.iter("property")] == ["press"]
    assert "nobody is there to do it; a rig would do it" in page.read_text()


def test_a_port_that_is_not_there_is_told_before_any_test(tmp_path: Path) -> None:
    done = run_suite(tmp_path, STARTS_A_BOARD, "--place", "/dev/nothing")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "there is no port /dev/nothing" in done.stderr


def test_a_capability_that_does_not_exist_is_a_mistake(tmp_path: Path) -> None:
    done = run_suite(tmp_path, PRESSES.format(asks='"preess"'))
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "test_a_press needs preess: there is no such capability" in done.stderr + done.stdout


def test_one_device_is_not_shared_by_processes(tmp_path: Path, plain_port: str) -> None:
    done = run_suite(tmp_path, STARTS_A_BOARD, "--place", plain_port, "-n", "2")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "it is one device. Use -n 0." in done.stderr
