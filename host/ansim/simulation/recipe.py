"""A run on paper: setting, mutant and stimuli as JSON, so that it can be played again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansim.errors import BadInput
from ansim.simulation.stimuli import KINDS, WORLD, Stimulus
from ansim.simulation.timeline import DAY_MS

_VERSION = 1
_MOST_DEVICES = 1_000
LONGEST_MS = 36_500 * DAY_MS
_MOST_STIMULI = 1_000_000
_MOST_BYTES = 1 << 24


@dataclass(frozen=True)
class Setting:
    """Which world: the same setting and stimuli are the same run.

    Args:
        seed: of its latencies; devices: their numbers; duration_ms: before it settles.
        mutant: the deliberate bug in it; empty: none.
    """

    seed: int
    devices: tuple[int, ...]
    duration_ms: int
    mutant: str = ""


@dataclass(frozen=True)
class Found:
    """A violated invariant, and when."""

    invariant: str
    detail: str
    at_ms: int


@dataclass(frozen=True)
class Recipe:
    """All that a run depends on."""

    setting: Setting
    stimuli: tuple[Stimulus, ...]


def write(path: Path, recipe: Recipe, found: Found) -> None:
    """Write recipe as JSON, with what it shows for whoever reads it.

    Raises:
        BadInput: the file can't be written.
    """
    stimuli = [[each.at_ms, each.device, each.kind, *each.values] for each in recipe.stimuli]
    lines = ",\n    ".join(map(json.dumps, stimuli))
    head = ",\n  ".join(
        f"{json.dumps(name)}: {json.dumps(value)}"
        for name, value in {"v": _VERSION, **asdict(found), **asdict(recipe.setting)}.items()
    )
    try:
        path.write_text(f'{{\n  {head},\n  "stimuli": [\n    {lines}\n  ]\n}}\n', encoding="utf-8")
    except OSError as error:
        raise BadInput(f"can't write {path}: {error.strerror}", "Choose another file with --trace.") from error


def read(path: Path) -> Recipe:
    """Return the recipe in a file.

    Raises:
        BadInput: no such file, or not one of ours; says what is wrong.
    """
    try:
        return _recipe(json.loads(_read(path)))
    except OSError as error:
        raise BadInput(f"can't read {path}: {error.strerror}", "Give a file that ansim simulate wrote.") from error
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        hint = "Give a file that ansim simulate wrote."
        raise BadInput(f"{path} is no trace of a simulation: {what}", hint) from error


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError("it is too large")
    return data


def _recipe(found: dict[str, Any]) -> Recipe:
    if found["v"] != _VERSION:
        raise ValueError("v is not known")
    if not isinstance(found["mutant"], str):
        raise ValueError("mutant is not legal")
    if not 0 < len(found["devices"]) <= _MOST_DEVICES or len(found["stimuli"]) > _MOST_STIMULI:
        raise ValueError("too many devices or stimuli, or none")
    devices = tuple(_int(each, 0, _MOST_DEVICES) for each in found["devices"])
    setting = Setting(
        _int(found["seed"], 0, (1 << 64) - 1), devices, _int(found["duration_ms"], 0, LONGEST_MS), found["mutant"]
    )
    return Recipe(setting, tuple(_stimulus(each, devices) for each in found["stimuli"]))


def _stimulus(found: list[Any], devices: tuple[int, ...]) -> Stimulus:
    at_ms, device, kind, *values = found
    kind = KINDS.get(kind)
    if kind is None or not kind.takes(values) or device not in (devices if kind.of_device else (WORLD,)):
        raise ValueError("a stimulus is not legal")
    return Stimulus(_int(at_ms, 0, LONGEST_MS), device, kind.name, tuple(values))


def _int(value: object, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{value!r:.40} is not legal")
    return value
