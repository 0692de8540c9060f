"""Puts the parts of a device that sleeps into a Kept, and back. Loaded when it falls asleep and after it woke."""

from micropython import const

from ansim_fw.core import battery
from ansim_fw.core.alarm import ACKNOWLEDGED
from ansim_fw.core.event import ALARM, FAULT, HEARTBEAT, RESTORE, Event
from ansim_fw.core.kept import MAX_UNTOLD
from ansim_fw.core.outbox import VOLATILE

# With a sleep besides, its milliseconds are a small int.
_MOST_S = const(900000)

# An event that is in no journal: its number (4 bytes), its type, the length of its kind, its kind.
_HEAD_BYTES = const(6)
_NUMBER_BYTES = const(4)


def keep_events(kept: "Kept", outbox: "Outbox", alarms: "Alarms") -> None:
    """Keep how many events wait in the journal, the ages of this start's, and the alarms that may still be closed.

    Faults that the journal would not take are kept themselves, as many as there is room for. A heartbeat that waits is
    in no journal either: it is owed again.
    """
    kept.waiting, kept.untold = 0, b""
    kept.alarms, kept.ages = [], []
    for entry in outbox.entries:
        if entry.event.type != HEARTBEAT:
            if entry.stored == VOLATILE:
                _keep_untold(kept, entry.event)
            else:
                kept.waiting += 1
            if entry.event.boot == kept.boot and entry.age_ms >= 0:
                kept.ages.append((entry.event.seq, entry.age_ms // 1000))
        else:
            # Nobody acknowledged it: the next contact makes another one.
            kept.beat_owed = 1
    for alarm in alarms.current:
        # Nobody waits for the end of a test.
        if alarm.state == ACKNOWLEDGED and alarm.event.kind != "test":
            kept.alarms.append((alarm.event.boot, alarm.event.seq, alarm.age_ms // 1000))


def _keep_untold(kept: "Kept", event: Event) -> None:
    kind = event.kind.encode()
    told = event.seq.to_bytes(_NUMBER_BYTES, "big") + bytes((event.type, len(kind))) + kind
    if event.type in (FAULT, RESTORE) and len(kept.untold) + len(told) <= MAX_UNTOLD:
        kept.untold += told


def untold(kept: "Kept") -> "list[Event]":
    """Return the events that are in no journal."""
    found = []
    data = kept.untold
    while len(data) > _HEAD_BYTES and data[_NUMBER_BYTES] in (FAULT, RESTORE):
        end = _HEAD_BYTES + data[_HEAD_BYTES - 1]
        seq = int.from_bytes(data[:_NUMBER_BYTES], "big")
        found.append(Event(kept.boot, seq, data[_NUMBER_BYTES], data[_HEAD_BYTES:end].decode()))
        data = data[end:]
    return found


def resume_alarms(kept: "Kept", alarms: "Alarms") -> None:
    """Go on with them; the time of the sleep is still to be passed."""
    for boot, seq, age_s in kept.alarms:
        alarms.raise_(Event(boot, seq, ALARM))
        alarms.current[-1].state = ACKNOWLEDGED
        alarms.current[-1].age_ms = age_s * 1000


def age_ms(kept: "Kept", old: Event) -> int:
    """Return how old an event of the journal is, the sleep included; negative if that is not known."""
    for seq, age_s in kept.ages:
        if old.has_id(kept.boot, seq):
            return min(age_s, _MOST_S) * 1000 + kept.passed_ms
    return -1


def keep_parts(kept: "Kept", errand: "Errand", allowance: "Allowance", supply: "Supply", watch: "LinkWatch") -> None:
    kept.again_ms = errand.again_ms
    kept.contact_failed = int(not errand.was_well)
    kept.presses_left, kept.presses_ms = allowance.left, allowance.ms
    kept.presses_spent = int(allowance.spent)
    kept.supply_told, kept.doubt_ms = supply.told, supply.cell.doubt_ms
    kept.link_told = watch.told
    kept.failing_s = watch.down_ms // 1000 + 1 if watch.failing else 0


def resume_parts(kept: "Kept", errand: "Errand", allowance: "Allowance", supply: "Supply", watch: "LinkWatch") -> None:
    """Go on with them; of the allowance the time of the sleep is still to be passed."""
    if kept.again_ms:
        errand.again_ms = max(kept.again_ms - kept.passed_ms, 1)
    errand.was_well = not kept.contact_failed
    allowance.left, allowance.ms = kept.presses_left, kept.presses_ms
    allowance.spent = kept.presses_spent == 1
    # Nothing sleeps that is fed.
    supply.fed = False
    supply.told = kept.supply_told
    supply.cell.told = kept.supply_told & (battery.IS_LOW | battery.IS_CRITICAL)
    if kept.doubt_ms:
        # What was doubtful before the sleep, and is now, was all along.
        supply.cell.doubt_ms = min(kept.doubt_ms + kept.passed_ms, battery.STEADY_MS)
    watch.told = kept.link_told
    if kept.failing_s:
        watch.failing = True
        watch.down_ms = min(kept.failing_s, _MOST_S) * 1000 + kept.passed_ms


TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansim_fw.core.alarm import Alarms
    from ansim_fw.core.allowance import Allowance
    from ansim_fw.core.kept import Kept
    from ansim_fw.core.link_watch import LinkWatch
    from ansim_fw.core.outbox import Outbox
    from ansim_fw.core.power import Errand
    from ansim_fw.core.supply import Supply
