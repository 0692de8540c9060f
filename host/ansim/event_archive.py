"""The broker's copy of the last days' events, for a receiver whose database lacks some: one put back from a backup."""

import uuid
from collections.abc import AsyncIterator
from datetime import datetime

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, DiscardPolicy, StorageType, StreamConfig

from ansim.credentials import ARCHIVE
from ansim.event_stream import BATCH, BrokerUnreachable, ensure_stream

KEPT_DAYS = 7
KEPT_PER_DEVICE = 1000
_DAY_S = 86_400
_FETCH_S = 2
_FORGOTTEN_S = 60
_LOG_HINT = "See nats.log in home's broker folder."

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
    """Reads the archive, up to what was in it when it was first prepared."""

    def __init__(self, client: Client) -> None:
        self._jetstream = client.jetstream()
        self._last: int | None = None

    async def prepare(self) -> bool:
        """Make or update it; tell whether the broker lets us."""
        try:
            await ensure_stream(self._jetstream, _STREAM_CONFIG)
            if self._last is None:
                self._last = (await self._jetstream.stream_info(ARCHIVE)).state.last_seq
        except (NatsError, TimeoutError):
            return False
        return True

    async def since(self, start: datetime | None) -> AsyncIterator[list[Msg]]:
        """Yield the messages stored since start (None: all), in their order, up to BATCH at once.

        Raises:
            BrokerUnreachable: it does not answer; begin anew.
        """
        end = self._last or 0
        try:
            made = await self._jetstream.add_consumer(ARCHIVE, _reader(start))
            subscription = await self._jetstream.pull_subscribe_bind(made.name, ARCHIVE)
            left, taken = made.num_pending, 0
            while left:
                messages = await subscription.fetch(BATCH, timeout=_FETCH_S)
                place = messages[-1].metadata
                taken += len(messages)
                if place.sequence.consumer != taken:
                    raise BrokerUnreachable("the broker's archive was interrupted", _LOG_HINT)
                yield [each for each in messages if each.metadata.sequence.stream <= end]
                left = 0 if place.sequence.stream >= end else place.num_pending
            await subscription.unsubscribe()
        except (NatsError, OSError, TimeoutError, IndexError) as error:
            raise BrokerUnreachable("the broker's archive does not answer", _LOG_HINT) from error


def _reader(start: datetime | None) -> ConsumerConfig:
    """Return a reader that the broker forgets by itself."""
    made = ConsumerConfig(
        name=f"reader-{uuid.uuid4().hex}",
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.NONE,
        inactive_threshold=_FORGOTTEN_S,
        mem_storage=True,
    )
    if start is None:
        return made
    # The library wants the time in the broker's own form.
    return made.evolve(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=start.isoformat())
