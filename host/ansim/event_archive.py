"""The broker's copy of the last days' events, for a receiver whose database lacks some: one put back from a backup."""

import uuid
from collections.abc import AsyncIterator

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, DiscardPolicy, StorageType, StreamConfig

from ansim.archive_mark import ArchiveMark
from ansim.credentials import ARCHIVE
from ansim.event_stream import BATCH, BrokerUnreachable, ensure_stream

KEPT_DAYS = 7
KEPT_PER_DEVICE = 1000
_DAY_S = 86_400
_FETCH_S = 2
_FORGOTTEN_S = 60

_STREAM_CONFIG = StreamConfig(
    name=ARCHIVE,
    # Filled by the stream of events itself: whatever it stores, it publishes here.
    subjects=["archive.*.*"],
    storage=StorageType.FILE,
    discard=DiscardPolicy.OLD,
    max_age=KEPT_DAYS * _DAY_S,
    max_bytes=512 * 1024**2,
    # One device that floods must not push out the others.
    max_msgs_per_subject=KEPT_PER_DEVICE,
)


class EventArchive:
    """The broker's archive of events."""

    def __init__(self, client: Client) -> None:
        self._jetstream = client.jetstream()

    async def prepare(self) -> bool:
        """Make or update it; tell whether the broker lets us."""
        try:
            await ensure_stream(self._jetstream, _STREAM_CONFIG)
        except (NatsError, TimeoutError):
            return False
        return True

    async def end(self) -> ArchiveMark:
        """Return where it ends now.

        Raises:
            BrokerUnreachable: it does not answer.
        """
        try:
            found = await self._jetstream.stream_info(ARCHIVE)
        except (NatsError, OSError, TimeoutError) as error:
            raise _unreachable() from error
        return ArchiveMark(str(found.created), found.state.last_seq)

    async def between(self, start: ArchiveMark | None, end: ArchiveMark) -> AsyncIterator[list[Msg]]:
        """Yield the messages behind start up to end, in their order, up to BATCH at once; all if start is none of it.

        Raises:
            BrokerUnreachable: it does not answer; begin anew.
        """
        first = start.seq + 1 if start is not None and start.archive == end.archive else 1
        if first > end.seq:
            return
        try:
            made = await self._jetstream.add_consumer(ARCHIVE, _reader(first))
            subscription = await self._jetstream.pull_subscribe_bind(made.name, ARCHIVE)
            left, taken = made.num_pending, 0
            while left:
                messages = await subscription.fetch(BATCH, timeout=_FETCH_S)
                place = messages[-1].metadata
                taken += len(messages)
                if place.sequence.consumer != taken:
                    raise _unreachable()
                yield [each for each in messages if each.metadata.sequence.stream <= end.seq]
                left = 0 if place.sequence.stream >= end.seq else place.num_pending
            await subscription.unsubscribe()
        except (NatsError, OSError, TimeoutError, IndexError) as error:
            raise _unreachable() from error


def _unreachable() -> BrokerUnreachable:
    return BrokerUnreachable("the broker's archive does not answer", "See nats.log in home's broker folder.")


def _reader(first: int) -> ConsumerConfig:
    """Return a reader from the sequence number first on, which the broker forgets by itself."""
    return ConsumerConfig(
        name=f"reader-{uuid.uuid4().hex}",
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=first,
        ack_policy=AckPolicy.NONE,
        inactive_threshold=_FORGOTTEN_S,
        mem_storage=True,
    )
