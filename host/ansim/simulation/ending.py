"""What must hold in the end, when nothing stands in the way any more: the truth beside the database."""

from collections.abc import Iterable

import sqlalchemy as sa

from ansim import schema
from ansim.alarm_rows import CANCELLED, RAISED
from ansim.simulation.receiver import Receiver
from ansim.simulation.unit import Unit
from ansim.simulation.witness import EventId, Violation, Witness
from ansim_fw.core import event

# Type and kind of each event that the database has of a device, but heartbeats.
_Rows = dict[EventId, tuple[int, str]]
_States = dict[tuple[str, int, int], str]


def check(units: Iterable[Unit], receiver: Receiver) -> None:
    """Compare what the devices made with what the receiver has.

    Raises:
        Violation: they differ.
    """
    rows = _rows(receiver)
    states = {alarm.id: alarm.state for alarm in receiver.store.alarms()}
    _check_conditions(receiver, rows)
    for unit in units:
        mine = rows.get(unit.witness.name, {})
        _check_arrived(unit.witness, mine)
        _check_made(unit.witness, mine)
        _check_cancelled(unit.witness, states)
        _check_damage(unit.witness, mine)
        for one in unit.unacknowledged():
            detail = f"{unit.witness.name} still sends {one.event.boot}, {one.event.seq}"
            raise Violation("acknowledged_in_the_end", detail)


def _check_conditions(receiver: Receiver, rows: dict[str, _Rows]) -> None:
    """What the receiver itself noticed has ended, or is still so."""
    for fault in receiver.store.faults(open_only=True):
        if fault.kind == "silent" and receiver.truth.is_heard_again(fault.device):
            raise Violation("silence_is_told", f"{fault.device} was heard and is still said to be silent")
        if fault.kind == "gap" and not _has_hole(rows.get(fault.device, {})):
            raise Violation("gap_is_told", f"events of {fault.device} are said to be missing, and none is")


def _check_arrived(witness: Witness, mine: _Rows) -> None:
    for event_id in sorted(witness.promised - mine.keys()):
        if witness.made[event_id][0][0] in (event.ALARM, event.CANCEL):
            raise Violation("no_alarm_lost", f"{witness.name} {event_id} has no row")


def _check_made(witness: Witness, mine: _Rows) -> None:
    for event_id, row in mine.items():
        known = witness.made.get(event_id)
        if known is None or known[0][:2] != row:
            raise Violation("nothing_invented", f"{witness.name} {event_id} is in the database as {row}")


def _check_cancelled(witness: Witness, states: _States) -> None:
    meant = {substance[2] for substance, _ in witness.made.values() if substance[0] == event.CANCEL}
    # Of those, the ones whose record was whole, and did not rot.
    lasting = {witness.made[event_id][0][2] for event_id in witness.promised} & meant
    for (device, *event_id), state in states.items():
        if device != witness.name:
            continue
        alarm = event_id[0], event_id[1]
        if (state == CANCELLED and alarm not in meant) or (state == RAISED and alarm in lasting):
            raise Violation("ends_as_the_wearer_said", f"{witness.name} {alarm} is {state} in the end")


def _check_damage(witness: Witness, mine: _Rows) -> None:
    for boot in witness.owes_damage:
        if not any(at[0] >= boot and row == (event.FAULT, "journal") for at, row in mine.items()):
            detail = f"{witness.name} lost an alarm to rot in boot {boot}, and says nothing"
            raise Violation("damage_is_told", detail)


def _has_hole(ids: Iterable[EventId]) -> bool:
    """Tell whether a number is missing in a boot, each of which begins with 0."""
    numbers: dict[int, set[int]] = {}
    for boot, seq in ids:
        numbers.setdefault(boot, set()).add(seq)
    return any(max(seqs) + 1 != len(seqs) for seqs in numbers.values())


def _rows(receiver: Receiver) -> dict[str, _Rows]:
    columns = schema.events.c
    query = sa.select(columns.device, columns.boot, columns.seq, columns.type, columns.kind)
    found: dict[str, _Rows] = {}
    with receiver.database.reading() as connection:
        for row in connection.execute(query.where(columns.type != "heartbeat")):
            kind = (event.TYPE_NAMES.index(row.type), row.kind)
            found.setdefault(row.device, {})[(row.boot, row.seq)] = kind
    return found
