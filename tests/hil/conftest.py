"""Whole devices: place -> provisioned -> device -> armed. Everything real, on virtual boards or others."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asked import ASKED, CheckedSandbox, not_asked

from ansim.errors import AnsimError
from ansim.places import CAPABILITIES, Ground, Place, find_ground, why_not
from ansim.sandbox import Sandbox
from unit_under_test import UnitUnderTest

_GROUND = pytest.StashKey[Ground]()
_LACKS = pytest.StashKey[list[str]]()
# What a test needs that uses one of these, besides what it asks for itself.
_NEEDS_OF_FIXTURES = {
    "provisioned": ("flash",),
    "blank": ("blank",),
    "several": ("boards", "flash"),
    "enter_repl": ("press", "power", "wifi"),
}
# Boards mostly wait, so there are more processes than cores.
_PROCESSES = 4


# The place


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ansim", "hardware in the loop (docs/hil.md)")
    group.addoption("--place", default="virtual", help="Where the device is: 'virtual', a serial port, ...")
    group.addoption("--board", default="", help="Name or path of its board file; without it the place's usual one.")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*capabilities): what its place must be able to do (docs/hil.md)")
    try:
        ground = find_ground(config.getoption("place", "virtual"), config.getoption("board", ""))
        config.stash[_LACKS] = [name for name in CAPABILITIES if ground.lacks(name)]
    except AnsimError as error:
        raise pytest.UsageError(f"{error.message}. {error.hint}") from error
    if config.getoption("numprocesses", 0) and (reason := why_not(ground, ["boards"])):
        raise pytest.UsageError(f"{reason}. Use -n 0.")
    config.stash[_GROUND] = ground


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes ``-n auto`` is: one device is not shared."""
    try:
        ground = find_ground(config.getoption("place"), config.getoption("board"))
    except AnsimError:
        return 0  # pytest_configure tells of it
    return 0 if ground.lacks("boards") else _PROCESSES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if unknown := needs_of(item) - set(CAPABILITIES):
            raise pytest.UsageError(f"{item.nodeid} needs {', '.join(unknown)}: there is no such capability")


def needs_of(item: pytest.Item) -> frozenset[str]:
    """Return what a test needs of its place, names of CAPABILITIES."""
    asked = {name for mark in item.iter_markers("needs") for name in mark.args}
    fixtures = getattr(item, "fixturenames", ())
    return frozenset(asked.union(*(_NEEDS_OF_FIXTURES.get(name, ()) for name in fixtures)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let the test use what it needs, in its fixtures, too, and nothing else."""
    wanted = needs_of(item)
    item.user_properties.append(("needs", " ".join(sorted(wanted))))
    ASKED.unasked.clear()
    with ASKED.only(wanted):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if reason := why_not(item.config.stash[_GROUND], sorted(needs_of(item))):
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:  # noqa: ARG001  # pytest calls it by this name
    result = yield
    if ASKED.unasked:
        pytest.fail(not_asked(ASKED.unasked))
    return result


# The report


def pytest_report_header(config: pytest.Config) -> str:
    lacks = config.stash[_LACKS]
    return f"place: {config.stash[_GROUND].name}" + (f"; without {', '.join(lacks)}" if lacks else "")


@pytest.hookimpl(optionalhook=True)
def pytest_html_report_title(report: Any) -> None:
    report.title = "Hardware in the loop"


@pytest.hookimpl(optionalhook=True)
def pytest_html_results_table_header(cells: list[str]) -> None:
    cells.insert(2, "<th>Needs</th>")


@pytest.hookimpl(optionalhook=True)
def pytest_html_results_table_row(report: pytest.TestReport, cells: list[str]) -> None:
    cells.insert(2, f"<td>{dict(report.user_properties).get('needs', '')}</td>")


# Devices


@pytest.fixture(scope="session")
def ground(pytestconfig: pytest.Config) -> Ground:
    """Where devices under test are."""
    return pytestconfig.stash[_GROUND]


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory, ground: Ground) -> Iterator[Sandbox]:
    """A fleet with broker and receiver, one for each process that runs tests."""
    network: dict[str, Any] = {"wifi": ground.wifi} if ground.wifi else {}
    with CheckedSandbox(tmp_path_factory.mktemp("sandbox"), ground.host, **network) as made:
        yield made


@pytest.fixture(scope="session")
def flashed_names() -> dict[str, str]:
    """The names of devices that are flashed once for all modules, by their ports."""
    return {}


@pytest.fixture(scope="module")
def place(sandbox: Sandbox, ground: Ground, request: pytest.FixtureRequest) -> Iterator[Place]:
    """Where the module's device is: a board of its own where there are boards, else the one that there is."""
    with ASKED.only(None):
        opened = ground.open(sandbox, _board_name(request))
    yield opened
    # A process that runs tests may come back to this module later, and then starts it anew.
    opened.close()


@pytest.fixture(scope="module")
def provisioned(sandbox: Sandbox, place: Place, flashed_names: dict[str, str]) -> Iterator[UnitUnderTest]:
    """The module's device, flashed and provisioned once."""
    unit = UnitUnderTest(sandbox, place)
    unit.name = flashed_names.get(place.url, "")
    if not unit.name:
        unit.flash()
    if place.lacks("boards"):
        flashed_names[place.url] = unit.name
    yield unit
    unit.disconnect()


@pytest.fixture
def device(provisioned: UnitUnderTest) -> Iterator[UnitUnderTest]:
    """The module's device, freshly switched on, connected, with nothing waiting."""
    provisioned.start_afresh()
    yield provisioned
    provisioned.disconnect()


@pytest.fixture
def armed(device: UnitUnderTest) -> Iterator[UnitUnderTest]:
    """The module's device, on which a press is an alarm at once, and the next one another."""
    device.configure(cancel_s=0)
    yield device
    device.connect()
    device.configure(cancel_s=30)


@pytest.fixture
def blank(sandbox: Sandbox, place: Place, request: pytest.FixtureRequest) -> Iterator[UnitUnderTest]:
    """The module's device without an identity, which it gets back afterwards if it had one."""
    if place.lacks("flash"):
        unit = UnitUnderTest(sandbox, place)
        unit.start_afresh()
        yield unit
        unit.disconnect()
        return
    with ASKED.only(None):
        device: UnitUnderTest = request.getfixturevalue("device")
        device.erase_identity()
    device.connect()
    yield device
    with ASKED.only(None):
        device.write_identity()


@pytest.fixture
def running(provisioned: UnitUnderTest) -> Iterator[UnitUnderTest]:
    """The module's device as the test before left it, connected where it can: for tests that raise no alarm."""
    provisioned.connect()
    provisioned.until_ready()
    yield provisioned
    provisioned.disconnect()


@pytest.fixture
def several(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[Callable[..., list[UnitUnderTest]]]:
    """Make so many new devices, flashed and provisioned, to wait at once for what takes each of them long.

    Their time runs speed times faster than life.
    """
    made: list[UnitUnderTest] = []

    def make(count: int, speed: int = 1) -> list[UnitUnderTest]:
        for number in range(count):
            board = sandbox.start_board(f"{_board_name(request)}-{number}", speed=speed)
            made.append(UnitUnderTest.on(sandbox, board))
            made[-1].flash()
        return made

    yield make
    for unit in made:
        unit.close()


def _board_name(request: pytest.FixtureRequest) -> str:
    return str(request.module.__name__).removeprefix("test_").replace("_", "-")[:24]


# Tools


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
        return mpremote(device.url)

    yield enter
    for device in entered:
        device.restart()


def mpremote(port: str) -> Callable[..., str]:
    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "mpremote", "connect", port, "resume", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
