"""What the receiver keeps: each event once, the life of alarms in any order of arrival, bounded quarantine."""

import io
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from database_kit import KINDS, empty_database
from rich.console import Console

from ansim.archive_mark import ArchiveMark, ArchiveProgress
from ansim.database import Database
from ansim.errors import BadInput
from ansim.event import Event, Refused, Rejected, parse
from ansim.event_rows import Outcome
from ansim.event_store import EventStore
from ansim.quarantine_rows import QUARANTINE_ROWS
from ansim.receiver_table import live_table, spoken_age

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
SUBJECT = "ansim.city.AN000001.evt"


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with empty_database(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def store(database: Database) -> EventStore:
    return EventStore(database)


def wire(seq: int = 0, type: str = "alarm", attempt: int = 1, **members: Any) -> bytes:
    found = {"v": 1, "boot": 3, "seq": seq, "type": type, "try": attempt, **members}
    if type in ("alarm", "fault", "restore"):
        found.setdefault("kind", "sos")
    return json.dumps(found).encode()


def event(seq: int = 0, type: str = "alarm", subject: str = SUBJECT, at: datetime = NOW, **members: Any) -> Event:
    return parse(subject, wire(seq, type, **members), at)


def cancel(seq: int, of: int) -> Event:
    return event(seq, "cancel", of=[3, of])


def outcomes(store: EventStore, batch: list[Event]) -> list[Outcome]:
    return [each.outcome for each in store.store(batch)]


def delivered(store: EventStore, *batch: Event) -> list[str | None]:
    """Store a batch; return in which state each event is delivered."""
    return [each.event.state for each in store.store(batch)]


def states(store: EventStore) -> dict[int, str]:
    return {alarm.seq: alarm.state for alarm in store.alarms()}


def rows(database: Database, table: str = "events") -> list[Any]:
    with database.reading() as connection:
        return list(connection.execute(sa.text(f"SELECT * FROM {table}")))


def test_the_time_of_an_event_is_when_the_broker_had_it_less_its_age(store: EventStore) -> None:
    store.store([event(0, age_ms=90_000), event(1)])
    known, unknown = sorted(store.alarms(), key=lambda alarm: alarm.seq)
    assert known.occurred_at == NOW - timedelta(seconds=90)
    assert unknown.occurred_at is None
    assert known.received_at == unknown.received_at == NOW


def test_an_event_that_comes_again_is_one_row_and_a_count(store: EventStore, database: Database) -> None:
    assert outcomes(store, [event(0), event(1)]) == [Outcome.STORED, Outcome.STORED]
    later = NOW + timedelta(hours=1)
    again = event(0, at=later, attempt=5)
    assert outcomes(store, [again, again, event(2)]) == [Outcome.AGAIN, Outcome.AGAIN, Outcome.STORED]
    found = {row.seq: row for row in rows(database)}
    assert sorted(found) == [0, 1, 2]
    assert (found[0].deliveries, found[0].attempt, found[0].data) == (3, 1, None)
    assert store.alarms()[-1].received_at == NOW


def test_an_event_that_comes_twice_in_one_batch_is_one_row(store: EventStore, database: Database) -> None:
    assert outcomes(store, [event(0), event(0)]) == [Outcome.STORED, Outcome.AGAIN]
    assert [row.deliveries for row in rows(database)] == [2]


def test_a_heartbeat_that_tells_other_figures_the_second_time_is_the_same_event(store: EventStore) -> None:
    first = event(0, "heartbeat", data={"battery_mv": 3900})
    second = event(0, "heartbeat", data={"battery_mv": 3890}, attempt=2)
    assert outcomes(store, [first]) == [Outcome.STORED]
    assert outcomes(store, [second]) == [Outcome.AGAIN]


@pytest.mark.parametrize("in_one_batch", [True, False])
@pytest.mark.parametrize("cancel_first", [True, False])
def test_a_cancel_marks_its_alarm_in_whatever_order_they_come(
    store: EventStore, in_one_batch: bool, cancel_first: bool
) -> None:
    batch = [cancel(2, of=1), event(1)] if cancel_first else [event(1), cancel(2, of=1)]
    batch.append(event(4))
    for part in [batch] if in_one_batch else [[each] for each in batch]:
        store.store(part)
    assert states(store) == {1: "cancelled", 4: "raised"}


def test_alarms_end_the_same_in_every_order_of_arrival(tmp_path: Path) -> None:
    batch = [event(seq) for seq in range(6)] + [cancel(10 + seq, of=seq) for seq in (0, 2, 4)] + [cancel(20, of=0)]
    for seed in range(12):
        database = Database.open(f"sqlite:///{tmp_path / str(seed)}.db")
        store, order = EventStore(database), random.Random(seed)
        arrivals = batch + order.choices(batch, k=8)
        order.shuffle(arrivals)
        while arrivals:
            size = order.randint(1, 4)
            store.store(arrivals[:size])
            arrivals = arrivals[size:]
        assert states(store) == {0: "cancelled", 1: "raised", 2: "cancelled", 3: "raised", 4: "cancelled", 5: "raised"}
        assert len(rows(database)) == len(batch)
        database.close()


def test_a_fall_that_was_cancelled_before_it_was_sent_is_never_open_however_often_both_are_delivered(
    tmp_path: Path,
) -> None:
    for seed in range(12):
        database = Database.open(f"sqlite:///{tmp_path / str(seed)}.db")
        store, order = EventStore(database), random.Random(seed)
        # The device sends the fall once the receiver has the cancel; after that a broker may repeat either.
        arrivals = [
            cancel(2, of=1),
            event(1, kind="fall"),
            *order.choices([cancel(2, of=1), event(1, kind="fall")], k=6),
        ]
        while arrivals:
            size = order.randint(1, 3)
            store.store(arrivals[:size])
            arrivals = arrivals[size:]
            assert store.alarms(open_only=True) == []
        assert states(store) == {1: "cancelled"}
        database.close()


def test_an_alarm_is_never_delivered_as_open_once_its_cancel_is_stored(store: EventStore) -> None:
    assert delivered(store, cancel(2, of=1)) == [None]
    assert delivered(store, event(1, kind="fall"), event(4)) == ["cancelled", "raised"]
    assert delivered(store, event(1, kind="fall", attempt=2), event(4)) == ["cancelled", "raised"]
    assert delivered(store, event(5), cancel(6, of=5), event(5)) == ["cancelled", None, "cancelled"]
    assert delivered(store, cancel(7, of=4), event(4)) == [None, "cancelled"]
    store.handle("AN000001", 3, 5, by="mina")
    assert delivered(store, event(5), event(8, "heartbeat")) == ["handled", None]


def test_an_alarm_from_the_archive_is_not_delivered_as_open_when_it_is_cancelled(store: EventStore) -> None:
    store.store([cancel(2, of=1)])
    found = store.store_again([event(1), event(3), event(4), cancel(5, of=4)])
    assert [each.state for each in found] == ["cancelled", "raised", "cancelled", None]


def test_a_cancel_touches_no_other_device_and_no_other_boot(store: EventStore) -> None:
    other = event(1, subject="ansim.city.AN000002.evt")
    earlier = parse(SUBJECT, wire(1).replace(b'"boot": 3', b'"boot": 2'), NOW)
    store.store([other, earlier, event(1), cancel(2, of=1)])
    assert {(alarm.device, alarm.boot): alarm.state for alarm in store.alarms()} == {
        ("AN000002", 3): "raised",
        ("AN000001", 2): "raised",
        ("AN000001", 3): "cancelled",
    }


def test_an_alarm_that_was_handled_stays_handled(store: EventStore) -> None:
    store.store([event(1)])
    closed = store.handle("AN000001", 3, 1, by="mina")
    assert (closed.state, closed.handled_by) == ("handled", "mina")
    store.store([cancel(2, of=1), event(1)])
    assert states(store) == {1: "handled"}
    assert store.handle("AN000001", 3, 1, by="joon").handled_by == "mina"
    assert store.handle("AN000001", 3, 1, by="joon").handled_at == closed.handled_at


def test_a_cancelled_alarm_can_be_handled(store: EventStore) -> None:
    store.store([event(1), cancel(2, of=1)])
    assert store.handle("AN000001", 3, 1, by="mina").state == "handled"


@pytest.mark.parametrize("device, boot, seq", [("AN000001", 3, 9), ("AN000009", 3, 1), ("AN000001", 3, 2)])
def test_what_is_no_alarm_can_not_be_handled(store: EventStore, device: str, boot: int, seq: int) -> None:
    store.store([event(1), cancel(2, of=1)])
    with pytest.raises(BadInput, match="there is no alarm"):
        store.handle(device, boot, seq, by="mina")


@pytest.mark.parametrize("by", ["", "x" * 65, "mi\x1b[31mna"])
def test_who_handles_must_be_a_name(store: EventStore, by: str) -> None:
    store.store([event(1)])
    with pytest.raises(BadInput):
        store.handle("AN000001", 3, 1, by=by)
    assert states(store) == {1: "raised"}


def test_open_alarms_are_those_that_no_one_closed(store: EventStore) -> None:
    store.store([event(1), event(2), event(3), cancel(4, of=2), event(5, "fault", kind="link_lost")])
    store.handle("AN000001", 3, 3, by="mina")
    assert [alarm.seq for alarm in store.alarms(open_only=True)] == [1]
    assert [alarm.seq for alarm in store.alarms(limit=2)] == [3, 2]


def test_an_id_that_belongs_to_another_event_is_not_stored_and_not_taken_for_a_repetition(
    store: EventStore, database: Database
) -> None:
    store.store([event(1, "fault", kind="link_lost")])
    found = outcomes(store, [event(1), event(1, subject="ansim.town.AN000001.evt"), event(2)])
    assert found == [Outcome.CONFLICT, Outcome.CONFLICT, Outcome.STORED]
    assert [(row.type, row.deliveries) for row in rows(database)] == [("fault", 1), ("alarm", 1)]
    assert [row.reason for row in rows(database, "quarantine")] == ["id (3, 1) belongs to another event"] * 2


def test_devices_show_what_their_last_heartbeat_told(store: EventStore) -> None:
    data = {"battery_mv": 3912, "rssi_dbm": -61, "fw": "0.1.0", "up_s": 5}
    store.store([event(1, "heartbeat", data=data)])
    store.store([event(2, at=NOW + timedelta(seconds=9))])
    [device] = store.devices()
    assert (device.battery_mv, device.rssi_dbm, device.firmware) == (3912, -61, "0.1.0")
    assert device.last_seen_at == NOW + timedelta(seconds=9)


def test_an_event_that_waited_in_the_broker_makes_no_device_look_older(store: EventStore) -> None:
    store.store([event(2), event(3, subject="ansim.city.AN000002.evt")])
    store.store([event(1, at=NOW - timedelta(hours=2))])
    assert [device.last_seen_at for device in store.devices()] == [NOW, NOW]


def test_a_clock_that_was_a_year_ahead_and_was_put_right_hides_no_later_sign_of_life(store: EventStore) -> None:
    store.store([event(1, "heartbeat", at=NOW + timedelta(days=365), data={"battery_mv": 3900})])
    store.store([event(2, "heartbeat", data={"battery_mv": 3700})])
    [device] = store.devices()
    assert (device.last_seen_at, device.battery_mv) == (NOW, 3700)


@pytest.mark.parametrize(
    "data",
    [
        {"battery_mv": 10**40, "rssi_dbm": -(10**30), "fw": "\ud800"},
        {"battery_mv": "full", "rssi_dbm": "good", "fw": 7},
        {"fw": "a\x00b\x1b[2J"},
        {"\ud800": "\udfff", "": ""},
    ],
)
def test_implausible_heartbeats_are_kept_but_not_shown(store: EventStore, data: dict[str, Any]) -> None:
    assert outcomes(store, [event(1, "heartbeat", data=data)]) == [Outcome.STORED]
    [device] = store.devices()
    assert (device.battery_mv, device.rssi_dbm, device.firmware) == (None, None, None)


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("ansim.city.AN000001.cmd", "subject"),
        ("ansim.city.evt", "subject"),
        ("ansim.city.a.b.evt", "subject"),
        ("other.city.AN000001.evt", "subject"),
        ("ansim.city." + "x" * 25 + ".evt", "site or device"),
        ("ansim.c ity.AN000001.evt", "site or device"),
        ("ansim.\u212aity.AN000001.evt", "site or device"),
        ("ansim..AN000001.evt", "site or device"),
    ],
)
def test_a_subject_that_is_no_devices_is_rejected(subject: str, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        parse(subject, wire(), NOW)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"[" * 500,
        b"{}",
        b'{"v":2}',
        wire() + b" " * 512,
        wire(type="explosion"),
        wire(seq=-1),
        b"null",
    ],
)
def test_a_message_that_is_no_event_is_rejected_without_its_content_in_the_reason(payload: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        parse(SUBJECT, payload, NOW)
    assert len(str(caught.value)) <= 200
    assert "explosion" not in str(caught.value)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_taking_events_reads_no_table_from_end_to_end(store: EventStore, database: Database) -> None:
    """In a database of years a scan a batch would stop the receiver."""
    statements: list[tuple[str, Any]] = []

    def note(*arguments: Any) -> None:
        statements.append((arguments[2], arguments[3]))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    store.store([event(seq) for seq in range(100)] + [cancel(200, of=3), event(0)])
    store.store([event(0), event(300, "heartbeat", data={"battery_mv": 1}), cancel(301, of=4)])
    store.store([event(400, "fault", kind="link_lost"), event(401, "restore", kind="link"), event(402)])
    store.alarms(open_only=True)
    store.alarms(limit=5)
    store.faults(open_only=True, limit=8)
    store.with_holes()
    store.untold(["AN000001", "AN000002"])
    store.archive_mark()
    store.note_silent({"AN000001": store.devices_named(["AN000001"])[0].signs})
    store.store_again([event(500), event(0)])
    sa.event.remove(sa.Engine, "before_cursor_execute", note)
    # Partial indexes: they hold only the rows that are looked for.
    partial = ("faults_open", "device_states_holes", "events_untold")
    with database.reading() as connection:
        for statement, parameters in statements:
            if statement.startswith("BEGIN") or isinstance(parameters, list):
                continue
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [row.detail for row in plan]
            tables = ("SCAN events", "SCAN faults", "SCAN device_states")
            assert not any(step.startswith(tables) for step in steps if not step.endswith(partial)), (statement, steps)
            assert statement.startswith("SELECT") or not any("events_by_" in step for step in steps)


def test_quarantine_keeps_the_newest_and_cuts_them(store: EventStore, database: Database) -> None:
    refused = [
        Refused("ansim.x.y.evt" * 40, bytes([index % 256]) * 4000, f"reason {index} " + "x" * 500, NOW)
        for index in range(QUARANTINE_ROWS + 5)
    ]
    store.store([], refused[:600])
    store.store([], refused[600:])
    found = rows(database, "quarantine")
    assert len(found) == QUARANTINE_ROWS
    assert found[0].reason.startswith("reason 5 ") and found[-1].reason.startswith(f"reason {QUARANTINE_ROWS + 4} ")
    assert {(len(row.payload), row.size, len(row.reason), len(row.subject)) for row in found} == {(512, 4000, 200, 128)}


def test_payloads_are_in_no_repr() -> None:
    assert "secret" not in repr(Refused("s", b"secret", "r", NOW))


def test_the_table_shows_alarms_newest_first_and_devices(store: EventStore) -> None:
    store.store(
        [
            event(1),
            event(2, kind="test", at=NOW + timedelta(seconds=1)),
            event(3, "heartbeat", data={"battery_mv": 3912, "rssi_dbm": -61, "fw": "0.1.0"}),
        ]
    )
    text = shown(store)
    assert text.index("test") < text.index("sos")
    for expected in ("RAISED", "AN000001", "4 min ago", "3.91 V", "-61 dBm", "0.1.0"):
        assert expected in text


def test_the_table_shows_faults_while_there_are_some(store: EventStore) -> None:
    assert "Faults" not in shown(store)
    store.store([event(1, "fault", kind="battery_low", data={"battery_mv": 3300})])
    text = shown(store)
    for expected in ("Faults", "battery_low", "battery_mv 3300", "5 min"):
        assert expected in text
    store.store([event(2, "restore", kind="battery_low")])
    assert "Faults" not in shown(store)


def test_an_open_alarm_is_shown_whatever_came_after_it(store: EventStore) -> None:
    store.store([event(seq) for seq in range(41)])
    for seq in range(1, 41):
        store.handle("AN000001", 3, seq, "kim")
    assert "RAISED" in shown(store)
    assert "More alarms are open" not in shown(store)


def test_when_not_all_open_alarms_and_faults_fit_the_table_says_where_they_are(store: EventStore) -> None:
    store.store([event(seq) for seq in range(13)])
    store.store([event(seq, "fault", kind=f"sensor_{seq}") for seq in range(13, 22)])
    assert "More alarms are open: ansim alarms --open" in shown(store)
    assert "There are more faults: ansim faults" in shown(store)


def test_on_a_narrow_terminal_state_device_time_and_id_stay_whole(store: EventStore) -> None:
    store.store([event(0, "fault", kind="broker_unreachable"), event(1)])
    text = shown(store, columns=80)
    for expected in ("broker_unreachable", "RAISED", "AN000001", f"{NOW:%Y-%m-%d %H:%M:%S}", "3 1"):
        assert expected in text


def shown(store: EventStore, columns: int = 120) -> str:
    console = Console(width=columns, record=True, file=io.StringIO())
    console.print(live_table(store, NOW + timedelta(minutes=5)))
    return console.export_text()


@pytest.mark.parametrize(
    ("seconds", "spoken"), [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (9 * 86400, "9 d")]
)
def test_ages_are_in_their_largest_unit(seconds: int, spoken: str) -> None:
    assert spoken_age(timedelta(seconds=seconds)) == spoken


def test_the_mark_of_the_archive_only_moves_on_and_a_database_from_a_backup_is_known_by_it(store: EventStore) -> None:
    assert store.archive_mark() is None
    first, second, other = ArchiveMark("a", 5), ArchiveMark("a", 9), ArchiveMark("b", 1)
    assert store.move_archive_mark(None, second)
    # Another receiver is further.
    assert store.move_archive_mark(None, first)
    assert store.move_archive_mark(first, first)
    assert store.archive_mark() == second
    assert not store.move_archive_mark(ArchiveMark("a", 10), ArchiveMark("a", 12))
    assert store.archive_mark() == second
    # The broker lost its store, and has another archive.
    assert store.move_archive_mark(second, other)
    assert store.archive_mark() == other
    assert store.move_archive_mark(second, ArchiveMark("b", 2))


def test_the_mark_follows_the_archives_end_one_look_behind() -> None:
    """An event that came between two looks may not be stored yet at the second."""
    progress = ArchiveProgress(ArchiveMark("a", 5))
    progress.compared(None)
    assert progress.until is None
    assert progress.ends(ArchiveMark("a", 7)) is None
    assert progress.ends(ArchiveMark("a", 9)) == ArchiveMark("a", 7)
    progress.moved(ArchiveMark("a", 7), known=True)
    assert progress.ends(ArchiveMark("a", 9)) == ArchiveMark("a", 9)
    progress.moved(ArchiveMark("a", 9), known=True)
    assert progress.ends(ArchiveMark("a", 9)) is None


def test_a_mark_that_was_put_back_has_the_archive_compared_again() -> None:
    progress = ArchiveProgress(None)
    progress.moved(ArchiveMark("a", 7), known=False)
    assert progress.until == ArchiveMark("a", 7)
