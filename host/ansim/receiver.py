"""The receiver: takes events from the broker, commits them, and only then acknowledges them to broker and device."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from ansim import batch, supervision
from ansim.alarm_rows import Alarm
from ansim.catch_up import CatchUp
from ansim.database import Database, DatabaseUnavailable
from ansim.event import Event
from ansim.event_archive import EventArchive
from ansim.event_rows import Outcome
from ansim.event_store import EventStore, OnFault
from ansim.event_stream import BrokerUnreachable, EventStream, Notice, StreamLost, connect, end, leave
from ansim.fleet import Fleet
from ansim.fleet_watch import LOOK_S, FleetWatch
from ansim.home import Home
from ansim_fw.core import message

# Between two tries to reach broker or database.
RETRY_S = 0.5
_FLUSH_S = 2

_T = TypeVar("_T")

OnEvent = Callable[[Event, bool], None]


class Receiver:
    """One receiver; several may run at the same time and share the events.

    Args:
        on_event: called after an event is committed and acknowledged, with it and whether it is new (not a repetition);
            an alarm has its state: it may be cancelled already.
        on_notice: called with what a person should know: broker or database lost and found, messages refused.
        on_fault: called, from any thread, with each fault that began or ended.
        reach_ms: how long a living device may take to be heard; None: as long as the fleet's settings make it.
        look_s: how often broker and database are looked at for what no message tells.
    """

    def __init__(
        self,
        home: Home,
        fleet: Fleet,
        database: Database,
        on_event: OnEvent = lambda _event, _new: None,
        on_notice: Notice = lambda _text: None,
        on_fault: OnFault = lambda _fault: None,
        reach_ms: int | None = None,
        look_s: float = LOOK_S,
    ) -> None:
        self._home = home
        self._fleet = fleet
        self._store = EventStore(database, on_fault)
        reach_ms = supervision.reach_ms(fleet.spread_s) if reach_ms is None else reach_ms
        self._watch = FleetWatch(self._store, fleet.heartbeat_min, reach_ms)
        self._look_s = look_s
        self._on_event = on_event
        self._notice = on_notice
        self._untaken: Sequence[Msg] = ()
        self._stop = asyncio.Event()
        self.ready = asyncio.Event()

    def stop(self) -> None:
        """End run() after the batch at hand; call it from run()'s event loop."""
        self._stop.set()

    async def run(self) -> None:
        """Receive until stop(). ``ready`` is set once events are being taken.

        Raises:
            ServiceError: it can't go on: wrong keys, a damaged database.
        """
        client = await self._connect()
        if client is None:
            return
        stream = EventStream(client)
        catching_up = CatchUp(self._store, EventArchive(client), self._on_missing, self._notice)
        watching = asyncio.ensure_future(self._watch_fleet(stream, catching_up))
        watching.add_done_callback(lambda _task: self._stop.set())
        try:
            while not self._stop.is_set():
                await self._receive_from(stream, client, catching_up)
        finally:
            await end(watching)
            await leave(client, stream, self._untaken)
        if not watching.cancelled():
            watching.result()

    async def _connect(self) -> Client | None:
        """Return a connection, None when stopped before there was one."""
        told = False
        while not self._stop.is_set():
            try:
                return await connect(self._home, self._fleet, self._notice)
            except BrokerUnreachable as error:
                if not told:
                    self._notice(f"{error.message}; trying again. {error.hint}")
                told = True
                await self._pause()
        return None

    async def _receive_from(self, stream: EventStream, client: Client, catching_up: CatchUp) -> None:
        """Take batches until stop(), or until the stream has to be prepared again."""
        try:
            await stream.prepare()
            await catching_up.prepare()
            await self._watch.look(stream)
            self.ready.set()
            while (messages := await self._next_batch(stream)) is not None:
                await self._process(client, messages)
        except (BrokerUnreachable, StreamLost) as error:
            self._notice(f"{error.message}; trying again")
            await self._pause()

    async def _watch_fleet(self, stream: EventStream, catching_up: CatchUp) -> None:
        await self.ready.wait()
        while not await self._pause(self._look_s):
            place = await self._watch.look(stream)
            if place is not None:
                await catching_up.look(place)

    def _on_missing(self, event: Event, new: bool) -> None:
        self._watch.took_again(event)
        self._on_event(event, new)

    async def _next_batch(self, stream: EventStream) -> list[Msg] | None:
        """Return the next batch, None when stopped first."""
        waiting = asyncio.ensure_future(stream.next_batch())
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return waiting.result() if waiting.done() else None
        finally:
            await end(waiting)
            await end(stopping)

    async def _process(self, client: Client, messages: Sequence[Msg]) -> None:
        taken = [batch.take(each) for each in messages]
        self._watch.taking()
        kept = await self._persist(lambda: self._keep(taken))
        if kept is None:
            self._untaken = messages
            return
        outcomes, handled = kept
        self._watch.took([each.event for each in taken if each.event is not None])
        # What waits for a device goes out before the acknowledgement that it waits for: then it may switch off.
        with contextlib.suppress(NatsError, OSError):
            await self._tell_handled(client, handled)
        for each, outcome in zip(taken, outcomes, strict=True):
            # A connection that is lost here loses no event: the broker delivers it again, the device sends it again.
            with contextlib.suppress(NatsError, OSError):
                await self._answer(client, each, outcome)
        if handled:
            await self._note_told(client, handled)

    def _keep(self, taken: Sequence[batch.Taken]) -> tuple[list[Outcome | None], list[Alarm]]:
        """Store a batch; return what became of each, and of which handled alarms their devices have not heard."""
        outcomes = batch.store(self._store, taken)
        try:
            return outcomes, self._store.untold({each.event.device for each in taken if each.event is not None})
        except DatabaseUnavailable:
            # The batch is stored. They are told when they are heard again.
            return outcomes, []

    async def _tell_handled(self, client: Client, handled: Sequence[Alarm]) -> None:
        """Tell devices that were just heard which of their alarms are closed."""
        for each in handled:
            await client.publish(command_subject(each.site, each.device), message.handled(each.boot, each.seq))

    async def _note_told(self, client: Client, handled: Sequence[Alarm]) -> None:
        """Note what was told, if the broker has it; what it has not is told again when the device is heard again."""
        with contextlib.suppress(NatsError, OSError):
            await client.flush(_FLUSH_S)
            await self._persist(lambda: self._store.note_told([each.id for each in handled]))

    async def _persist(self, call: Callable[[], _T]) -> _T | None:
        """Return what call gives, in a thread, trying until the database takes it; None when stopped before."""
        told = False
        while True:
            try:
                found = await asyncio.to_thread(call)
            except DatabaseUnavailable as error:
                if not told:
                    self._notice(f"{error.message}; nothing is acknowledged until it is back")
                told = True
                if await self._pause():
                    return None
            else:
                if told:
                    self._notice("the database is back")
                return found

    async def _answer(self, client: Client, taken: batch.Taken, outcome: Outcome | None) -> None:
        event = taken.event
        if event is None or outcome is None or outcome is Outcome.CONFLICT:
            await taken.message.term()
            reason = taken.refused.reason if taken.refused else "its id belongs to another event"
            self._notice(f"refused a message on {taken.message.subject[:64]!r}: {reason}")
            return
        await client.publish(command_subject(event.site, event.device), message.ack(event.boot, event.seq))
        await taken.message.ack()
        self._on_event(event, outcome is Outcome.STORED)

    async def _pause(self, seconds: float = RETRY_S) -> bool:
        """Wait so long, or until stopped; tell whether stopped."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
        return self._stop.is_set()


def command_subject(site: str, device: str) -> str:
    """Return where a device's commands go."""
    return message.command_topic(site, device).replace("/", ".")


async def tell_handled(home: Home, fleet: Fleet, site: str, device: str, boot: int, seq: int) -> None:
    """Tell a device that its alarm was closed. It hears it when it is connected.

    Raises:
        ServiceError: the broker can't be reached, or refuses.
    """
    client = await connect(home, fleet, lambda _text: None)
    try:
        await client.publish(command_subject(site, device), message.handled(boot, seq))
        await client.flush()
    except (NatsError, OSError) as error:
        raise BrokerUnreachable("the broker does not answer", "Try again.") from error
    finally:
        await leave(client)
