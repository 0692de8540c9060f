"""What a change would cost: the same usage with another heartbeat interval, other movements, another sensor mode."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ansim.boards import Board, Step
from ansim.power.model import Bench, Budget
from ansim.power.parts import Part, find_part
from ansim.power.usage import Usage
from ansim_fw.core import watch

INTERVALS_MIN = (5, 15, 30, 60, 240, 1440)
MOVEMENTS = (0.5, 2.0, 5.0)
FALSE_WAKES_AN_HOUR = 5
_DAY_MIN = 1440
# What the processor does for a contact with the radio off.
_AROUND_CONTACT: tuple[Step, ...] = ("load", "leave")
# What a board's meter may say at last, against its data sheets.
_WORSE = 1.25
_SLOW_WIFI = 3.0


@dataclass(frozen=True)
class Case:
    """A name for what is changed, and what comes of it."""

    name: str
    budget: Budget


def cases(board: Board, usage: Usage, interval_min: int, join_factor: float = 1.0) -> list[Case]:
    """Return what changes would cost, one at a time.

    Args:
        usage: over any time; interval_min: the heartbeat's meanwhile; join_factor: as it was meanwhile.
    """
    return list(_cases(board, usage.a_day(), interval_min, join_factor))


def _cases(board: Board, day: Usage, interval_min: int, join_factor: float) -> Iterator[Case]:
    bench = Bench(board, join_factor=join_factor)
    for minutes in INTERVALS_MIN:
        yield Case(f"heartbeat every {minutes} min", bench.budget(_with_interval(day, bench, interval_min, minutes)))
    if board.sensor:
        yield from _sensor_cases(board, find_part(board.sensor.part), day, join_factor)
    yield Case(f"Wi-Fi takes {_SLOW_WIFI:g} times as long to join", _slow_wifi(board, day, join_factor))
    worse = {state: ma * _WORSE for state, ma in bench.ma.items()}
    yield Case(f"every current of the board {_WORSE - 1:.0%} higher", Bench(board, worse, join_factor).budget(day))


def _sensor_cases(board: Board, part: Part, day: Usage, join_factor: float) -> Iterator[Case]:
    bench = Bench(board, join_factor=join_factor)
    for factor in MOVEMENTS:
        yield Case(f"{factor:g} times the movements", bench.budget(_with_movements(day, bench, factor)))
    more = _with_false_wakes(day, bench, 24 * FALSE_WAKES_AN_HOUR, part)
    yield Case(f"{FALSE_WAKES_AN_HOUR} more false wakes an hour", bench.budget(more))
    for mode in part.modes[1:]:
        other = Bench(board, join_factor=join_factor, mode=mode)
        yield Case(f"sensor: {mode.name}, {mode.rate_hz} Hz", other.budget(day))


def _with_interval(day: Usage, bench: Bench, before_min: int, after_min: int) -> Usage:
    """Return day with another number of heartbeats; each costs what contacts cost on average."""
    if day.contacts == 0:
        return day
    more = _DAY_MIN / after_min - _DAY_MIN / before_min
    factor = max((day.contacts + more) / day.contacts, 0.0)
    awake_s = more * bench.awake_ms(*_AROUND_CONTACT) / 1000
    changed = replace(
        day,
        links=day.links * factor,
        failed=day.failed * factor,
        wake_timer=max(day.wake_timer + more, 0.0),
        cpu_s=max(day.cpu_s + awake_s, 0.0),
        radio_s=day.radio_s * factor,
    )
    return _filled(changed, day.total_s)


def _with_movements(day: Usage, bench: Bench, factor: float) -> Usage:
    """Return day with factor times of all that movements cause."""
    contacts_s = min(day.contacts * bench.awake_ms(*_AROUND_CONTACT) / 1000, day.cpu_s)
    changed = replace(
        day,
        wake_motion=day.wake_motion * factor,
        impacts=day.impacts * factor,
        light_s=day.light_s * factor,
        cpu_s=contacts_s + (day.cpu_s - contacts_s) * factor,
    )
    return _filled(changed, day.total_s)


def _with_false_wakes(day: Usage, bench: Bench, count: int, part: Part) -> Usage:
    """Return day with count more wakes that nothing comes of but a look, and a watch until it was quiet."""
    quiet_s = watch.limit_ms(True, True, part.history_samples) / 1000
    reads = quiet_s * 1000 / part.read_every_ms
    changed = replace(
        day,
        wake_motion=day.wake_motion + count,
        light_s=day.light_s + count * quiet_s,
        cpu_s=day.cpu_s + count * (bench.awake_ms("look") + reads * bench.ms["read"]) / 1000,
    )
    return _filled(changed, day.total_s)


def _slow_wifi(board: Board, day: Usage, join_factor: float) -> Budget:
    before, after = Bench(board, join_factor=join_factor), Bench(board, join_factor=join_factor * _SLOW_WIFI)
    longer_s = day.contacts * (after.ms["join"] - before.ms["join"]) / 1000
    return after.budget(_filled(replace(day, radio_s=day.radio_s + longer_s), day.total_s))


def _filled(day: Usage, total_s: float) -> Usage:
    """Return day with as much deep sleep as is left of total_s."""
    return replace(day, deep_s=max(total_s - day.light_s - day.cpu_s - day.radio_s, 0.0))
