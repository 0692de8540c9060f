"""Fleets in virtual time: nothing is lost, a run repeats itself, and every deliberate bug is found and made small."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from ansim.errors import AnsimError, BadInput
from ansim.home import project_root
from ansim.simulation import recipe as recipes
from ansim.simulation.fleet_run import Fleet, Outcome, play, play_fleet, shrunk, tell
from ansim.simulation.mutants import MUTANTS
from ansim.simulation.recipe import Found, Recipe, Setting
from ansim.simulation.stimuli import KINDS, plan
from ansim.simulation.witness import INVARIANTS

# What the simulation found, and what replays it.
TRACES = Path(__file__).with_name("traces")

# Each mutant shows itself in one of these, and nothing is wrong in them without one: days full of troubles, and days on
# which a device is well for long enough to be missed.
FLEETS = [
    fleet
    for seed in range(1, 5)
    for fleet in (Fleet(seed, days=1, devices=2, intensity=20), Fleet(seed, days=4, devices=2, intensity=3))
]

# Far from its end when its first world is done.
LONG = Fleet(seed=5, days=1, devices=500)


def first_violation(mutant: str) -> tuple[Fleet, Found]:
    for healthy_fleet in FLEETS:
        fleet = replace(healthy_fleet, mutant=mutant)
        outcome = play_fleet(fleet, 1)
        if outcome.broken:
            return fleet, outcome.broken[0][1]
    raise AssertionError(f"{mutant} was not found")


@pytest.fixture(scope="module")
def healthy() -> Outcome:
    """The fleets of the mutants, without a mutant."""
    together = Outcome()
    for fleet in FLEETS:
        outcome = play_fleet(fleet, 1)
        together.tally.add(outcome.tally)
        together.broken += outcome.broken
    return together


def test_whatever_happens_every_invariant_holds(healthy: Outcome) -> None:
    assert healthy.broken == []


def test_everything_that_can_go_wrong_went_wrong(healthy: Outcome) -> None:
    assert set(healthy.tally.faults) == set(KINDS)
    hit = set(healthy.tally.cuts)
    assert {"idle", "STORE", "SEND", "FORGET", "SHOW", "write a", "write b", "remove a", "remove b"} <= hit
    assert {"start: write boot counter", "receiver killed"} <= hit


def test_presses_became_alarms_that_were_delivered_more_than_once(healthy: Outcome) -> None:
    counts = healthy.tally.counts
    assert counts["falls"] > 0 and 0 < counts["alarms"] <= counts["presses"] + counts["falls"]
    assert counts["duplicates"] > 0 and counts["heartbeats"] > 0 and counts["cancels"] > 0
    assert healthy.tally.slowest_alarm_ms > 60_000


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_deliberate_bug_is_found(mutant: str) -> None:
    _, found = first_violation(mutant)
    assert found.invariant in MUTANTS[mutant].caught_by


def test_one_seed_is_one_run_on_any_number_of_processes() -> None:
    fleet = Fleet(seed=5, days=1, devices=12, intensity=3)
    alone, shared = play_fleet(fleet, 1), play_fleet(fleet, 2)
    assert (alone.digest, alone.tally) == (shared.digest, shared.tally)
    other = play_fleet(Fleet(seed=6, days=1, devices=12, intensity=3), 1)
    assert other.digest != alone.digest


def test_a_process_that_is_killed_ends_the_run_with_an_error() -> None:
    def kill(_done: int) -> None:
        for process in multiprocessing.active_children():
            process.kill()

    with pytest.raises(AnsimError, match="killed"):
        play_fleet(LONG, 2, kill)


def test_an_interrupted_run_leaves_no_process_behind() -> None:
    def interrupt(_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play_fleet(LONG, 2, interrupt)
    assert multiprocessing.active_children() == []


def test_what_else_happens_changes_no_latency() -> None:
    setting = Setting(seed=9, devices=(0, 1), duration_ms=86_400_000)
    # What follows its cancel waits for the receiver, whose batches are what the devices of a world share.
    stimuli = [each for each in plan(9, setting.devices, setting.duration_ms) if each.kind != "fall"]
    of_first = tuple(each for each in stimuli if each.device == 0)
    _, story = tell(Recipe(setting, of_first))
    _, alone = tell(Recipe(Setting(9, (0,), 86_400_000), of_first))
    sent = [line for line in story if "SIM00000" in line and (" send " in line or "store" in line or "!" in line)]
    sent_alone = [line for line in alone if " send " in line or "store" in line or "!" in line]
    assert sent == sent_alone


def test_a_violation_is_made_small_and_replays(tmp_path: Path) -> None:
    fleet, found = first_violation("restores_nothing")
    small, small_found = shrunk(fleet, 0, found)
    assert len(small.stimuli) <= 3 and len(small.setting.devices) == 1
    path = tmp_path / "trace.json"
    recipes.write(path, small, small_found)
    again = recipes.read(path)
    assert again == small
    assert play(again) == small_found and small_found.invariant == "restart_restores"


def test_the_bug_that_a_trace_shows_can_be_mended(tmp_path: Path) -> None:
    small, found = shrunk(*_with_world(first_violation("drops_on_puback")))
    recipes.write(tmp_path / "trace.json", small, found)
    text = (tmp_path / "trace.json").read_text().replace("drops_on_puback", "")
    (tmp_path / "trace.json").write_text(text)
    assert play(recipes.read(tmp_path / "trace.json")) is None


@pytest.mark.parametrize("path", sorted(TRACES.glob("*.json")), ids=lambda path: path.stem)
def test_what_was_mended_stays_mended(path: Path) -> None:
    assert play(recipes.read(path)) is None


def _with_world(violation: tuple[Fleet, Found]) -> tuple[Fleet, int, Found]:
    return violation[0], 0, violation[1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"v": 2}',
        "[" * 100_000,
        '{"v":1,"seed":1,"devices":[],"duration_ms":1,"mutant":"","stimuli":[]}',
        '{"v":1,"seed":1,"devices":[0],"duration_ms":1,"mutant":"","stimuli":[[1,0,"press"]]}',
        '{"v":1,"seed":1,"devices":[0],"duration_ms":1,"mutant":"","stimuli":[[1,0,"press",-1]]}',
        '{"v":1,"seed":1,"devices":[0],"duration_ms":1,"mutant":"","stimuli":[[1,1,"press",100]]}',
        '{"v":1,"seed":1,"devices":[0],"duration_ms":1,"mutant":"","stimuli":[[1,0,"backup"]]}',
        '{"v":1,"seed":1,"devices":[0],"duration_ms":true,"mutant":"","stimuli":[]}',
        '{"v":1,"seed":1,"devices":[0],"duration_ms":1,"mutant":"","stimuli":[[1,0,["press"],100]]}',
    ],
)
def test_a_file_that_is_no_trace_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trace.json"
    path.write_text(text)
    with pytest.raises(BadInput, match="no trace"):
        recipes.read(path)


def test_every_mutant_names_invariants_that_there_are() -> None:
    for mutant in MUTANTS.values():
        assert mutant.caught_by and set(mutant.caught_by) <= set(INVARIANTS)


def test_the_page_about_it_names_every_invariant_and_mutant() -> None:
    page = (project_root() / "docs" / "simulation.md").read_text(encoding="utf-8")
    for name, must_hold in INVARIANTS.items():
        assert f"| `{name}` | {must_hold} |" in page
    for name, mutant in MUTANTS.items():
        assert f"| `{name}` | {mutant.what} |" in page
