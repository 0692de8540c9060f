"""What a board's figures may be at worst, as its file has it, and what that would do to a simulated life."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ansim.boards import Board, State, Step
from ansim.power.model import Bench
from ansim.power.simulate import Lived, Tell, simulate

_ALL = "all of these at once"
# A life's first days, again for each figure: it is its share that counts.
_DAYS = 3


@dataclass(frozen=True)
class Doubt:
    """A figure at its worst, and how many days the cell would last with it."""

    name: str
    days: float


def doubts(lived: Lived, tell: Tell) -> list[Doubt]:
    """Return what the cell would give with one figure at its worst, the one that costs most first; then with all."""
    each = list(_worse(lived.life.board))
    if not each:
        return []
    short = simulate(replace(lived.life, days=min(lived.life.days, _DAYS)))
    found = []
    for number, (name, board) in enumerate([*each, (_ALL, _worst(lived.life.board))]):
        tell("looking at what is not known for sure", number, len(each) + 1)
        found.append(Doubt(name, lived.budget.days * _days(short, board) / short.budget.days))
    return [*sorted(found[:-1], key=lambda doubt: doubt.days), found[-1]]


def _days(short: Lived, board: Board) -> float:
    """Return how long the cell lasts on board; other currents change nothing in what its wearer's days are."""
    if board.timings == short.life.board.timings:
        return Bench(board, join_factor=short.life.day.join_factor).budget(short.usage).days
    return simulate(replace(short.life, board=board)).budget.days


def _worse(board: Board) -> Iterator[tuple[str, Board]]:
    for state, current in board.currents.items():
        if current.worst_ma is not None:
            yield f"{state}: {current.worst_ma:g} mA in place of {current.ma:g}", _with_current(board, state)
    for step, timing in board.timings.items():
        if timing.worst_ms is not None:
            yield f"{step}: {timing.worst_ms} ms in place of {timing.ms}", _with_timing(board, step)


def _worst(board: Board) -> Board:
    for state in board.currents:
        board = _with_current(board, state)
    for step in board.timings:
        board = _with_timing(board, step)
    return board


def _with_current(board: Board, state: State) -> Board:
    current = board.currents[state]
    worst = replace(current, ma=current.ma if current.worst_ma is None else current.worst_ma)
    return replace(board, currents={**board.currents, state: worst})


def _with_timing(board: Board, step: Step) -> Board:
    timing = board.timings[step]
    worst = replace(timing, ms=timing.ms if timing.worst_ms is None else timing.worst_ms)
    return replace(board, timings={**board.timings, step: worst})
