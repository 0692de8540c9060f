"""What motion sensors draw in the modes that they have, and how they decide to wake a device (parts.toml)."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ansim.errors import BadInput
from ansim.toml_reader import TomlReader

_FILE = Path(__file__).with_name("parts.toml")


@dataclass(frozen=True)
class Mode:
    """One way to run a part; the whole part's average current in it."""

    name: str
    rate_hz: int
    ma: float
    source: str


@dataclass(frozen=True)
class Part:
    """A motion sensor.

    Args:
        modes: the first one is the driver's.
        history_samples: what its FIFO keeps, as its driver says.
        compares_hz: how often it compares a sample with the one before.
        threshold_share: what of the firmware's threshold its driver sets, so that no change between the firmware's
            own samples is missed; rounded down to grain_mg.
    """

    modes: tuple[Mode, ...]
    history_samples: int
    compares_hz: int
    threshold_share: float
    grain_mg: int

    @property
    def used(self) -> Mode:
        return self.modes[0]

    @property
    def read_every_ms(self) -> float:
        """How often the firmware reads the FIFO while the wearer moves (watcher.py)."""
        return self.history_samples * 13.5

    def wake_mg(self, threshold_mg: int) -> int:
        """Return the change between two of its own samples that wakes the device, for the firmware's threshold."""
        return max(round(threshold_mg * self.threshold_share) // self.grain_mg, 1) * self.grain_mg


@dataclass(frozen=True)
class _File:
    parts: Mapping[str, Part]


@functools.cache
def all_parts() -> Mapping[str, Part]:
    """Return every part that parts.toml knows, by its driver's name."""
    file: _File = TomlReader(_FILE, "the list of parts", "docs/power.md explains every field.").read(_File)
    return file.parts


def find_part(name: str) -> Part:
    """Return a part by its driver's name.

    Raises:
        BadInput: nobody has said what it draws.
    """
    if name not in all_parts():
        raise BadInput(f"nothing is known of what a sensor '{name}' draws", f"Add it to {_FILE}.")
    return all_parts()[name]
