"""What must be in the receiver's database after gestures: pure, and the only place that says so."""

from collections.abc import Sequence
from dataclasses import dataclass

from ansim.stress.result import INVENTED, LOST, WRONG
from ansim.stress.scenario import GestureKind

# How many rows there are: calls for help (sos), cancels, falls.
Rows = tuple[int, int, int]
NOTHING: Rows = (0, 0, 0)
# What is wrong: kinds of findings, each with how many of which.
Wrongs = tuple[tuple[str, str], ...]

# What may become of each gesture. A cancel and a body begin with a press, which is an alarm of its own; near the limits
# of a hold nobody can tell which it was, and it is one or the other.
ALLOWED: dict[GestureKind, frozenset[Rows]] = {
    "press": frozenset({(1, 0, 0)}),
    "chatter": frozenset({(1, 0, 0)}),
    "cancel": frozenset({(1, 1, 0)}),
    "race": frozenset({(1, 1, 0), (2, 0, 0)}),
    "body": frozenset({(2, 0, 0)}),
    "fall": frozenset({(0, 0, 1)}),
    "move": frozenset({NOTHING}),
}


@dataclass(frozen=True)
class Done:
    """A gesture that was made, in milliseconds of the run.

    Args:
        until_ms: when the button was up again.
        kept_ms: when the device said that all of its alarms are in the journal; None: it did not.
        sure: the board kept up with it; else what was played to its sensor may not have been what it felt.
    """

    kind: GestureKind
    begun_ms: int
    until_ms: int
    kept_ms: int | None
    sure: bool = True


@dataclass(frozen=True)
class Raised:
    """An alarm in the receiver's database.

    Args:
        name: for people; rows: it and its cancels.
        heard_ms: when the device announced that it raises this one; None: nobody heard, as it was reset.
    """

    name: str
    rows: Rows
    heard_ms: int | None


@dataclass(frozen=True)
class Restart:
    """A device was not on duty from begun_ms, at the earliest, to armed_ms; None: it has not said so yet."""

    begun_ms: int
    armed_ms: int | None

    def meets(self, done: Done) -> bool:
        """Tell whether it came before the device had kept what the gesture called for."""
        return self.begun_ms <= _end(done.kept_ms) and done.begun_ms <= _end(self.armed_ms)

    def is_in_hold(self, done: Done) -> bool:
        """Tell whether the device may have started with the button down: then that is a press once more."""
        return self.begun_ms <= done.until_ms and done.begun_ms <= _end(self.armed_ms)


def _end(at_ms: int | None) -> float:
    return float("inf") if at_ms is None else at_ms


def allowed(done: Done, restarts: Sequence[Restart]) -> frozenset[Rows]:
    """Return what may have become of one gesture; what a restart met may be lost, and what it cut in two may be two."""
    usual = ALLOWED[done.kind]
    lost = not done.sure or any(each.meets(done) for each in restarts)
    most = [max(rows[place] for rows in usual) for place in range(3)]
    # Who falls or walks does not press.
    more = sum(each.is_in_hold(done) for each in restarts) if most[0] else 0
    if not lost and not more:
        return usual
    least = 0 if lost else min(rows[0] for rows in usual)
    return frozenset(
        (sos, cancels, falls)
        for sos in range(least, most[0] + more + 1)
        for cancels in range(most[1] + 1)
        for falls in range(most[2] + 1)
    )


@dataclass(frozen=True)
class _Turn:
    """One gesture's: from its begin to that of the next."""

    done: Done
    until_ms: float
    allowed: frozenset[Rows]
    met: bool

    def may_have_raised(self, alarm: Raised) -> bool:
        """Tell whether an alarm may be this gesture's.

        It is announced after the gesture began, and before the next one did. Only a device that a restart kept from
        it may tell later, or not at all.
        """
        if alarm.heard_ms is None:
            return self.met
        return self.done.begun_ms <= alarm.heard_ms and (self.met or alarm.heard_ms < self.until_ms)

    def wrong(self, rows: Rows) -> Wrongs:
        """Return what is wrong with rows as all that came of the gesture."""
        if rows in self.allowed:
            return ()
        told = f"{self.done.kind} at {self.done.begun_ms} ms made {_words(rows)}"
        told += f"; it should be {' or '.join(_words(each) for each in sorted(self.allowed)[:4])}"
        least, most = min(map(sum, self.allowed)), max(map(sum, self.allowed))
        if sum(rows) < least:
            return ((LOST, told),)
        return ((INVENTED if sum(rows) > most else WRONG, told),)


def judge(done: Sequence[Done], restarts: Sequence[Restart], alarms: Sequence[Raised]) -> Wrongs:
    """Find whose each alarm is, and return what is wrong then.

    Gestures and alarms are in the order in which they came, and so are those that belong together. Of all ways to give
    the one to the other that leave it so, the one counts that leaves the least to be told.
    """
    best: dict[int, Wrongs] = {0: ()}
    for turn in _turns(done, restarts):
        best = _after(turn, best, alarms)
    return min((told + _nobodys(alarms[taken:]) for taken, told in best.items()), key=len)


def _turns(done: Sequence[Done], restarts: Sequence[Restart]) -> list[_Turn]:
    ends_ms = [*(float(each.begun_ms) for each in done[1:]), float("inf")]
    return [
        _Turn(each, until_ms, (may_be := allowed(each, restarts)), may_be != ALLOWED[each.kind])
        for each, until_ms in zip(done, ends_ms, strict=False)
    ]


def _after(turn: _Turn, best: dict[int, Wrongs], alarms: Sequence[Raised]) -> dict[int, Wrongs]:
    """Return what is told at least after one more gesture, by how many alarms are then spoken for."""
    before, after = dict(best), dict[int, Wrongs]()
    for first in range(min(before), len(alarms) + 1):
        told = before.get(first)
        if told is None:
            continue
        rows = NOTHING
        _keep(after, first, told + turn.wrong(rows))
        for last in range(first, len(alarms)):
            if not turn.may_have_raised(alarms[last]):
                break
            rows = _sum(rows, alarms[last].rows)
            _keep(after, last + 1, told + turn.wrong(rows))
        if first < len(alarms) and (alarms[first].heard_ms or 0) < turn.until_ms:
            _keep(before, first + 1, told + _nobodys(alarms[first : first + 1]))
    return after


def _keep(found: dict[int, Wrongs], taken: int, told: Wrongs) -> None:
    if taken not in found or len(told) < len(found[taken]):
        found[taken] = told


def _nobodys(alarms: Sequence[Raised]) -> Wrongs:
    return tuple((INVENTED, f"the alarm {each.name} is no gesture's") for each in alarms)


def _sum(rows: Rows, more: Rows) -> Rows:
    return rows[0] + more[0], rows[1] + more[1], rows[2] + more[2]


def judge_sensor(
    had: Sequence[str], told: Sequence[tuple[str, str]], in_part: Sequence[str] = ()
) -> tuple[str, str] | None:
    """Return what is wrong with what a device told of its motion sensor, as one of Wrongs; None if nothing is.

    Args:
        had: which faults it had, one after the other, and none at the end.
        told: fault or restore, and of which. One that comes and goes may be told more often.
        in_part: which it had for so short a time that it may be told or not.
    """
    words = f"the sensor had {', '.join([*had, *in_part]) or 'nothing'}"
    words += f"; it told {', '.join(map(' '.join, told)) or 'nothing'}"
    if missing := [each for each in had if ("fault", each) not in told or ("restore", each) not in told]:
        return LOST, f"{words}: {missing[0]} is missing"
    if {kind for _, kind in told} - {*had, *in_part}:
        return INVENTED, words
    # One at a time: another begins when the one before is over.
    whole = [(what, kind) for _, kind in told[::2] for what in ("fault", "restore")]
    return (WRONG, words) if list(told) != whole else None


def _words(rows: Rows) -> str:
    return f"{rows[0]} sos, {rows[1]} cancels, {rows[2]} falls"
