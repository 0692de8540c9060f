"""``ansim simulate``: months of a fleet's life in minutes, with everything going wrong, and what must hold checked."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from ansim.errors import EXIT_FAILED, BadInput
from ansim.show import json_option, passed, progress, show_facts
from ansim.simulation import recipe as recipes
from ansim.simulation.fleet_run import Fleet, Outcome, play_fleet, shrunk, tell
from ansim.simulation.mutants import MUTANTS, parts_of
from ansim.simulation.recipe import Found
from ansim.simulation.tally import Tally
from ansim.simulation.witness import INVARIANTS
from ansim.terminal import say

_STORY_LINES = 200


@click.command()
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="The same seed is the same run.")
@click.option(
    "--days", type=click.IntRange(1, 36_500), default=30, show_default=True, help="How long each device lives."
)
@click.option("--devices", type=click.IntRange(1, 1_000_000), default=10, show_default=True, help="How many there are.")
@click.option(
    "--intensity", type=click.IntRange(1, 100), default=1, show_default=True, help="So many times the usual troubles."
)
@click.option("--mutant", default="", help="Run with a deliberate bug; 'list' shows them.")
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Processes; changes nothing but the time [default: all cores]."
)
@click.option(
    "--trace",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("simulation.json"),
    show_default=True,
    help="Where a violated invariant is written, shrunk, to be replayed.",
)
@click.option("--replay", type=click.Path(dir_okay=False, path_type=Path), help="Play such a file, and tell its story.")
@json_option
@click.pass_context
def command(
    context: click.Context,
    seed: int,
    days: int,
    devices: int,
    intensity: int,
    mutant: str,
    jobs: int | None,
    trace: Path,
    replay: Path | None,
    as_json: bool,
) -> None:
    """Let fleets live in virtual time; no alarm may be lost.

    Exits with 1 when an invariant is violated; docs/simulation.md tells what is checked.

    \b
    Examples:
      ansim simulate --seed 7 --days 365 --devices 20
      ansim simulate --mutant acknowledges_before_commit
      ansim simulate --replay simulation.json
    """
    if mutant == "list":
        show_facts({name: each.what for name, each in MUTANTS.items()}, as_json)
        return
    if replay is not None:
        context.exit(_replay(replay, as_json))
    parts_of(mutant)
    _check_writable(trace)
    fleet = Fleet(seed, days, devices, intensity, mutant)
    with progress(as_json) as show:
        outcome = play_fleet(
            fleet,
            min(jobs or os.cpu_count() or 1, fleet.worlds),
            lambda done: show(f"{100 * done // fleet.worlds} % of the worlds", done, fleet.worlds),
        )
    if outcome.broken and not as_json:
        say("", "", "an invariant does not hold; looking for the few stimuli that are enough ...", err=True)
    _show(fleet, outcome, as_json, _write_trace(fleet, outcome, trace))
    context.exit(EXIT_FAILED if outcome.broken else 0)


def _check_writable(trace: Path) -> None:
    """Find out before a long run whether its trace can be written; changes nothing."""
    if not os.access(trace if trace.exists() else trace.parent, os.W_OK):
        raise BadInput(f"can't write {trace}", "Choose another file with --trace.")


def _write_trace(fleet: Fleet, outcome: Outcome, path: Path) -> dict[str, Any] | None:
    """Shrink the first violation and write it; return what is to be told of it."""
    if not outcome.broken:
        return None
    world, found = outcome.broken[0]
    small, small_found = shrunk(fleet, world, found)
    recipes.write(path, small, small_found)
    return {
        "seed": fleet.seed,
        "world": world,
        **_told(small_found),
        "worlds_with_violations": len(outcome.broken),
        "stimuli": len(small.stimuli),
        "trace": str(path),
    }


def _told(found: Found) -> dict[str, Any]:
    return {**asdict(found), "must_hold": INVARIANTS[found.invariant]}


def _show(fleet: Fleet, outcome: Outcome, as_json: bool, broken: dict[str, Any] | None) -> None:
    digest = f"{outcome.digest:08x}"
    if as_json:
        click.echo(
            json.dumps(
                {"ok": broken is None, **asdict(fleet), **vars(outcome.tally), "digest": digest, "violation": broken}
            )
        )
        return
    Console(emoji=False, highlight=False).print(_table(outcome.tally))
    what = f"{outcome.tally.device_days:.0f} device-days from seed {fleet.seed} (digest {digest})"
    if broken is None and fleet.mutant:
        say("NOT FOUND", "bold yellow", f"{what}: they don't show this bug; give it more --days, or --intensity 8")
        return
    if broken is None:
        passed(f"{what}: every invariant holds")
        return
    say("FAIL", "bold red", what, err=True)
    say("", "", f"{broken['invariant']} in world {broken['world']}: {broken['must_hold']}", err=True)
    say("", "", f"{broken['detail']}", err=True)
    say("", "", f"{broken['stimuli']} stimuli are enough; see: ansim simulate --replay {broken['trace']}", err=True)


def _table(tally: Tally) -> Table:
    made = Table("what happened", "", "faults injected", "", "power cut at, killed at", "", box=None, pad_edge=False)
    for column in (1, 3, 5):
        made.columns[column].justify = "right"
    lists = [
        [*tally.counts.most_common(), ("slowest alarm, s", round(tally.slowest_alarm_ms / 1000))],
        [each for each in tally.faults.most_common() if each[0] != "press"],
        tally.cuts.most_common(),
    ]
    for row in range(max(map(len, lists))):
        made.add_row(*(str(cell) for each in lists for cell in (each[row] if row < len(each) else ("", ""))))
    return made


def _replay(path: Path, as_json: bool) -> int:
    found, story = tell(recipes.read(path))
    if as_json:
        click.echo(json.dumps({"ok": found is None, "violation": found and _told(found), "story": story}))
    else:
        click.echo("\n".join(story[-_STORY_LINES:]))
        if found is None:
            passed("every invariant holds now")
        else:
            say("FAIL", "bold red", f"{found.invariant}: {INVARIANTS[found.invariant]}", err=True)
            say("", "", found.detail, err=True)
    return EXIT_FAILED if found else 0
