"""How fast a fleet of 5,000 comes back after an outage: in virtual time, and on real connections.

Virtual: the firmware's LinkWatch for each device, seeded with chip numbers in a row, through each outage; several
batches of numbers, and the worst of them counts. While the broker is away attempts are refused at once, the quickest
case.

Real: the firmware's whole core for each device, MQTT 3.1.1 over TLS against nats-server, a receiver in a process of its
own, SQLite. All are switched on at one moment; then nats-server is killed with SIGKILL and started again, while each
device has an event waiting. Rates are those at which the broker took the connections that lasted, by its own record.

Broker, receiver and 5,000 devices share this machine; with two cores it is the load that is at its limit first, a TLS
handshake of Python's being dearer than the broker's part of it. How late its event loop was at the worst is printed: a
load that is late by a second or more is too slow, and its figures tell of it and not of the broker. All connections go
over the loopback interface: no Wi-Fi, no router, no packet lost.
"""

import asyncio
import gc
import logging
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench_receiver import start_receiver
from fleet_rows import repeated_deliveries, stored_ids
from mqtt_device import make_home
from mqtt_fleet import Fleet, accepted_ms, allow_connections, kill, peak_memory_bytes, server_pid, until
from returning_fleet import FIRST_MAC, MOST_PER_SECOND, Outage, Return, come_back, most_in_a_second

from ansim.broker import Broker
from ansim.home import Home
from ansim_fw.core import config
from figure import Figure

DEVICES = 5000
SPREAD_S = config.default("spread_s")
BATCHES = 20
PATIENCE_S = 240
EVERY_S = 0.01

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
    raised: set[tuple[str, int, int]]


def _real() -> list[Figure]:
    allow_connections(DEVICES)
    # asyncio warns of how nats-py ends a TLS connection.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder) / "home")
        with Broker(home) as broker:
            receiver = start_receiver(home)
            try:
                lived = asyncio.run(_live(home, broker))
            finally:
                receiver.terminate()
                receiver.communicate(timeout=60)
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


async def _live(home: Home, broker: Broker) -> Lived:
    with closing(Fleet(home, broker.mqtt_port, DEVICES, SPREAD_S)) as fleet:
        # It would stop the load for most of a second now and then, and what it was late with would come in a crowd.
        gc.disable()
        lateness = _Lateness()
        fleet.start()
        await until(lambda: fleet.connected == DEVICES and not fleet.waiting, PATIENCE_S)
        first_ms = await accepted_ms(home, broker.client_port)
        killed = time.monotonic()
        kill(broker)
        await until(lambda: not fleet.connected, PATIENCE_S)
        for one in fleet.devices:
            one.report("storage")
        await asyncio.to_thread(broker.start)
        started, failed = time.monotonic(), fleet.refused().total()
        await until(lambda: fleet.connected == DEVICES and not fleet.waiting, PATIENCE_S)
        return Lived(
            first_ms,
            await accepted_ms(home, broker.client_port),
            started - killed,
            time.monotonic() - started,
            fleet.refused().total() - failed,
            lateness.end(),
            peak_memory_bytes(server_pid(broker)),
            fleet.raised(),
        )


class _Lateness:
    """Watches how late the event loop is."""

    def __init__(self) -> None:
        self._worst_s = 0.0
        self._task = asyncio.ensure_future(self._watch())

    def end(self) -> float:
        """Return the worst lateness, in seconds."""
        self._task.cancel()
        return self._worst_s

    async def _watch(self) -> None:
        while True:
            due = time.monotonic() + EVERY_S
            await asyncio.sleep(EVERY_S)
            self._worst_s = max(self._worst_s, time.monotonic() - due)
