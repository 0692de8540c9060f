"""One process's share of a fleet: light devices as users of Locust's, and what its master has them do."""

import gc
import itertools
import random
import time
from collections.abc import Callable
from typing import Any

import gevent
from locust import User, task
from locust.env import Environment
from locust.rpc import Message
from locust.runners import WorkerRunner

from ansim.registry import Identity
from ansim.stress.fleet.device import LightDevice, device_name
from ansim.stress.fleet.ticket import HEARTBEAT_MIN, SITE, Ticket
from ansim.stress.fleet.wire import TlsWire

# The names of messages between Locust's master and its workers.
TO_WORKERS = "fleet"
STATE = "fleet_state"
MADE = "fleet_made"
STATE_EVERY_S = 0.25
# What a share tells of itself: crowd.State says what each is.
COUNTS = ("devices", "connected", "owed", "alarms", "silent")
_LATE_EVERY_S = 0.02
# No token tells it.
_MAC = "24:6f:28:00:00:01"
# A heartbeat's first retry comes after 2 s, its second after 4 s more.
_HEARTBEAT_SLACK_S = 10


class Share:
    """The devices of this process, and how they fare.

    Attributes:
        phase: what is going on, by which Locust keeps its figures apart.
    """

    def __init__(self, ticket: Ticket, environment: Environment) -> None:
        assert isinstance(environment.runner, WorkerRunner)
        self.phase = ""
        self._ticket = ticket
        # Locust does not say what its hooks take.
        self._tell_locust: Callable[..., None] = environment.events.request.fire
        self._runner = environment.runner
        self._context = ticket.trusting()
        self._authority = ticket.authority()
        self._settings = {"heartbeat_min": ticket.heartbeat_min, "spread_s": ticket.spread_s}
        self._count = itertools.count()
        self._devices: list[LightDevice] = []
        self._connected = 0
        self._owed = 0
        self._alarms = 0
        self._late_s = 0.0
        # It would stop the load for most of a second now and then, and what it was late with would come in a crowd.
        gc.disable()
        self._runner.register_message(TO_WORKERS, self._obey, concurrent=True)
        gevent.spawn(self._watch_lateness)
        gevent.spawn(self._tell_state)

    def add_device(self) -> TlsWire:
        """Return the wire of a device that is new and switched on."""
        wire = TlsWire((self._ticket.host, self._ticket.broker_port), self._context)
        number = next(self._count) * self._ticket.shares + self._runner.worker_index
        identity = Identity(device_name(number), _MAC, "virtual", SITE, "hub", 1)
        token = self._authority.device_token(identity)
        wire.device = LightDevice(number, SITE, token, self._settings, wire, self)
        self._devices.append(wire.device)
        wire.device.step()
        return wire

    # What devices tell

    def took(self, what: str, ms: float, trouble: str) -> None:
        self._tell_locust(
            request_type=self.phase, name=what, response_time=ms, response_length=0, exception=trouble or None
        )

    def made(self, what: str) -> None:
        self._owed += 1
        self._alarms += what == "alarm"

    def settled(self) -> None:
        self._owed -= 1

    def linked(self, up: bool) -> None:
        self._connected += 1 if up else -1

    # What the master wants

    def _obey(self, environment: Environment, msg: Message) -> None:
        del environment
        asked: dict[str, Any] = msg.data
        if asked["do"] == "phase":
            self.phase = asked["name"]
        elif asked["do"] == "raise":
            self._raise(asked["first"], asked["devices"], asked["alarms"], asked["over_s"], asked["faults"])
        elif asked["do"] == "report":
            self._report()

    def _raise(self, first: int, devices: int, alarms: int, over_s: float, faults: bool) -> None:
        """Raise this share's part of so many alarms, spread evenly over fleet and time.

        Args:
            first, devices: the place of our first device in the whole fleet, and how many that has.
            faults: each device that raises no alarm reports a fault, at once.
        """
        began_s = time.monotonic()
        calling = []
        for place, one in enumerate(self._devices, first):
            rank = place * alarms // devices
            if (place + 1) * alarms // devices > rank:
                calling.append((began_s + over_s * rank / alarms, one))
            elif faults:
                one.report("storage")
        for at_s, one in calling:
            gevent.sleep(max(at_s - time.monotonic(), 0))
            one.alarm()

    def _report(self) -> None:
        # What they made is not to grow behind the report.
        for one in self._devices:
            one.end()
        made = [
            [one.name, boot, seq, each.type, each.acknowledged]
            for one in self._devices
            for (boot, seq), each in one.events.items()
        ]
        self._runner.send_message(MADE, {"events": made})

    def _tell_state(self) -> None:
        while True:
            gevent.sleep(STATE_EVERY_S)
            late_s, self._late_s = self._late_s, 0.0
            counts = (len(self._devices), self._connected, self._owed, self._alarms, self._silent())
            self._runner.send_message(STATE, {**dict(zip(COUNTS, counts, strict=True)), "late_s": late_s})

    def _silent(self) -> int:
        since_s = time.monotonic() - HEARTBEAT_MIN * 60 - _HEARTBEAT_SLACK_S
        return sum(one.heard_at_s < since_s for one in self._devices)

    def _watch_lateness(self) -> None:
        while True:
            due_s = time.monotonic() + _LATE_EVERY_S
            gevent.sleep(_LATE_EVERY_S)
            self._late_s = max(self._late_s, time.monotonic() - due_s)


class DeviceUser(User):
    """One device, for as long as Locust lets it."""

    @task
    def live(self) -> None:
        # Locust starts a second's users at one moment, and heartbeats go by the moment of the start.
        gevent.sleep(random.random())
        share: Share = self.environment.share
        share.add_device().serve()
