"""What the receiver keeps in the fleet database: events once each, alarms, devices, faults, and what it refused."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime

from ansim import alarm_rows, archive_mark, device_rows, event_rows, fault_rows
from ansim.alarm_rows import Alarm
from ansim.archive_mark import ArchiveMark
from ansim.database import Database
from ansim.device_rows import DeviceState
from ansim.errors import BadInput
from ansim.event import Event, EventId, Refused
from ansim.event_rows import Delivered, Outcome
from ansim.fault_rows import Fault
from ansim.gaps import DeviceIds
from ansim.quarantine_rows import as_refused, put_aside
from ansim.schema import KEY_CHARS

# What is beyond that is told with the events that come next.
_MOST_UNTOLD = 1000

OnFault = Callable[[Fault], None]


class EventStore:
    """Events in the fleet database. Several receivers may write to one; threads may share it.

    Each method raises DatabaseUnavailable when nothing was stored and the same call may succeed later.

    Args:
        on_fault: called with each fault that began or ended, after that was committed, in the thread of the call.
    """

    def __init__(self, database: Database, on_fault: OnFault = lambda _fault: None) -> None:
        self._database = database
        self._on_fault = on_fault

    def store(self, batch: Sequence[Event], refused: Sequence[Refused] = ()) -> list[Delivered]:
        """Store a batch and what was refused; all of it is durable when this returns, or nothing is stored.

        Returns:
            what became of each event of batch, in its order; an alarm that is cancelled already says so.

        Raises:
            DatabaseRefused: nothing was stored; an event in it can't be.
        """
        with self._database.writing() as connection:
            # The devices first: their rows keep other receivers from events, and cancels of them, in this moment.
            news = device_rows.note(connection, batch, live=True)
            outcomes, fresh = event_rows.add(connection, batch)
            event_rows.count_again(connection, batch, outcomes)
            changed = fault_rows.follow(connection, fresh, news)
            conflicts = [each for each, outcome in zip(batch, outcomes, strict=True) if outcome is Outcome.CONFLICT]
            put_aside(connection, [*refused, *map(as_refused, conflicts)])
            found = event_rows.with_states(connection, batch)
        self._tell(changed)
        return [Delivered(outcome, each) for outcome, each in zip(outcomes, found, strict=True)]

    def store_again(self, batch: Sequence[Event]) -> list[Event]:
        """Store those events of batch that are missing, of which this receiver or another had all once.

        Returns:
            the events that were missing; an alarm that is cancelled already says so.

        Raises:
            DatabaseRefused: nothing was stored; an event in it can't be, or another receiver stored it just now.
        """
        with self._database.writing() as connection:
            _, fresh = event_rows.add(connection, batch)
            changed = fault_rows.follow(connection, fresh, device_rows.note(connection, fresh, live=False))
            found = event_rows.with_states(connection, fresh)
        self._tell(changed)
        return found

    def alarms(self, *, open_only: bool = False, limit: int | None = None) -> list[Alarm]:
        """Return alarms, newest first; open_only: those that are neither cancelled nor handled."""
        with self._database.reading() as connection:
            return alarm_rows.find(connection, open_only, limit)

    def handle(self, device: str, boot: int, seq: int, by: str) -> Alarm:
        """Close an alarm and return it; one that is closed already keeps who closed it first.

        Raises:
            BadInput: there is no such alarm, or by is no name of a person.
        """
        _check_person(by)
        with self._database.writing() as connection:
            alarm = alarm_rows.handle(connection, (device, boot, seq), by)
        if alarm is None:
            raise BadInput(f"there is no alarm {device[:40]} {boot} {seq}", "List them with: ansim alarms")
        return alarm

    def untold(self, devices: Collection[str]) -> list[Alarm]:
        """Return handled alarms of which these devices were not told while they were heard; at most 1000 at a time."""
        with self._database.reading() as connection:
            return alarm_rows.untold(connection, devices, _MOST_UNTOLD)

    def note_told(self, told: Sequence[EventId]) -> None:
        """Note that the devices of these alarms were told now, while they were heard."""
        with self._database.writing() as connection:
            alarm_rows.note_told(connection, told)

    def devices(self, limit: int | None = None) -> list[DeviceState]:
        """Return devices, the last seen first."""
        with self._database.reading() as connection:
            return device_rows.find(connection, limit)

    def count_devices(self) -> int:
        """Return how many devices were ever heard."""
        with self._database.reading() as connection:
            return device_rows.count(connection)

    def devices_named(self, devices: Collection[str]) -> list[DeviceState]:
        """Return these devices, as far as they were heard."""
        with self._database.reading() as connection:
            return device_rows.named(connection, devices)

    def archive_mark(self) -> ArchiveMark | None:
        """Return up to where the broker's archive is in the database; None when nobody knows."""
        with self._database.reading() as connection:
            return archive_mark.find(connection)

    def move_archive_mark(self, known: ArchiveMark | None, to: ArchiveMark) -> bool:
        """Note that the archive is in the database up to ``to``.

        Args:
            known: what the mark was when we looked last.

        Returns:
            False, and nothing is noted, when the database was put back from a backup since.

        Raises:
            DatabaseRefused: another receiver noted the first mark just now.
        """
        with self._database.writing() as connection:
            return archive_mark.move(connection, known, to)

    def with_holes(self) -> dict[str, tuple[int, DeviceIds]]:
        """Return the devices of which events are missing without a fault `gap`: their signs and their ids."""
        with self._database.reading() as connection:
            return device_rows.with_holes(connection)

    def faults(self, *, open_only: bool = False, limit: int | None = None) -> list[Fault]:
        """Return faults, newest first; open_only: those that have not ended."""
        with self._database.reading() as connection:
            return fault_rows.find(connection, open_only, limit)

    def close_fault(self, device: str, kind: str, by: str) -> Fault:
        """End a fault that a person has dealt with, and return it.

        It may begin again: a silence after the device was heard, a gap when other events are missing.

        Raises:
            BadInput: there is no such open fault, or by is no name of a person.
        """
        _check_person(by)
        with self._database.writing() as connection:
            closed = fault_rows.close(connection, device, kind, by, datetime.now(UTC))
            if closed is not None and kind == fault_rows.GAP:
                device_rows.give_up_holes(connection, device)
        if closed is None:
            raise BadInput(f"there is no open fault {kind[:40]} of {device[:40]}", "List them with: ansim faults")
        return closed

    def note_silent(self, suspects: Mapping[str, int]) -> list[DeviceState]:
        """Note as silent those devices that still have the given signs and are not out of service.

        Returns:
            all suspects as they are now; those whose signs differ were heard by another receiver.

        Raises:
            DatabaseRefused: nothing was stored; another receiver noted one just now.
        """
        with self._database.writing() as connection:
            states = device_rows.named(connection, suspects, lock=True)
            retired = device_rows.retired(connection, suspects)
            silent = [
                each
                for each in states
                if each.signs == suspects[each.device] and not each.silent and each.device not in retired
            ]
            changed = fault_rows.begin_silence(connection, silent)
            device_rows.mark_silent(connection, [each.device for each in silent])
        self._tell(changed)
        return states

    def note_gap(self, device: str, ids: DeviceIds, at: datetime) -> None:
        """Note that events of this device are missing, if that is not on record.

        Raises:
            DatabaseRefused: nothing was stored; another receiver noted it just now.
        """
        with self._database.writing() as connection:
            changed = [
                fault
                for state in device_rows.named(connection, [device], lock=True)
                for fault in fault_rows.begin_gap(connection, state, ids, at)
            ]
        self._tell(changed)

    def _tell(self, changed: Collection[Fault]) -> None:
        for each in changed:
            self._on_fault(each)


def _check_person(by: str) -> None:
    if not 0 < len(by) <= KEY_CHARS or not by.isprintable():
        raise BadInput("who closes it is not legal", f"Use 1 to {KEY_CHARS} printable characters.")
