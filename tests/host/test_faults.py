"""Conditions of devices that last: when they begin and end, in whatever order events come, one of a kind at most."""

import json
import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from database_kit import KINDS, database_url, empty_database, old_database

from ansim.commands.faults import command
from ansim.database import Database, DatabaseRefused
from ansim.errors import BadInput
from ansim.event import Event, parse
from ansim.event_rows import Outcome
from ansim.event_store import EventStore
from ansim.fault_rows import LINK_FAULTS, MAX_OPEN, Fault
from ansim_fw.core.message import FIRST_HEARTBEAT_SEQ, MAX_ID

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
DEVICE = "AN000001"


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with empty_database(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def changes() -> list[Fault]:
    return []


@pytest.fixture
def store(database: Database, changes: list[Fault]) -> EventStore:
    return EventStore(database, changes.append)


def event(
    seq: int, type: str = "alarm", kind: str = "sos", boot: int = 3, device: str = DEVICE, minute: int = 0, **more: Any
) -> Event:
    members = {"v": 1, "boot": boot, "seq": seq, "type": type, "try": 1, **more}
    if type in ("alarm", "fault", "restore"):
        members["kind"] = kind
    at = NOW + timedelta(minutes=minute)
    return parse(f"ansim.city.{device}.evt", json.dumps(members).encode(), at)


def fault(seq: int, kind: str, **more: Any) -> Event:
    return event(seq, "fault", kind, **more)


def restore(seq: int, kind: str, **more: Any) -> Event:
    return event(seq, "restore", kind, **more)


def heartbeat(number: int = 0, **more: Any) -> Event:
    return event(FIRST_HEARTBEAT_SEQ + number, "heartbeat", **more)


def kinds(store: EventStore, open_only: bool = True) -> list[str]:
    return sorted(each.kind for each in store.faults(open_only=open_only))


def signs(store: EventStore, device: str = DEVICE) -> int:
    return next(each.signs for each in store.devices() if each.device == device)


def test_a_fault_lasts_from_its_event_to_its_restore(store: EventStore, changes: list[Fault]) -> None:
    store.store([fault(0, "battery_low", minute=1, age_ms=30_000, data={"battery_mv": 3300})])
    [found] = store.faults(open_only=True)
    assert (found.device, found.site, found.kind, found.noticed_by) == (DEVICE, "city", "battery_low", "device")
    assert (found.boot, found.seq, found.detail) == (3, 0, "battery_mv 3300")
    assert (found.since, found.until) == (NOW + timedelta(seconds=30), None)
    store.store([restore(1, "battery_low", minute=9)])
    assert store.faults(open_only=True) == []
    [over] = store.faults()
    assert over.until == NOW + timedelta(minutes=9)
    assert changes == [found, over]


def test_a_fault_that_is_told_again_is_one_fault(store: EventStore, changes: list[Fault]) -> None:
    store.store([fault(0, "battery_low")])
    store.store([fault(0, "battery_low"), fault(1, "battery_low", minute=5)])
    assert [each.seq for each in store.faults()] == [0]
    assert len(changes) == 1


def test_the_link_that_is_back_ends_every_fault_of_the_link_and_no_other(store: EventStore) -> None:
    told = [*sorted(LINK_FAULTS), "battery_low"]
    store.store([fault(seq, kind) for seq, kind in enumerate(told)])
    assert kinds(store) == sorted(told)
    store.store([restore(len(told), "link")])
    assert kinds(store) == ["battery_low"]


def test_a_restart_ends_what_the_boot_before_left_open(store: EventStore) -> None:
    store.store([fault(0, "button_stuck"), fault(0, "button_stuck", device="AN000002")])
    store.store([event(0, boot=4, minute=7), fault(1, "watchdog", boot=4, minute=7)])
    assert [(each.device, each.kind) for each in store.faults(open_only=True)] == [
        (DEVICE, "watchdog"),
        ("AN000002", "button_stuck"),
    ]


def test_a_fault_of_an_older_boot_that_comes_late_is_over_at_once(store: EventStore) -> None:
    store.store([event(0, boot=4, minute=1)])
    store.store([fault(5, "battery_low", boot=3, minute=2)])
    assert kinds(store) == []
    assert kinds(store, open_only=False) == ["battery_low"]


def test_a_fault_that_its_restore_overtook_is_over_at_once(store: EventStore) -> None:
    store.store([restore(3, "link", minute=1)])
    store.store([fault(2, "link_lost", minute=2, age_ms=110_000)])
    [found] = store.faults()
    assert (found.kind, found.until) == ("link_lost", NOW + timedelta(minutes=1))


def test_a_restore_that_comes_late_does_not_end_the_fault_after_it(store: EventStore) -> None:
    store.store([fault(4, "link_lost")])
    store.store([restore(3, "link")])
    assert kinds(store) == ["link_lost"]


@pytest.mark.parametrize("kind", ["silent", "gap"])
def test_a_device_does_not_tell_what_only_the_receiver_notices(store: EventStore, kind: str) -> None:
    found = store.store([fault(0, kind), restore(1, kind)])
    assert [each.outcome for each in found] == [Outcome.STORED, Outcome.STORED]
    assert store.faults() == []


def test_what_a_device_writes_into_its_fault_is_bounded_and_printable(store: EventStore) -> None:
    store.store([fault(0, "journal", data={"\x1b[2J": "a\nb\x00", "\ud800": "x" * 300})])
    [found] = store.faults()
    assert found.detail.isprintable() and len(found.detail) == 200
    assert found.detail.startswith("?[2J a?b?")


def test_random_boots_of_a_device_that_can_not_count_hide_no_later_fault(store: EventStore) -> None:
    """docs/protocol.md: a device that can't write to NVS takes a random number of the last generation."""
    store.store([fault(0, "journal", boot=MAX_ID - 5)])
    assert kinds(store) == ["journal"]
    store.store([fault(0, "battery_low", boot=7)])
    assert kinds(store) == ["battery_low"]


def test_faults_end_the_same_in_every_order_of_arrival(database: Database) -> None:
    """Of what is open in the end; what was open meanwhile depends on the order."""
    told = [
        *(fault(0, "link_lost"), restore(1, "link"), fault(2, "battery_low"), fault(3, "link_lost")),
        *(fault(0, "watchdog", boot=4), fault(1, "battery_low", boot=4), restore(2, "battery_low", boot=4)),
        *(fault(3, "button_stuck", boot=4), heartbeat(boot=4)),
    ]
    store = EventStore(database)
    for seed in range(15):
        order = random.Random(seed)
        device = f"AN{seed}"
        arrivals = [parse(f"ansim.city.{device}.evt", _wire(each), NOW) for each in [*told, *order.choices(told, k=4)]]
        order.shuffle(arrivals)
        while arrivals:
            size = order.randint(1, 4)
            store.store(arrivals[:size])
            arrivals = arrivals[size:]
        mine = sorted(each.kind for each in store.faults(open_only=True) if each.device == device)
        assert mine == ["button_stuck", "watchdog"], seed


def _wire(event: Event) -> bytes:
    members = {"v": 1, "boot": event.boot, "seq": event.seq, "type": event.type, "try": 1}
    return json.dumps({**members, "kind": event.kind} if event.kind else members).encode()


def test_a_silence_lasts_from_the_last_sign_of_life_to_the_next(store: EventStore, changes: list[Fault]) -> None:
    store.store([heartbeat(minute=1)])
    [state] = store.note_silent({DEVICE: signs(store)})
    assert state.device == DEVICE
    [found] = store.faults(open_only=True)
    assert (found.kind, found.noticed_by, found.since) == ("silent", "receiver", NOW + timedelta(minutes=1))
    assert found.detail == "last heard 2026-11-22 12:01:00 UTC"
    store.store([heartbeat(1, minute=90)])
    [over] = store.faults()
    assert over.until == NOW + timedelta(minutes=90)
    assert changes == [found, over]


def test_a_silent_device_that_restarts_speaks_and_its_old_faults_are_over(store: EventStore) -> None:
    store.store([fault(0, "battery_low")])
    store.note_silent({DEVICE: signs(store)})
    assert kinds(store) == ["battery_low", "silent"]
    store.store([heartbeat(boot=4, minute=90)])
    assert kinds(store) == []


def test_a_device_that_another_receiver_heard_meanwhile_is_not_silent(store: EventStore) -> None:
    store.store([heartbeat()])
    before = signs(store)
    store.store([heartbeat(1, minute=60)])
    [state] = store.note_silent({DEVICE: before})
    assert (state.signs, state.silent) == (before + 1, False)
    assert store.faults() == []


def test_two_receivers_note_one_silence_and_one_gap_once(database: Database, changes: list[Fault]) -> None:
    one, two = EventStore(database, changes.append), EventStore(database, changes.append)
    one.store([event(0), event(2)])
    known, ids = signs(one), one.with_holes()[DEVICE][1]
    threads = [threading.Thread(target=_note_all, args=(each, known, ids)) for each in (one, two) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert kinds(one, open_only=False) == ["gap", "silent"]
    assert len(changes) == 2


def _note_all(store: EventStore, known: int, ids: Any) -> None:
    for note in (lambda: store.note_silent({DEVICE: known}), lambda: store.note_gap(DEVICE, ids, NOW)):
        try:
            note()
        except DatabaseRefused:
            # The other one was quicker; a receiver looks again two seconds later.
            continue


def test_the_database_itself_refuses_a_second_open_fault_of_a_kind(database: Database, store: EventStore) -> None:
    store.store([fault(0, "battery_low")])
    copy = (
        "INSERT INTO faults (device, site, kind, noticed_by, since) VALUES ('AN000001', 'x', 'battery_low', 'x', '{}')"
    )
    with pytest.raises(DatabaseRefused), database.writing() as connection:
        connection.execute(sa.text(copy.format("2026-01-01 00:00:00")))


def test_missing_events_are_known_until_they_come(store: EventStore, changes: list[Fault]) -> None:
    store.store([event(0), event(3), event(9), heartbeat(5)])
    [(device, (_, ids))] = store.with_holes().items()
    assert (device, ids.holes()) == (DEVICE, [(3, 1, 2), (3, 4, 8)])
    store.note_gap(DEVICE, ids, NOW)
    assert store.with_holes() == {}
    [found] = store.faults(open_only=True)
    assert (found.kind, found.detail) == ("gap", "7 missing (boot/seq): 3/1-2, 3/4-8")
    store.store([event(seq) for seq in (1, 2, 4, 5, 6, 7)])
    assert kinds(store) == ["gap"]
    store.store([event(8, minute=5)])
    assert kinds(store) == []
    assert changes[-1].until == NOW + timedelta(minutes=5)


def test_missing_events_of_the_boot_before_stay_missing_after_a_restart(store: EventStore) -> None:
    store.store([event(0), event(2)])
    store.note_gap(DEVICE, store.with_holes()[DEVICE][1], NOW)
    store.store([event(0, boot=4)])
    assert kinds(store) == ["gap"]
    store.store([event(1, boot=3)])
    assert kinds(store) == []


def test_a_device_that_invents_kinds_has_a_bounded_number_of_faults(store: EventStore) -> None:
    store.store([fault(seq, f"kind_{seq}") for seq in range(MAX_OPEN + 20)])
    store.store([fault(1000, "one_more"), fault(1000, "one_more", device="AN000002")])
    store.note_silent({DEVICE: signs(store)})
    assert len(kinds(store)) == MAX_OPEN + 2
    assert kinds(store)[-2:] == ["one_more", "silent"]
    store.store([event(0, boot=4)])
    assert kinds(store) == ["one_more"]


def test_a_person_closes_the_silence_of_a_device_that_is_not_used_any_more(store: EventStore) -> None:
    store.store([heartbeat()])
    store.note_silent({DEVICE: signs(store)})
    closed = store.close_fault(DEVICE, "silent", by="kim")
    assert (closed.kind, closed.closed_by, closed.until is None) == ("silent", "kim", False)
    store.note_silent({DEVICE: signs(store)})
    assert store.faults() == [closed]
    store.store([heartbeat(1, minute=60)])
    store.note_silent({DEVICE: signs(store)})
    assert kinds(store) == ["silent"]


def test_a_person_gives_up_events_that_are_lost_for_good(store: EventStore) -> None:
    store.store([event(0), event(2)])
    store.note_gap(DEVICE, store.with_holes()[DEVICE][1], NOW)
    assert store.close_fault(DEVICE, "gap", by="kim").closed_by == "kim"
    assert store.with_holes() == {}
    store.store([event(4)])
    assert store.with_holes()[DEVICE][1].holes() == [(3, 3, 3)]


@pytest.mark.parametrize(("device", "kind", "by"), [("AN9", "gap", "kim"), (DEVICE, "gap", "kim"), (DEVICE, "x", "\n")])
def test_what_is_no_open_fault_can_not_be_closed(store: EventStore, device: str, kind: str, by: str) -> None:
    store.store([fault(0, "x")])
    with pytest.raises(BadInput):
        store.close_fault(device, kind, by)
    assert kinds(store) == ["x"]


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(command, arguments)
    return done.exit_code, done.output


def test_the_command_lists_what_is_wrong_and_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIM_DB", f"sqlite:///{tmp_path / 'ansim.db'}")
    assert run() == (0, "No fault now.\n")
    assert run("--all") == (0, "No fault yet.\n")
    database = Database.open(f"sqlite:///{tmp_path / 'ansim.db'}")
    EventStore(database).store(
        [fault(0, "battery_low", data={"battery_mv": 3300}), fault(1, "link_lost"), restore(2, "link")]
    )
    database.close()
    assert [json.loads(line)["kind"] for line in run("--json")[1].splitlines()] == ["battery_low"]
    assert [json.loads(line)["until"] is None for line in run("--all", "--json")[1].splitlines()] == [False, True]
    monkeypatch.setenv("COLUMNS", "160")
    for expected in ("battery_low", DEVICE, "battery_mv 3300", "over after 0 s", "link_lost"):
        assert expected in run("--all")[1]
    code, said = run("close", DEVICE, "battery_low", "--by", "kim", "--json")
    assert (code, json.loads(said)["closed_by"]) == (0, "kim")
    assert run() == (0, "No fault now.\n")
    assert "closed by kim" in run("--all")[1]


def test_a_device_that_sends_wild_numbers_leaves_one_fault_and_a_short_row(database: Database) -> None:
    store, order = EventStore(database), random.Random(5)
    store.store([event(0), event(FIRST_HEARTBEAT_SEQ - 1)])
    for _ in range(20):
        wild = {(order.randrange(9), order.randrange(FIRST_HEARTBEAT_SEQ)) for _ in range(100)}
        store.store([event(seq, boot=boot) for boot, seq in wild])
        for device, (_, ids) in store.with_holes().items():
            store.note_gap(device, ids, NOW)
    assert kinds(store, open_only=False) == ["gap"]
    with database.reading() as connection:
        stored = connection.execute(sa.text("SELECT ids FROM device_states")).scalar_one()
    assert len(stored if isinstance(stored, str) else json.dumps(stored)) < 8000


def test_events_taken_again_are_stored_once_counted_never_and_no_sign_of_life(
    store: EventStore, database: Database
) -> None:
    store.store([event(0), heartbeat(minute=50)])
    known = signs(store)
    store.note_silent({DEVICE: known})
    archived = [event(0), event(1, minute=1), fault(2, "link_lost", minute=2), restore(3, "link", minute=3)]
    assert [each.seq for each in store.store_again(archived)] == [1, 2, 3]
    assert store.store_again(archived) == []
    with database.reading() as connection:
        deliveries = list(connection.execute(sa.text("SELECT deliveries FROM events")).scalars())
    assert deliveries == [1] * 5
    assert signs(store) == known
    assert kinds(store) == ["silent"]
    assert kinds(store, open_only=False) == ["link_lost", "silent"]
    assert store.devices()[0].last_seen_at == NOW + timedelta(minutes=50)
    assert store.with_holes() == {}


def test_a_handled_alarm_is_to_be_told_until_it_was(store: EventStore) -> None:
    store.store([event(0), event(1)])
    assert store.untold([DEVICE]) == []
    store.handle(DEVICE, 3, 1, by="mina")
    [alarm] = store.untold([DEVICE, "AN000077"])
    assert alarm.id == (DEVICE, 3, 1)
    assert store.untold(["AN000077"]) == store.untold([]) == []
    store.note_told([alarm.id])
    assert store.untold([DEVICE]) == []
    store.handle(DEVICE, 3, 1, by="joon")
    assert store.untold([DEVICE]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_of_the_first_version_is_taken_over(kind: str, tmp_path: Path) -> None:
    """What was handled is not told again, and numbers that heartbeats had in between are not missing."""
    url = database_url(kind, tmp_path)
    old_database(url, "0001")
    _fill_old(url)
    opened = Database.open(url)
    store = EventStore(opened)
    assert store.untold([DEVICE]) == []
    store.store([event(8), heartbeat(boot=3)])
    assert store.with_holes() == {}
    store.store([event(10)])
    assert store.with_holes()[DEVICE][1].holes() == [(3, 9, 9)]
    opened.close()


def _fill_old(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        columns = "device, boot, seq, site, type, kind, received_at, attempt, deliveries, state, handled_at"
        at = "'2026-01-01 00:00:00'"
        values = f"'AN000001', 3, 7, 'city', 'alarm', 'sos', {at}, 1, 1, 'handled', {at}"
        connection.execute(sa.text(f"INSERT INTO events ({columns}) VALUES ({values})"))
        state = f"INSERT INTO device_states (device, site, last_seen_at) VALUES ('AN000001', 'city', {at})"
        connection.execute(sa.text(state))
    engine.dispose()
