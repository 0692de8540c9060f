"""Scenarios as data: every one that there is can be read, and a mistake in one names its key."""

from pathlib import Path

import pytest

from ansim.cli import main
from ansim.errors import BadInput
from ansim.places import CAPABILITIES, find_ground
from ansim.stress import run, scenario

GOOD = """
what = "One press after the other."
count = 3

[[gestures]]
kind = "press"
"""


def written(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", scenario.names())
def test_every_scenario_can_be_played_on_virtual_boards(name: str) -> None:
    loaded = scenario.load(name)
    setting = run.settle(run.Wish(name), loaded, find_ground("virtual"))
    assert (setting.count, setting.devices, setting.speed) == (loaded.count, loaded.devices, loaded.speed)
    assert set(loaded.needs) <= CAPABILITIES.keys()


def test_a_scenario_of_ones_own_is_a_file(tmp_path: Path) -> None:
    loaded = scenario.load(written(tmp_path, GOOD))
    assert loaded.needs == ("press", "wifi")


def test_a_scenario_needs_what_its_gestures_and_faults_need(tmp_path: Path) -> None:
    text = GOOD + '\n[[faults]]\nkind = "power_cut"\nchance_percent = 5\n'
    assert scenario.load(written(tmp_path, text)).needs == ("press", "power_cut", "wifi")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("count = 3", "cuont = 3", "cuont: unknown key; did you mean 'count'?"),
        ('"press"', '"pres"', "gestures[1].kind"),
        ("count = 3", "count = 3\ngap_ms = [9, 3]", "gap_ms"),
        ("count = 3", "count = 3\neach = [0, 3]", "gestures: an episode has at least one"),
        ('"press"', '"press"\nhold_ms = [1, 99999999]', "gestures[1].hold_ms"),
        ('"press"', '"press"\nweight = 0', "weight"),
        ('"press"', '"press"\n[[faults]]\nkind = "reset"\nchance_percent = 0', "chance_percent"),
        ("count = 3", "count = 0", "count"),
        (
            '"press"',
            '"press"\n[[faults]]\nkind = "sensor"\nchance_percent = 5',
            "settings.fall: is 0, must be 1 for sensor",
        ),
    ],
)
def test_a_mistake_names_its_key(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        scenario.load(written(tmp_path, GOOD.replace(old, new)))
    assert says in caught.value.message
    assert "docs/stress.md" in caught.value.hint


def test_whoever_misspells_a_scenario_is_told_which_there_are() -> None:
    with pytest.raises(BadInput) as caught:
        scenario.load("pres_storm")
    assert "did you mean 'press_storm'?" in caught.value.message
    assert "soak" in caught.value.hint


def test_a_place_that_lacks_something_says_why() -> None:
    ground = find_ground("/dev/ttyUSB0", "virtual")
    with pytest.raises(BadInput) as caught:
        run.settle(run.Wish("power_cuts", place="/dev/ttyUSB0"), scenario.load("power_cuts"), ground)
    assert "power_cuts can't be played" in caught.value.message


def test_the_command_that_repeats_a_run_says_all_that_it_depends_on() -> None:
    wish = run.Wish("soak", seed=7, duration_s=60, devices=3)
    setting = run.settle(wish, scenario.load("soak"), find_ground("virtual"))
    assert setting.command == "ansim stress soak --seed 7 --duration 60 --devices 3 --speed 5"


@pytest.mark.parametrize("given", [["--count", "3"], ["--html", "page.html"], ["soak", "--fleet", "10"]], ids=str)
def test_what_would_not_be_done_is_refused(given: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["stress", *given])
    assert ended.value.code == 2
