"""Days of somebody's life with a pendant, in virtual time, and what they take from its cell."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from ansim.boards import Battery, Board
from ansim.errors import BadInput
from ansim.power.day import DAY_S, Day, Wearer
from ansim.power.model import Bench, Budget
from ansim.power.parts import find_part
from ansim.power.pendant import Pendant
from ansim.power.rates import Rates, read_rates
from ansim.power.usage import Usage

# Who wears a pendant tries it once a month.
TEST_ALARM_EVERY_DAYS = 30
_DAY_MS = DAY_S * 1000
_NOON_MS = _DAY_MS // 2

# Told with what is being done, how much of it is done, and how much there is.
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Life:
    """What is to be simulated.

    Args:
        interval_min: the heartbeat's; days: how many to live.
        seed: of all chance; the same seed is the same life.
        wakes_an_hour: false wakes beside those that the day's movements cause.
    """

    board: Board
    day: Day
    interval_min: int
    days: int
    seed: int = 1
    wakes_an_hour: float = 0.0


@dataclass(frozen=True)
class Lived:
    """What a life came to.

    Args:
        usage: since the cold start; budget: what that takes from the cell.
        contacts: how often the radio was on; left_percent: of the cell, at each day's end.
    """

    life: Life
    usage: Usage
    budget: Budget
    contacts: int
    left_percent: tuple[float, ...]


class Cell:
    """The pendant's cell: its voltage at rest follows what its ledger takes from it."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._battery: Battery = bench.battery

    def left_percent(self, unit: Pendant) -> float:
        if not unit.now_ms:
            return 100.0
        used_mah = self._bench.budget(unit.usage()).mah_a_day * unit.now_ms / _DAY_MS
        return max(100 - 100 * used_mah / self._battery.capacity_mah, 0.0)

    def read_mv(self, unit: Pendant) -> int:
        left = self.left_percent(unit)
        for (high_mv, high), (low_mv, low) in itertools.pairwise(self._battery.curve):
            if left >= low:
                return round(low_mv + (high_mv - low_mv) * (left - low) / (high - low))
        return self._battery.empty_mv


def simulate(life: Life, tell: Tell = lambda *_: None, rates: Rates | None = None) -> Lived:
    """Live that life, or as much of it as the cell gives.

    Raises:
        BadInput: the board never sleeps, or has no motion sensor that the table of rates knows.
    """
    bench = Bench(life.board, join_factor=life.day.join_factor)
    unit, cell = _pendant(life, bench, rates or read_rates())
    left = []
    for number in range(life.days):
        tell(f"living {life.day.title}", number, life.days)
        unit.live((number + 1) * _DAY_MS)
        left.append(round(cell.left_percent(unit), 2))
        if not left[-1]:
            break
    tell(f"living {life.day.title}", life.days, life.days)
    usage = unit.usage()
    return Lived(life, usage, bench.budget(usage), unit.radio.contacts, tuple(left))


def _pendant(life: Life, bench: Bench, rates: Rates) -> tuple[Pendant, Cell]:
    board = life.board
    if board.wake is None:
        raise BadInput(f"board '{board.name}' never sleeps: nothing can wake it", "boards/README.md explains [wake].")
    if board.sensor is None or board.sensor.part not in rates.parts:
        named = f"'{board.sensor.part}'" if board.sensor else "none"
        raise BadInput(
            f"board '{board.name}' has no motion sensor with known rates ({named})",
            f"Known are {', '.join(rates.parts)}: python -m ansim.power.rates",
        )
    wearer = Wearer(life.day, rates.parts[board.sensor.part], life.seed, life.wakes_an_hour)
    cell = Cell(bench)
    part = find_part(board.sensor.part)
    return Pendant(board, bench, part, wearer, life.interval_min, _presses_ms(life.days), cell.read_mv), cell


def _presses_ms(days: int) -> list[int]:
    """Return when the test alarms are: at noon, in the middle of each month."""
    first = TEST_ALARM_EVERY_DAYS // 2
    return [number * _DAY_MS + _NOON_MS for number in range(first, days, TEST_ALARM_EVERY_DAYS)]
