"""What is expected of a replay, what became of it, and the account of it that outlives a run."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ansim.errors import BadInput
from ansim.falls.replay import Movement, Outcome, Result

_COLUMNS = (
    "recording",
    "is_fall",
    "seconds",
    "result",
    "stages",
    "alarms",
    "predicted",
    "kept_up",
    "late",
    "gaps",
    "tries",
    "as_expected",
)
# How every line of a file of results begins.
_BEGINNING = b'{"recording": '


class Expect(StrEnum):
    """What is to come of a movement."""

    LABEL = "label"  # as its label says: a fall is an alarm, all else is none
    FALL = "fall"
    NOTHING = "nothing"
    ANY = "any"  # but no alarm may be lost on its way

    def allows(self, movement: Movement, result: Result, cancelled: bool) -> bool:
        """Tell whether a result is right; cancelled: the wearer was to cancel what there is to cancel."""
        if result == Result.LOST or self == Expect.ANY:
            return result != Result.LOST
        is_fall = movement.is_fall if self == Expect.LABEL else self == Expect.FALL
        if not is_fall:
            return result == Result.NOTHING
        return result == (Result.CANCELLED if cancelled else Result.ALARM)


@dataclass(frozen=True)
class Judged:
    """An outcome, with what the evaluation says of the same recording; None where that is not known."""

    outcome: Outcome
    right: bool
    predicted: bool | None

    @property
    def as_expected(self) -> bool:
        """Right, and it may be relied on: the device saw all of it."""
        return self.right and self.outcome.kept_up

    def as_dict(self) -> dict[str, Any]:
        """Return the columns of a file of results."""
        outcome, movement = self.outcome, self.outcome.movement
        values = (
            movement.name,
            movement.is_fall,
            round(movement.duration_s, 2),
            outcome.result.value,
            outcome.stages,
            len(outcome.alarms),
            self.predicted,
            outcome.kept_up,
            outcome.late,
            outcome.gaps,
            outcome.tries,
            self.as_expected,
        )
        return dict(zip(_COLUMNS, values, strict=True))


class Results:
    """What became of each movement, in a file of JSON lines if there is one: a run that was ended goes on from there.

    Attributes:
        rows: Judged.as_dict of each, those of earlier runs first.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.rows: list[dict[str, Any]] = _read(path) if path is not None and path.exists() else []

    def done(self, planned: Sequence[str]) -> int:
        """Return how many recordings of a plan, by name, were played already.

        Raises:
            BadInput: the results are of another plan.
        """
        done = [row["recording"] for row in self.rows]
        if done != list(planned[: len(done)]):
            raise BadInput(f"{self._path} has results of other recordings", "Give a new file with --results.")
        return len(done)

    def add(self, judged: Judged) -> None:
        self.rows.append(judged.as_dict())
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(self.rows[-1]) + "\n")

    def summary(self) -> dict[str, Any]:
        """Return counts over all rows, and the names of what is to be looked at; hours are of recordings."""
        rows = self.rows
        false = [row for row in rows if not row["is_fall"] and row["alarms"]]
        known = [row for row in rows if row["predicted"] is not None]
        return {
            "recordings": len(rows),
            "hours": round(sum(row["seconds"] for row in rows) / 3600, 4),
            "falls": _count(row["is_fall"] for row in rows),
            "falls_noticed": _count(row["is_fall"] and row["alarms"] for row in rows),
            "activities_with_alarm": len(false),
            "alarms": sum(row["alarms"] for row in rows),
            "alarms_lost": _count(row["result"] == Result.LOST for row in rows),
            "predicted_with_alarm": _count(row["predicted"] for row in known) if known else None,
            "unlike_predicted": [row["recording"] for row in known if row["predicted"] != bool(row["alarms"])],
            "played_again": sum(row["tries"] - 1 for row in rows),
            "not_kept_up": [row["recording"] for row in rows if not row["kept_up"]],
            "not_as_expected": [row["recording"] for row in rows if not row["as_expected"]],
        }


def _count(flags: Iterable[object]) -> int:
    return sum(map(bool, flags))


def _read(path: Path) -> list[dict[str, Any]]:
    """Read the whole lines of a file of results; half a line, of a run that was killed, is cut off.

    Raises:
        BadInput: it holds something else.
    """
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    try:
        rows = [json.loads(line) for line in whole.splitlines()]
        found = [{key: row[key] for key in _COLUMNS} for row in rows]
        if not text[len(whole) :].startswith(_BEGINNING[: len(text) - len(whole)]):
            raise ValueError("something else at its end")
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} holds no results of a replay", "Give another file with --results.") from error
    os.truncate(path, len(whole))
    return found
