"""``ansim falls evaluate``: judges the detector on recordings of people whom it has not learned from."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from ansim.errors import EXIT_FAILED, BadInput
from ansim.falls.bounds import PLACEMENTS
from ansim.falls.commands.options import check_writable, jobs_option, placement_option, seed_option, set_option
from ansim.falls.extra import require_extra
from ansim.show import json_option, passed, progress
from ansim.terminal import say

if TYPE_CHECKING:
    from ansim.falls.disturbances import Disturbance
    from ansim.falls.evaluation import Study
    from ansim.falls.figures import Figures, Judgement, Verdict

_FOLDS = 6
_file = click.Path(dir_okay=False, path_type=Path)


@click.command("evaluate")
@placement_option
@set_option
@click.option("--folds", type=click.IntRange(2, 100), help=f"Folds of cross-validation [default: {_FOLDS}].")
@click.option("--train", "training", type=_file, help="Learn from this set instead, and judge --set.")
@click.option("--model", type=_file, help="Judge this model, wherever it learned.")
@click.option("--clip-mg", type=click.IntRange(1000, 32_000), help="Judge as a sensor that stops there.")
@click.option("--source-hz", type=click.FloatRange(20, 200), help="Judge as a sensor with this sample rate.")
@click.option("--robustness", is_flag=True, help="Judge other sensors and ways of wearing too.")
@click.option("--html", type=_file, help="Write a page with plots of misses and false alarms.")
@click.option("--check", is_flag=True, help="Exit with 1 when a bound does not hold.")
@jobs_option
@seed_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    placement: str,
    recordings: Path | None,
    folds: int | None,
    training: Path | None,
    model: Path | None,
    clip_mg: int | None,
    source_hz: float | None,
    robustness: bool,
    html: Path | None,
    check: bool,
    jobs: int,
    seed: int,
    as_json: bool,
) -> None:
    """Judge the detector on recordings of people.

    What is judged is the firmware's own code, on MicroPython, as deployed.
    Left to itself it cross-validates: each subject is judged by a model that learned from others.

    \b
    Examples:
      ansim falls evaluate --placement waist --check
      ansim falls evaluate --placement wrist --html report.html
      ansim falls evaluate --set others.npz --model firmware/models/fall_waist.json
      ansim falls evaluate --placement waist --train sisfall_50hz.npz --set weda_50hz.npz
    """
    if model and (training or folds):
        raise BadInput("--model is judged as it is", "Leave out --train and --folds.")
    if training and folds:
        raise BadInput("--train judges another set, without folds", "Leave out --folds.")
    require_extra()
    check_writable(html, "--html")
    from ansim.falls.evaluation import Study
    from ansim.falls.figures import figures_of
    from ansim.falls.recordings import find_set

    with progress(as_json) as tell:
        study = Study(placement, jobs, seed, tell, _disturbances(clip_mg, source_hz), _robustness(robustness))
        judgement = _judge(study, find_set(recordings, placement), folds or _FOLDS, training, model)
    figures = figures_of(judgement, seed)
    verdicts = figures.verdicts(PLACEMENTS[placement].bounds)
    if html:
        _write_page(html, judgement, figures, verdicts)
    _show(judgement, figures, verdicts, as_json)
    context.exit(EXIT_FAILED if check and not all(each.holds for each in verdicts) else 0)


def _judge(study: "Study", path: Path, folds: int, training: Path | None, model: Path | None) -> "Judgement":
    from ansim.falls import model_file
    from ansim.falls.judging import Deployed
    from ansim.falls.recordings import find_set, load

    recordings = load(path)
    what = f"{study.placement}, {path.name}"
    if model:
        return study.judge_model(Deployed(model_file.read(model)), recordings, f"{what}, model {model.name}")
    if training:
        taught = find_set(training, study.placement)
        return study.judge_learned(load(taught), recordings, f"{what}, learned from {taught.name}")
    return study.cross_validate(recordings, folds, f"{what}, {folds} folds of subjects")


def _disturbances(clip_mg: int | None, source_hz: float | None) -> "list[Disturbance]":
    """In the order in which a sensor does it: it stops at its full scale, then samples."""
    from ansim.falls import disturbances

    made = [disturbances.clipped(clip_mg)] if clip_mg else []
    return [*made, disturbances.sampled(source_hz)] if source_hz else made


def _robustness(wanted: bool) -> "tuple[Disturbance, ...]":
    from ansim.falls import disturbances

    return disturbances.ALL if wanted else ()


def _write_page(path: Path, judgement: "Judgement", figures: "Figures", verdicts: "list[Verdict]") -> None:
    from ansim.falls.page import render

    path.write_text(render(judgement, figures, verdicts), encoding="utf-8")


def _show(judgement: "Judgement", figures: "Figures", verdicts: "list[Verdict]", as_json: bool) -> None:
    from ansim.falls import told

    if as_json:
        click.echo(json.dumps(told.as_json(judgement, figures, verdicts)))
        return
    console = Console(emoji=False, highlight=False)
    for table in told.tables(judgement, figures, verdicts):
        console.print(table, "")
    broken = [each.bound.figure for each in verdicts if not each.holds]
    if broken:
        say("FAIL", "bold red", f"{judgement.title}: {', '.join(broken)}", err=True)
    else:
        unknown = [each.bound.figure for each in verdicts if each.value is None]
        but = f"; not known here: {', '.join(unknown)}" if unknown else ""
        passed(f"{judgement.title}: what must hold does{but}")
