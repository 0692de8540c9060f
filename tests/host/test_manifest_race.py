"""Several stations fill one manifest, each a process of its own: killed, cut off, out of disk, and run again."""

import functools
import random
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from database_kit import KINDS, cutting, database_url
from flaky_wire import flaky_wire
from process_kit import in_time

from ansim.database import DatabaseUnavailable
from ansim.manifest import Manifest, Order
from ansim.manifest_file import load_manifest
from ansim.registry import Registry

PROGRAM = Path(__file__).with_name("manifest_station.py")
# Three stations, of which two neighbours share half of their boards; there are more boards than places.
STATIONS, BOARDS, STEP = 3, 8, 4
PLACES = 12
LINES = 3 * BOARDS


class Station:
    """A running station; what it said is kept, however it ends."""

    def __init__(self, url: str, manifest: Path, number: int) -> None:
        boards = [str(1 + STEP * number), str(BOARDS)]
        command = [sys.executable, str(PROGRAM), url, f"bench-{number}", str(manifest), *boards]
        self.said: list[list[str]] = []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def read(self, count: int = LINES) -> None:
        """Read so many lines, fewer where it ends before."""
        assert self.process.stdout is not None
        for _ in range(count):
            line = self.process.stdout.readline()
            if not line.endswith("\n"):
                return
            self.said.append(line.split())

    def kill_after(self, count: int) -> None:
        with in_time(self.process):
            self.read(count)
            self.process.kill()
            self.read()
            self.process.wait()

    def finish(self) -> None:
        with in_time(self.process):
            self.read()
            assert self.process.wait() == 0


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "box.csv"
    path.write_text(f"site,role,household,count\nnorth,hub,N-17,1\nsouth,,,{PLACES - 1}\n")
    return path


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return database_url(request.param, tmp_path)


def together(*actions: Callable[[], None]) -> None:
    threads = [threading.Thread(target=action) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def started(url: str, manifest: Path) -> list[Station]:
    return [Station(url, manifest, number) for number in range(STATIONS)]


def finished(url: str, manifest: Path) -> list[list[str]]:
    """Let all stations do all their boards; return what they said."""
    stations = started(url, manifest)
    together(*(each.finish for each in stations))
    return [line for each in stations for line in each.said]


def killed(url: str, manifest: Path, order: random.Random) -> list[list[str]]:
    """Kill each station somewhere; return what they said until then."""
    stations = started(url, manifest)
    together(*(functools.partial(each.kill_after, order.randrange(2 * BOARDS)) for each in stations))
    return [line for each in stations for line in each.said]


def check(url: str, said: list[list[str]]) -> None:
    """Check that each place is one device's, that nobody was told another, and that all places are had."""
    with Registry.open(url) as registry:
        devices = registry.devices()
        progress = registry.progress("box")
        registry.verify()
    assert sorted(each.place for each in devices) == list(range(1, PLACES + 1))
    assert [each.device for each in devices] == [f"AN{number:06d}" for number in range(1, PLACES + 1)]
    stored = {(each.mac.replace(":", ""), each.device, str(each.place)) for each in devices}
    assert {tuple(line[1:]) for line in said if line[0] == "assigned"} <= stored
    assert {each.household for each in devices if each.place == 1} == {"N-17"}
    assert [(each.assigned, each.ready) for each in progress] == [(1, 1), (PLACES - 1, PLACES - 1)]


def test_stations_that_are_killed_and_run_again_fill_a_manifest_once(url: str, manifest: Path) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    order = random.Random(seed)
    said: list[list[str]] = []
    for _ in range(3):
        said += killed(url, manifest, order)
    said += finished(url, manifest)
    check(url, said)
    # Boards that came too late were sent away.
    assert any(line[0] == "full" for line in said)


def test_stations_whose_database_goes_away_again_and_again_fill_a_manifest_once(tmp_path: Path, manifest: Path) -> None:
    url = database_url("postgresql", tmp_path)
    Registry.open(url).close()
    with cutting(url) as cuts:
        said = finished(url, manifest)
    assert cuts() > 0
    check(url, said)


def test_stations_whose_way_to_the_database_breaks_anywhere_fill_a_manifest_once(
    tmp_path: Path, manifest: Path
) -> None:
    url = database_url("postgresql", tmp_path)
    Registry.open(url).close()
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    with flaky_wire(url, seed) as wire:
        said = finished(wire.url, manifest)
    assert wire.cuts > 0
    # What was committed as the wire broke was said only when it was asked for again.
    check(url, said)


def test_a_full_disk_stores_a_place_whole_or_not_at_all(tmp_path: Path) -> None:
    url, box = database_url("sqlite", tmp_path), Manifest("box", (Order(2, "north", count=500),))
    with Registry.open(url) as registry:
        registry.begin(box)
        before = fill_disk(registry, box, tmp_path)
        assert registry.progress("box")[0].assigned == before == len(registry.devices())
        registry.verify()
        # There is room again.
        for number in range(1, before + 3):
            assert assign(registry, box, number) == number
        assert len(registry.devices()) == before + 2
        registry.verify()


def fill_disk(registry: Registry, manifest: Manifest, folder: Path) -> int:
    """Assign places until nothing more can be written; return how many were."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(file.stat().st_size for file in folder.glob("ansim.db*"))
    # A bound on the size of files is the full disk that needs no other rights.
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 100_000, hard))
    try:
        for number in range(1, 500):
            try:
                assert assign(registry, manifest, number) == number
            except DatabaseUnavailable as error:
                assert "the disk" in error.message
                assert number > 1
                return number - 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    pytest.fail("the disk was never full")


def assign(registry: Registry, manifest: Manifest, number: int) -> int:
    return registry.assign(f"246f28{number:06x}", manifest, board="virtual", role="hub").place


def test_stations_that_begin_one_manifest_at_once_begin_it_once(url: str, manifest: Path) -> None:
    Registry.open(url).close()
    together(*[functools.partial(begin, url, manifest)] * 8)
    with Registry.open(url) as registry:
        assert registry.manifests() == ["box"]
        assert sum(each.order.count for each in registry.progress("box")) == PLACES


def begin(url: str, manifest: Path) -> None:
    with Registry.open(url) as registry:
        registry.begin(load_manifest(manifest))
