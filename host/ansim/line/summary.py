"""What a line did: how many boards, how fast, and which are not ready."""

from collections.abc import Sequence
from typing import Any

from ansim.errors import EXIT_INTERRUPTED
from ansim.line.floor import Board, Floor, State
from ansim.line.phrases import Phrases

_HOUR_S = 3600


def exit_code(floor: Floor) -> int:
    """Return 0 if every board is ready in the end, else the exit code of the first that is not.

    EXIT_INTERRUPTED where boards lie there that were not even begun.
    """
    troubles = [board.row.trouble for board in floor.boards]
    waiting = floor.stopping and bool(floor.waiting)
    return next((trouble.exit_code for trouble in troubles if trouble), EXIT_INTERRUPTED if waiting else 0)


def as_dict(floor: Floor) -> dict[str, Any]:
    """Return the summary for a program."""
    passed, failed = floor.tally
    manifest = {"name": floor.name, "total": floor.total, "ready": floor.ready} if floor.total is not None else None
    mean_s, per_hour = _pace(floor.boards)
    return {
        "ok": exit_code(floor) == 0,
        "passed": passed,
        "failed": failed,
        "mean_s": round(mean_s, 1),
        "per_hour": round(per_hour),
        "manifest": manifest,
        "boards": [_board(board) for board in floor.boards],
    }


def lines(floor: Floor, phrases: Phrases) -> list[str]:
    """Return the summary for a person; of the boards, those that are not ready."""
    words = phrases.words
    told = [words.complete.format(total=floor.total)] if floor.complete else []
    if not floor.boards:
        return told or [words.nothing]
    passed, failed = floor.tally
    told.append(words.tally.format(passed=passed, failed=failed))
    if passed > 1:
        mean_s, per_hour = _pace(floor.boards)
        told.append(words.pace.format(mean_s=f"{mean_s:.0f}", per_hour=f"{per_hour:.0f}"))
    if again := sum(board.turns > 1 for board in floor.boards):
        told.append(words.again.format(count=again))
    if unnamed := sum(not board.row.mac for board in _failed(floor)):
        told.append(words.unnamed.format(count=unnamed))
    if without := [board.row.device for board in floor.boards if board.row.passed and board.row.passed.unlabelled]:
        told.append(words.unlabelled.format(devices=" ".join(without)))
    return told + [f"{words.still_failed}: {phrases.failed(board.row)}" for board in _failed(floor)]


def _failed(floor: Floor) -> list[Board]:
    return [board for board in floor.boards if board.row.state is not State.PASSED]


def _pace(boards: Sequence[Board]) -> tuple[float, float]:
    """Return how many seconds a board that passed took, and how many passed an hour; 0 and 0: none did."""
    passed = [board.row for board in boards if board.row.state is State.PASSED]
    if not passed:
        return 0.0, 0.0
    took_s = max(row.at_s for row in passed) - min(row.at_s - row.seconds for row in passed)
    return sum(row.seconds for row in passed) / len(passed), len(passed) * _HOUR_S / max(took_s, 1.0)


def _board(board: Board) -> dict[str, Any]:
    row = board.row
    told: dict[str, Any] = {"ok": row.state is State.PASSED, "device": row.device, "mac": row.mac, "turns": board.turns}
    told["seconds"] = round(row.seconds, 1)
    return told | (row.trouble.as_dict() if row.trouble else {})
