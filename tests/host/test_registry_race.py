"""Several stations with one registry, each a process of its own: killed at any moment, cut off, and run again."""

import random
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from database_kit import KINDS, cutting, database_url
from process_kit import PATIENCE_S

from ansim.registry import Registry

PROGRAM = Path(__file__).with_name("registry_station.py")
# Each is plugged in at every station.
MACS = 12


class Station:
    """A running station; what it said is kept, however it ends."""

    def __init__(self, url: str, name: str) -> None:
        command = [sys.executable, str(PROGRAM), url, name, str(MACS)]
        self.lines: list[list[str]] = []
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def read(self, count: int) -> bool:
        """Read so many lines, fewer where it ends before; tell whether it has said that many."""
        assert self._process.stdout is not None
        for _ in range(count):
            line = self._process.stdout.readline()
            if not line.endswith("\n"):
                return False
            self.lines.append(line.split())
        return True

    def kill(self) -> None:
        self._process.kill()
        self.read(4 * MACS)
        self._process.wait()

    def finish(self) -> None:
        """Read what it says until it has done all its devices."""
        killing = threading.Timer(PATIENCE_S, self._process.kill)
        killing.start()
        self.read(4 * MACS)
        assert self._process.wait() == 0
        killing.cancel()


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return database_url(request.param, tmp_path)


@pytest.mark.parametrize(("stations", "rounds"), [(2, 3), (8, 1)])
def test_stations_that_are_killed_and_run_again_make_one_fleet_and_one_chain(
    url: str, stations: int, rounds: int
) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    order = random.Random(seed)
    said: list[list[str]] = []
    kills = 0
    for _ in range(rounds):
        running = [Station(url, f"bench-{number}") for number in range(stations)]
        threads = [threading.Thread(target=_kill_somewhere, args=(each, order.randrange(3 * MACS))) for each in running]
        _run(threads)
        kills += stations
        said += [line for each in running for line in each.lines]
    last = [Station(url, f"bench-{number}") for number in range(stations)]
    _run([threading.Thread(target=each.finish) for each in last])
    said += [line for each in last for line in each.lines]
    _check(url, said, kills)


def _kill_somewhere(station: Station, after: int) -> None:
    station.read(after)
    station.kill()


def _run(threads: list[threading.Thread]) -> None:
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def _check(url: str, said: list[list[str]], lost: int) -> None:
    """Check that what was said is stored once; lost: how often something may have been stored that was not said."""
    with Registry.open(url) as registry:
        devices = registry.devices()
        history = registry.history()
        registry.verify()
    # One identity a MAC, serial numbers without a gap, and nobody was told another.
    assert [each.device for each in devices] == [f"AN{number:06d}" for number in range(1, MACS + 1)]
    told = {(mac, device) for what, mac, device in said if what == "enrolled"}
    assert told == {(each.mac.replace(":", ""), each.device) for each in devices}
    assert Counter(entry.action for entry in history)["enroll"] == MACS
    # No generation is given twice, and none that was said is forgotten.
    for action, word in (("credential", "issued"), ("flash", "passed")):
        stored = [(entry.device, str(entry.details["generation"])) for entry in history if entry.action == action]
        heard = [(device, generation) for what, device, generation in said if what == word]
        assert len(set(heard)) == len(heard)
        assert not Counter(heard) - Counter(stored)
        assert len(stored) - len(heard) <= lost
        assert action == "flash" or len(set(stored)) == len(stored)
    # Killed anywhere, each device is finished by who comes next.
    assert {each.state for each in devices} == {"ready"}


def test_a_ledger_is_whole_at_every_moment_in_which_stations_write_to_it(url: str) -> None:
    with Registry.open(url) as registry:
        stations = [Station(url, f"bench-{number}") for number in range(2)]
        threads = [threading.Thread(target=each.finish) for each in stations]
        for each in threads:
            each.start()
        seen = set()
        while any(each.is_alive() for each in threads):
            seen.add(registry.verify().entries)
        assert registry.verify().devices == MACS
    assert len(seen) > 1


def test_stations_whose_server_ends_their_sessions_again_and_again_lose_nothing(tmp_path: Path) -> None:
    url = database_url("postgresql", tmp_path)
    Registry.open(url).close()
    with cutting(url) as cuts:
        stations = [Station(url, f"bench-{number}") for number in range(2)]
        _run([threading.Thread(target=each.finish) for each in stations])
    assert cuts() > 0
    # A session that ends in its very commit has stored what it could not say, and says it at the second time.
    _check(url, [line for each in stations for line in each.lines], cuts())
