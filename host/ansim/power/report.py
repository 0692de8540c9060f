"""Reports: from a device's ledger, or from a simulated life."""

from typing import TYPE_CHECKING

from ansim.power.doubts import doubts
from ansim.power.model import Bench
from ansim.power.rates import read_rates
from ansim.power.simulate import Life, Lived, Tell, simulate
from ansim.power.source import Ledger
from ansim.power.told import Report
from ansim.power.usage import DAY_S
from ansim.power.what_if import cases

if TYPE_CHECKING:
    from ansim.power.firmware import Ran

MODEL_REMARK = "Data sheet currents times a ledger: a model until the board is measured (docs/power.md)."
# Awake, the virtual board is as fast as this machine.
_NO_CHIP = "Its times awake are this machine's, not a chip's."


def of_ledger(ledger: Ledger) -> Report:
    """Report what a device told.

    Raises:
        BadInput: its board file lacks figures; names them.
    """
    usage = ledger.usage
    when = f", {ledger.at:%Y-%m-%d %H:%M} UTC" if ledger.at else ""
    title = f"{ledger.who}, {usage.total_s / DAY_S:.1f} days since its cold start{when}"
    remarks = [f"Heartbeat every {ledger.interval_min} min; board {ledger.board.name}."]
    if usage.total_s < DAY_S:
        remarks.append("That is less than a day: what is here a day, and how long the cell lasts, may be far off.")
    if ledger.battery_pct is not None:
        remarks.append(f"The cell is at {ledger.battery_pct} %.")
    budget = Bench(ledger.board).budget(usage)
    return Report(title, usage, budget, cases(ledger.board, usage, ledger.interval_min), [*remarks, MODEL_REMARK])


def of_life(life: Life, bound: Life | None, tell: Tell, with_firmware: bool = False) -> Report:
    """Simulate a life and report it.

    Args:
        bound: a harder life, of which only its end is told.
        with_firmware: have the real firmware live it, too, on a virtual board.

    Raises:
        BadInput: the board can't be simulated, or the firmware can't live for so long; says why.
        DeviceError: the firmware did not live it.
    """
    ran = _on_firmware(life, tell) if with_firmware else None
    lived = simulate(life, tell)
    remarks = [_told(lived)]
    if ran is not None:
        remarks.append(
            f"On the firmware: {ran.heartbeats} heartbeats, the ledger of {ran.hours:.1f} h between them. {_NO_CHIP}"
        )
    if bound is not None:
        worse = simulate(bound, tell)
        remarks.append(f"On {bound.day.title} the cell lasts {worse.budget.days:.0f} days.")
    what_if = cases(life.board, lived.usage, life.interval_min, life.day.join_factor)
    title = f"{life.board.name}, {life.day.title}, heartbeat every {life.interval_min} min"
    remarks.append(MODEL_REMARK)
    return Report(title, lived.usage, lived.budget, what_if, remarks, ran.usage if ran else None, doubts(lived, tell))


def _on_firmware(life: Life, tell: Tell) -> "Ran":
    # Here, because the tools that flash take a second.
    from ansim.power.firmware import run

    return run(life, read_rates(), tell)


def _told(lived: Lived) -> str:
    days = len(lived.left_percent)
    end = f"the cell is at {lived.left_percent[-1]:.0f} %" if lived.left_percent[-1] else "the cell is empty"
    lived_days = f"{days} days" if days > 1 else "1 day"
    return f"Simulated {lived_days}, with a test alarm each month: {lived.contacts} contacts, {end} after the last day."
