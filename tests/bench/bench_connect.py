"""What a pendant's connection costs after a sleep, in counts that carry over to hardware.

Behind the radio's own joining it is one TCP connection, one TLS handshake and one round trip.

The firmware's link on a virtual chip, against nats-server and a receiver; the virtual forwarder counts what crosses the
air. A round trip is: making the TCP connection, each flight that the chip sends before the ack of its event comes, each
name that is asked for; an address by DHCP is two (DISCOVER, REQUEST). DHCP itself is not spoken on the virtual board,
whose station is given its address; it counts how often that would take an exchange.
"""

import logging
import tempfile
from contextlib import closing
from pathlib import Path

from link_kit import CHANNEL, Wake, link_bench
from mqtt_device import make_home
from receiver_kit import receiving

from ansim.broker import Broker
from ansim.database import Database
from figure import Figure

WAKES = 5
_DHCP = 2
# TCP; the two of TLS 1.2; MQTT with all that waits.
ROUND_TRIPS = 4
FLIGHTS = 3
KEPT_BYTES = 64


def measure() -> list[Figure]:
    # asyncio warns of how nats-py ends a TLS connection.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder) / "home")
        with (
            Broker(home) as broker,
            closing(Database.open(home.database_url)) as database,
            receiving(home, database),
            link_bench(Path(folder), home, broker) as bench,
        ):
            bench.start(b"")
            first = bench.wake()
            quick: list[Wake] = []
            for _ in range(WAKES):
                bench.start((quick or [first])[-1].kept)
                quick.append(bench.wake())
    return _figures(first, quick)


def _figures(first: Wake, quick: list[Wake]) -> list[Figure]:
    def worst(name: str) -> int:
        return max(int(getattr(wake, name)) for wake in quick)

    lost = sum(wake.heard[-1:] == [] or wake.heard[-1]["cmd"] != "ack" for wake in [first, *quick])
    cold = f"{round_trips(first)} when nothing is kept"
    return [
        Figure("wake to ack: round trips behind the radio", max(map(round_trips, quick)), "", ROUND_TRIPS, peer=cold),
        Figure("  TCP connections", worst("connections"), "", 1, peer=str(first.connections)),
        Figure(
            "  flights: TLS 1.2 two, MQTT with all that waits one",
            worst("flights"),
            "",
            FLIGHTS,
            peer=str(first.flights),
        ),
        Figure("  names asked for", worst("names"), "", 0, peer=str(first.names)),
        Figure("  addresses by DHCP, two round trips each", worst("leases"), "", 0, peer=str(first.leases)),
        Figure(f"  channels listened on (it is on {CHANNEL})", worst("channels"), "", 1, peer=str(first.channels)),
        Figure("  kept over the sleep", max(len(wake.kept) for wake in quick), "bytes", KEPT_BYTES),
        Figure(f"  events of {WAKES + 1} wakes without an ack", lost, "", 0),
    ]


def round_trips(wake: Wake) -> int:
    return wake.connections + wake.flights + wake.names + _DHCP * wake.leases
