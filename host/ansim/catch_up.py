"""What a receiver does whose database was put back from a backup: it takes again what was acknowledged since then."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from nats.aio.msg import Msg

from ansim import batch
from ansim.database import DatabaseUnavailable
from ansim.event import Event, Rejected, parse
from ansim.event_archive import EventArchive
from ansim.event_store import EventStore
from ansim.event_stream import BrokerUnreachable, Notice

# Events are not committed in quite the order in which the broker had them: a killed receiver's come again later.
MARGIN = timedelta(minutes=10)
_NO_ARCHIVE = (
    "the broker keeps no archive for this receiver, so a database from a backup would stay incomplete: "
    "if receiver.creds is from an older version, remove it and run: ansim init"
)


class CatchUp:
    """Compares the database once, from its newest event on, with the broker's archive, and stores what is missing.

    Args:
        on_event: called with each event that was missing, and True.
    """

    def __init__(
        self, store: EventStore, archive: EventArchive, on_event: Callable[[Event, bool], None], notice: Notice
    ) -> None:
        self._store = store
        self._archive = archive
        self._on_event = on_event
        self._notice = notice
        self._newest: datetime | None = None
        self._marked = False
        self._kept = False
        self._done = False

    def mark(self) -> bool:
        """Note what the database holds, before anything new is stored; True.

        Raises:
            DatabaseUnavailable: try again.
        """
        if not self._marked:
            self._newest = self._store.newest()
            self._marked = True
        return True

    async def prepare(self) -> None:
        """Make the archive if it is missing; what is in it the first time is what is compared."""
        if self._done and not self._kept:
            return
        self._kept = await self._archive.prepare()
        if not self._kept:
            self._done = True
            self._notice(_NO_ARCHIVE)

    async def run(self, now: datetime) -> None:
        """Do it, when it is not done; what the stream of events holds must be stored before.

        Args:
            now: by the broker's clock.
        """
        if self._done:
            return
        found = 0
        try:
            async for messages in self._archive.since(self._start(now)):
                found += await self._take(messages)
        except (BrokerUnreachable, DatabaseUnavailable):
            # The next call begins anew.
            return
        self._done = True
        if found:
            self._notice(f"{found} events were not in the database; they came from the broker's archive")

    def _start(self, now: datetime) -> datetime | None:
        # A clock that was wrong may have dated events in the future.
        return None if self._newest is None else min(self._newest, now) - MARGIN

    async def _take(self, messages: Sequence[Msg]) -> int:
        events = [event for each in messages if (event := _event(each)) is not None]
        if not events:
            return 0
        missing = await asyncio.to_thread(batch.store_again, self._store, events)
        for each in missing:
            self._on_event(each, True)
        return len(missing)


def _event(archived: Msg) -> Event | None:
    """Return the event in a message of the archive, on subject ``archive.<site>.<device>``; None: it was refused."""
    try:
        subject = f"ansim.{archived.subject.partition('.')[2]}.evt"
        return parse(subject, archived.data, archived.metadata.timestamp)
    except Rejected:
        return None
