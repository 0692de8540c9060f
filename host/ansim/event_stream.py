"""The receiver's side of the broker: a connection that stays, the stream of events, and batches out of it."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from nats.aio.client import Client, RawCredentials
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RePublish,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from ansim import secret_files
from ansim.credentials import STREAM, load_ca
from ansim.errors import ServiceError
from ansim.fleet import Fleet
from ansim.home import Home

CONSUMER = "receiver"
BATCH = 256
WAITING_PER_DEVICE = 1000
# How long the broker keeps a request for events open. After the broker was away it takes at most so long, and one
# second more, until we ask again.
_ASK_S = 2
_CONNECT_S = 5
_PLACE_S = 2
_FLUSH_S = 2
_LEAVE_S = 5
# https://docs.nats.io/reference/reference-protocols/nats_api_reference: statuses of a request for messages
_NO_RESPONDERS, _CONFLICT = "503", "409"
# OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED, which Python's ssl does not name
_NOT_VALID_NOW = (9, 10)

# Unconsumed events are never dropped to make room: a full stream refuses new ones, and devices send those again until
# they are acknowledged. Nothing is kept once it is in the database.
_STREAM_CONFIG = StreamConfig(
    name=STREAM,
    subjects=["ansim.*.*.evt"],
    retention=RetentionPolicy.WORK_QUEUE,
    discard=DiscardPolicy.NEW,
    storage=StorageType.FILE,
    max_bytes=1024**3,
    # One device that floods must not take the room of the others.
    max_msgs_per_subject=WAITING_PER_DEVICE,
    discard_new_per_subject=True,
    max_msg_size=4096,
    # What is taken leaves this stream; the archive keeps a copy (ansim.event_archive).
    republish=RePublish(src="ansim.*.*.evt", dest="archive.{{wildcard(1)}}.{{wildcard(2)}}"),
)
_CONSUMER_CONFIG = ConsumerConfig(
    name=CONSUMER,
    durable_name=CONSUMER,
    ack_policy=AckPolicy.EXPLICIT,
    # Longer than a commit takes; an event that a killed receiver had in hand comes again after it.
    ack_wait=10,
    max_ack_pending=8 * BATCH,
)

_T = TypeVar("_T")

Notice = Callable[[str], None]


class BrokerUnreachable(ServiceError):
    """The broker does not answer just now; it may later."""


class StreamLost(ServiceError):
    """The broker has lost the stream, or another program deleted it."""


async def connect(home: Home, fleet: Fleet, notice: Notice) -> Client:
    """Return a connection with the receiver's credentials; it connects again by itself when it is lost.

    Raises:
        BrokerUnreachable: nobody listens there, or no answer for five seconds.
        ServiceError: keys missing or readable by others, the broker refuses them, or is another fleet's.
    """
    client = Client()
    watch = _Watch(client, f"the broker at {fleet.host}:{fleet.client_port}", notice)
    connecting = asyncio.ensure_future(
        client.connect(
            f"tls://{fleet.host}:{fleet.client_port}",
            user_credentials=RawCredentials(secret_files.read(home.keys / "receiver.creds").decode()),
            tls=ssl.create_default_context(cadata=load_ca(home)),
            name="ansim receiver",
            # nats-py's own limit of 2 s keeps receivers away from a broker that is busy with a whole city's handshakes.
            connect_timeout=_CONNECT_S,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            disconnected_cb=watch.lost,
            reconnected_cb=watch.found,
            error_cb=watch.failed,
        )
    )
    either: set[asyncio.Future[Any]] = {connecting, watch.failure}
    await asyncio.wait(either, timeout=_CONNECT_S, return_when=asyncio.FIRST_COMPLETED)
    if connecting.done() and connecting.exception() is None:
        return client
    await end(connecting)
    await leave(client)
    raise watch.failure.result() if watch.failure.done() else watch.unreachable()


async def leave(client: Client, stream: "EventStream | None" = None, untaken: Iterable[Msg] = ()) -> None:
    """Close the stream, if there is one, and the connection; within ten seconds, whatever state it is in.

    Args:
        untaken: see EventStream.close.
    """
    if stream is not None:
        closing = asyncio.ensure_future(stream.close(untaken))
        done, _ = await asyncio.wait({closing}, timeout=_LEAVE_S)
        if done:
            closing.result()
        await end(closing)
    # On a connection whose TLS handshake failed nats-py may wait for ever, and on one that was lost fail: there is
    # nothing to close then.
    leaving = asyncio.ensure_future(client.close())
    await asyncio.wait({leaving}, timeout=_LEAVE_S)
    await end(leaving)


async def end(task: asyncio.Future[_T]) -> None:
    """Cancel task until it has ended; before Python 3.12 wait_for, which nats-py uses, may lose a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)
    if not task.cancelled():
        task.exception()  # looked at, so that asyncio does not tell of it


async def ensure_stream(jetstream: JetStreamContext, config: StreamConfig) -> None:
    """Make the stream, or give the one that exists these settings.

    Adding first would not do: for one that exists, too, the broker wants its whole size to be free.
    """
    try:
        await jetstream.update_stream(config)
    except NotFoundError:
        await jetstream.add_stream(config)


class _Watch:
    """Hears what happens to a connection, and knows a refusal from a broker that is away."""

    def __init__(self, client: Client, where: str, notice: Notice) -> None:
        self._client = client
        self._notice = notice
        self._away = False
        self._told = ""
        self.where = where
        self.failure: asyncio.Future[ServiceError] = asyncio.get_running_loop().create_future()

    def unreachable(self) -> BrokerUnreachable:
        return BrokerUnreachable(f"{self.where} can't be reached", "Start it with: ansim broker")

    async def lost(self) -> None:
        # It is called when we close the connection ourselves, too.
        if self._client.is_reconnecting:
            self._away, self._told = True, ""
            self._notice(f"lost {self.where}; trying again")

    async def found(self) -> None:
        self._away = False
        self._notice(f"reached {self.where} again")

    async def failed(self, error: Exception) -> None:
        why = self._why(error)
        if why is None:
            return
        if not self.failure.done():
            self.failure.set_result(why)
        # Of each outage a reason once, and that it is away has been said. It may come back in order, so we try on.
        if self._away and not isinstance(why, BrokerUnreachable) and why.message != self._told:
            self._told = why.message
            self._notice(f"{why.message}; trying again. {why.hint}")

    def _why(self, error: Exception) -> ServiceError | None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return self._distrusted(error)
        if "authorization" in str(error).lower():
            return ServiceError(
                f"{self.where} refuses the receiver's credentials",
                "Check that both use the same keys (home's keys folder).",
            )
        # A connection that breaks may be a refusal whose reason did not arrive: the next try will tell.
        if isinstance(error, OSError) and not isinstance(error, ssl.SSLError | ConnectionResetError | BrokenPipeError):
            return self.unreachable()
        return None

    def _distrusted(self, error: ssl.SSLCertVerificationError) -> ServiceError:
        if error.verify_code in _NOT_VALID_NOW:
            return ServiceError(
                f"the certificate of {self.where} is not valid now: {error.verify_message}",
                "Check this machine's clock. To renew it, move broker.pem out of home's keys folder, run ansim init, "
                "and start the broker again.",
            )
        return ServiceError(
            f"{self.where} is not this fleet's: its certificate is not signed by this home's CA, "
            "or is for another host",
            "Check the broker's address in fleet.toml, and that both use the same keys.",
        )


@dataclass(frozen=True)
class Place:
    """How far the receivers are in the stream.

    Args:
        waiting: events that no receiver was given yet.
        in_hand: events that a receiver was given and has not acknowledged.
        at: the broker's own time.
    """

    waiting: int
    in_hand: int
    at: datetime


class EventStream:
    """The stream of events, made if it is missing, and this receiver's place in it.

    Receivers that use it at the same time share the events between them.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._subscription: Subscription | None = None
        # A queue of our own: the library's next_msg makes a task for each message. Never longer than what we asked for.
        self._delivered: asyncio.Queue[Msg] = asyncio.Queue()
        self._asked = 0

    async def prepare(self) -> None:
        """Make or update stream and consumer.

        Raises:
            ServiceError: JetStream refuses.
            BrokerUnreachable: no answer.
        """
        jetstream = self._client.jetstream()
        try:
            await ensure_stream(jetstream, _STREAM_CONFIG)
            await jetstream.add_consumer(STREAM, _CONSUMER_CONFIG)
        except APIError as error:
            raise ServiceError(
                f"the broker refuses the stream of events: {error.description}", "See nats.log in home's broker folder."
            ) from error
        except (NatsError, TimeoutError) as error:
            raise BrokerUnreachable("the broker does not answer", "See nats.log in home's broker folder.") from error
        if self._subscription is None:
            self._subscription = await self._client.subscribe(self._inbox, cb=self._arrived)
        self._asked = 0

    async def next_batch(self) -> list[Msg]:
        """Wait for events and return 1 to BATCH of them, in their order.

        Raises:
            StreamLost: stream or consumer are gone; prepare again.
        """
        batch: list[Msg] = []
        while not batch:
            if self._asked <= 0:
                await self._ask()
            try:
                self._take(await asyncio.wait_for(self._delivered.get(), _ASK_S + 1), batch)
            except TimeoutError:
                # The broker was away and forgot what we asked.
                self._asked = 0
        while not self._delivered.empty() and len(batch) < BATCH:
            self._take(self._delivered.get_nowait(), batch)
        return batch

    async def place(self) -> Place | None:
        """Return how far the receivers are; None when the broker does not answer, or has no such stream."""
        try:
            answer = await self._client.request(f"$JS.API.CONSUMER.INFO.{STREAM}.{CONSUMER}", timeout=_PLACE_S)
            found = json.loads(answer.data)
            return Place(
                waiting=int(found["num_pending"]),
                in_hand=int(found["num_ack_pending"]),
                at=datetime.fromisoformat(found["ts"]),
            )
        except (NatsError, OSError, ValueError, KeyError):
            return None

    async def close(self, untaken: Iterable[Msg] = ()) -> None:
        """Leave, and have the broker give to others at once what was delivered here and not acknowledged.

        Args:
            untaken: messages of next_batch that were not acknowledged. Without this they come again after ten seconds.
        """
        rest = list(untaken)
        with contextlib.suppress(NatsError, OSError, StreamLost):
            if self._subscription is not None:
                while not self._delivered.empty():
                    self._take(self._delivered.get_nowait(), rest)
                # Before giving back, or the broker would give it all to us again.
                await self._subscription.unsubscribe()
            for each in rest:
                await each.nak()
            # Closing the connection would drop what is not sent yet.
            await self._client.flush(timeout=_FLUSH_S)

    async def _arrived(self, message: Msg) -> None:
        self._delivered.put_nowait(message)

    def _take(self, message: Msg, batch: list[Msg]) -> None:
        headers = message.headers or {}
        status = headers.get("Status")
        if status is None:
            batch.append(message)
            self._asked -= 1
        elif status == _NO_RESPONDERS or (status == _CONFLICT and "Deleted" in headers.get("Description", "")):
            raise StreamLost("the stream of events is gone")
        else:
            # The request ran out.
            self._asked = 0

    async def _ask(self) -> None:
        request = json.dumps({"batch": BATCH, "expires": _ASK_S * 1_000_000_000}).encode()
        await self._client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER}", request, self._inbox)
        self._asked = BATCH
