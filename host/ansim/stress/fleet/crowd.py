"""The load as the run has it: Locust's master and workers, each a process of its own."""

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from ansim.errors import AnsimError, ServiceError
from ansim.stress.fleet.city import City, EventId
from ansim.stress.fleet.guarded import STDERR, guarded
from ansim.stress.fleet.ticket import Ticket
from ansim_fw.core.event import TYPE_NAMES

LOAD = "ansim.stress.fleet.load"
_COMMAND = [sys.executable, "-m", LOAD]
_START_S = 60
# Somebody has to carry the ticket to the other machines.
_JOIN_S = 600
_REPORT_S = 60
# Descriptors beside the connections: a process's own, and the broker's files.
_SPARE_DESCRIPTORS = 200


@dataclass(frozen=True)
class State:
    """How the fleet fares.

    Args:
        workers, devices: how many are there.
        connected: how many devices are.
        owed: alarms, faults and restores that are not acknowledged.
        alarms: how many were raised so far.
        silent: devices whose last heartbeat is older than their interval and a little.
        late_s: how late the slowest process of the load was, since the state before.
    """

    workers: int = 0
    devices: int = 0
    connected: int = 0
    owed: int = 0
    alarms: int = 0
    silent: int = 0
    late_s: float = 0.0


@dataclass
class Made:
    """What all devices made: each event's type and whether its ack came.

    Attributes:
        figures: Locust's, as load.py tells them.
    """

    events: dict[EventId, tuple[str, bool]] = field(default_factory=dict)
    figures: list[dict[str, Any]] = field(default_factory=list)

    def lasting(self) -> set[EventId]:
        """Return the ids of all but heartbeats: a device keeps those events until they are acknowledged."""
        return {id for id, (kind, _) in self.events.items() if kind != "heartbeat"}


class Crowd:
    """The devices of a run in processes of their own, as a context manager.

    Args:
        here: how many processes there are on this machine; elsewhere: how many others join with the ticket.
        on_ticket: called with the ticket's path once they may.
    """

    def __init__(
        self, city: City, spread_s: int, here: int, elsewhere: int = 0, on_ticket: Callable[[Path], None] = print
    ) -> None:
        self._city = city
        self._spread_s = spread_s
        self._here = here
        self._shares = here + elsewhere
        self._on_ticket = on_ticket
        self._state = State()
        self._worst = (0.0, 0)
        self._port = 0
        self._made = Made()
        self._changed = threading.Condition()
        self._lost = False
        self._processes: list[subprocess.Popen[str]] = []
        self._ending = contextlib.ExitStack()
        self.log_file = city.home.path / "load.log"

    def __enter__(self) -> "Crowd":
        with contextlib.ExitStack() as starting:
            self._start_master(starting)
            ticket = self._write_ticket()
            for _ in range(self._here):
                self._start(starting, ["worker", str(ticket)])
            self._await_workers(ticket)
            self._ending = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    @property
    def state(self) -> State:
        return self._state

    def worst(self) -> tuple[float, int]:
        """Return how late the load was, in seconds, and how many devices were silent, both since the last call."""
        with self._changed:
            worst, self._worst = self._worst, (0.0, 0)
        return worst

    def spawn(self, devices: int, rate: float) -> None:
        """Switch devices on, so many a second."""
        self._ask(do="spawn", devices=devices, rate=rate)

    def begin(self, phase: str) -> None:
        """Keep Locust's figures under this name from now on."""
        self._ask(do="phase", name=phase)

    def call(self, alarms: int, over_s: float, faults: bool = False) -> None:
        """Have so many devices raise an alarm each, evenly over so many seconds, and (faults) the others a fault."""
        devices = self._state.devices
        self._ask(do="raise", devices=devices, alarms=min(alarms, devices), over_s=over_s, faults=faults)

    def until(self, condition: Callable[[State], bool], timeout_s: float) -> bool:
        """Wait until the condition holds; tell whether it did in time.

        Raises:
            ServiceError: a process of the load is gone.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not condition(self._state):
                if self._lost or any(each.poll() is not None for each in self._processes):
                    raise ServiceError("a process of the load ended", f"Look into {self.log_file}.")
                if not self._changed.wait(deadline - time.monotonic()):
                    return False
        return True

    def report(self) -> Made:
        """Return what all devices made.

        Raises:
            ServiceError: the load does not answer.
        """
        self._ask(do="report")
        if not self.until(lambda _state: bool(self._made.figures), _REPORT_S):
            raise ServiceError("the load does not say what it made", f"Look into {self.log_file}.")
        return self._made

    def _start_master(self, starting: contextlib.ExitStack) -> None:
        self._control, theirs = socket.socketpair()
        starting.callback(self._control.close)
        with theirs:
            self._start(starting, ["master", str(theirs.fileno())], handed=theirs.fileno())
        threading.Thread(target=self._listen, daemon=True).start()
        if not self.until(lambda _state: self._port != 0, _START_S):
            raise ServiceError("Locust did not start", f"Look into {self.log_file}.")

    def _start(self, starting: contextlib.ExitStack, given: list[str], handed: int = STDERR) -> None:
        process = guarded([*_COMMAND, *given], self.log_file, handed=handed)
        self._processes.append(starting.enter_context(process))

    def _await_workers(self, ticket: Path) -> None:
        """Wait for all workers; those elsewhere are started by a person."""
        patience_s = _START_S
        if self._shares > self._here:
            self._on_ticket(ticket)
            patience_s = _JOIN_S
        if not self.until(lambda state: state.workers == self._shares, patience_s):
            raise ServiceError(
                f"only {self._state.workers} of {self._shares} processes of the load joined in {patience_s} s",
                f"Look into {self.log_file}.",
            )

    def _write_ticket(self) -> Path:
        path = self._city.home.path / "ticket.json"
        broker = self._city.broker
        Ticket.of(self._city.home, broker.mqtt_port, self._port, self._shares, self._spread_s).write(path)
        return path

    def _ask(self, **what: object) -> None:
        try:
            self._control.sendall(json.dumps(what).encode() + b"\n")
        except OSError as error:
            raise ServiceError("Locust ended", f"Look into {self.log_file}.") from error

    def _listen(self) -> None:
        """Take what the master tells, until it ends."""
        try:
            with contextlib.suppress(OSError), self._control.makefile("rb") as lines:
                for line in lines:
                    self._take(json.loads(line))
        finally:
            with self._changed:
                self._lost = True
                self._changed.notify_all()

    def _take(self, told: dict[str, Any]) -> None:
        with self._changed:
            if "port" in told:
                self._port = told["port"]
            elif "state" in told:
                state = State(**told["state"])
                self._lost = self._lost or state.workers < self._state.workers
                self._state = state
                self._worst = max(self._worst[0], state.late_s), max(self._worst[1], state.silent)
            elif "made" in told:
                self._made.events |= {
                    (device, boot, seq): (TYPE_NAMES[kind], acknowledged)
                    for device, boot, seq, kind, acknowledged in told["made"]["events"]
                }
            else:
                self._made.figures = told["figures"]
            self._changed.notify_all()


def join(ticket: Path) -> NoReturn:
    """Make this process one of a run's load, until that run ends.

    Raises:
        ServiceError, BadInput: that is no ticket.
    """
    Ticket.read(ticket)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.execv(sys.executable, [*_COMMAND, "worker", str(ticket)])


def allow_connections(wanted: int) -> None:
    """Let this process, and those that it starts, have so many connections each.

    Raises:
        AnsimError: the system does not allow it; says what to do.
    """
    needed = wanted + _SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise AnsimError(
            f"{wanted} connections need {needed} open files, and {hard} are allowed here",
            f"Allow more (ulimit -Hn {needed}, as root), or give a smaller --fleet.",
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
