"""The receiver: takes events from the broker, commits them, and only then acknowledges them to broker and device."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from ansim.database import Database, DatabaseRefused, DatabaseUnavailable
from ansim.event import Event, Refused, Rejected, parse
from ansim.event_rows import Outcome
from ansim.event_store import EventStore
from ansim.event_stream import BrokerUnreachable, EventStream, Notice, StreamLost, connect
from ansim.fleet import Fleet
from ansim.home import Home
from ansim_fw.core import message

# Between two tries to reach broker or database.
RETRY_S = 0.5

# What an event can raise that the database does not take; anything else is the database's own trouble.
_REFUSALS = (DatabaseRefused, ValueError, TypeError, OverflowError)

OnEvent = Callable[[Event, bool], None]


@dataclass
class _Taken:
    """A message and what it turned out to be."""

    message: Msg
    event: Event | None
    refused: Refused | None


class Receiver:
    """One receiver; several may run at the same time and share the events.

    Args:
        on_event: called after an event is committed and acknowledged, with it and whether it is new (not a repetition).
        on_notice: called with what a person should know: broker or database lost and found, messages refused.
    """

    def __init__(
        self,
        home: Home,
        fleet: Fleet,
        database: Database,
        on_event: OnEvent = lambda _event, _new: None,
        on_notice: Notice = lambda _text: None,
    ) -> None:
        self._home = home
        self._fleet = fleet
        self._store = EventStore(database)
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
        try:
            stream = EventStream(client)
            while not self._stop.is_set():
                await self._receive_from(stream, client)
            await stream.close(self._untaken)
        finally:
            await client.close()

    async def _connect(self) -> Client | None:
        """Return a connection, None when stopped before there was one."""
        told = False
        while not self._stop.is_set():
            try:
                return await connect(self._home, self._fleet, self._notice)
            except BrokerUnreachable as error:
                if not told:
                    self._notice(f"{error.message}; trying again")
                told = True
                await self._pause()
        return None

    async def _receive_from(self, stream: EventStream, client: Client) -> None:
        """Take batches until stop(), or until the stream has to be prepared again."""
        try:
            await stream.prepare()
            self.ready.set()
            while (batch := await self._next_batch(stream)) is not None:
                await self._process(client, batch)
        except (BrokerUnreachable, StreamLost) as error:
            self._notice(f"{error.message}; trying again")
            await self._pause()

    async def _next_batch(self, stream: EventStream) -> list[Msg] | None:
        """Return the next batch, None when stopped first."""
        waiting = asyncio.ensure_future(stream.next_batch())
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return waiting.result() if waiting.done() else None
        finally:
            for task in (waiting, stopping):
                task.cancel()
            await asyncio.gather(waiting, stopping, return_exceptions=True)

    async def _process(self, client: Client, messages: Sequence[Msg]) -> None:
        taken = [_take(each) for each in messages]
        outcomes = await self._commit(taken)
        if outcomes is None:
            self._untaken = messages
            return
        for each, outcome in zip(taken, outcomes, strict=True):
            # A connection that is lost here loses no event: the broker delivers it again, the device sends it again.
            with contextlib.suppress(NatsError, OSError):
                await self._answer(client, each, outcome)

    async def _commit(self, taken: Sequence[_Taken]) -> list[Outcome | None] | None:
        """Store a batch, trying until the database takes it; return each message's outcome (None: refused).

        None when stopped before: nothing is stored, and nothing may be acknowledged.
        """
        told = False
        while True:
            try:
                outcomes = await asyncio.to_thread(self._store_batch, taken)
            except DatabaseUnavailable as error:
                if not told:
                    self._notice(f"{error.message}; nothing is acknowledged until it is back")
                told = True
                await self._pause()
                if self._stop.is_set():
                    return None
            else:
                if told:
                    self._notice("the database is back")
                return outcomes

    def _store_batch(self, taken: Sequence[_Taken]) -> list[Outcome | None]:
        try:
            return self._store_all(taken)
        except _REFUSALS:
            # One of them spoils the transaction, or another receiver was quicker: each by itself.
            return [self._store_one(each) for each in taken]

    def _store_all(self, taken: Sequence[_Taken]) -> list[Outcome | None]:
        events = [each.event for each in taken if each.event is not None]
        refused = [each.refused for each in taken if each.refused is not None]
        outcomes = iter(self._store.store(events, refused))
        return [None if each.event is None else next(outcomes) for each in taken]

    def _store_one(self, taken: _Taken) -> Outcome | None:
        try:
            return self._store_all([taken])[0]
        except _REFUSALS as error:
            taken.refused = _refuse(taken.message, f"the database does not take it ({type(error).__name__})")
            taken.event = None
            self._store.store([], [taken.refused])
            return None

    async def _answer(self, client: Client, taken: _Taken, outcome: Outcome | None) -> None:
        event = taken.event
        if event is None or outcome is None or outcome is Outcome.CONFLICT:
            await taken.message.term()
            reason = taken.refused.reason if taken.refused else "its id belongs to another event"
            self._notice(f"refused a message on {taken.message.subject[:64]!r}: {reason}")
            return
        await client.publish(command_subject(event.site, event.device), message.ack(event.boot, event.seq))
        await taken.message.ack()
        self._on_event(event, outcome is Outcome.STORED)

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), RETRY_S)


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
        await client.close()


def _take(received: Msg) -> _Taken:
    try:
        return _Taken(received, parse(received.subject, received.data, received.metadata.timestamp), None)
    except Rejected as error:
        return _Taken(received, None, _refuse(received, str(error)))


def _refuse(received: Msg, reason: str) -> Refused:
    return Refused(received.subject, received.data, reason, received.metadata.timestamp)
