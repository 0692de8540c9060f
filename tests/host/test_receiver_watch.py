"""What the receiver notices and does by itself: silence, missing events, a database from a backup, handled alarms."""

import asyncio
import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from mqtt_device import MqttDevice, make_home
from process_kit import StartCommand, next_line
from receiver_kit import (
    Running,
    ack,
    connected,
    eventually,
    receiving,
    rows,
    waiting_in_stream,
    wire,
)

from ansim import catch_up, credentials
from ansim.broker import Broker
from ansim.database import Database
from ansim.event import parse
from ansim.event_store import EventStore
from ansim.event_stream import EventStream, Place
from ansim.fleet import Fleet
from ansim.fleet_watch import FleetWatch
from ansim.home import Home
from ansim.kept_ports import kept_ports
from ansim_fw.core.message import FIRST_HEARTBEAT_SEQ

# Instead of minutes and 2 s, so that the tests need not wait for them; everything else is as in the command.
REACH_MS = 1500
LOOK_S = 0.1
# By then a receiver would have noted what it wrongly takes for silent.
NOTED_S = 2 * REACH_MS / 1000
HANDLED = {"v": 1, "cmd": "handled", "boot": 3}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    made = make_home(tmp_path / "home")
    monkeypatch.setenv("ANSIM_HOME", str(made.path))
    monkeypatch.delenv("ANSIM_DB", raising=False)
    # While its broker is away no other test gets them.
    with kept_ports() as (port, client_port):
        Fleet(site="city", port=port, client_port=client_port).save(made)
        yield made


@pytest.fixture
def broker(home: Home) -> Iterator[Broker]:
    with Broker(home) as running:
        yield running


@pytest.fixture
def database(home: Home) -> Iterator[Database]:
    opened = Database.open(home.database_url, busy_timeout_ms=100)
    yield opened
    opened.close()


def watching(home: Home, database: Database, reach_ms: int = REACH_MS) -> AbstractContextManager[Running]:
    return receiving(home, database, reach_ms, LOOK_S)


def heartbeat(number: int = 0, **data: Any) -> bytes:
    return wire(FIRST_HEARTBEAT_SEQ + number, "heartbeat", data=data)


def heard_before(database: Database, hours: float, *devices: str) -> None:
    """Have devices in the database that were last heard so long ago."""
    at = datetime.now(UTC) - timedelta(hours=hours)
    EventStore(database).store([parse(f"ansim.city.{device}.evt", heartbeat(), at) for device in devices])


def silent(database: Database) -> list[str]:
    return sorted(each.device for each in EventStore(database).faults(open_only=True) if each.kind == "silent")


def test_a_device_that_fell_silent_while_no_receiver_ran_is_a_fault_until_it_speaks(
    home: Home, broker: Broker, database: Database
) -> None:
    heard_before(database, 3, "AN000001")
    with watching(home, database) as receiver:
        assert eventually(lambda: silent(database) == ["AN000001"])
        with connected(home, broker) as device:
            device.publish_only(heartbeat(1))
            assert device.command() == ack(FIRST_HEARTBEAT_SEQ + 1)
        assert eventually(lambda: len(receiver.faults) == 2)
        assert [(each.kind, each.until is None) for each in receiver.faults] == [("silent", True), ("silent", False)]
    assert silent(database) == []
    with watching(home, database):
        assert not eventually(lambda: silent(database) != [], NOTED_S)


def test_devices_whose_heartbeats_waited_in_the_broker_are_not_silent_after_the_receiver_was_down(
    home: Home, broker: Broker, database: Database
) -> None:
    devices = [f"AN{number:06}" for number in range(1, 7)]
    with receiving(home, database):
        pass
    heard_before(database, 3, *devices)
    for each in devices[:5]:
        with connected(home, broker, each) as device:
            assert device.publish(heartbeat(1))
    assert eventually(lambda: waiting_in_stream(home) == 5)
    with watching(home, database) as receiver:
        assert eventually(lambda: silent(database) == devices[5:])
        assert eventually(lambda: [each.device for each in receiver.faults] == devices[5:])


def test_a_broker_that_was_away_makes_no_device_silent_before_it_had_time_to_come_back(
    home: Home, database: Database
) -> None:
    with Broker(home) as broker, watching(home, database, 4000) as receiver:
        broker.stop()
        heard_before(database, 3, "AN000001", "AN000002")
        time_s = time.monotonic()
        broker.start()
        with connected(home, broker) as device:
            assert eventually(lambda: _sent(device, heartbeat(1)))
            assert eventually(lambda: silent(database) == ["AN000002"], 30)
        assert time.monotonic() - time_s > 4
        assert eventually(lambda: [each.device for each in receiver.faults] == ["AN000002"])


def _sent(device: MqttDevice, payload: bytes) -> bool:
    device.publish_only(payload)
    return device.command(timeout_s=0.5) is not None


class SetClock(EventStream):
    """The place of a receiver with nothing waiting, by a broker's clock that the test sets."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    async def place(self) -> Place:
        return Place(0, 0, datetime.now(UTC) + self.ahead)


async def _look(watch: FleetWatch, stream: SetClock, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert await watch.look(stream)
        await asyncio.sleep(0.05)


FLEET = [f"AN{number:06}" for number in range(8)]


@pytest.mark.parametrize("ahead_h", [3, -3, 24 * 365])
def test_a_broker_whose_clock_is_set_makes_no_device_silent(database: Database, ahead_h: int) -> None:
    store, stream = EventStore(database), SetClock()
    heard_before(database, 0.5, *FLEET)

    async def run() -> None:
        watch = FleetWatch(store, 60, 100)
        await _look(watch, stream, 0.4)
        stream.ahead = timedelta(hours=ahead_h)
        await _look(watch, stream, 0.4)
        said = parse("ansim.city.AN000001.evt", heartbeat(1), datetime.now(UTC) + stream.ahead)
        store.store([said])
        watch.took([said])
        await _look(watch, stream, 0.4)

    asyncio.run(run())
    assert store.faults() == []


def test_a_receiver_that_starts_with_a_wrong_clock_calls_not_the_whole_fleet_silent(database: Database) -> None:
    store, stream = EventStore(database), SetClock()
    heard_before(database, 0.5, *FLEET)
    stream.ahead = timedelta(hours=3)
    asyncio.run(_look(FleetWatch(store, 60, 100), stream, 0.4))
    assert store.faults() == []
    # Few enough to be believed.
    heard_before(database, -3, *(f"AN{number:06}" for number in range(100, 200)))
    asyncio.run(_look(FleetWatch(store, 60, 100), stream, 0.4))
    assert silent(database) == FLEET


@pytest.mark.usefixtures("broker")
def test_a_device_that_another_receiver_hears_is_not_silent(home: Home, database: Database) -> None:
    heard_before(database, 3, "AN000001", "AN000002")
    with watching(home, database, 2500):
        heard_before(database, 0, "AN000001")
        assert eventually(lambda: silent(database) == ["AN000002"])
        heard_before(database, 0, "AN000002")
        assert silent(database) == []
        assert not eventually(lambda: silent(database) != [], NOTED_S)


def test_while_the_database_is_locked_no_device_is_silent(home: Home, broker: Broker, database: Database) -> None:
    heard_before(database, 3, "AN000001")
    holder = sqlite3.connect(home.path / "ansim.db", isolation_level=None)
    with watching(home, database, 4000) as receiver, connected(home, broker) as device:
        holder.execute("BEGIN IMMEDIATE")
        device.publish_only(heartbeat(1))
        assert eventually(lambda: any("locked" in text for text in receiver.notices))
        assert not eventually(lambda: receiver.faults != [], 6)
        holder.execute("COMMIT")
        assert device.command() == ack(FIRST_HEARTBEAT_SEQ + 1)
        assert receiver.faults == []
    holder.close()


def test_an_event_that_does_not_come_is_a_fault_until_it_comes(home: Home, broker: Broker, database: Database) -> None:
    with watching(home, database) as receiver, connected(home, broker) as device:
        for seq in (0, 2):
            device.publish_only(wire(seq))
            assert device.command() == ack(seq)
        beats = iter(range(1000))
        assert eventually(lambda: _sent(device, heartbeat(next(beats))) and receiver.faults != [], 30)
        assert [(each.kind, each.detail) for each in receiver.faults] == [("gap", "1 missing (boot/seq): 3/1")]
        device.publish_only(wire(1))
        assert eventually(lambda: receiver.faults[-1].until is not None)
    assert EventStore(database).faults(open_only=True) == []


@pytest.mark.parametrize("as_json", [True, False])
def test_the_command_says_when_a_fault_begins_and_ends(
    home: Home, broker: Broker, as_json: bool, start_command: StartCommand
) -> None:
    process = start_command("receive", *(["--json"] if as_json else []))
    next_line(process)
    with connected(home, broker) as device:
        for seq, type in enumerate(("fault", "restore")):
            device.publish_only(wire(seq, type, kind="battery_low", data={"battery_mv": 3300}))
            assert device.command() == ack(seq)
    process.terminate()
    said, complaints = process.communicate(timeout=30)
    assert complaints == ""
    if as_json:
        changes = [line["fault"] for line in map(json.loads, said.splitlines()) if "fault" in line]
        assert [(each["kind"], each["until"] is None) for each in changes] == [
            ("battery_low", True),
            ("battery_low", False),
        ]
    else:
        assert "city/AN000001  fault battery_low began  battery_mv 3300" in said
        assert "city/AN000001  fault battery_low ended" in said


def test_what_waits_for_a_device_comes_before_the_ack_of_its_first_event(
    home: Home, broker: Broker, database: Database
) -> None:
    """A device that has its ack has everything, and may switch off."""
    alarms = range(5)
    with receiving(home, database):
        with connected(home, broker) as device:
            for seq in alarms:
                device.publish_only(wire(seq))
                assert device.command() == ack(seq)
        for seq in alarms:
            EventStore(database).handle("AN000001", 3, seq, by="mina")
        with connected(home, broker) as device:
            device.publish_only(heartbeat(0))
            heard = [device.command() for _ in alarms]
            assert device.command() == ack(FIRST_HEARTBEAT_SEQ)
        assert sorted(heard, key=str) == [{**HANDLED, "seq": seq} for seq in alarms]
        assert eventually(lambda: all(rows(home)[seq]["told_at"] for seq in alarms))
        with connected(home, broker) as device:
            for number in range(1, 4):
                device.publish_only(heartbeat(number))
                assert device.command() == ack(FIRST_HEARTBEAT_SEQ + number)


def test_what_waits_is_told_before_the_first_of_several_acks_and_to_nobody_else(
    home: Home, broker: Broker, database: Database
) -> None:
    with receiving(home, database), connected(home, broker, "AN000002") as other:
        with connected(home, broker) as device:
            device.publish_only(wire(0))
            assert device.command() == ack(0)
        EventStore(database).handle("AN000001", 3, 0, by="mina")
        with connected(home, broker) as device:
            for seq in (1, 2):
                device.publish_only(wire(seq))
                other.publish_only(wire(seq))
            assert [device.command() for _ in range(3)] == [{**HANDLED, "seq": 0}, ack(1), ack(2)]
        assert [other.command() for _ in range(2)] == [ack(1), ack(2)]


def test_a_receiver_put_back_from_a_backup_has_every_event_once_again(home: Home, broker: Broker) -> None:
    path = home.path / "ansim.db"
    with connected(home, broker) as device:
        _receive(home, device, range(10))
        shutil.copy(path, home.path / "backup.db")
        _receive(home, device, range(10, 40))
        device.publish_only(wire(40, "cancel", of=[3, 20]))
        device.publish_only(wire(41, "fault", kind="battery_low"))
        device.publish_only(b"rubbish")
        assert eventually(lambda: waiting_in_stream(home) == 3)
        _receive(home, device, [])
        before = _events(home)
        assert len(before) == 42
        # Two that no receiver had yet wait in the broker meanwhile.
        for seq in (42, 43):
            assert device.publish(wire(seq))
        for old in (path, *path.parent.glob("ansim.db-*")):
            old.unlink()
        shutil.copy(home.path / "backup.db", path)
        assert len(rows(home)) == 10
        database = Database.open(home.database_url)
        with receiving(home, database, look_s=LOOK_S) as receiver:
            assert [device.command(), device.command()] == [ack(42), ack(43)]
            assert eventually(lambda: len(rows(home)) == 44)
            assert eventually(lambda: any("from the broker's archive" in text for text in receiver.notices))
            assert sorted(event.seq for event, new in receiver.events if new) == list(range(10, 44))
            # The devices were told long ago.
            assert device.command(timeout_s=1) is None
        database.close()
    after = _events(home)
    assert {seq: after[seq] for seq in range(42)} == before
    assert len(after) == len(rows(home)) == 44
    assert [row["kind"] for row in rows(home, "faults")] == ["battery_low"]
    assert rows(home, "quarantine") == []


def test_a_receiver_killed_before_it_has_compared_leaves_that_to_the_next_one(home: Home, broker: Broker) -> None:
    path = home.path / "ansim.db"
    with connected(home, broker) as device:
        _receive(home, device, range(3))
        shutil.copy(path, home.path / "backup.db")
        _receive(home, device, range(3, 6))
        for old in (path, *path.parent.glob("ansim.db-*")):
            old.unlink()
        shutil.copy(home.path / "backup.db", path)
        # It stores something newer than what is missing, and ends before its first look at the archive.
        _receive(home, device, [6])
        database = Database.open(home.database_url)
        with receiving(home, database, look_s=LOOK_S):
            assert eventually(lambda: sorted(row["seq"] for row in rows(home)) == list(range(7)))
        database.close()


def test_a_database_put_back_under_a_receiver_that_runs_is_noticed(
    home: Home, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "_MOVE_EVERY", 1)
    database = Database.open(home.database_url)
    with connected(home, broker) as device, receiving(home, database, look_s=LOOK_S) as receiver:
        for seq in range(4):
            device.publish_only(wire(seq))
            assert device.command() == ack(seq)
        assert eventually(lambda: [row["seq"] for row in rows(home, "archive_marks")] == [4])
        with database.writing() as connection:
            # What a restored server has: less events, and an older mark.
            connection.execute(sa.text("DELETE FROM events WHERE seq > 0"))
            connection.execute(sa.text("UPDATE archive_marks SET seq = 1"))
        device.publish_only(wire(4))
        assert device.command() == ack(4)
        assert eventually(lambda: sorted(row["seq"] for row in rows(home)) == list(range(5)))
        assert eventually(lambda: any("3 events were not in the database" in text for text in receiver.notices))
    database.close()


def _receive(home: Home, device: MqttDevice, seqs: Any) -> None:
    """Have a receiver take what waits, and alarms with these numbers, then close its database."""
    database = Database.open(home.database_url)
    with receiving(home, database):
        for seq in seqs:
            device.publish_only(wire(seq))
            assert device.command() == ack(seq)
        assert eventually(lambda: waiting_in_stream(home) == 0)
    database.close()
    while device.command(timeout_s=0.2):
        # Acknowledgements of what waited.
        continue


def _events(home: Home) -> dict[int, tuple[Any, ...]]:
    names = ("device", "boot", "type", "kind", "of_seq", "state", "deliveries")
    return {row["seq"]: tuple(row[name] for name in names) for row in rows(home)}


def test_a_broker_that_keeps_no_archive_is_told_of_and_events_are_taken_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials from before there was an archive do not allow it."""
    allowed = [subject for subject in credentials._RECEIVER_MAY_PUBLISH if credentials.ARCHIVE not in subject]
    monkeypatch.setattr(credentials, "_RECEIVER_MAY_PUBLISH", allowed)
    home = make_home(tmp_path / "home")
    database = Database.open(home.database_url)
    with Broker(home) as broker, receiving(home, database) as receiver, connected(home, broker) as device:
        assert any("keeps no archive" in text for text in receiver.notices)
        device.publish_only(wire(1))
        assert device.command() == ack(1)
    database.close()
