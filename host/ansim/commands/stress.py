"""``ansim stress``: whole devices under everything that can go wrong; the receiver's database judges."""

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import click
from rich.console import Console

from ansim.errors import EXIT_FAILED, EXIT_INTERRUPTED, BadInput
from ansim.show import json_option, progress, show_facts
from ansim.stress import fleet, report, scenario
from ansim.stress.player import Player
from ansim.stress.report_words import words_of
from ansim.stress.result import INVENTED, LOST, UNEXPLAINED_RESET, Result, percentiles
from ansim.stress.run import Look, Wish, run

# Elsewhere than on a terminal each look is a line.
_LINE_EVERY_S = 10.0


@click.command()
@click.argument("name", metavar="[SCENARIO]", default="")
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="The same seed is the same plan."
)
@click.option("--count", type=click.IntRange(min=1), help="Gestures of all devices [default: the scenario's].")
@click.option("--duration", type=click.IntRange(min=1), help="Seconds, instead of a count.")
@click.option("--devices", type=click.IntRange(1, 64), help="At once [default: the scenario's].")
@click.option("--speed", type=click.IntRange(1, 100), help="Of their time [default: the scenario's].")
@click.option("--place", default="virtual", show_default=True, help="Where the devices are, see docs/hil.md.")
@click.option("--html", "page", type=click.Path(dir_okay=False, path_type=Path), help="Write an HTML page there.")
@fleet.fleet_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    /,
    name: str,
    seed: int,
    count: int | None,
    duration: int | None,
    devices: int | None,
    speed: int | None,
    place: str,
    page: Path | None,
    as_json: bool,
    **of_fleet: Any,
) -> None:
    """Put whole devices, or a fleet, under stress.

    A scenario plays gestures and faults; no alarm may be lost and none invented.

    Without a scenario it lists them. Exits with 1 when something was found; docs/stress.md tells what is looked for,
    docs/fleet-stress.md of the fleet.

    \b
    Examples:
      ansim stress press_storm
      ansim stress soak --seed 7 --count 10000 --html soak.html
      ansim stress --fleet 5000
    """
    signal.signal(signal.SIGTERM, _interrupt)
    if of_fleet["fleet"] or of_fleet["fleet_join"]:
        if name or page is not None:
            raise BadInput("a fleet plays no scenario and writes no page", "Give --fleet alone, or a scenario alone.")
        context.exit(fleet.run(**of_fleet, as_json=as_json))
    if not name:
        if count or duration or devices or speed or page is not None:
            raise BadInput("no scenario is named", "ansim stress lists them.")
        show_facts({each: scenario.load(each).what for each in scenario.names()}, as_json)
        return
    if page is not None:
        _check_writable(page)
    wish = Wish(name, seed, count or 0, duration or 0, devices or 0, speed or 0, place)
    with progress(as_json) as show:
        result = run(wish, scenario.load(name), lambda what: show(what, 0, 1), _look(wish, show))
    _show(result, as_json)
    if page is not None:
        _write(page, result)
    context.exit(EXIT_INTERRUPTED if result.interrupted else 0 if result.passed else EXIT_FAILED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Whoever ends it, it ends as with Ctrl-C."""
    # Once: who ends a whole group of processes, as timeout(1) does, sends it twice.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _look(wish: Wish, show: Callable[[str, int, int], None]) -> Look:
    """Return what shows how a run goes: always on a terminal, else now and then."""
    every_s = 0.0 if Console(stderr=True).is_terminal else _LINE_EVERY_S
    begun_s = time.monotonic()
    last_s = begun_s - every_s

    def look(players: Sequence[Player], total: int) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if now_s - last_s < every_s:
            return
        last_s = now_s
        done = sum(len(player.story.gestures) for player in players)
        if wish.duration_s:
            show(_told(players, done), min(round(now_s - begun_s), wish.duration_s), wish.duration_s)
        else:
            show(_told(players, done), done, total)

    return look


def _told(players: Sequence[Player], done: int) -> str:
    stories = [player.story for player in players]
    kinds = [finding.kind for story in stories for finding in story.findings]
    faults = sum(len(story.faults) for story in stories)
    taken = sorted(
        each.acknowledged_ms for story in stories for each in story.gestures[-50:] if each.acknowledged_ms is not None
    )
    told = f"{done} gestures, {faults} faults: {kinds.count(LOST)} lost, {kinds.count(INVENTED)} invented,"
    told += f" {kinds.count(UNEXPLAINED_RESET)} unexplained resets, {len(kinds)} findings"
    return told + (f"; p50 {percentiles(taken)['p50']} ms" if taken else "")


def _check_writable(page: Path) -> None:
    """Find out before a long run whether its report can be written; changes nothing."""
    if not os.access(page if page.exists() else page.parent, os.W_OK):
        raise BadInput(f"can't write {page}", "Choose another file with --html.")


def _show(result: Result, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result.as_dict()))
        return
    words = words_of()
    terminal = Console(emoji=False, highlight=False)
    for table in report.tables(result, words):
        terminal.print(table)
        terminal.print()
    verdict, *more = report.summary(result, words)
    style = "bold green" if result.passed else "bold red"
    for line, its in ((verdict, style), *((line, "") for line in more)):
        terminal.print(line, style=its, soft_wrap=True, markup=False)


def _write(page: Path, result: Result) -> None:
    from ansim.stress.report_page import render

    try:
        page.write_text(render(result, words_of()), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"can't write {page}: {error.strerror}", "Choose another file with --html.") from error
