"""The whole of Ansim in one folder: fleet, broker, receiver and virtual boards, for demo, tests and benchmarks."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ansim import credentials
from ansim.broker import Broker
from ansim.database import Database
from ansim.errors import ServiceError
from ansim.event import Event
from ansim.fleet import Fleet, WifiNetwork
from ansim.home import Home
from ansim.kept_ports import kept_ports
from ansim.receiver import Receiver
from ansim.virtual import VirtualBoard, start_board, stop_board

WIFI = WifiNetwork("sandbox", "peace-of-mind")
_START_S = 20.0
_STOP_S = 30.0


@dataclass(frozen=True)
class Heard:
    """An event that the receiver committed and acknowledged; ``ms`` is time.monotonic() in milliseconds."""

    ms: float
    event: Event
    new: bool


class BackgroundReceiver:
    """A receiver in a thread of its own, as a context manager, with what it heard."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._heard: list[Heard] = []
        self._changed = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._receiver: Receiver | None = None
        self._thread = threading.Thread(target=self._run, name="receiver", daemon=True)
        self._ready = threading.Event()

    def __enter__(self) -> "BackgroundReceiver":
        self._thread.start()
        if not self._ready.wait(_START_S):
            self.__exit__()
            raise ServiceError(f"the receiver was not ready after {_START_S:g} s", "Run it again.")
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._receiver is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._receiver.stop)
        self._thread.join(_STOP_S)
        if self._thread.is_alive():
            raise ServiceError(f"the receiver did not end in {_STOP_S:g} s", "This is a defect: please report it.")

    def heard(self) -> list[Heard]:
        """Return what was heard so far."""
        with self._changed:
            return list(self._heard)

    def wait_for(self, wanted: Callable[[Event], bool], timeout_s: float) -> Heard | None:
        """Return the first event that is wanted, waiting for it; None when none came in time."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                for heard in self._heard:
                    if wanted(heard.event):
                        return heard
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    return None

    def _run(self) -> None:
        # asyncio warns of how nats-py ends a TLS connection; the receiver tells of lost ones itself.
        logging.getLogger("asyncio").setLevel(logging.ERROR)
        database = Database.open(self._home.database_url)
        try:
            asyncio.run(self._receive(database))
        finally:
            database.close()

    async def _receive(self, database: Database) -> None:
        self._loop = asyncio.get_running_loop()
        self._receiver = Receiver(self._home, Fleet.load(self._home), database, self._take)
        announcing = asyncio.ensure_future(self._announce(self._receiver))
        try:
            await self._receiver.run()
        finally:
            announcing.cancel()

    async def _announce(self, receiver: Receiver) -> None:
        await receiver.ready.wait()
        self._ready.set()

    def _take(self, event: Event, new: bool) -> None:
        with self._changed:
            self._heard.append(Heard(time.monotonic() * 1000, event, new))
            self._changed.notify_all()


class Sandbox:
    """A fleet with broker and receiver in folder, as a context manager; ends all that it started.

    Args:
        host: the name or address by which its devices reach this machine.
        wifi: the network that they join.

    Attributes:
        home: its home, which no other one shares.
        broker, receiver: running while the context lasts.
    """

    def __init__(self, folder: Path, host: str = "localhost", wifi: WifiNetwork = WIFI) -> None:
        self.home = Home(folder)
        self.wifi = wifi
        self.host = host
        self._boards: list[VirtualBoard] = []
        self._ending = contextlib.ExitStack()

    def __enter__(self) -> "Sandbox":
        with contextlib.ExitStack() as starting:
            self.make_fleet()
            self.broker = starting.enter_context(Broker(self.home, *starting.enter_context(kept_ports())))
            self.receiver = starting.enter_context(BackgroundReceiver(self.home))
            self._ending = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        for board in list(self._boards):
            self.stop_board(board)
        self._ending.close()

    def make_fleet(self) -> None:
        """Make keys, certificates and settings, as ``ansim init`` does."""
        fleet = Fleet(site="sandbox", host=self.host, role="hub", port=0, client_port=0, spread_s=0)
        fleet = fleet.with_network(self.wifi)
        credentials.make(self.home, fleet.host)
        fleet.save_wifi(self.home)
        fleet.save(self.home)

    def start_board(
        self,
        name: str = "virtual",
        *,
        board: str = "virtual",
        paced: bool = False,
        speed: int = 1,
        skip_sleep: bool = False,
    ) -> VirtualBoard:
        """Start a virtual board in reach of the fleet's Wi-Fi; it ends with the sandbox."""
        started = start_board(
            self.home, name, board=board, paced=paced, speed=speed, skip_sleep=skip_sleep, with_parent=True
        )
        self._boards.append(started)
        started.control.network(self.wifi.ssid, self.wifi.passphrase)
        return started

    def stop_board(self, board: VirtualBoard) -> None:
        """End one of its boards before the sandbox ends; one that has ended already is fine."""
        if board in self._boards:
            self._boards.remove(board)
            stop_board(board)
