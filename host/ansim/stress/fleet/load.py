"""The load's processes, which are Locust's: ``python -m ansim.stress.fleet.load master FD`` and ``... worker TICKET``.

The master listens for workers on the loopback interface alone, and does what it is told in lines of JSON on the socket
FD, whose end is its own. A worker is a share of the fleet's devices. Importing Locust makes Python's sockets and TLS
gevent's, so these are processes of their own.
"""

import json
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
from gevent.lock import RLock
from locust import runners
from locust.env import Environment
from locust.rpc import Message
from locust.stats import StatsEntry

from ansim.stress.fleet.share import COUNTS, MADE, STATE, STATE_EVERY_S, TO_WORKERS, DeviceUser, Share
from ansim.stress.fleet.ticket import Ticket

# How often Locust's workers send their figures; the run ends with the last ones.
_FIGURES_EVERY_S = 1.0
# A share that is too busy to say so for this long is taken for gone; Locust's own 3 s end a run that is merely hard.
_WORKER_SILENT_S = 30
_PERCENTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


class Master:
    """Locust's master between the run, which says what is to be done, and the workers, which do it."""

    def __init__(self, control: socket.socket) -> None:
        self._environment = Environment(user_classes=[DeviceUser])
        self._runner = self._environment.create_master_runner("127.0.0.1", 0)
        self._control = control
        self._telling = RLock()
        self._states: dict[str, dict[str, Any]] = {}
        self._made: dict[str, dict[str, Any]] = {}
        self._final: set[str] = set()
        self._runner.register_message(STATE, self._note_state)
        self._runner.register_message(MADE, self._note_made)
        listen: Callable[..., object] = self._environment.events.worker_report.add_listener
        listen(self._note_figures)
        gevent.spawn(self._tell_state)

    def serve(self) -> None:
        """Do what the run says, until it ends."""
        self._tell(port=self._runner.server.port)
        for line in self._lines():
            self._obey(json.loads(line))

    def _lines(self) -> Iterator[bytes]:
        waiting = b""
        while data := self._control.recv(4096):
            *lines, waiting = (waiting + data).split(b"\n")
            yield from lines

    def _obey(self, asked: dict[str, Any]) -> None:
        if asked["do"] == "spawn":
            gevent.spawn(self._runner.start, asked["devices"], asked["rate"])
            return
        first = 0
        for worker, state in self._states.items():
            self._runner.send_message(TO_WORKERS, {**asked, "first": first}, worker)
            first += state["devices"]

    def _note_state(self, environment: Environment, msg: Message) -> None:
        del environment
        self._states[msg.node_id] = msg.data

    def _note_made(self, environment: Environment, msg: Message) -> None:
        del environment
        self._made[msg.node_id] = msg.data

    def _note_figures(self, client_id: str, data: object) -> None:
        """Each worker's figures after what its devices made are the last ones."""
        del data
        if client_id in self._made and client_id not in self._final:
            self._final.add(client_id)
            self._tell(made=self._made[client_id])
            if len(self._final) == len(self._states):
                self._tell(figures=[_figures(each) for each in self._environment.stats.entries.values()])

    def _tell_state(self) -> None:
        while True:
            gevent.sleep(STATE_EVERY_S)
            states = list(self._states.values())
            counts = {name: sum(each[name] for each in states) for name in COUNTS}
            late_s = max((each["late_s"] for each in states), default=0)
            self._tell(state={**counts, "workers": min(len(states), self._runner.worker_count), "late_s": late_s})

    def _tell(self, **what: object) -> None:
        # A long line gives way to other greenlets before it is out.
        with self._telling:
            self._control.sendall(json.dumps(what).encode() + b"\n")


def _figures(entry: StatsEntry) -> dict[str, object]:
    return {
        "phase": entry.method,
        "what": entry.name,
        "count": entry.num_requests - entry.num_failures,
        "failed": entry.num_failures,
        "most_in_a_second": max(entry.num_reqs_per_sec.values(), default=0),
        **{name: entry.get_response_time_percentile(part) for name, part in _PERCENTILES.items()},
        "max_ms": round(entry.max_response_time),
    }


def work(ticket: Ticket) -> None:
    """Be a worker, until the master ends it."""
    environment = Environment(user_classes=[DeviceUser])
    runner = environment.create_worker_runner(ticket.host, ticket.master_port)
    environment.share = Share(ticket, environment)  # type: ignore[attr-defined]  # Locust's way to hand things to users
    runner.greenlet.join()


def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    runners.WORKER_REPORT_INTERVAL = _FIGURES_EVERY_S
    runners.HEARTBEAT_LIVENESS = _WORKER_SILENT_S
    what, given = sys.argv[1:]
    if what == "master":
        Master(socket.socket(fileno=int(given))).serve()
    else:
        work(Ticket.read(Path(given)))


if __name__ == "__main__":
    main()
