"""What tests of the receiver share: receivers in threads and processes, connected devices, and what is stored."""

import asyncio
import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from mqtt_device import MqttDevice, identity, trusting

from ansim.broker import Broker
from ansim.credentials import STREAM, Authority
from ansim.database import Database
from ansim.event import Event
from ansim.event_stream import connect, leave
from ansim.fault_rows import Fault
from ansim.fleet import Fleet
from ansim.fleet_watch import LOOK_S
from ansim.home import Home
from ansim.receiver import Receiver

RUN = "from ansim.cli import main; main()"


class Running:
    """A receiver in a thread of its own."""

    def __init__(self, home: Home, database: Database, reach_ms: int | None, look_s: float) -> None:
        self.faults: list[Fault] = []
        self._reach_ms = reach_ms
        self._look_s = look_s
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
            on_fault=self.faults.append,
            reach_ms=self._reach_ms,
            look_s=self._look_s,
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
def receiving(home: Home, database: Database, reach_ms: int | None = None, look_s: float = LOOK_S) -> Iterator[Running]:
    running = Running(home, database, reach_ms, look_s)
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
        try:
            return (await client.jetstream().stream_info(STREAM)).state.messages
        finally:
            await leave(client)

    return asyncio.run(look())


def commands(device: MqttDevice, count: int) -> list[dict[str, Any]]:
    found = []
    for _ in range(count):
        command = device.command()
        assert command is not None
        found.append(command)
    return found


def send_all(device: MqttDevice, seqs: Iterable[int]) -> None:
    for seq in seqs:
        device.publish_only(wire(seq))


def take_acks(device: MqttDevice, pending: set[int], duration_s: float = 20, leave: int = 0) -> None:
    deadline = time.monotonic() + duration_s
    while len(pending) > leave and (left_s := deadline - time.monotonic()) > 0:
        command = device.command(timeout_s=left_s)
        if command is not None:
            pending.discard(command["seq"])
