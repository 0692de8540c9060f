"""A person's day, described (days/*.toml), and played: which seconds of it stir the sensor."""

import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from ansim.errors import BadInput
from ansim.power.rates import KINDS, Rate
from ansim.toml_reader import TomlReader, did_you_mean

DAY_S = 86_400
_DAYS = Path(__file__).parent / "days"
_MAX_PER_HOUR = 3600.0
_HINT = "docs/power.md explains every field."


@dataclass(frozen=True)
class Act:
    """Something the wearer does again and again.

    Args:
        movements: what it is made of, one after the other: (kind of rates.KINDS, seconds).
        per_hour: how often, on average; when is left to chance.
    """

    movements: tuple[tuple[str, int], ...]
    per_hour: float
    source: str

    @property
    def seconds(self) -> int:
        return sum(seconds for _, seconds in self.movements)


@dataclass(frozen=True)
class Part:
    """Some hours of a day; outside of its acts nothing stirs the sensor."""

    name: str
    hours: float
    acts: tuple[Act, ...] = ()


@dataclass(frozen=True)
class Day:
    """A day, from its first part to its last.

    Args:
        join_factor: how much longer than on the board's bench it takes to reach this home's Wi-Fi.
    """

    title: str
    parts: tuple[Part, ...]
    join_factor: float = 1.0


@dataclass(frozen=True)
class Stir:
    """A second in which the sensor would raise its pin (stirs), or in which the detector judges windows."""

    at_s: int
    stirs: bool
    windows: int


def day_names() -> list[str]:
    """The days that come with the project."""
    return sorted(path.stem for path in _DAYS.glob("*.toml"))


def load_day(name: str) -> Day:
    """Read and check the day called name, or the one in a file that ends in .toml.

    Raises:
        BadInput: there is no such day, or its file is wrong; the message names file and key.
    """
    if not name.endswith(".toml") and name not in day_names():
        close = did_you_mean(name, day_names())
        raise BadInput(f"there is no day '{name}'{close}", f"Days: {', '.join(day_names())}; or give a .toml file.")
    path = Path(name) if name.endswith(".toml") else _DAYS / f"{name}.toml"
    reader = TomlReader(path, "a described day", _HINT)
    day: Day = reader.read(Day)
    for key, problem in _problems(day):
        raise reader.error(key, problem)
    return day


def _problems(day: Day) -> Iterator[tuple[str, str]]:
    if not 1 <= day.join_factor <= 20:
        yield "join_factor", f"is {day.join_factor:g}, must be 1 to 20"
    for part in day.parts:
        if not 0 < part.hours <= 24:
            yield f"parts.{part.name}.hours", f"is {part.hours:g}, must be above 0, and at most 24"
        for act in part.acts:
            yield from _act_problems(f"parts.{part.name}.acts", act)
    hours = sum(part.hours for part in day.parts)
    if abs(hours - 24) > 0.01:
        yield "parts", f"their hours add up to {hours:g}, must be 24"


def _act_problems(key: str, act: Act) -> Iterator[tuple[str, str]]:
    if not act.movements:
        yield f"{key}.movements", "is empty"
    for kind, seconds in act.movements:
        if kind not in KINDS:
            close = did_you_mean(kind, list(KINDS))
            yield f"{key}.movements", f"there is no movement '{kind}'{close}; there are: {', '.join(KINDS)}"
        if not 1 <= seconds <= DAY_S:
            yield f"{key}.movements", f"{kind} lasts {seconds} s, must be 1 to {DAY_S}"
    if not 0 < act.per_hour * act.seconds <= _MAX_PER_HOUR:
        yield f"{key}.per_hour", f"is {act.per_hour:g}, must be above 0, and fit into an hour with {act.seconds} s each"


class Wearer:
    """Lives a day again and again, each time a little otherwise; the same seed lives the same life.

    Args:
        rates: what each kind of movement does to the part that is worn.
        extra_wakes_an_hour: single stirs that no movement explains, spread over the whole day.
    """

    def __init__(self, day: Day, rates: Mapping[str, Rate], seed: int, extra_wakes_an_hour: float = 0.0) -> None:
        self._day = day
        self._rates = rates
        self._seed = seed
        self._extra = extra_wakes_an_hour
        self._number = -1
        self._stirs: list[Stir] = []

    def next_stir(self, from_s: int) -> Stir | None:
        """Return the first second from from_s on that stirs, if it is on that day or the next."""
        for at_s in (from_s, (from_s // DAY_S + 1) * DAY_S):
            for each in self._from(at_s):
                if each.stirs:
                    return each
        return None

    def between(self, from_s: int, to_s: int) -> list[Stir]:
        """Return what happens from from_s to before to_s, which is on the same day or the next."""
        found = self._from(from_s, to_s)
        midnight_s = to_s // DAY_S * DAY_S
        if midnight_s > from_s:
            found = found + self._from(midnight_s, to_s)
        return found

    def _from(self, at_s: int, to_s: int | None = None) -> list[Stir]:
        self._live(at_s // DAY_S)
        first = bisect.bisect_left(self._stirs, at_s, key=lambda each: each.at_s)
        end = None if to_s is None else bisect.bisect_left(self._stirs, to_s, key=lambda each: each.at_s)
        return self._stirs[first:end]

    def _live(self, number: int) -> None:
        if number == self._number:
            return
        self._number = number
        chance = Random(f"{self._seed} {number}")
        seconds: dict[int, Stir] = {}
        begin_s = number * DAY_S
        for part in self._day.parts:
            length_s = round(part.hours * 3600)
            for act in part.acts:
                for at_s in _moments(chance, begin_s, length_s, act.per_hour):
                    seconds.update((each.at_s, each) for each in self._move(chance, act, at_s))
            begin_s += length_s
        for at_s in _moments(chance, number * DAY_S, DAY_S, self._extra):
            seconds.setdefault(at_s, Stir(at_s, True, 0))
        self._stirs = [seconds[at_s] for at_s in sorted(seconds) if at_s // DAY_S == number]

    def _move(self, chance: Random, act: Act, at_s: int) -> Iterator[Stir]:
        stirs = False
        for kind, length_s in act.movements:
            rate = self._rates[kind]
            for _ in range(length_s):
                stirs = chance.random() < (rate.stays if stirs else rate.begins)
                windows = int(chance.random() < (rate.windows_stirring if stirs else rate.windows_still))
                if stirs or windows:
                    yield Stir(at_s, stirs, windows)
                at_s += 1


def _moments(chance: Random, begin_s: int, length_s: int, per_hour: float) -> Iterator[int]:
    """Yield whole seconds of a Poisson process."""
    at_s = 0.0
    while per_hour > 0:
        at_s += chance.expovariate(per_hour / 3600)
        if at_s >= length_s:
            return
        yield begin_s + int(at_s)
