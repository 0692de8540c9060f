"""Deliberate bugs, each the smallest change to one part: the simulation is worth something if it finds them all."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ansim.database import Database
from ansim.errors import BadInput
from ansim.event import Event as TakenEvent
from ansim.event import Refused
from ansim.event_rows import Delivered, Outcome, as_row
from ansim.event_store import EventStore
from ansim.schema import events
from ansim.simulation.flash import MemoryNvs, MemoryShelf
from ansim.simulation.receiver import ReceiverParts
from ansim.simulation.unit import Unit, UnitParts
from ansim.simulation.world import Parts
from ansim.supervision import Supervisor
from ansim_fw.core import device, event, event_reader, indicator, outbox
from ansim_fw.core.alarm import ACKNOWLEDGED
from ansim_fw.core.button import LONG, Button
from ansim_fw.core.device import Device, Inputs
from ansim_fw.core.event import Event
from ansim_fw.core.journal import Journal
from ansim_fw.core.outbox import Entry, Outbox


@dataclass(frozen=True)
class Mutant:
    """A deliberate bug.

    Args:
        what: the bug in a line; caught_by: the invariants, any of which finds it.
    """

    what: str
    caught_by: tuple[str, ...]
    parts: Parts


def parts_of(name: str) -> Parts:
    """Return the parts of a world with the mutant name, or of the real one for an empty name.

    Raises:
        BadInput: there is no such mutant.
    """
    if not name:
        return Parts()
    if name not in MUTANTS:
        raise BadInput(f"there is no mutant {name[:40]!r}", f"There are: {', '.join(MUTANTS)}.")
    return MUTANTS[name].parts


# The device


class SendsBeforeStored(Device):
    def _raise(self, type: int, kind: str = "", of: "tuple[int, int] | None" = None) -> Event | None:
        made = super()._raise(type, kind, of)
        if made is not None and self._was_up:
            store = self._actions.pop()
            self.outbox.mark_stored(made)
            self._send()
            self._actions.append(store)
        return made


class ForgetsWithSending(Device):
    def _send(self) -> None:
        super()._send()
        for action in list(self._actions):
            if action[0] == device.SEND and action[1].event.type != event.HEARTBEAT:
                self._actions.append((device.FORGET, action[1].event))


class RestoresNothing(Device):
    def restore(self, old: Event) -> None:
        pass


class LeavesRestartUnsaid(Device):
    def report(self, fault: str) -> None:
        pass


class NumbersAnew(Device):
    def _raise_alarm(self, kind: str) -> Event | None:
        made = super()._raise_alarm(kind)
        self._seq %= 4
        return made


class AcknowledgesAny(Device):
    """An acknowledgement of one alarm is taken for that of all."""

    def _acknowledged(self, boot: int, seq: int) -> None:
        super()._acknowledged(boot, seq)
        for alarm in self.alarms.current:
            alarm.state = ACKNOWLEDGED


class ShowsNoFailing(Device):
    def _choose_pattern(self) -> int:
        pattern = super()._choose_pattern()
        return self.pattern if pattern == indicator.FAILING else pattern


class _WithOutbox(Device):
    made: type[Outbox] = Outbox

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.outbox = self.made(self.outbox._jitter)


class _TriesOnce(Outbox):
    def next_due(self) -> Entry | None:
        entry = super().next_due()
        if entry is not None and entry.attempts > 1:
            return None
        return entry

    def resend_all(self) -> None:
        pass


class TriesOnce(_WithOutbox):
    made = _TriesOnce


class _RetriesEverSlower(Outbox):
    def next_due(self) -> Entry | None:
        entry = super().next_due()
        if entry is not None:
            entry.wait_ms = outbox.FIRST_RETRY_MS << min(entry.attempts, 20)
        return entry


class RetriesEverSlower(_WithOutbox):
    made = _RetriesEverSlower


class _InOrderOfTime(Outbox):
    def add(self, event: Event, age_ms: int, stored: bool) -> "tuple[bool, Event | None]":
        fits = super().add(event, age_ms, stored)
        self.entries.sort(key=lambda entry: (entry.event.boot, entry.event.seq & 0xFFFF))
        return fits


class _SendsInPrealarm(Outbox):
    def hold(self, event_id: "tuple[int, int]", held: int) -> None:
        if held != outbox.PREALARM:
            super().hold(event_id, held)


class SendsInPrealarm(_WithOutbox):
    made = _SendsInPrealarm


class _CancelsAfter(Outbox):
    def hold(self, event_id: "tuple[int, int]", held: int) -> None:
        super().hold(event_id, outbox.FREE if held == outbox.CANCELLED else held)


class CancelsAfter(_WithOutbox):
    made = _CancelsAfter


class StoresLate(Device):
    """A fall is kept in memory until its pre-alarm is over."""

    late_ms = -1

    def step(self, elapsed_ms: int, inputs: Inputs) -> "list[tuple[Any, ...]]":
        if inputs.fall:
            self.late_ms, inputs.fall = 0, False
        elif self.late_ms >= 0:
            self.late_ms += elapsed_ms
        if self.late_ms >= self._prealarm_ms:
            self.late_ms, inputs.fall = -1, True
        return super().step(elapsed_ms, inputs)


class CancelsByDropping(Device):
    """A fall that is cancelled in its pre-alarm never was."""

    def _cancel(self) -> None:
        fall = self._cancellable
        if fall is not None:
            self.outbox.entries = [entry for entry in self.outbox.entries if entry.event is not fall]
            self._actions.append((device.FORGET, fall))
            self._prealarm = self._cancellable = None
            return
        super()._cancel()


class NeverRaises(Device):
    """The end of a pre-alarm is not noticed."""

    def _raise_fall(self, fall: Event) -> None:
        pass


class IgnoresPriority(_WithOutbox):
    made = _InOrderOfTime


class _DropsOldest(Outbox):
    def add(self, event: Event, age_ms: int, stored: bool) -> "tuple[bool, Event | None]":
        given_up = self.entries.pop(0).event if len(self.entries) >= 8 else None
        fits, _ = super().add(event, age_ms, stored)
        return fits, given_up


class DropsWhenFull(_WithOutbox):
    made = _DropsOldest


class LosesOwedPress(Device):
    """What is pressed while a cancel is still possible, and let go, is no alarm."""

    def _released(self) -> None:
        self._undecided = False
        super()._released()


class _WaitsForLetGo(Button):
    def step(self, elapsed_ms: int, level_down: bool, edge: bool) -> int:
        return super().step(elapsed_ms, level_down, edge) & ~LONG


class TakesBodies(Device):
    """However late a button is let go, it was held to cancel."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._button = _WaitsForLetGo()


class OverlooksEdges(Device):
    """A press that came and went while the loop was held up is none."""

    def step(self, elapsed_ms: int, inputs: Inputs) -> "list[tuple[Any, ...]]":
        inputs.button_edge = inputs.button_edge and inputs.button_down
        return super().step(elapsed_ms, inputs)


class NeverConnectsAgain(Device):
    def _watch_link(self, elapsed_ms: int, inputs: Inputs) -> None:
        if not inputs.link_fault:
            super()._watch_link(elapsed_ms, inputs)


# Its flash


class CountsInMemory(MemoryNvs):
    def _write_boot(self, boot: int) -> None:
        pass


class OneShelf(Journal):
    def __init__(self, shelves: tuple[MemoryShelf, MemoryShelf], crc32: Callable[[bytes], int]) -> None:
        super().__init__((shelves[0], shelves[0]), crc32)


class ForgetsNothing(Journal):
    def forget(self, event: Event) -> bool:
        del event
        return True


class HidesDamage(Journal):
    def load(self) -> tuple[list[Event], bool]:
        return super().load()[0], False


class ReadsWithoutCrc(Journal):
    """What is read is not checked."""

    def load(self) -> tuple[list[Event], bool]:
        found: dict[str, Event] = {}
        for shelf in self._shelves:
            with suppress(OSError, ValueError):
                for name in shelf.names():
                    found[name] = event_reader.to_event(event_reader.decode_event(shelf.read(name)[4:]))
        return [found[name] for name in sorted(found)], False


# What it does with a PUBACK


def _drops(unit: Unit, boot: int, seq: int) -> None:
    if unit.core is not None and unit.core.outbox.acknowledge(boot, seq) is not None:
        unit.core.alarms.acknowledge(boot, seq)


def _shows(unit: Unit, boot: int, seq: int) -> None:
    if unit.core is not None and unit.core.alarms.acknowledge(boot, seq):
        unit.core._take_note(indicator.ACKNOWLEDGED)


# The receiver


class StoresAgain(EventStore):
    """Every delivery is a new event."""

    def store(self, batch: Sequence[TakenEvent], refused: Sequence[Refused] = ()) -> list[Delivered]:
        with self._database.writing() as connection:
            connection.execute(events.insert(), [as_row(each) for each in batch])
        del refused
        return [Delivered(Outcome.STORED, each) for each in batch]


class StoresAlarmsAlone(EventStore):
    """A cancel is taken for nothing to keep."""

    def store(self, batch: Sequence[TakenEvent], refused: Sequence[Refused] = ()) -> list[Delivered]:
        kept = [each for each in batch if each.type != "cancel"]
        found = iter(super().store(kept, refused))
        return [next(found) if each.type != "cancel" else Delivered(Outcome.STORED, each) for each in batch]


class NeverSettles(Supervisor):
    """Who was not heard while the receiver or the broker was away is silent at once."""

    def settled(self, now_ms: int) -> bool:
        del now_ms
        return self._hearing_ms is not None


class SeesNoSilence(Supervisor):
    def due(self, now_ms: int) -> list[str]:
        del now_ms
        return []


def _of_device(core: type[Device]) -> Parts:
    return Parts(unit=UnitParts(device=core))


def _of_journal(journal: type[Journal]) -> Parts:
    return Parts(unit=UnitParts(journal=journal))


def _of_receiver(store: Callable[[Database], EventStore]) -> Parts:
    return Parts(receiver=ReceiverParts(store=store))


MUTANTS = {
    "acknowledges_before_commit": Mutant(
        "the receiver acknowledges, then commits",
        ("acknowledged_is_committed",),
        Parts(receiver=ReceiverParts(commits_first=False)),
    ),
    "stores_again": Mutant(
        "the receiver takes a repetition for a new event", ("nothing_refused",), _of_receiver(StoresAgain)
    ),
    "forgets_cancels": Mutant(
        "the receiver acknowledges cancels and keeps none",
        ("no_alarm_lost", "never_shown_open"),
        _of_receiver(StoresAlarmsAlone),
    ),
    "no_archive": Mutant(
        "a receiver restored from a backup does not take again what came since",
        ("no_alarm_lost", "damage_is_told", "silence_is_told"),
        Parts(receiver=ReceiverParts(has_archive=False)),
    ),
    "never_settles": Mutant(
        "the receiver judges who is silent without having listened",
        ("silence_is_told",),
        Parts(receiver=ReceiverParts(supervisor=NeverSettles)),
    ),
    "sees_no_silence": Mutant(
        "the receiver does not notice a silent device",
        ("silence_is_told",),
        Parts(receiver=ReceiverParts(supervisor=SeesNoSilence)),
    ),
    "drops_on_puback": Mutant(
        "the device takes a PUBACK for the receiver's acknowledgement",
        ("kept_until_acknowledged",),
        Parts(unit=UnitParts(reads_puback=_drops)),
    ),
    "shows_puback": Mutant(
        "the wearer is shown a PUBACK as an acknowledgement",
        ("pattern_is_true",),
        Parts(unit=UnitParts(reads_puback=_shows)),
    ),
    "boot_in_memory": Mutant(
        "the boot counter is not durable", ("boot_once",), Parts(unit=UnitParts(nvs=CountsInMemory))
    ),
    "numbers_anew": Mutant("seq begins again within a boot", ("id_once",), _of_device(NumbersAnew)),
    "sends_before_stored": Mutant(
        "an alarm is sent before it is stored", ("stored_before_sent",), _of_device(SendsBeforeStored)
    ),
    "forgets_with_sending": Mutant(
        "an alarm leaves the journal when it is sent", ("kept_until_acknowledged",), _of_device(ForgetsWithSending)
    ),
    "restores_nothing": Mutant(
        "a restart does not read the journal", ("restart_restores",), _of_device(RestoresNothing)
    ),
    "reads_without_crc": Mutant(
        "the journal is read without its CRC",
        ("nothing_invented", "restart_restores", "nothing_refused"),
        _of_journal(ReadsWithoutCrc),
    ),
    "one_shelf": Mutant("the journal is kept once", ("kept_twice",), _of_journal(OneShelf)),
    "forgets_nothing": Mutant(
        "what is acknowledged stays in the journal", ("journal_in_budget",), _of_journal(ForgetsNothing)
    ),
    "hides_damage": Mutant("a damaged journal is not reported", ("damage_is_told",), _of_journal(HidesDamage)),
    "tries_once": Mutant("an alarm is sent once", ("retry_in_time",), _of_device(TriesOnce)),
    "retries_ever_slower": Mutant(
        "the waits between retries have no limit", ("retry_in_time",), _of_device(RetriesEverSlower)
    ),
    "connects_once": Mutant(
        "after a failed attempt there is no other", ("connect_in_time",), _of_device(NeverConnectsAgain)
    ),
    "ignores_priority": Mutant(
        "events go out in order of time", ("alarms_first", "connect_in_time"), _of_device(IgnoresPriority)
    ),
    "sends_in_prealarm": Mutant(
        "a fall is sent while its wearer can still cancel it", ("fall_waits",), _of_device(SendsInPrealarm)
    ),
    "stores_fall_late": Mutant(
        "a fall is not stored before its pre-alarm is over", ("fall_is_kept",), _of_device(StoresLate)
    ),
    "cancels_after": Mutant(
        "a cancel goes out after the alarm that it cancels",
        ("cancel_goes_first", "never_shown_open"),
        _of_device(CancelsAfter),
    ),
    "cancels_by_dropping": Mutant(
        "a fall that is cancelled leaves nothing behind", ("kept_until_acknowledged",), _of_device(CancelsByDropping)
    ),
    "never_raises": Mutant(
        "the end of a pre-alarm is not noticed",
        ("pattern_is_true", "retry_in_time", "alarms_first"),
        _of_device(NeverRaises),
    ),
    "drops_when_full": Mutant(
        "a full outbox gives up the oldest event", ("kept_until_acknowledged",), _of_device(DropsWhenFull)
    ),
    "acknowledges_any": Mutant(
        "one acknowledgement ends the pattern of all alarms", ("pattern_is_true",), _of_device(AcknowledgesAny)
    ),
    "shows_no_failing": Mutant(
        "the wearer is not shown that an alarm does not get through", ("pattern_is_true",), _of_device(ShowsNoFailing)
    ),
    "loses_undecided_press": Mutant(
        "a short press while a cancel is possible is no alarm", ("press_is_one_alarm",), _of_device(LosesOwedPress)
    ),
    "takes_bodies": Mutant("a body on the button cancels", ("a_body_cancels_nothing",), _of_device(TakesBodies)),
    "overlooks_edges": Mutant(
        "a press while the loop is held up is no alarm", ("press_is_one_alarm",), _of_device(OverlooksEdges)
    ),
    "no_watchdog": Mutant("the watchdog is not armed", ("watchdog",), Parts(unit=UnitParts(has_watchdog=False))),
    "restart_unsaid": Mutant(
        "a restart by the watchdog is not reported", ("watchdog", "damage_is_told"), _of_device(LeavesRestartUnsaid)
    ),
}
