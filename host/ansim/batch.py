"""A batch of messages on its way into the database; one that spoils the transaction does not hold up the others."""

from collections.abc import Sequence
from dataclasses import dataclass

from nats.aio.msg import Msg

from ansim.database import DatabaseRefused
from ansim.event import Event, Refused, Rejected, parse
from ansim.event_rows import Outcome
from ansim.event_store import EventStore

# What an event can raise that the database does not take; anything else is the database's own trouble.
_REFUSALS = (DatabaseRefused, ValueError, TypeError, OverflowError)


@dataclass
class Taken:
    """A message and what it turned out to be: an event, or why it is none."""

    message: Msg
    event: Event | None
    refused: Refused | None


def take(received: Msg) -> Taken:
    """Return what a message of the stream of events is."""
    try:
        return Taken(received, parse(received.subject, received.data, received.metadata.timestamp), None)
    except Rejected as error:
        return Taken(received, None, _refuse(received, str(error)))


def store(store: EventStore, taken: Sequence[Taken]) -> list[Outcome | None]:
    """Store all that can be stored; return what became of each (None: refused, and taken says so then).

    The events of taken have their states then.

    Raises:
        DatabaseUnavailable: nothing was stored, or only some; the same call may succeed later.
    """
    try:
        return _store_all(store, taken)
    except _REFUSALS:
        # One of them spoils the transaction, or another receiver was quicker: each by itself.
        return [_store_one(store, each) for each in taken]


def store_again(store: EventStore, events: Sequence[Event]) -> list[Event]:
    """Store those events that are missing and can be stored; return them.

    Raises:
        DatabaseUnavailable: as store.
    """
    try:
        return store.store_again(events)
    except _REFUSALS:
        if len(events) == 1:
            return []
        return [found for each in events for found in store_again(store, [each])]


def _store_all(store: EventStore, taken: Sequence[Taken]) -> list[Outcome | None]:
    events = [each.event for each in taken if each.event is not None]
    refused = [each.refused for each in taken if each.refused is not None]
    delivered = store.store(events, refused)
    stored = [each for each in taken if each.event is not None]
    for each, (_, event) in zip(stored, delivered, strict=True):
        each.event = event
    outcomes = iter(delivered)
    return [None if each.event is None else next(outcomes).outcome for each in taken]


def _store_one(store: EventStore, taken: Taken) -> Outcome | None:
    try:
        return _store_all(store, [taken])[0]
    except _REFUSALS as error:
        taken.refused = _refuse(taken.message, f"the database does not take it ({type(error).__name__})")
        taken.event = None
        store.store([], [taken.refused])
        return None


def _refuse(received: Msg, reason: str) -> Refused:
    return Refused(received.subject, received.data, reason, received.metadata.timestamp)
