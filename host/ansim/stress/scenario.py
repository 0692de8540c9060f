"""A stress scenario as a TOML file: what is done to a device and to the world around it, how often and how long.

docs/stress.md explains every key. What is random is a range, from which the plan (plan.py) takes a value by its seed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ansim.errors import BadInput
from ansim.places.place import CAPABILITIES
from ansim.toml_reader import TomlReader, did_you_mean

FOLDER = Path(__file__).parent / "scenarios"
_HINT = "docs/stress.md explains the keys of a scenario."

# At least and at most.
Range = tuple[int, int]

# What is done to a device that may raise alarms.
GestureKind = Literal["press", "chatter", "cancel", "race", "body", "fall", "move"]
# What is done to a device that must raise none, and must take none away.
FaultKind = Literal[
    "radio", "no_way", "stall", "reset", "power", "power_cut", "console", "heap", "clock", "sensor", "cell"
]
# What is done to the world around all devices.
OutageKind = Literal["broker", "receiver", "receiver_kill"]

# The capability of a place that each takes, beyond "wifi".
NEEDS = {
    "press": "press",
    "chatter": "press",
    "cancel": "press",
    "race": "press",
    "body": "press",
    "fall": "motion",
    "move": "motion",
    "radio": "radio",
    "no_way": "radio",
    "stall": "stall",
    "reset": "reset",
    "power": "power",
    "power_cut": "power_cut",
    "heap": "heap",
    "clock": "clock",
    "sensor": "sensor",
    "cell": "sleep",
}
# What a device that tells no falls can't be asked for: it does not look at its sensor.
_OF_FALLS = {"fall", "move", "sensor", "cell"}
_LONGEST_MS = 3_600_000
_MOST = 10_000_000


@dataclass(frozen=True)
class GestureLine:
    """What a device's wearer does; weight: how often beside the others; hold_ms: how long the button is down."""

    kind: GestureKind
    weight: int = 1
    hold_ms: Range = (80, 800)


@dataclass(frozen=True)
class FaultLine:
    """What goes wrong with a device.

    Args:
        chance_percent: of its being in an episode.
        at_ms: when, after the episode began; for_ms: for how long. In the device's time.
        value: what the kind wants besides: power_cut the flash operation, heap the KB less, clock the seconds, sensor
            which fault.
    """

    kind: FaultKind
    chance_percent: int
    at_ms: Range = (0, 3000)
    for_ms: Range = (500, 5000)
    value: Range = (1, 40)


@dataclass(frozen=True)
class OutageLine:
    """What goes wrong with all devices' world, again and again: how long it is well, and how long not (real time)."""

    kind: OutageKind
    every_ms: Range
    for_ms: Range = (0, 0)


@dataclass(frozen=True)
class Settings:
    """What is set on each device before the run."""

    cancel_s: int = 0
    prealarm_s: int = 5
    fall: int = 0


@dataclass(frozen=True)
class Scenario:
    """One scenario.

    Args:
        what: in a sentence.
        role: of the devices.
        count, devices, speed: unless the command says otherwise; count is gestures of all devices together.
        each: how many gestures an episode has; gap_ms: between two of them; pause_ms: between two episodes. In the
            device's time.
    """

    what: str
    gestures: tuple[GestureLine, ...]
    count: int
    faults: tuple[FaultLine, ...] = ()
    outages: tuple[OutageLine, ...] = ()
    settings: Settings = Settings()
    role: Literal["hub", "pendant"] = "hub"
    devices: int = 2
    speed: int = 4
    each: Range = (1, 8)
    gap_ms: Range = (300, 1200)
    pause_ms: Range = (0, 500)

    @property
    def kinds(self) -> set[str]:
        """Of its gestures and faults."""
        return {str(line.kind) for line in self.gestures} | {str(line.kind) for line in self.faults}

    @property
    def needs(self) -> tuple[str, ...]:
        """The capabilities that it takes, names of CAPABILITIES."""
        wanted = {NEEDS[kind] for kind in self.kinds & NEEDS.keys()} | {"wifi"}
        return tuple(name for name in CAPABILITIES if name in wanted)


def names() -> list[str]:
    """The scenarios that there are, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str) -> Scenario:
    """Return a scenario by its name, or by the path of a file that ends in .toml.

    Raises:
        BadInput: there is none, or a key is wrong; says which.
    """
    path = Path(name)
    if path.suffix != ".toml":
        if name not in names():
            raise BadInput(
                f"there is no scenario '{name}'{did_you_mean(name, names())}", f"There are: {', '.join(names())}."
            )
        path = FOLDER / f"{name}.toml"
    reader = TomlReader(path, "a scenario", _HINT)
    scenario: Scenario = reader.read(Scenario)
    _check(scenario, reader)
    return scenario


def _check(scenario: Scenario, reader: TomlReader) -> None:
    _check_ranges(scenario, reader)
    if not scenario.gestures or scenario.each[0] < 1:
        raise reader.error("gestures", "an episode has at least one")
    if not 1 <= scenario.count <= _MOST:
        raise reader.error("count", f"is {scenario.count}, must be 1 to {_MOST}")
    if any(line.weight < 1 for line in scenario.gestures):
        raise reader.error("gestures", "a weight is at least 1")
    if any(not 1 <= line.chance_percent <= 100 for line in scenario.faults):
        raise reader.error("faults", "chance_percent is 1 to 100")
    if not scenario.settings.fall and (takers := scenario.kinds & _OF_FALLS):
        raise reader.error("settings.fall", f"is 0, must be 1 for {', '.join(sorted(takers))}")


def _check_ranges(scenario: Scenario, reader: TomlReader) -> None:
    for key in ("each", "gap_ms", "pause_ms"):
        _check_range(reader, key, getattr(scenario, key))
    for list_name in ("gestures", "faults", "outages"):
        for number, line in enumerate(getattr(scenario, list_name), 1):
            for key, value in vars(line).items():
                if isinstance(value, tuple):
                    _check_range(reader, f"{list_name}[{number}].{key}", value)


def _check_range(reader: TomlReader, key: str, values: Range) -> None:
    low, high = values
    if not 0 <= low <= high <= _LONGEST_MS:
        raise reader.error(key, f"is {list(values)}, must be at least and at most, 0 to {_LONGEST_MS}")
