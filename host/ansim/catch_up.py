"""What a receiver does whose database was put back from a backup: it takes again what was acknowledged since then."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from nats.aio.msg import Msg

from ansim import batch
from ansim.archive_mark import ArchiveMark, ArchiveProgress
from ansim.database import DatabaseRefused, DatabaseUnavailable
from ansim.event import Event, Rejected, parse
from ansim.event_archive import EventArchive
from ansim.event_store import EventStore
from ansim.event_stream import BrokerUnreachable, Notice, Place

# The mark in the database is moved on each so many looks.
_MOVE_EVERY = 30
_NO_ARCHIVE = (
    "the broker keeps no archive for this receiver, so a database from a backup would stay incomplete: "
    "if receiver.creds is from an older version, remove it and run: ansim init"
)


class CatchUp:
    """Compares the database, from its mark on, with the broker's archive, and stores what is missing.

    The mark is in the database: all that the archive holds up to it is stored. It moves on while events are received,
    and so a database from a backup has an older one, and a receiver that is killed before it has compared leaves it.

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
        self._kept = True
        self._progress: ArchiveProgress | None = None
        self._looks = 0

    async def prepare(self) -> None:
        """Make the archive if it is missing; what is in it the first time is what is compared.

        Raises:
            BrokerUnreachable: it does not answer.
        """
        kept = await self._archive.prepare()
        if kept and self._progress is None:
            self._progress = ArchiveProgress(await self._archive.end())
        if self._kept and not kept:
            self._notice(_NO_ARCHIVE)
        self._kept = kept

    async def look(self, place: Place) -> None:
        """Do what is to be done.

        Args:
            place: how far the receivers are in the stream of events.
        """
        if self._progress is None or not self._kept or place.waiting:
            return
        # When one of these does not answer, the next look begins anew.
        with contextlib.suppress(BrokerUnreachable, DatabaseUnavailable, DatabaseRefused):
            if self._progress.until is not None:
                await self._compare(self._progress, self._progress.until)
            if place.in_hand == 0:
                await self._move_on(self._progress)

    async def _compare(self, progress: ArchiveProgress, until: ArchiveMark) -> None:
        mark = await asyncio.to_thread(self._store.archive_mark)
        found = 0
        async for messages in self._archive.between(mark, until):
            found += await self._take(messages)
        progress.compared(mark)
        if found:
            self._notice(f"{found} events were not in the database; they came from the broker's archive")

    async def _move_on(self, progress: ArchiveProgress) -> None:
        look, self._looks = self._looks, self._looks + 1
        if look % _MOVE_EVERY:
            return
        to = progress.ends(await self._archive.end())
        if to is not None:
            progress.moved(to, await asyncio.to_thread(self._store.move_archive_mark, progress.mark, to))

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
