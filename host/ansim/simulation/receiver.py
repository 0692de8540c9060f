"""The receiver: the real store on SQLite in memory, fed as receiver.py feeds it, killed between any two steps."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from ansim import schema
from ansim.alarm_rows import Alarm
from ansim.archive_mark import ArchiveMark, ArchiveProgress
from ansim.database import Database, DatabaseRefused
from ansim.event import Event, parse
from ansim.event_rows import Outcome
from ansim.event_store import EventStore
from ansim.simulation import chance
from ansim.simulation.broker import Stored
from ansim.simulation.surroundings import Surroundings
from ansim.simulation.timeline import MINUTE_MS
from ansim.simulation.unit import Unit
from ansim.simulation.watch import LOOK_MS, FleetTruth, Watch
from ansim.simulation.witness import Violation, device_name
from ansim.supervision import Supervisor
from ansim_fw.core import message

SITE = "sim"
# Where a receiver can be killed, see Receiver.kill.
BEFORE_COMMIT, AFTER_COMMIT, BETWEEN_ACKNOWLEDGEMENTS = range(3)
# A kill that meets no batch for so long happens while the receiver waits.
KILL_PATIENCE_MS = 10 * MINUTE_MS
_TRY_AGAIN_MS = 1_000
_COMMIT_MS = (2, 40)


class Killed(Exception):  # noqa: N818  it is no error of the program's
    """The receiver's process is killed at this point."""


class MemoryDatabase(Database):
    """The fleet database in memory; its process can be killed just before a commit.

    Attributes:
        dies: the next commit does not happen.
    """

    def __init__(self) -> None:
        engine = sa.create_engine("sqlite://", poolclass=StaticPool)
        schema.metadata.create_all(engine)
        super().__init__(engine, "memory")
        self.dies = False
        self._sqlite: Any = engine.raw_connection().driver_connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        with super().writing() as connection:
            yield connection
            if self.dies:
                self.dies = False
                raise Killed

    def backup(self) -> bytes:
        copy: bytes = self._sqlite.serialize()
        return copy

    def restore(self, backup: bytes) -> None:
        self._sqlite.deserialize(backup)


@dataclass(frozen=True)
class ReceiverParts:
    """What the receiver is made of: the real thing, or a mutant of it.

    Args:
        commits_first: it acknowledges after the commit.
        has_archive: on its start it takes again what its database lacks.
        supervisor: made with the time in which a living device is heard.
    """

    store: Callable[[Database], EventStore] = EventStore
    commits_first: bool = True
    has_archive: bool = True
    supervisor: Callable[[int], Supervisor] = Supervisor


class Receiver:
    """One receiver of a world's devices.

    Args:
        units: by their numbers.
        committed: the ids of all events that were ever committed.
    """

    def __init__(
        self,
        around: Surroundings,
        units: Mapping[int, Unit],
        committed: set[tuple[str, int, int]],
        parts: ReceiverParts,
    ) -> None:
        self.up = True
        self.database = MemoryDatabase()
        self.store = parts.store(self.database)
        self._timeline = around.timeline
        self._draws = around.draws
        self._broker = around.broker
        self.truth = FleetTruth(around.broker, around.timeline, units)
        self._progress = ArchiveProgress(None)
        self._committed = committed
        self._trace = around.trace
        self._tally = around.tally
        self._parts = parts
        self._life = 0
        self._planned_ms: int | None = None
        self._batches = 0
        self._kill_at: int | None = None
        self._kill_down_ms = 0
        self._backup: bytes | None = None
        self._watch = self._new_watch()
        around.broker.on_message = self._plan
        around.timeline.after(LOOK_MS, self._look)

    # Its life

    def stop(self, down_ms: int) -> None:
        """Be away for down_ms."""
        if self.up:
            self.up = False
            self._life += 1
            self._planned_ms = None
            self._kill_at = None
            self._note("receiver down")
            self._timeline.after(down_ms, self.start)

    def start(self) -> None:
        if self.up:
            return
        self.up = True
        self._note("receiver up")
        self._watch = self._new_watch()
        self._progress = ArchiveProgress(self._broker.archive_end() if self._parts.has_archive else None)
        self._plan(self._timeline.now_ms)

    def _new_watch(self) -> Watch:
        return Watch(self.store, self._broker, self._timeline, self.truth, self._parts.supervisor)

    def _look(self) -> None:
        self._timeline.after(LOOK_MS, self._look)
        if self.up:
            self._watch.look()
            self._move_mark()

    def kill(self, where: int, down_ms: int) -> None:
        """Be killed with the next batch: BEFORE_COMMIT, AFTER_COMMIT, or BETWEEN_ACKNOWLEDGEMENTS to device, broker."""
        self._kill_at = where
        self._kill_down_ms = down_ms
        self._timeline.after(KILL_PATIENCE_MS, self._kill_idle, self._life)

    def _kill_idle(self, life: int) -> None:
        if life == self._life and self._kill_at is not None:
            self.stop(self._kill_down_ms)

    def take_backup(self) -> None:
        self._backup = self.database.backup()

    def restore_backup(self, down_ms: int) -> None:
        """The machine is lost; another one begins with the last backup, if there is one."""
        if self._backup is not None and self.up:
            self.stop(down_ms)
            self.database.restore(self._backup)
            # Cancels that it had may come after their alarms now.
            for unit in self.truth.units.values():
                unit.witness.unsent.clear()
            self._note("receiver restored")

    def lose_broker(self) -> None:
        """The connection to the broker ends."""
        if self.up:
            self._watch.deaf()

    def set_clock(self, jump_ms: int) -> None:
        """The broker's clock jumps, which dates all events."""
        before = self._broker.at(0)
        self._broker.set_clock(jump_ms)
        self.truth.clock_set_ms = self._timeline.now_ms
        if self.up:
            self._watch.clock_jumps(0, (self._broker.at(0) - before) // timedelta(milliseconds=1))

    def handle_oldest(self, device: int, by: str) -> None:
        """An operator closes the device's oldest open alarm."""
        name = device_name(device)
        mine = [each for each in self.store.alarms(open_only=True) if each.device == name]
        if not self.up or not mine:
            return
        alarm = self.store.handle(name, mine[-1].boot, mine[-1].seq, by)
        self._tally.counts["handled"] += 1
        self._broker.command(device, message.handled(alarm.boot, alarm.seq))

    # Batches

    def _plan(self, ready_ms: int) -> None:
        """There is, or will be, something to take."""
        if not self.up:
            return
        when_ms = max(ready_ms, self._timeline.now_ms) + self._draws.between(*_COMMIT_MS, chance.COMMIT, self._batches)
        if self._planned_ms is None or when_ms < self._planned_ms:
            self._planned_ms = when_ms
            self._timeline.at(when_ms, self._work, self._life, when_ms)

    def _work(self, life: int, planned_ms: int) -> None:
        if life != self._life or planned_ms != self._planned_ms:
            return
        self._planned_ms = None
        self._batches += 1
        batch = self._broker.fetch() if self._broker.up else []
        try:
            if batch:
                self._process(batch)
        except Killed:
            self._tally.cuts["receiver killed"] += 1
            self.stop(self._kill_down_ms)
            return
        ready_ms = self._broker.next_ready_ms()
        if not self._broker.up:
            self._plan(self._timeline.now_ms + _TRY_AGAIN_MS)
            return
        until = self._progress.until
        if until is not None and (ready_ms is None or ready_ms > self._timeline.now_ms):
            self._catch_up(until)
        if ready_ms is not None:
            self._plan(ready_ms)

    def _process(self, batch: list[Stored]) -> None:
        """As Receiver._process: commit, then acknowledge to the device, then to the broker."""
        self._tally.counts["deliveries"] += len(batch)
        if not self._parts.commits_first:
            self._tell_devices(batch)
        self.database.dies = self._dies(BEFORE_COMMIT)
        outcomes = self._commit(batch)
        self._die(AFTER_COMMIT)
        self._tally.counts["duplicates"] += outcomes.count(Outcome.AGAIN)
        told = self._tell_handled({device_name(each.device): each.device for each in batch})
        self._tell_devices(batch)
        self._die(BETWEEN_ACKNOWLEDGEMENTS)
        for each in batch:
            self._broker.acknowledge(each)
        if told:
            self.store.note_told([alarm.id for alarm in told])

    def _tell_handled(self, devices: Mapping[str, int]) -> list[Alarm]:
        told = self.store.untold(sorted(devices))
        for alarm in told:
            self._broker.command(devices[alarm.device], message.handled(alarm.boot, alarm.seq))
        return told

    def _tell_devices(self, batch: list[Stored]) -> None:
        for each in batch:
            event = self._parse(each)
            if event.id not in self._committed:
                raise Violation("acknowledged_is_committed", f"the receiver acknowledges {event.id}, not committed")
            self._broker.command(each.device, message.ack(event.boot, event.seq))

    def _commit(self, batch: list[Stored]) -> list[Outcome]:
        events = [self._parse(each) for each in batch]
        try:
            outcomes = [each.outcome for each in self.store.store(events)]
        except DatabaseRefused as error:
            raise Violation("nothing_refused", f"the database refuses events of {events[0].device}") from error
        for each, event, outcome in zip(batch, events, outcomes, strict=True):
            self._note_outcome(event, outcome)
            self._watch.took(event, each.came_ms)
        return outcomes

    def _note_outcome(self, event: Event, outcome: Outcome) -> None:
        if outcome is Outcome.CONFLICT:
            raise Violation("nothing_refused", f"{event.id} of {event.type} {event.kind} belongs to another event")
        if outcome is Outcome.STORED:
            self._note_stored(event)
            self._check_open(event)

    def _check_open(self, event: Event) -> None:
        if (event.boot, event.seq) not in self.truth.units[event.device].witness.unsent:
            return
        if any(alarm.id == event.id for alarm in self.store.alarms(open_only=True)):
            raise Violation("never_shown_open", f"{event.id} is open, and was cancelled before it was sent")

    def _note_stored(self, event: Event) -> None:
        self._committed.add(event.id)
        self._trace.note(self._timeline.now_ms, event.device, "commit", event.boot, event.seq)
        made = self.truth.units[event.device].witness.made.get((event.boot, event.seq))
        if event.type == "alarm" and made is not None:
            took_ms = self._timeline.now_ms - made[1]
            self._tally.slowest_alarm_ms = max(self._tally.slowest_alarm_ms, took_ms)

    def _parse(self, stored: Stored) -> Event:
        return parse(f"ansim.{SITE}.{device_name(stored.device)}.evt", stored.payload, stored.at)

    def _catch_up(self, until: ArchiveMark) -> None:
        """As CatchUp._compare: the stream is empty."""
        mark = self.store.archive_mark()
        archived = [self._parse(each) for each in self._broker.archived(mark, until)]
        for event in self.store.store_again(archived):
            self._note_stored(event)
            self._watch.took_again(event)
        self._progress.compared(mark)

    def _move_mark(self) -> None:
        """As CatchUp._move_on."""
        if not self._parts.has_archive or self._progress.until is not None:
            return
        if not self._broker.up or self._broker.next_ready_ms() is not None:
            return
        to = self._progress.ends(self._broker.archive_end())
        if to is not None:
            self._progress.moved(to, self.store.move_archive_mark(self._progress.mark, to))

    # Dying

    def _dies(self, where: int) -> bool:
        if self._kill_at != where:
            return False
        self._kill_at = None
        return True

    def _die(self, where: int) -> None:
        if self._dies(where):
            raise Killed

    def _note(self, what: str) -> None:
        self._trace.note(self._timeline.now_ms, "receiver", what)
