"""The receiver's process killed with SIGKILL at any point: every event has one row, and is acknowledged in the end."""

import random
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mqtt_device import MqttDevice, make_home
from process_kit import StartCommand, next_line
from receiver_kit import ack, connected, eventually, rows, waiting_in_stream, wire

from ansim.broker import Broker
from ansim.database import Database
from ansim.event import parse
from ansim.event_store import EventStore
from ansim.home import Home

KILLS = 12


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    made = make_home(tmp_path / "home")
    monkeypatch.setenv("ANSIM_HOME", str(made.path))
    monkeypatch.delenv("ANSIM_DB", raising=False)
    return made


class BusyDevice:
    """A device that raises events without end, and sends each again until its ack comes, as docs/protocol.md says."""

    _UNDER_WAY = 60
    _RETRY_S = 0.5

    def __init__(self, connection: MqttDevice) -> None:
        self._connection = connection
        self._sent_at: dict[int, float] = {}
        self.raised = 0
        self.acknowledged = 0
        self.raising = True
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def finish(self) -> bool:
        """Raise no more; tell whether everything was acknowledged in the end."""
        self.raising = False
        self._thread.join(60)
        return not self._thread.is_alive() and not self._sent_at

    def _run(self) -> None:
        deadline = time.monotonic() + 120
        while (self.raising or self._sent_at) and time.monotonic() < deadline:
            while self.raising and len(self._sent_at) < self._UNDER_WAY:
                self._send(self.raised)
                self.raised += 1
            command = self._connection.command(timeout_s=0.02)
            if command is not None:
                self.acknowledged += self._sent_at.pop(command["seq"], None) is not None
            for seq, at in list(self._sent_at.items()):
                if time.monotonic() - at > self._RETRY_S:
                    self._send(seq)

    def _send(self, seq: int) -> None:
        self._sent_at[seq] = time.monotonic()
        self._connection.publish_only(wire(seq))


@contextmanager
def busy_device(home: Home, broker: Broker) -> Iterator[BusyDevice]:
    with connected(home, broker) as connection:
        device = BusyDevice(connection)
        try:
            yield device
        finally:
            device.finish()


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


def test_a_receiver_killed_many_times_anywhere_loses_nothing_and_acknowledges_everything(
    home: Home, start_command: StartCommand
) -> None:
    order = random.Random(7)
    with Broker(home) as broker, busy_device(home, broker) as device:
        for number in range(KILLS):
            process = start_command("receive", "--json")
            if number % 4 == 3:
                # While it starts: interpreter, migration, connecting, comparing with the archive.
                time.sleep(order.uniform(0, 0.9))
            else:
                # In the middle of its batches, counted in acknowledgements.
                wanted = device.acknowledged + order.randrange(1, 200)
                assert eventually(lambda wanted=wanted: device.acknowledged >= wanted, 30)  # type: ignore[misc]
            kill(process)
        process = start_command("receive", "--json")
        assert device.finish()
        assert eventually(lambda: waiting_in_stream(home) == 0, 30)
        kill(process)
        stored = [row["seq"] for row in rows(home)]
    assert sorted(stored) == list(range(device.raised))
    assert device.acknowledged == device.raised
    assert rows(home, "faults") == []


def test_what_a_receiver_committed_before_it_died_is_acknowledged_by_the_next(
    home: Home, start_command: StartCommand
) -> None:
    """As it is when the kill comes between commit and acknowledgement: a row, and the message still in the stream."""
    with Broker(home) as broker, connected(home, broker) as device:
        kill(_started(start_command))
        device.publish_only(wire(7))
        assert eventually(lambda: waiting_in_stream(home) == 1)
        database = Database.open(home.database_url)
        EventStore(database).store([parse("ansim.city.AN000001.evt", wire(7), datetime.now(UTC))])
        database.close()
        process = _started(start_command)
        assert device.command() == ack(7)
        assert eventually(lambda: waiting_in_stream(home) == 0)
        kill(process)
    assert [(row["seq"], row["deliveries"]) for row in rows(home)] == [(7, 2)]


def _started(start_command: StartCommand) -> "subprocess.Popen[str]":
    process = start_command("receive", "--json")
    next_line(process)
    return process
