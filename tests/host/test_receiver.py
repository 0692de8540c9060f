"""The whole way at the receiver's end: a device publishes over MQTT, the event is committed, its ack comes back."""

import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mqtt_device import MqttDevice, make_home
from process_kit import StartCommand, next_line
from receiver_kit import (
    RUN,
    ack,
    commands,
    connected,
    eventually,
    receiving,
    rows,
    send_all,
    take_acks,
    waiting_in_stream,
    wire,
)

from ansim import credentials, pki
from ansim.broker import Broker
from ansim.database import Database
from ansim.errors import ServiceError
from ansim.event_stream import WAITING_PER_DEVICE
from ansim.fleet import Fleet
from ansim.home import Home
from ansim.kept_ports import kept_ports


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


def test_an_alarm_is_on_disk_when_its_device_hears_the_ack(home: Home, broker: Broker, database: Database) -> None:
    with receiving(home, database) as receiver, connected(home, broker) as device:
        device.publish_only(wire(7, age_ms=42))
        assert device.command() == ack(7)
        [row] = rows(home)
        assert (row["device"], row["boot"], row["seq"], row["site"]) == ("AN000001", 3, 7, "city")
        assert (row["type"], row["kind"], row["state"]) == ("alarm", "sos", "raised")
        assert eventually(lambda: len(receiver.events) == 1)
        assert receiver.events[0][0].id == ("AN000001", 3, 7) and receiver.events[0][1]
    assert waiting_in_stream(home) == 0


def test_an_event_sent_again_is_acknowledged_again_and_stored_once(
    home: Home, broker: Broker, database: Database
) -> None:
    with receiving(home, database) as receiver, connected(home, broker) as device:
        for attempt in (1, 2, 3):
            device.publish_only(wire(7, attempt=attempt))
            assert device.command() == ack(7)
        assert [row["deliveries"] for row in rows(home)] == [3]
        assert eventually(lambda: [new for _, new in receiver.events] == [True, False, False])


def test_what_was_sent_while_no_receiver_ran_is_taken_when_one_starts(
    home: Home, broker: Broker, database: Database
) -> None:
    with receiving(home, database):
        pass
    with connected(home, broker) as device:
        for seq in range(5):
            assert device.publish(wire(seq, age_ms=1000))
        assert eventually(lambda: waiting_in_stream(home) == 5)
        with receiving(home, database):
            assert [device.command() for _ in range(5)] == [ack(seq) for seq in range(5)]
    assert [row["seq"] for row in rows(home)] == list(range(5))


def test_a_device_that_floods_while_no_receiver_runs_leaves_room_for_the_others(
    home: Home, broker: Broker, database: Database
) -> None:
    with receiving(home, database):
        pass
    with connected(home, broker, "AN000001") as flooder, connected(home, broker, "AN000002") as other:
        for seq in range(WAITING_PER_DEVICE + 200):
            flooder.publish_only(wire(seq))
        assert eventually(lambda: waiting_in_stream(home) >= WAITING_PER_DEVICE)
        assert other.publish(wire(7))
        assert eventually(lambda: waiting_in_stream(home) == WAITING_PER_DEVICE + 1)
        with receiving(home, database):
            assert other.command() == ack(7)


def test_a_cancel_marks_its_alarm(home: Home, broker: Broker, database: Database) -> None:
    with receiving(home, database), connected(home, broker) as device:
        device.publish_only(wire(1))
        device.publish_only(wire(2, "cancel", of=[3, 1]))
        assert [device.command(), device.command()] == [ack(1), ack(2)]
    assert [row["state"] for row in rows(home)] == ["cancelled", None]


def test_rubbish_is_put_aside_and_the_next_alarm_is_heard(home: Home, broker: Broker, database: Database) -> None:
    with receiving(home, database) as receiver, connected(home, broker) as device:
        for rubbish in (b"", b"{", b'{"v":1,"password":"geheim"}', os.urandom(300), b"[" * 2000, wire(-1)):
            device.publish_only(rubbish)
        device.publish_only(wire(7))
        assert device.command() == ack(7)
        assert eventually(lambda: len(receiver.notices) == 6)
        assert "geheim" not in "".join(receiver.notices)
    assert len(rows(home, "quarantine")) == 6
    assert waiting_in_stream(home) == 0


def test_a_device_that_forges_another_ones_alarm_raises_nothing(home: Home, broker: Broker, database: Database) -> None:
    with receiving(home, database), connected(home, broker) as device:
        device.publish_only(wire(1), topic="ansim/city/AN000002/evt")
        device.publish_only(wire(2))
        assert device.command() == ack(2)
    assert [(row["device"], row["seq"]) for row in rows(home)] == [("AN000001", 2)]


def test_an_id_that_belongs_to_another_event_is_not_acknowledged(
    home: Home, broker: Broker, database: Database
) -> None:
    with receiving(home, database) as receiver, connected(home, broker) as device:
        device.publish_only(wire(1, kind="test"))
        device.publish_only(wire(1, kind="sos"))
        device.publish_only(wire(2))
        assert [device.command(), device.command()] == [ack(1), ack(2)]
        assert eventually(lambda: any("belongs to another event" in text for text in receiver.notices))


def test_while_the_database_is_locked_nothing_is_acknowledged_and_then_everything(
    home: Home, broker: Broker, database: Database
) -> None:
    holder = sqlite3.connect(home.path / "ansim.db", isolation_level=None)
    with receiving(home, database) as receiver, connected(home, broker) as device:
        holder.execute("BEGIN IMMEDIATE")
        device.publish_only(wire(1))
        assert eventually(lambda: any("locked" in text for text in receiver.notices))
        assert device.command(timeout_s=1) is None
        holder.execute("COMMIT")
        assert device.command() == ack(1)
        assert eventually(lambda: "the database is back" in receiver.notices)
    holder.close()
    assert [row["seq"] for row in rows(home)] == [1]


def test_a_receiver_that_is_stopped_while_the_database_is_locked_acknowledges_nothing(
    home: Home, broker: Broker, database: Database
) -> None:
    holder = sqlite3.connect(home.path / "ansim.db", isolation_level=None)
    with connected(home, broker) as device:
        with receiving(home, database) as receiver:
            holder.execute("BEGIN IMMEDIATE")
            device.publish_only(wire(1))
            assert eventually(lambda: any("locked" in text for text in receiver.notices))
        holder.execute("COMMIT")
        holder.close()
        assert rows(home) == []
        with receiving(home, database):
            assert device.command(timeout_s=30) == ack(1)


def test_a_receiver_finds_the_broker_again_even_with_an_empty_store(
    home: Home, database: Database, tmp_path: Path
) -> None:
    with Broker(home) as broker, receiving(home, database) as receiver:
        broker.stop()
        assert eventually(lambda: any("lost the broker" in text for text in receiver.notices))
        (home.broker / "store").rename(tmp_path / "old store")
        broker.start()
        with connected(home, broker) as device:
            # Until the receiver is back there is no stream; a device sends until it is acknowledged.
            answers: list[dict[str, Any]] = []
            assert eventually(lambda: _sent_again(device, answers), timeout_s=40)
            assert answers[0] == ack(1)
    assert [row["seq"] for row in rows(home)] == [1]


def _sent_again(device: MqttDevice, answers: list[dict[str, Any]]) -> bool:
    device.publish_only(wire(1))
    answer = device.command(timeout_s=1)
    if answer is not None:
        answers.append(answer)
    return answer is not None


def test_two_receivers_share_the_events_and_each_is_stored_once(home: Home, broker: Broker, database: Database) -> None:
    with receiving(home, database) as one, receiving(home, database) as two, connected(home, broker) as device:
        for seq in range(200):
            device.publish_only(wire(seq))
        assert sorted(command["seq"] for command in commands(device, 200)) == list(range(200))
        assert eventually(lambda: len(one.events) + len(two.events) == 200)
    assert sorted(row["seq"] for row in rows(home)) == list(range(200))


def test_a_receiver_says_that_the_brokers_certificate_is_expired_and_goes_on_once_it_is_renewed(
    home: Home, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = home.keys / "broker.pem"
    with Broker(home) as broker, receiving(home, database) as receiver:
        broker.stop()
        certificate.unlink()
        with monkeypatch.context() as patched:
            patched.setattr(pki, "NOT_AFTER", datetime(2020, 1, 1, tzinfo=UTC))
            credentials.make(home, "localhost")
        broker.start()
        assert eventually(lambda: any("certificate has expired" in text for text in receiver.notices))
        with receiving(home, database) as late:
            assert eventually(lambda: late.error is not None)
        assert "certificate has expired" in str(late.error)
        broker.stop()
        certificate.unlink()
        credentials.make(home, "localhost")
        broker.start()
        assert eventually(lambda: any("reached the broker" in text for text in receiver.notices))
        assert len([text for text in receiver.notices if "certificate" in text]) == 1


def test_another_fleets_broker_ends_the_receiver_with_the_reason(
    home: Home, database: Database, tmp_path: Path
) -> None:
    stranger = make_home(tmp_path / "stranger")
    with Broker(stranger) as broker:
        Fleet(site="city", port=broker.mqtt_port, client_port=broker.client_port).save(home)
        with receiving(home, database) as receiver:
            assert eventually(lambda: receiver.error is not None)
        assert isinstance(receiver.error, ServiceError)
        assert "not this fleet's" in receiver.error.message
        (home.keys / "ca.pem").write_bytes((stranger.keys / "ca.pem").read_bytes())
        with receiving(home, database) as receiver:
            assert eventually(lambda: receiver.error is not None)
        assert isinstance(receiver.error, ServiceError)
        assert "refuses the receiver's credentials" in receiver.error.message


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_each_new_event_once_and_stops_cleanly(
    home: Home, broker: Broker, how: signal.Signals, start_command: StartCommand
) -> None:
    process = start_command("receive", "--json")
    assert json.loads(next_line(process)) == {"ready": True}
    with connected(home, broker) as device:
        for seq in (1, 1, 2):
            device.publish_only(wire(seq))
            assert device.command() == ack(seq)
    process.send_signal(how)
    said, complaints = process.communicate(timeout=30)
    assert process.returncode == 0, complaints
    assert [json.loads(line)["seq"] for line in said.splitlines()] == [1, 2]
    assert complaints == ""


@pytest.mark.parametrize("as_json", [True, False])
def test_the_command_says_of_an_alarm_that_its_wearer_has_cancelled_it(
    home: Home, broker: Broker, as_json: bool, start_command: StartCommand
) -> None:
    process = start_command("receive", *(["--json"] if as_json else []))
    assert next_line(process)
    with connected(home, broker) as device:
        for payload in (wire(2, "cancel", of=[3, 1]), wire(1, kind="fall"), wire(1, kind="fall", attempt=2), wire(4)):
            device.publish_only(payload)
            assert device.command() == ack(json.loads(payload)["seq"])
    process.terminate()
    lines = process.communicate(timeout=30)[0].splitlines()
    if as_json:
        found = [json.loads(line) for line in lines]
        assert [(each["type"], each["seq"], each["of"], each["state"]) for each in found] == [
            ("cancel", 2, [3, 1], None),
            ("alarm", 1, None, "cancelled"),
            ("alarm", 4, None, "raised"),
        ]
    else:
        assert [line.split("city/AN000001  ")[1] for line in lines] == [
            "cancel of (3, 1)  (3, 2)",
            "alarm fall, cancelled  (3, 1)",
            "alarm sos  (3, 4)",
        ]


def test_a_repetition_is_given_on_with_the_state_that_its_alarm_has_by_then(
    home: Home, broker: Broker, database: Database
) -> None:
    with receiving(home, database) as receiver, connected(home, broker) as device:
        for payload in (wire(1), wire(2, "cancel", of=[3, 1]), wire(1, attempt=2)):
            device.publish_only(payload)
            assert device.command() == ack(json.loads(payload)["seq"])
        assert eventually(lambda: len(receiver.events) == 3)
    found = [(event.seq, event.state, new) for event, new in receiver.events]
    assert found == [(1, "raised", True), (2, None, True), (1, "cancelled", False)]


def test_the_command_waits_for_a_broker_that_is_not_there_yet(home: Home, start_command: StartCommand) -> None:
    with Broker(home) as broker:
        ports = broker.mqtt_port, broker.client_port
    process = start_command("receive")
    assert "can't be reached" in next_line(process, "stderr")
    with Broker(home, *ports) as broker:
        assert next_line(process).startswith("Receiving.")
        with connected(home, broker) as device:
            device.publish_only(wire(1))
            assert device.command() == ack(1)
        assert "city/AN000001  alarm sos  (3, 1)" in next_line(process)
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_the_command_stops_cleanly_while_its_broker_is_away(home: Home, start_command: StartCommand) -> None:
    with Broker(home) as broker:
        process = start_command("receive")
        assert next_line(process).startswith("Receiving.")
    # What waited for events may tell of it first.
    while "lost" not in (said := next_line(process, "stderr")):
        assert said
    # nats-py writes to the lost connection as it is closed, once it has tried to find the broker again.
    with socket.create_server(("127.0.0.1", broker.client_port)) as found:
        found.settimeout(30)
        found.accept()[0].close()
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert (process.returncode, "unexpected" in said) == (0, False)


def test_closing_an_alarm_tells_its_device(home: Home, broker: Broker, database: Database) -> None:
    with connected(home, broker) as device:
        with receiving(home, database):
            device.publish_only(wire(5))
            assert device.command() == ack(5)
        said = handle(5)
        assert said.returncode == 0, said.stderr
        assert json.loads(said.stdout)["handled_by"] == "mina"
        assert device.command() == {"v": 1, "cmd": "handled", "boot": 3, "seq": 5}
    listed = subprocess.run([sys.executable, "-c", RUN, "alarms", "--json"], capture_output=True, text=True, timeout=60)
    assert json.loads(listed.stdout)["state"] == "handled"
    still_open = subprocess.run(
        [sys.executable, "-c", RUN, "alarms", "--open", "--json"], capture_output=True, text=True, timeout=60
    )
    assert still_open.stdout == ""


def handle(seq: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", RUN, "alarms", "handle", "AN000001", "3", str(seq), "--by", "mina", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_an_alarm_is_closed_while_the_broker_is_away(home: Home, database: Database) -> None:
    with Broker(home) as broker, receiving(home, database), connected(home, broker) as device:
        device.publish_only(wire(5))
        assert device.command() == ack(5)
    said = handle(5)
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["handled_by"] == "mina"
    assert "hears of it with its next event" in said.stderr


@pytest.mark.usefixtures("home")
def test_a_number_that_no_event_can_have_is_bad_input() -> None:
    said = handle(2**30)
    assert said.returncode == 2
    assert "1073741823" in json.loads(said.stdout)["error"]


def test_a_reader_that_goes_away_is_no_trouble_for_the_receiver(
    home: Home, broker: Broker, start_command: StartCommand
) -> None:
    process = start_command("receive")
    assert process.stdout is not None and process.stderr is not None
    assert next_line(process).startswith("Receiving.")
    process.stdout.close()
    with connected(home, broker) as device:
        for seq in range(3):
            device.publish_only(wire(seq))
            assert device.command() == ack(seq)
        broker.stop()
        # What waited for events may tell of it first.
        while "lost the broker" not in (said := next_line(process, "stderr")):
            assert said
    process.terminate()
    process.wait(timeout=30)
    assert "Traceback" not in process.stderr.read()


def test_a_broker_killed_at_random_under_load_loses_nothing(home: Home, database: Database) -> None:
    rounds, each_round, order = 3, 400, random.Random(7)
    pending: set[int] = set()
    with contextlib.ExitStack() as ending:
        broker = ending.enter_context(Broker(home))
        ending.enter_context(receiving(home, database))
        for first in range(0, rounds * each_round, each_round):
            pending.update(range(first, first + each_round))
            with connected(home, broker) as device:
                send_all(device, range(first, first + each_round))
                take_acks(device, pending, order.uniform(0, 0.05))
                _kill_server(home)
            broker.stop()
            broker.start()
        with connected(home, broker) as device:
            deadline = time.monotonic() + 60
            while pending and time.monotonic() < deadline:
                send_all(device, sorted(pending)[:200])
                take_acks(device, pending, 1)
    assert pending == set()
    assert sorted(row["seq"] for row in rows(home)) == list(range(rounds * each_round))


def _kill_server(home: Home) -> None:
    found = subprocess.run(["pgrep", "-f", f"nats-server -c {home.broker}"], capture_output=True, text=True)
    for line in found.stdout.split():
        os.kill(int(line), signal.SIGKILL)
