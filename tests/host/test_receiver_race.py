"""Receivers that take events of the same devices in the same moment: nothing is refused, nothing is stored twice."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from database_kit import KINDS, database_url

from ansim.database import Database
from ansim.event import Event
from ansim.event_rows import Outcome
from ansim.event_store import EventStore
from ansim.schema import faults

RECEIVERS = 4
ROUNDS = 25
NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(params=KINDS)
def receivers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[EventStore]]:
    url = database_url(request.param, tmp_path)
    opened = [Database.open(url) for _ in range(RECEIVERS)]
    yield [EventStore(each) for each in opened]
    for each in opened:
        each.close()


def alarm(device: str, seq: int) -> Event:
    return Event("city", device, 1, seq, "alarm", "sos", None, 1, NOW, None)


def store_at_once(receivers: list[EventStore], batches: list[list[Event]]) -> list[Outcome]:
    """Store each batch at a receiver of its own, all in the same moment; return what became of all events."""
    start, outcomes = threading.Barrier(len(receivers)), list[Outcome]()
    failed: list[BaseException] = []

    def store(receiver: EventStore, batch: list[Event]) -> None:
        start.wait(30)
        try:
            outcomes.extend(each.outcome for each in receiver.store(batch))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=store, args=both) for both in zip(receivers, batches, strict=True)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert failed == []
    return outcomes


def test_first_events_of_devices_that_come_at_all_receivers_at_once_are_all_stored(receivers: list[EventStore]) -> None:
    for number in range(ROUNDS):
        devices = [f"AN{number:04d}{letter}" for letter in "abc"]
        batches = [[alarm(device, seq) for device in devices] for seq in range(RECEIVERS)]
        # In another order at each.
        batches = [batch[seq % 3 :] + batch[: seq % 3] for seq, batch in enumerate(batches)]
        assert set(store_at_once(receivers, batches)) == {Outcome.STORED}
    assert len(receivers[0].alarms()) == ROUNDS * RECEIVERS * 3
    assert {state.signs for state in receivers[0].devices()} == {RECEIVERS}


def test_an_event_that_comes_at_all_receivers_at_once_is_stored_once(receivers: list[EventStore]) -> None:
    for number in range(ROUNDS):
        batch = [alarm(f"AN{number:06d}", seq) for seq in range(3)]
        batches = [batch, batch[::-1], batch, batch[::-1]]
        outcomes = Counter(store_at_once(receivers, batches))
        assert outcomes == {Outcome.STORED: 3, Outcome.AGAIN: 3 * (RECEIVERS - 1)}
    assert len(receivers[0].alarms()) == ROUNDS * 3


def test_an_alarm_and_its_cancel_that_come_at_two_receivers_at_once_are_a_cancelled_alarm(
    receivers: list[EventStore],
) -> None:
    receivers[0].store([alarm("AN000001", 0)])
    for seq in range(1, 2 * ROUNDS, 2):
        cancel = Event("city", "AN000001", 1, seq + 1, "cancel", "", (1, seq), 1, NOW, None)
        store_at_once(receivers[:2], [[alarm("AN000001", seq)], [cancel]])
    assert Counter(each.state for each in receivers[0].alarms()) == {"raised": 1, "cancelled": ROUNDS}


def test_who_closes_a_fault_waits_for_a_receiver_that_has_its_device_and_holds_nothing_up_meanwhile(
    tmp_path: Path,
) -> None:
    url = database_url("postgresql", tmp_path)
    receiver, desk = Database.open(url), Database.open(url)
    store = EventStore(desk)
    store.store([alarm("AN000001", 3)])
    ((_, ids),) = store.with_holes().values()
    store.note_gap("AN000001", ids, NOW)
    with receiver.writing() as connection:
        # What every event does first.
        connection.exec_driver_sql("SELECT device FROM device_states FOR UPDATE").all()
        closing = threading.Thread(target=store.close_fault, args=("AN000001", "gap", "kim"))
        closing.start()
        wait_for_a_lock(receiver)
        assert len(connection.execute(sa.select(faults.c.id).with_for_update(nowait=True)).all()) == 1
    closing.join(60)
    assert [each.closed_by for each in store.faults()] == ["kim"]
    receiver.close()
    desk.close()


def wait_for_a_lock(database: Database) -> None:
    """Wait until a session of this database waits for another one's lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    deadline = time.monotonic() + 30
    while True:
        with database.reading() as connection:
            if connection.exec_driver_sql(query).scalar_one():
                return
        assert time.monotonic() < deadline
        time.sleep(0.01)
