"""Whole devices: port -> flashed and provisioned -> connected. Everything real, on virtual boards."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from ansim.sandbox import Sandbox
from unit_under_test import UnitUnderTest


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A fleet with broker and receiver, one for each process that runs tests."""
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as made:
        yield made


@pytest.fixture(scope="module")
def flashed(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[UnitUnderTest]:
    """A device of this module's own, flashed and provisioned once."""
    board = sandbox.start_board(_board_name(request))
    unit = UnitUnderTest(sandbox, board)
    try:
        unit.flash()
        yield unit
    finally:
        unit.close()
        # A process that runs tests may come back to this module later, and then starts it anew.
        sandbox.stop_board(board)


@pytest.fixture
def several(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[Callable[[int], list[UnitUnderTest]]]:
    """Make so many new devices, flashed and provisioned, to wait at once for what takes each of them long."""
    made: list[UnitUnderTest] = []

    def make(count: int) -> list[UnitUnderTest]:
        for number in range(count):
            made.append(UnitUnderTest(sandbox, sandbox.start_board(f"{_board_name(request)}-{number}")))
            made[-1].flash()
        return made

    yield make
    for unit in made:
        unit.close()
        sandbox.stop_board(unit.board)


def _board_name(request: pytest.FixtureRequest) -> str:
    return str(request.module.__name__).removeprefix("test_").replace("_", "-")[:24]


@pytest.fixture
def device(flashed: UnitUnderTest) -> Iterator[UnitUnderTest]:
    """The module's device, freshly switched on, connected, with nothing waiting."""
    flashed.start_afresh()
    yield flashed
    flashed.disconnect()


@pytest.fixture
def running(flashed: UnitUnderTest) -> Iterator[UnitUnderTest]:
    """The module's device as the test before left it, connected: for tests that raise no alarm."""
    flashed.connect()
    flashed.until_connected()
    yield flashed
    flashed.disconnect()


@pytest.fixture
def ansim(sandbox: Sandbox) -> Callable[..., str]:
    """Run an ansim command on the sandbox's home and return what it printed; it must succeed."""

    def run(*arguments: str) -> str:
        environment = {**os.environ, "ANSIM_HOME": str(sandbox.home.path)}
        command = [sys.executable, "-m", "ansim", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def enter_repl() -> Iterator[Callable[[UnitUnderTest], Callable[..., str]]]:
    """Bring a device into safe mode by its button, and give a way to run mpremote on it; it is on duty again after."""
    entered: list[UnitUnderTest] = []

    def enter(device: UnitUnderTest) -> Callable[..., str]:
        entered.append(device)
        device.enter_safe_mode()
        return mpremote(device.board.url)

    yield enter
    for device in entered:
        device.control.power(False)
        device.control.power(True)


def mpremote(port: str) -> Callable[..., str]:
    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "mpremote", "connect", port, "resume", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
