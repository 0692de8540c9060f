"""Two stations flash boards at places of one manifest, and are killed wherever they are."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from database_kit import database_url
from process_kit import PATIENCE_S, next_line

from ansim.home import Home
from ansim.registry import Registry
from ansim.virtual import VirtualBoard

ANSIM = Path(sys.executable).with_name("ansim")
PROGRAM = Path(__file__).with_name("flash_station.py")
BOARDS = ("left", "right")
# What a station says on its way: the last is that the board starts.
STEPS = 8


@pytest.fixture
def fleet(home: Home) -> Home:
    command = [str(ANSIM), "init", "--yes", "--site", "city", "--wifi-ssid", "home"]
    places = {**os.environ, "ANSIM_WIFI_PASSPHRASE": "correct horse battery"}
    subprocess.run(command, check=True, timeout=PATIENCE_S, env=places, stdout=subprocess.DEVNULL)
    return home


def station(board: str, manifest: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, str(PROGRAM), f"virtual:{board}", str(manifest)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_boards_of_stations_that_were_killed_are_finished_at_the_places_that_they_had(
    fleet: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    start_virtual_board: Callable[..., VirtualBoard],
) -> None:
    del fleet
    url = database_url("postgresql", tmp_path)
    monkeypatch.setenv("ANSIM_DB", url)
    manifest = tmp_path / "box.csv"
    manifest.write_text("site,household,count\nnorth,N-17,1\nsouth,,1\n")
    macs = {start_virtual_board(board).mac for board in BOARDS}
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    order = random.Random(seed)
    places = dict[str, int]()
    for _ in range(2):
        running = [station(board, manifest) for board in BOARDS]
        for process in running:
            for _ in range(order.randrange(1, STEPS)):
                print(next_line(process), end="")
            process.kill()
            process.communicate(timeout=PATIENCE_S)
        places |= checked(url, places)
    for process in [station(board, manifest) for board in BOARDS]:
        said, _ = process.communicate(timeout=2 * PATIENCE_S)
        assert process.returncode == 0, said
    assert set(checked(url, places)) == macs
    with Registry.open(url) as registry:
        assert [(each.assigned, each.ready) for each in registry.progress("box")] == [(1, 1), (1, 1)]


def checked(url: str, before: dict[str, int]) -> dict[str, int]:
    """Return the place of each board that has one, by MAC, after checking that nobody lost one since before."""
    with Registry.open(url) as registry:
        registry.verify()
        places = {each.mac: each.place for each in registry.devices()}
    assert len(set(places.values())) == len(places)
    assert before.items() <= places.items()
    return places
