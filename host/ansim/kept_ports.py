"""Ports for a broker that goes away and comes back: nobody else is given them meanwhile."""

import contextlib
import socket
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def kept_ports() -> Iterator[tuple[int, int]]:
    """Yield two free ports, as Broker takes them; elsewhere than on Linux 0 for both, which is any.

    Each is bound and does not listen, with SO_REUSEADDR: beside it nats-server, which has that too, may listen.
    """
    if sys.platform != "linux":
        yield 0, 0
        return
    with socket.socket() as mqtt, socket.socket() as client:
        for holder in (mqtt, client):
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("", 0))
        yield mqtt.getsockname()[1], client.getsockname()[1]
