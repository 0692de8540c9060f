"""The whole way at the receiver's end: a device publishes over MQTT, the event is committed, its ack comes back."""

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mqtt_device import MqttDevice, identity, make_home, trusting

from ansim.broker import Broker
from ansim.credentials import STREAM, Authority
from ansim.database import Database
from ansim.errors import ServiceError
from ansim.event import Event
from ansim.event_stream import WAITING_PER_DEVICE, connect
from ansim.fleet import Fleet
from ansim.home import Home
from ansim.receiver import Receiver

RUN = "from ansim.cli import main; main()"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    made = make_home(tmp_path / "home")
    monkeypatch.setenv("ANSIM_HOME", str(made.path))
    monkeypatch.delenv("ANSIM_DB", raising=False)
    return made


@pytest.fixture
def broker(home: Home) -> Iterator[Broker]:
    with Broker(home) as running:
        yield running


@pytest.fixture
def database(home: Home) -> Iterator[Database]:
    opened = Database.open(home.database_url, busy_timeout_ms=100)
    yield opened
    opened.close()


class Running:
    """A receiver in a thread of its own."""

    def __init__(self, home: Home, database: Database) -> None:
        self.events: list[tuple[Event, bool]] = []
        self.notices: list[str] = []
        self._home, self._database = home, database
        self._started: Future[tuple[asyncio.AbstractEventLoop, Receiver]] = Future()
        self.ready = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self.error = error

    async def _main(self) -> None:
        receiver = Receiver(
            self._home,
            Fleet.load(self._home),
            self._database,
            on_event=lambda event, new: self.events.append((event, new)),
            on_notice=self.notices.append,
        )
        self._started.set_result((asyncio.get_running_loop(), receiver))
        running = asyncio.ensure_future(receiver.run())
        is_ready = asyncio.ensure_future(receiver.ready.wait())
        await asyncio.wait({running, is_ready}, return_when=asyncio.FIRST_COMPLETED)
        is_ready.cancel()
        self.ready.set()
        await running

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        loop, receiver = self._started.result(timeout=30)
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(receiver.stop)
        self._thread.join(timeout=30)
        assert not self._thread.is_alive()


@contextmanager
def receiving(home: Home, database: Database) -> Iterator[Running]:
    running = Running(home, database)
    running.start()
    try:
        assert running.ready.wait(30)
        yield running
    finally:
        running.stop()


def connected(home: Home, broker: Broker, device: str = "AN000001") -> MqttDevice:
    token = Authority.load(home).device_token(identity(device))
    found = MqttDevice(broker.mqtt_port, trusting(home), token, device)
    assert found.connack == 0
    assert found.subscribe()
    return found


def wire(seq: int, type: str = "alarm", attempt: int = 1, **members: Any) -> bytes:
    found = {"v": 1, "boot": 3, "seq": seq, "type": type, "try": attempt, **members}
    if type == "alarm":
        found.setdefault("kind", "sos")
    return json.dumps(found).encode()


def ack(seq: int) -> dict[str, Any]:
    return {"v": 1, "cmd": "ack", "boot": 3, "seq": seq}


def eventually(holds: Callable[[], bool], timeout_s: float = 20) -> bool:
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def rows(home: Home, table: str = "events") -> list[dict[str, Any]]:
    connection = sqlite3.connect(home.path / "ansim.db")
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
    finally:
        connection.close()


def waiting_in_stream(home: Home) -> int:
    async def look() -> int:
        client = await connect(home, Fleet.load(home), lambda _text: None)
        info = await client.jetstream().stream_info(STREAM)
        await client.close()
        return info.state.messages

    return asyncio.run(look())


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
        assert sorted(command["seq"] for command in _commands(device, 200)) == list(range(200))
        assert eventually(lambda: len(one.events) + len(two.events) == 200)
    assert sorted(row["seq"] for row in rows(home)) == list(range(200))


def _commands(device: MqttDevice, count: int) -> list[dict[str, Any]]:
    found = []
    for _ in range(count):
        command = device.command()
        assert command is not None
        found.append(command)
    return found


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


def start_command(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_each_new_event_once_and_stops_cleanly(
    home: Home, broker: Broker, how: signal.Signals
) -> None:
    process = start_command("receive", "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"ready": True}
    with connected(home, broker) as device:
        for seq in (1, 1, 2):
            device.publish_only(wire(seq))
            assert device.command() == ack(seq)
    process.send_signal(how)
    said, complaints = process.communicate(timeout=30)
    assert process.returncode == 0, complaints
    assert [json.loads(line)["seq"] for line in said.splitlines()] == [1, 2]
    assert complaints == ""


def test_the_command_waits_for_a_broker_that_is_not_there_yet(home: Home) -> None:
    with Broker(home) as broker:
        ports = broker.mqtt_port, broker.client_port
    process = start_command("receive")
    assert process.stdout is not None and process.stderr is not None
    assert "can't be reached" in process.stderr.readline()
    with Broker(home, *ports) as broker:
        assert process.stdout.readline().startswith("Receiving.")
        with connected(home, broker) as device:
            device.publish_only(wire(1))
            assert device.command() == ack(1)
        assert "city/AN000001  alarm sos  (3, 1)" in process.stdout.readline()
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_closing_an_alarm_tells_its_device(home: Home, broker: Broker, database: Database) -> None:
    with connected(home, broker) as device:
        with receiving(home, database):
            device.publish_only(wire(5))
            assert device.command() == ack(5)
        said = subprocess.run(
            [sys.executable, "-c", RUN, "alarms", "handle", "AN000001", "3", "5", "--by", "mina", "--json"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert said.returncode == 0, said.stderr
        assert json.loads(said.stdout)["handled_by"] == "mina"
        assert device.command() == {"v": 1, "cmd": "handled", "boot": 3, "seq": 5}
    listed = subprocess.run([sys.executable, "-c", RUN, "alarms", "--json"], capture_output=True, text=True, timeout=60)
    assert json.loads(listed.stdout)["state"] == "handled"
    still_open = subprocess.run(
        [sys.executable, "-c", RUN, "alarms", "--open", "--json"], capture_output=True, text=True
    )
    assert still_open.stdout == ""


def test_a_receiver_killed_at_random_under_load_loses_nothing(home: Home, broker: Broker) -> None:
    """Devices behave as docs/protocol.md says: an event is sent again until its ack comes."""
    # Fewer than the broker keeps for one device, or all would wait until it gives back what a dead receiver had.
    rounds, each_round, order = 4, 200, random.Random(7)
    pending: set[int] = set()
    with connected(home, broker) as device:
        for first in range(0, rounds * each_round, each_round):
            # No one reads its lines, so this also shows that a held terminal holds up nothing.
            process = start_command("receive", "--json")
            assert process.stdout is not None
            process.stdout.readline()
            pending.update(range(first, first + each_round))
            sender = threading.Thread(target=_send_all, args=(device, range(first, first + each_round)))
            sender.start()
            _take_acks(device, pending, leave=len(pending) - order.randrange(each_round // 2))
            process.kill()
            process.communicate()
            sender.join()
        process = start_command("receive", "--json")
        deadline = time.monotonic() + 60
        while pending and time.monotonic() < deadline:
            _take_acks(device, pending, 1)
            _send_all(device, sorted(pending)[:200])
        process.kill()
        process.communicate()
    assert pending == set()
    assert sorted(row["seq"] for row in rows(home)) == list(range(rounds * each_round))


def test_a_broker_killed_at_random_under_load_loses_nothing(home: Home, database: Database) -> None:
    rounds, each_round, order = 3, 400, random.Random(7)
    pending: set[int] = set()
    with contextlib.ExitStack() as ending:
        broker = ending.enter_context(Broker(home))
        ending.enter_context(receiving(home, database))
        for first in range(0, rounds * each_round, each_round):
            pending.update(range(first, first + each_round))
            with connected(home, broker) as device:
                _send_all(device, range(first, first + each_round))
                _take_acks(device, pending, order.uniform(0, 0.05))
                _kill_server(home)
            broker.stop()
            broker.start()
        with connected(home, broker) as device:
            deadline = time.monotonic() + 60
            while pending and time.monotonic() < deadline:
                _send_all(device, sorted(pending)[:200])
                _take_acks(device, pending, 1)
    assert pending == set()
    assert sorted(row["seq"] for row in rows(home)) == list(range(rounds * each_round))


def _kill_server(home: Home) -> None:
    found = subprocess.run(["pgrep", "-f", f"nats-server -c {home.broker}"], capture_output=True, text=True)
    for line in found.stdout.split():
        os.kill(int(line), signal.SIGKILL)


def _send_all(device: MqttDevice, seqs: Iterable[int]) -> None:
    for seq in seqs:
        device.publish_only(wire(seq))


def _take_acks(device: MqttDevice, pending: set[int], duration_s: float = 20, leave: int = 0) -> None:
    deadline = time.monotonic() + duration_s
    while len(pending) > leave and (left_s := deadline - time.monotonic()) > 0:
        command = device.command(timeout_s=left_s)
        if command is not None:
            pending.discard(command["seq"])
