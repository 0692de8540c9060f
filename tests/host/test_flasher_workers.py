"""Whole jobs in processes of their own: killed, cancelled, out of disk, on wrong boards and taken ports."""

import os
import pickle
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from process_kit import next_line

from ansim import credentials, flash_job
from ansim.errors import AnsimError, Interrupted
from ansim.flash_job import Job, Outcome, Prepared
from ansim.flasher import WrongBoard
from ansim.fleet import Fleet, WifiNetwork
from ansim.home import Home
from ansim.registry import Registry
from ansim.serial_link import PortBusy, open_port
from ansim.virtual import VirtualBoard
from ansim.workers import Ended, Said, Workers

PATIENCE_S = 60
# So much a job says at least, also one that has nothing left to write.
MOMENTS = 14
StartBoard = Callable[..., VirtualBoard]
Say = Callable[[Any], None]


@pytest.fixture
def fleet(home: Home) -> Home:
    """A fleet whose broker nobody has started."""
    fleet = Fleet(site="bench").with_network(WifiNetwork("home", "a passphrase"))
    credentials.make(home, fleet.host)
    fleet.save_wifi(home)
    fleet.save(home)
    return home


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return flash_job.prepare(Home(tmp_path_factory.mktemp("home")), "virtual")


@pytest.fixture
def chance() -> random.Random:
    """Other moments in each run; a failure shows the seed."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    return random.Random(seed)


def work(say: Say, job: Job, prepared: Prepared, disk_bytes: int = 0) -> Outcome:
    """Tell the process's number, and then each step; disk_bytes is the most that a file may have."""
    say(os.getpid())
    if disk_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (disk_bytes, resource.RLIM_INFINITY))
    return flash_job.flash(job, lambda what, done, total: say((what, done, total)), prepared)


def job_on(home: Home, port: str = "virtual") -> Job:
    return Job(home, port, "virtual")


def station(folder: str) -> None:
    """Do one job in the home in folder, and print each step; this process is going to be killed."""
    home = Home(Path(folder))
    with Workers() as workers:
        workers.start("virtual", work, job_on(home), pickle.loads((home.path / "prepared").read_bytes()))
        while workers.running:
            for heard in workers.poll(1):
                print(heard.what if isinstance(heard, Said) else "ended", flush=True)


def ends(workers: Workers, on_said: Callable[[Said], None] = lambda _: None) -> dict[str, Ended]:
    """Wait until all have ended."""
    found: dict[str, Ended] = {}
    deadline = time.monotonic() + PATIENCE_S
    while workers.running:
        assert time.monotonic() < deadline
        for heard in workers.poll(0.2):
            if isinstance(heard, Ended):
                found[heard.key] = heard
            else:
                on_said(heard)
    return found


class Moment:
    """Acts on the process that speaks, once it has said so much."""

    def __init__(self, words: int, act: Callable[[int], object]) -> None:
        self._words = words
        self._act = act
        self._pid = 0

    def __call__(self, said: Said) -> None:
        if isinstance(said.what, int):
            self._pid = said.what
        self._words -= 1
        if self._words == 0:
            self._act(self._pid)


def finish(home: Home, prepared: Prepared) -> str:
    """Run the job again to its end; return the device's name, which the registry has, once and verified."""
    device = flash_job.flash(job_on(home), lambda *_: None, prepared).device
    with Registry.open(home.database_url) as registry:
        registry.verify()
        (known,) = registry.devices()
        assert (known.device, known.state) == (device, "ready")
    return device


def wait_until_free(home: Home) -> None:
    """The kernel frees a port as its owner dies; a virtual board has to hear of it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            open_port("virtual", home).close()
        except PortBusy:
            time.sleep(0.01)
        else:
            return
    raise AssertionError("the port is still taken")


@pytest.mark.usefixtures("virtual_board")
def test_a_worker_that_is_killed_leaves_a_free_port_and_a_board_that_the_next_run_finishes(
    fleet: Home, prepared: Prepared, chance: random.Random
) -> None:
    with Workers() as workers:
        for _ in range(4):
            workers.start("virtual", work, job_on(fleet), prepared)
            moment = Moment(chance.randrange(1, MOMENTS), lambda pid: os.kill(pid, signal.SIGKILL))
            (ended,) = ends(workers, moment).values()
            assert ended.error
            assert "SIGKILL" in ended.error.message
            wait_until_free(fleet)
    name = finish(fleet, prepared)
    assert finish(fleet, prepared) == name


@pytest.mark.usefixtures("virtual_board")
def test_a_station_that_is_killed_takes_its_workers_along_and_the_next_one_finishes(
    fleet: Home, prepared: Prepared, chance: random.Random
) -> None:
    program = (
        f"import test_flasher_workers as t; from pathlib import Path; t.work_for_ever(Path({str(fleet.path)!r}), '1')"
    )
    for _ in range(2):
        station = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent
        )
        for _ in range(chance.randrange(2, 30)):
            next_line(station)
        station.kill()
        station.communicate()
        wait_until_free(fleet)
    finish(fleet, prepared)


@pytest.mark.usefixtures("virtual_board")
def test_a_job_that_is_cancelled_says_so_in_the_ledger_and_leaves_the_board_running(
    fleet: Home, prepared: Prepared
) -> None:
    with Workers() as workers:
        workers.start("virtual", work, job_on(fleet), prepared)

        def cancel_while_writing(said: Said) -> None:
            if isinstance(said.what, tuple) and said.what[0] == "writing firmware":
                workers.cancel("virtual")

        (ended,) = ends(workers, cancel_while_writing).values()
    assert isinstance(ended.error, Interrupted)
    with Registry.open(fleet.database_url) as registry:
        last = registry.history()[-1]
    assert (last.action, last.result, last.details["error"]) == ("flash", "failed", "interrupted")
    finish(fleet, prepared)


@pytest.mark.usefixtures("virtual_board")
def test_a_full_disk_is_told_and_once_there_is_room_the_next_run_finishes(
    fleet: Home, prepared: Prepared, chance: random.Random
) -> None:
    Registry.open(fleet.database_url).close()
    used = Path(fleet.database_url.removeprefix("sqlite:///")).stat().st_size
    told: list[AnsimError | None] = []
    with Workers() as workers:
        # The first of these is too small for anything; no file may grow beyond them, as on a full disk.
        for disk_bytes in (4096, *chance.sample(range(4096, used + 8192), 3)):
            workers.start("virtual", work, job_on(fleet), prepared, disk_bytes)
            told += [ended.error for ended in ends(workers).values()]
    assert told[0]
    for error in filter(None, told):
        assert "unexpected" not in error.message
        assert error.hint
    finish(fleet, prepared)


def test_a_wrong_board_and_a_taken_port_do_not_hold_up_the_others(
    start_virtual_board: StartBoard, fleet: Home, prepared: Prepared
) -> None:
    for name in ("good", "taken", "also-good"):
        start_virtual_board(name)
    wrong = start_virtual_board("wrong", chip="esp32c3")
    with Workers() as workers, open_port("virtual:taken", fleet):
        for name in ("wrong", "taken", "good", "also-good"):
            workers.start(name, work, job_on(fleet, f"virtual:{name}"), prepared)
        found = ends(workers)
    assert isinstance(found["wrong"].error, WrongBoard)
    assert isinstance(found["taken"].error, PortBusy)
    names = {found[name].result.device for name in ("good", "also-good")}
    with Registry.open(fleet.database_url) as registry:
        registry.verify()
        assert {device.device for device in registry.devices()} == names
    assert len(names) == 2
    assert set(wrong.flash_file.read_bytes()) == {0xFF}
