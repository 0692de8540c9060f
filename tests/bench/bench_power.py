"""How long the reference pendant's cell lasts by simulation, and what takes its charge. A model: docs/power.md."""

from ansim.boards import load_board
from ansim.power.day import load_day
from ansim.power.doubts import doubts
from ansim.power.simulate import Life, Lived, simulate
from figure import Figure

BOARD = "esp32c3_pendant"
DAYS = 30
# Minutes between heartbeats, and the days that the cell has to last then.
BOUNDS = {60: 150, 15: 50}


def measure() -> list[Figure]:
    lived = {minutes: _live("at_home", minutes) for minutes in BOUNDS}
    figures = [
        Figure(_what(each), round(each.budget.days), "days", bound, at_least=True)
        for each, bound in zip(lived.values(), BOUNDS.values(), strict=True)
    ]
    figures += [Figure(_what(each), round(each.budget.days), "days") for each in (_live("restless", 60),)]
    return figures + _breakdown(lived[60], lived[15]) + _at_worst(lived[60])


def _live(day: str, minutes: int) -> Lived:
    return simulate(Life(load_board(BOARD), load_day(day), minutes, DAYS))


def _what(lived: Lived) -> str:
    life = lived.life
    return f"{lived.budget.capacity_mah} mAh, {life.day.title}, heartbeat every {life.interval_min} min"


def _at_worst(lived: Lived) -> list[Figure]:
    return [Figure(f"at worst, {each.name}", round(each.days), "days") for each in doubts(lived, lambda *_: None)]


def _breakdown(hourly: Lived, quarterly: Lived) -> list[Figure]:
    others = {cause.name: cause.mah_a_day for cause in quarterly.budget.causes}
    return [
        Figure(cause.name, round(cause.mah_a_day, 3), "mAh/day", peer=f"every 15 min: {others[cause.name]:.3f}")
        for cause in hourly.budget.causes
    ]
