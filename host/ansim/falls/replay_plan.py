"""Which recordings are replayed."""

import difflib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansim.errors import BadInput
from ansim.falls.bounds import PLACEMENTS
from ansim.falls.recordings import DEVICE_RATE_HZ, Recording, data_folder, load
from ansim.falls.replay import Movement


@dataclass(frozen=True)
class Choice:
    """Which recordings of a set: names, or numbers in the set from 0; none: all that the rest allows.

    Args:
        activities: codes, such as D01; none: all.
        is_fall: only falls (True), only the others (False), or both (None).
        limit: the first so many; 0: all.
        hours: again and again, until there are so many hours of recordings; 0: each once.
    """

    names: Sequence[str] = ()
    activities: Sequence[str] = ()
    is_fall: bool | None = None
    limit: int = 0
    hours: float = 0.0

    def of(self, recordings: Sequence[Recording], where: str) -> list[Recording]:
        """Return the chosen ones, in the set's order.

        Raises:
            BadInput: a name is unknown, or nothing is left.
        """
        unknown = set(self.names) - {each.name for each in recordings} - {str(i) for i in range(len(recordings))}
        if unknown:
            raise BadInput(
                f"{where} has no recording {', '.join(sorted(unknown))}", _meant(unknown, recordings) + _has(recordings)
            )
        chosen = [each for number, each in enumerate(recordings) if self._takes(number, each)]
        if not chosen:
            raise BadInput(f"{where} has no such recordings", _has(recordings))
        return self._for_hours(chosen[: self.limit or None])

    def _takes(self, number: int, each: Recording) -> bool:
        if self.names and each.name not in self.names and str(number) not in self.names:
            return False
        if self.activities and each.activity not in self.activities:
            return False
        return self.is_fall is None or each.is_fall == self.is_fall

    def _for_hours(self, chosen: list[Recording]) -> list[Recording]:
        planned = list(chosen)
        while sum(each.duration_s for each in planned) < self.hours * 3600:
            planned += chosen
        return planned


def plan(where: str, choice: Choice) -> list[Recording]:
    """Return the chosen recordings of a file, or of a set in the data folder.

    Raises:
        BadInput: the file can't be read, or has no such recordings.
    """
    path = find(where)
    if not path.exists():
        raise BadInput(f"there are no recordings at {path}", _sets_hint(where))
    return choice.of(load(path), where)


def find(where: str) -> Path:
    """Return where a set is: a file that ends in .npz, else a name in the data folder."""
    return Path(where) if where.endswith(".npz") else data_folder() / f"{where}.npz"


def placement_of(where: str) -> str:
    """Return for which placement a set is the one to learn from; the first placement if for none."""
    own = [each.name for each in PLACEMENTS.values() if each.recordings == find(where).name]
    return own[0] if own else next(iter(PLACEMENTS))


def as_movement(recording: Recording) -> Movement:
    """Return a recording as it is played: at the device's rate."""
    samples = array("h", recording.at_rate(DEVICE_RATE_HZ).acc.tobytes())
    return Movement(recording.name, samples, DEVICE_RATE_HZ, recording.is_fall)


def _sets_hint(where: str) -> str:
    folder = data_folder()
    sets = sorted(each.stem for each in folder.glob("*.npz"))
    if where.endswith(".npz") or not sets:
        return "Give a file of recordings, or set ANSIM_DATA to the folder that holds them."
    return f"In {folder} there are: {', '.join(sets)}. ANSIM_DATA says where else to look."


def _meant(unknown: Iterable[str], recordings: Sequence[Recording]) -> str:
    names = [each.name for each in recordings]
    near = dict.fromkeys(name for each in sorted(unknown) for name in difflib.get_close_matches(each, names))
    return f"Did you mean {' or '.join(near)}? " if near else ""


def _has(recordings: Sequence[Recording]) -> str:
    codes = ", ".join(sorted({each.activity for each in recordings})[:40])
    return f"It has {len(recordings)}, such as {recordings[0].name}; activities: {codes}."
