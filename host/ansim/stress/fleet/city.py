"""What a fleet calls to: nats-server and ``ansim receive`` as processes of their own, in a home made for one run."""

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import sqlalchemy as sa

from ansim import credentials
from ansim.broker import Broker
from ansim.database import Database
from ansim.errors import ServiceError
from ansim.fleet import Fleet
from ansim.home import Home
from ansim.kept_ports import kept_ports
from ansim.schema import events, quarantine
from ansim.stress.fleet.guarded import below, guarded, said
from ansim.stress.fleet.ticket import HEARTBEAT_MIN, SITE

# An event's id: device, boot, seq.
EventId = tuple[str, int, int]


class City:
    """Broker and receiver in folder, as a context manager; both listen on this machine's own address alone."""

    def __init__(self, folder: Path, spread_s: int) -> None:
        self.home = Home(folder)
        self._spread_s = spread_s
        self._ending = contextlib.ExitStack()

    def __enter__(self) -> "City":
        with contextlib.ExitStack() as starting:
            credentials.make(self.home, "localhost")
            fleet = Fleet(SITE, port=0, client_port=0, heartbeat_min=HEARTBEAT_MIN, spread_s=self._spread_s)
            fleet.save(self.home)
            self.broker = starting.enter_context(Broker(self.home, *starting.enter_context(kept_ports())))
            self._start_receiver(starting)
            self._ending = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    @property
    def broker_word(self) -> str:
        """An argument of nats-server that no other process has."""
        return str(self.home.broker / "nats.conf")

    def kill_broker(self) -> None:
        """Kill nats-server with SIGKILL."""
        for server in below(self.broker_word):
            with contextlib.suppress(psutil.NoSuchProcess):
                server.kill()
        self.broker.stop()

    def start_broker(self) -> None:
        """Start it again, on the same ports."""
        self.broker.start()

    def stored(self) -> "Stored":
        """Return what the receiver has on disk."""
        database = Database.open(self.home.database_url)
        with contextlib.closing(database), database.reading() as connection:
            rows = connection.execute(sa.select(events.c.device, events.c.boot, events.c.seq, events.c.type)).all()
            again = connection.execute(sa.select(sa.func.sum(events.c.deliveries - 1))).scalar_one()
            refused = connection.execute(sa.select(sa.func.count()).select_from(quarantine)).scalar_one()
        return Stored({(row.device, row.boot, row.seq): row.type for row in rows}, int(again or 0), int(refused))

    def _start_receiver(self, starting: contextlib.ExitStack) -> None:
        log = self.home.path / "receiver.log"
        command = [sys.executable, "-m", "ansim", "receive", "--json"]
        environment = {"ANSIM_HOME": str(self.home.path), "ANSIM_DB": ""}
        process = starting.enter_context(guarded(command, log, environment))
        # Its first line says that it is ready; the others are not read, and it does not care.
        if not said(process).readline():
            raise ServiceError("the receiver did not start", f"Look into {log}.")


@dataclass(frozen=True)
class Stored:
    """What the receiver has: each event's type by its id, how often one came again, and how many it refused."""

    events: dict[EventId, str]
    repeated: int
    refused: int
