"""The world around the devices: a fleet with broker and receiver of its own, which can go away and come back."""

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ansim.broker import Broker
from ansim.database import Database
from ansim.errors import AnsimError, ServiceError, unforeseen
from ansim.fleet import Fleet
from ansim.home import Home
from ansim.kept_ports import kept_ports
from ansim.places import Ground
from ansim.receiver import Receiver
from ansim.sandbox import WIFI, Sandbox
from ansim.stress.clock import RunClock
from ansim.stress.plan import PlannedOutage
from ansim.stress.result import Fault
from ansim.workers import Ended, Said, Say, Workers

_RECEIVER = "receiver"
_READY_S = 30.0
_STOP_S = 30.0


class World:
    """A context manager; whatever it started has ended when it ends, and dies with this process.

    Attributes:
        sandbox: starts its boards; clock: the run's; receiver: its process.
        faults: outages that were, in order; error: why an outage could not be ended, or what ended without one.
    """

    def __init__(self, folder: Path, ground: Ground, clock: RunClock, workers: Workers, role: str = "hub") -> None:
        self.sandbox = Sandbox(folder, ground.host, ground.wifi or WIFI)
        self.clock = clock
        self.faults: list[Fault] = []
        self.error: AnsimError | None = None
        self.receiver = ReceiverProcess(self.sandbox.home, workers)
        self._role = role
        self._one_at_a_time = threading.Lock()
        self._ending = contextlib.ExitStack()

    def __enter__(self) -> "World":
        with contextlib.ExitStack() as starting:
            self.sandbox.make_fleet()
            replace(Fleet.load(self.sandbox.home), role=self._role).save(self.sandbox.home)
            self._broker = starting.enter_context(Broker(self.sandbox.home, *starting.enter_context(kept_ports())))
            starting.callback(self.receiver.stop)
            self.receiver.start()
            self._ending = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def play(self, outages: Iterator[PlannedOutage], stop: threading.Event) -> None:
        """Let things go wrong until stop; all is well again when it returns."""
        try:
            for outage in outages:
                if stop.wait(outage.after_ms / 1000):
                    return
                with self._one_at_a_time:
                    self._play(outage, stop)
        except Exception as error:
            self.error = error if isinstance(error, AnsimError) else unforeseen(error)

    def look(self) -> None:
        """Note it as the error if broker or receiver has ended by itself. Not while outages are played."""
        try:
            self._check()
        except AnsimError as error:
            self.error = self.error or error

    def _check(self) -> None:
        """Raise a ServiceError if one of them has ended by itself, which an outage would hide."""
        self.receiver.check()
        self._broker.watch(0)

    def _play(self, outage: PlannedOutage, stop: threading.Event) -> None:
        self._check()
        begun_ms = self.clock.now_ms()
        away, back = {
            "broker": (self._broker.stop, self._broker.start),
            "receiver": (self.receiver.stop, self.receiver.start),
            "receiver_kill": (self.receiver.kill, self.receiver.start),
        }[outage.kind]
        away()
        stop.wait(outage.for_ms / 1000)
        back()
        self.faults.append(Fault(begun_ms, self.clock.now_ms(), "", outage.kind, f"for {outage.for_ms} ms"))


class ReceiverProcess:
    """A receiver in a process of its own, which can be killed as a machine kills it.

    Attributes:
        pid: 0: it does not run.
    """

    def __init__(self, home: Home, workers: Workers) -> None:
        self._home = home
        self._workers = workers
        self.pid = 0

    def start(self) -> None:
        """Start it, and wait until it takes events.

        Raises:
            ServiceError: it does not come so far.
        """
        self._workers.start(_RECEIVER, receive, str(self._home.path))
        deadline = time.monotonic() + _READY_S
        while not self.pid:
            if time.monotonic() > deadline:
                raise ServiceError(f"the receiver was not ready after {_READY_S:g} s", "Run it again.")
            for each in self._workers.poll(0.1):
                if isinstance(each, Ended):
                    raise each.error or ServiceError("the receiver ended at once")
                if isinstance(each, Said):
                    self.pid = int(each.what)

    def check(self) -> None:
        """Raise a ServiceError if it has ended by itself."""
        for each in self._workers.poll(0):
            if isinstance(each, Ended):
                self.pid = 0
                why = each.error.message if each.error else "nobody asked it to"
                raise ServiceError(f"the receiver ended by itself: {why}", "This is a defect: please report it.")

    def stop(self) -> None:
        """End it in order. Does nothing when it does not run."""
        self._workers.cancel(_RECEIVER)
        self._await_end()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
        self._await_end()

    def _await_end(self) -> None:
        deadline = time.monotonic() + _STOP_S
        while _RECEIVER in self._workers.running and time.monotonic() < deadline:
            self._workers.poll(0.1)
        self.pid = 0


def receive(say: Say, folder: str) -> None:
    """Receive until interrupted, and say this process's id once events are taken; a task of Workers."""
    # Who ends the run's group of processes ends the run first: its devices come to rest yet.
    os.setsid()
    # asyncio warns of how nats-py ends a TLS connection.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    home = Home(Path(folder))
    database = Database.open(home.database_url)
    try:
        asyncio.run(_receive(say, home, database))
    finally:
        database.close()


async def _receive(say: Say, home: Home, database: Database) -> None:
    receiver = Receiver(home, Fleet.load(home), database)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, receiver.stop)
    running = asyncio.ensure_future(receiver.run())
    ready = asyncio.ensure_future(receiver.ready.wait())
    await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    if not running.done():
        say(os.getpid())
    await running
