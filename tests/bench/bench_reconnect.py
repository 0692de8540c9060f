"""How fast a fleet of 5,000 comes back after an outage: in virtual time, and on real connections.

Virtual: the firmware's LinkWatch for each device, seeded with chip numbers in a row, through each outage; several
batches of numbers, and the worst of them counts. While the broker is away attempts are refused at once, the quickest
case.

Real: the light devices of ``ansim stress --fleet``, each the firmware's whole core, MQTT 3.1.1 over TLS against
nats-server, a receiver in a process of its own, SQLite. All are switched on at one moment; then nats-server is killed
with SIGKILL and started again, while each device has an event waiting. Rates are those at which the broker took the
connections that lasted, by its own record.

Broker, receiver and 5,000 devices share this machine. How late the load was at the worst is printed: one that is late
by a second or more is too slow, and its figures tell of it and not of the broker. All connections go over the loopback
interface: no Wi-Fi, no router, no packet lost.
"""

import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from broker_count import accepted_ms, let_count
from fleet_rows import repeated_deliveries, stored_ids
from mqtt_device import make_home
from returning_fleet import FIRST_MAC, MOST_PER_SECOND, Outage, Return, come_back, most_in_a_second

from ansim.stress.fleet.city import City, EventId
from ansim.stress.fleet.crowd import Crowd, State, allow_connections
from ansim.stress.fleet.guarded import Meter
from ansim_fw.core import config
from figure import Figure

DEVICES = 5000
SPREAD_S = config.default("spread_s")
BATCHES = 20
PATIENCE_S = 240
LOAD_PROCESSES = 2
LOOK_S = 1.0

OUTAGES = {
    "power back in a district": Outage(0, power_cut=True),
    "broker away for 1 s": Outage(1000),
    "broker away for 10 s": Outage(10_000),
    "broker away for 60 s": Outage(60_000),
    "broker away for 10 min": Outage(600_000),
}


def measure() -> list[Figure]:
    return _virtual() + _real()


def _virtual() -> list[Figure]:
    found = []
    for name, outage in OUTAGES.items():
        calm = _returns(outage)
        urgent = _returns(Outage(outage.away_ms, outage.power_cut, urgent_every=10))
        last_s = max(max(back.connections_ms) for back in calm) / 1000 - outage.away_ms / 1000
        found += [
            Figure(f"virtual, {name}: connections in a second", _worst(calm), "", MOST_PER_SECOND),
            Figure("  the same, and one in ten has an alarm waiting", _worst(urgent), ""),
            Figure("  all are back after", round(last_s, 1), "s", 2 * SPREAD_S),
        ]
    return found


def _returns(outage: Outage) -> list[Return]:
    return [come_back(DEVICES, SPREAD_S * 1000, outage, FIRST_MAC + batch * DEVICES) for batch in range(BATCHES)]


def _worst(returns: list[Return]) -> int:
    return max(most_in_a_second(back.connections_ms) for back in returns)


@dataclass
class Lived:
    """What the real fleet lived through."""

    first_ms: list[int]
    again_ms: list[int]
    away_s: float
    back_s: float
    failed: int
    late_s: float
    broker_bytes: int
    raised: set[EventId]


def _real() -> list[Figure]:
    allow_connections(DEVICES)
    # asyncio warns of how nats-py ends a TLS connection.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder) / "home")
        let_count(home)
        with City(home.path, SPREAD_S) as city, Crowd(city, SPREAD_S, LOAD_PROCESSES) as crowd:
            lived = _Life(city, crowd).live()
        stored, repeated = stored_ids(home), repeated_deliveries(home)
    return [
        Figure(
            f"{DEVICES} switched on at once: connections in a second",
            most_in_a_second(lived.first_ms),
            "",
            MOST_PER_SECOND,
        ),
        Figure("nats-server killed and started again: the same", most_in_a_second(lived.again_ms), "", MOST_PER_SECOND),
        Figure("  it was away for", round(lived.away_s, 1), "s"),
        Figure("  connected again", len(lived.again_ms), "", DEVICES, at_least=True),
        Figure("  attempts that failed while it was up", lived.failed, "", 0),
        Figure("  all are back, and all that waited is acknowledged, after", round(lived.back_s, 1), "s"),
        Figure("  events that waited or arose", len(lived.raised), ""),
        Figure("  of them without a row", len(lived.raised - stored), "", 0),
        Figure("  rows of no event", len(stored - lived.raised), "", 0),
        Figure("  delivered again", repeated, ""),
        Figure("  nats-server's memory", round(lived.broker_bytes / 1024**2), "MB"),
        Figure("  the load was late by", round(lived.late_s, 2), "s", 1),
    ]


class _Life:
    def __init__(self, city: City, crowd: Crowd) -> None:
        self._city = city
        self._crowd = crowd
        self._meter = Meter({"broker": city.broker_word})

    def live(self) -> Lived:
        city, crowd = self._city, self._crowd
        crowd.spawn(DEVICES, rate=DEVICES)
        self._until(_is_whole)
        first_ms = accepted_ms(city.home, city.broker.client_port)
        killed = time.monotonic()
        city.kill_broker()
        self._until(lambda state: not state.connected)
        crowd.call(alarms=0, over_s=0, faults=True)
        self._until(lambda state: state.owed >= DEVICES)
        city.start_broker()
        started = time.monotonic()
        crowd.begin("back")
        self._until(_is_whole)
        again_ms = accepted_ms(city.home, city.broker.client_port)
        back_s = time.monotonic() - started
        made = crowd.report()
        return Lived(
            first_ms,
            again_ms,
            started - killed,
            back_s,
            sum(each["failed"] for each in made.figures if each["phase"] == "back"),
            crowd.worst()[0],
            self._meter.peak_bytes["broker"],
            made.lasting(),
        )

    def _until(self, condition: Callable[[State], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self._crowd.until(condition, LOOK_S):
            assert time.monotonic() < deadline, self._crowd.state
            self._meter.look()


def _is_whole(state: State) -> bool:
    return state.connected == DEVICES and not state.owed
