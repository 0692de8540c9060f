"""What a stress run reads out of the receiver's database, and what it makes of rows that contradict each other."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansim.database import Database
from ansim.event import Event, Refused
from ansim.event_store import EventStore
from ansim.stress.oracle import Oracle, alarms, disagreement

NOW = datetime.now(UTC)


def event(seq: int, type: str, kind: str = "", of: tuple[int, int] | None = None, device: str = "AN000001") -> Event:
    return Event("site", device, 3, seq, type, kind, of, 1, NOW, NOW)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database.open(f"sqlite:///{tmp_path / 'ansim.db'}")) as opened:
        yield opened


def test_alarms_and_cancels_of_one_device_are_read_from_an_id_on(database: Database) -> None:
    store = EventStore(database)
    store.store([event(0, "alarm", "sos"), event(1, "fault", "link_lost"), event(2, "alarm", "fall")])
    store.store([event(3, "cancel", of=(3, 2)), event(4, "alarm", "sos", device="AN000002")])
    store.store([event(0, "alarm", "sos")])
    rows = Oracle(database).rows("AN000001")
    assert [(row.id, row.type, row.state) for row in rows] == [
        ((3, 0), "alarm", "raised"),
        ((3, 2), "alarm", "cancelled"),
        ((3, 3), "cancel", ""),
    ]
    heard = {(3, 2): 70}
    assert [(each.rows, each.heard_ms) for each in alarms(rows, heard)] == [((1, 0, 0), None), ((0, 1, 1), 70)]
    assert rows[0].deliveries == 2
    assert disagreement(rows) == ""
    assert [row.id for row in Oracle(database).rows("AN000001", after=(3, 2))] == [(3, 3)]


def test_what_a_device_told_of_its_sensor_is_read_and_no_other_fault(database: Database) -> None:
    store = EventStore(database)
    store.store([event(0, "fault", "sensor_bus"), event(1, "fault", "link_lost"), event(2, "restore", "sensor_bus")])
    store.store([event(3, "alarm", "sos"), event(0, "fault", "sensor_bus", device="AN000002")])
    oracle = Oracle(database)
    assert [(row.type, row.kind) for row in oracle.of_sensor("AN000001", (-1, -1))] == [
        ("fault", "sensor_bus"),
        ("restore", "sensor_bus"),
    ]
    assert [row.id for row in oracle.of_sensor("AN000001", (3, 0))] == [(3, 2)]


def test_an_alarm_that_is_cancelled_without_a_cancel_or_not_with_one_is_told(database: Database) -> None:
    EventStore(database).store([event(0, "alarm", "sos"), event(1, "cancel", of=(3, 0))])
    alarm, cancel = Oracle(database).rows("AN000001")
    assert "(3, 0) is cancelled" in disagreement([alarm])
    assert "(3, 0) is raised" in disagreement([replace(alarm, state="raised"), cancel])


def test_a_cancel_of_an_alarm_that_is_not_there_is_told(database: Database) -> None:
    EventStore(database).store([event(0, "alarm", "sos"), event(1, "cancel", of=(3, 7))])
    rows = Oracle(database).rows("AN000001")
    assert "a cancel is of (3, 7)" in disagreement(rows)
    assert [each.rows for each in alarms(rows, {})] == [(1, 0, 0)]


def test_an_alarm_that_nobody_can_have_raised_counts_as_a_call_for_help_and_is_told(database: Database) -> None:
    EventStore(database).store([event(0, "alarm", "test")])
    rows = Oracle(database).rows("AN000001")
    assert [each.rows for each in alarms(rows, {})] == [(1, 0, 0)]
    assert "is of the kind 'test'" in disagreement(rows)


def test_alarms_of_a_device_that_is_not_there_are_told(database: Database) -> None:
    EventStore(database).store(
        [event(0, "alarm", "sos"), event(0, "alarm", "sos", device="AN000009"), event(0, "fault", device="AN000008")]
    )
    assert Oracle(database).strangers(["AN000001"]) == ["AN000009"]


def test_what_the_receiver_put_aside_is_told_with_its_reason(database: Database) -> None:
    EventStore(database).store([], [Refused("ansim.site.AN000001.evt", b"{}", "v is missing", NOW)])
    assert Oracle(database).refused() == ["v is missing"]
