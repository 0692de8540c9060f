"""A fleet of light devices on the real wire: the options of ``ansim stress --fleet`` and what they start.

Locust and all that needs it is imported when it is used.
"""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from ansim.errors import EXIT_FAILED, ServiceError

if TYPE_CHECKING:
    from ansim.stress.fleet.course import Plan

# One address has some 28,000 ports to call from.
MOST_DEVICES = 25_000
_TENTH = 10
_PACKAGES = ("gevent", "locust", "psutil")

_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Option(NamedTuple):
    flag: str
    kind: "click.ParamType[Any]"
    help: str
    default: int | None = None

    @property
    def name(self) -> str:
        """As click hands it on."""
        return self.flag.removeprefix("--").replace("-", "_")


_JOIN = _Option(
    "--fleet-join",
    click.Path(dir_okay=False, path_type=Path),
    "Be one of those, with a copy of the run's ticket.",
)
# By what they are in a Plan.
_OPTIONS = {
    "devices": _Option(
        "--fleet",
        click.IntRange(1, MOST_DEVICES),
        "Have so many light devices call a broker and a receiver, both started for it on this machine.",
    ),
    "alarms": _Option(
        "--fleet-alarms",
        click.IntRange(1, MOST_DEVICES),
        "How many of them raise an alarm in the storm [default: a tenth].",
    ),
    "storm_s": _Option("--fleet-storm-s", click.FloatRange(0, 3600), "Over how many seconds they do.", 10),
    "hold_s": _Option(
        "--fleet-hold-s",
        click.FloatRange(0, 86_400),
        "How long it goes on after that with heartbeats alone, one a minute each.",
        60,
    ),
    "rate": _Option("--fleet-rate", click.FloatRange(1, 1000), "How many are switched on a second.", 100),
    "spread_s": _Option(
        "--fleet-spread-s",
        click.IntRange(0, 300),
        "The devices' setting spread_s: over how many seconds they come back.",
        30,
    ),
    "here": _Option("--fleet-processes", click.IntRange(1, 64), "How many processes of this machine are the load.", 2),
    "elsewhere": _Option(
        "--fleet-elsewhere",
        click.IntRange(0, 64),
        "How many more join from other machines (docs/fleet-stress.md).",
        0,
    ),
}


def fleet_options(command: _Command) -> _Command:
    """Give a command the options of a fleet; it hands them on to run() under their own names."""
    for each in (_JOIN, *reversed(_OPTIONS.values())):
        command = click.option(each.flag, type=each.kind, help=each.help, default=each.default, show_default=True)(
            command
        )
    return command


def run(*, fleet_join: Path | None, as_json: bool, **asked: Any) -> int:
    """Run a fleet, or join the run of another machine; print what came of it and return the exit code.

    To be called when ``fleet`` or ``fleet_join`` is given.

    Raises:
        AnsimError: it could not be done.
    """
    from ansim.extras import require_packages

    require_packages("stress", _PACKAGES)
    if fleet_join is not None:
        from ansim.stress.fleet.crowd import join

        join(fleet_join)
    return _play(plan_of(asked), as_json)


def plan_of(asked: Mapping[str, Any]) -> "Plan":
    """Return the plan that somebody asks for with these values of the options."""
    from ansim.stress.fleet.course import Plan

    values = {field: asked[option.name] for field, option in _OPTIONS.items()}
    values["alarms"] = values["alarms"] or -(-values["devices"] // _TENTH)
    return Plan(**values)


def command_of(plan: "Plan") -> str:
    """Return what plays a plan again."""
    return " ".join(["ansim stress", *(f"{option.flag} {getattr(plan, field)}" for field, option in _OPTIONS.items())])


def _play(plan: "Plan", as_json: bool) -> int:
    from ansim.show import progress
    from ansim.stress.fleet import told
    from ansim.stress.fleet.course import play

    with _folder() as folder, progress(as_json) as show:
        result = play(plan, folder / "home", show, told.ticket)
    if as_json:
        click.echo(json.dumps({**result.as_dict(), "command": command_of(plan)}))
    else:
        told.result(result, command_of(plan))
    return EXIT_FAILED if result.troubles() else 0


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder for one run; it stays where a part of the run failed, for its logs say why."""
    folder = Path(tempfile.mkdtemp(prefix="ansim-fleet-"))
    failed = False
    try:
        yield folder
    except ServiceError:
        failed = True
        raise
    finally:
        if not failed:
            shutil.rmtree(folder, ignore_errors=True)
