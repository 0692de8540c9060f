"""``ansim falls replay``."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console as Terminal
from rich.table import Table

from ansim.errors import AnsimError, BadInput
from ansim.falls.commands.options import check_writable
from ansim.falls.extra import require_extra
from ansim.falls.model_file import PLACEMENTS
from ansim.home import Home
from ansim.serial_link import VIRTUAL
from ansim.show import passed, progress, verdict
from ansim.virtual import MAX_SPEED

if TYPE_CHECKING:
    from ansim.falls.replay_plan import Choice
    from ansim.falls.replay_run import Device, Orders

_ONLY = {"falls": True, "activities": False}
_DEFAULT_SPEED = 10
_SHOWN_NAMES = 10


@click.command("replay")
@click.argument("where", metavar="SET")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--activity", "activities", multiple=True, help="Only this activity's code, such as D01; may be repeated."
)
@click.option("--only", type=click.Choice(list(_ONLY)), help="Only falls, or only what is none.")
@click.option("--limit", type=click.IntRange(1), help="The first so many of them.")
@click.option(
    "--hours", type=click.FloatRange(0.01, 1000), help="Again and again, until it is so many hours of recordings."
)
@click.option(
    "--speed", type=click.IntRange(1, MAX_SPEED), help=f"So many times faster than life.  [default: {_DEFAULT_SPEED}]"
)
@click.option(
    "--placement", type=click.Choice(list(PLACEMENTS)), help="How the device is worn; as in the set if left out."
)
@click.option("--port", "-p", help=f"'{VIRTUAL}' or '{VIRTUAL}:NAME': a virtual board that runs, as it is.")
@click.option("--cancel", is_flag=True, help="The wearer holds the button in the pre-alarm.")
@click.option(
    "--expect",
    type=click.Choice(["label", "fall", "nothing", "any"]),
    default="label",
    show_default=True,
    help="What is to come of each; label: an alarm of a fall, and nothing of all else.",
)
@click.option(
    "--results",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep results here; run again, it goes on from there.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines for a program.")
def command(
    where: str,
    names: Sequence[str],
    port: str | None,
    speed: int | None,
    placement: str | None,
    results: Path | None,
    as_json: bool,
    **wishes: Any,
) -> None:
    """Play recordings to a virtual board.

    They go through its motion sensor and the real firmware.
    SET is a file of recordings, or the name of one in the data folder (ANSIM_DATA). NAME is a recording's name, or its
    number in the set. Shows the stages of the detector as they fire, and what becomes of the alarm; and says of each
    whether the evaluation comes to the same.
    Without --port a device is made for it, with a receiver of its own, and nothing stays behind.
    Exit code 0 only if everything came as expected and the board kept up with its time.

    \b
    Examples:
      ansim falls replay sisfall_50hz F05_SA01_R03
      ansim falls replay sisfall_50hz F05_SA01_R03 --cancel --speed 1
      ansim falls replay sisfall_50hz --activity D01 --limit 20 --speed 20
      ansim falls replay sisfall_50hz --only activities --hours 24 --speed 50 --results day.jsonl
      ansim falls replay mine.npz 0 --port virtual
    """
    if port and (speed or placement):
        raise BadInput(
            "--speed and --placement are of a device that is made for it, not of one that runs",
            "Leave them out, or --port.",
        )
    require_extra()
    check_writable(results, "--results")
    from ansim.falls import replay_run
    from ansim.falls.replay_plan import placement_of, plan
    from ansim.falls.replay_prediction import predict
    from ansim.falls.replay_report import Results
    from ansim.falls.replay_view import view

    planned = plan(where, _choice(names, wishes))
    kept = Results(results)
    with verdict("the replay ended", as_json):
        with _device(port, speed or _DEFAULT_SPEED, PLACEMENTS[placement or placement_of(where)], as_json) as device:
            settings = device.console.request("config", repeat=True)
            predicted = predict(planned, settings["fall"])
            with view(as_json, settings["prealarm_s"]) as shown:
                replay_run.run(device, planned, predicted, kept, shown, _orders(wishes))
        _conclude(kept.summary(), as_json)


def _choice(names: Sequence[str], wishes: dict[str, Any]) -> "Choice":
    from ansim.falls.replay_plan import Choice

    only = _ONLY[wishes["only"]] if wishes["only"] else None
    return Choice(names, wishes["activities"], only, wishes["limit"] or 0, wishes["hours"] or 0.0)


def _orders(wishes: dict[str, Any]) -> "Orders":
    from ansim.falls.replay_report import Expect
    from ansim.falls.replay_run import Orders

    return Orders(wishes["cancel"], Expect(wishes["expect"]))


@contextlib.contextmanager
def _device(port: str | None, speed: int, placement: int, as_json: bool) -> Iterator["Device"]:
    from ansim.falls import replay_run

    with contextlib.ExitStack() as stack:
        if port:
            yield stack.enter_context(replay_run.running_device(port, Home.default()))
            return
        with progress(as_json) as on_progress:
            device = stack.enter_context(replay_run.new_device(speed, placement, on_progress))
        yield device


def _conclude(summary: dict[str, Any], as_json: bool) -> None:
    """Show the summary; fail if something is not as it should be."""
    if as_json:
        click.echo(json.dumps({"ok": not summary["not_as_expected"], **summary}))
    elif summary["recordings"] > 1:
        _show(summary)
    wrong = summary["not_as_expected"]
    if not wrong:
        if not as_json:
            passed(f"{summary['recordings']} of {summary['recordings']} as expected")
        return
    late = summary["not_kept_up"]
    hint = "The board did not keep up: choose a lower --speed, or give this machine less else to do." if late else ""
    raise AnsimError(f"{len(wrong)} of {summary['recordings']} are not as expected: {_some(wrong)}", hint)


def _show(summary: dict[str, Any]) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in summary.items():
        shown = f"{len(value)}: {_some(value)}" if isinstance(value, list) else str(value)
        table.add_row(name.replace("_", " "), "-" if value in (None, []) else shown)
    Terminal(emoji=False, highlight=False).print(table)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + more
