"""A device's connection to the broker in a program of gevent's: TLS over the loopback interface."""

import ssl
import time
from collections.abc import Callable

import gevent
from gevent import socket
from gevent.event import Event
from gevent.hub import get_hub

from ansim.stress.fleet.device import LightDevice
from ansim_fw.core import mqtt

# An ESP32's own patience.
_CONNECT_S = 15


class _Timer:
    """Calls in a greenlet of its own: what is called may wait for the network, and gevent's hub must not."""

    def __init__(self, seconds: float, call: Callable[[], None]) -> None:
        self._timer = get_hub().loop.timer(seconds)
        self._timer.start(gevent.spawn, call)

    def cancel(self) -> None:
        self._timer.close()


class TlsWire:
    """One device's wire; serve() keeps it, in a greenlet of its own.

    Args:
        address: the broker's, an address of this machine.
        context: trusts the broker's CA; its name is localhost.

    Attributes:
        device: to be set before serve().
    """

    device: LightDevice

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext) -> None:
        self._address = address
        self._context = context
        self._wanted = Event()
        self._socket: ssl.SSLSocket | None = None

    def serve(self) -> None:
        """Connect whenever the device wants it; returns never."""
        while True:
            self._wanted.wait()
            self._wanted.clear()
            self.device.lost(self._live_through_one())

    def now_s(self) -> float:
        return time.monotonic()

    def later(self, seconds: float, call: Callable[[], None]) -> _Timer:
        return _Timer(seconds, call)

    def connect(self) -> None:
        self._wanted.set()

    def write(self, data: bytes) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendall(data)
        except OSError:
            # Who reads it finds out, too, and tells.
            self.drop()

    def drop(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _live_through_one(self) -> str:
        """Keep one connection until it ends; return why it did."""
        try:
            raw = socket.create_connection(self._address, timeout=_CONNECT_S)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = self._context.wrap_socket(raw, server_hostname="localhost")
            self._socket.settimeout(None)
            self.device.opened()
            while data := self._socket.recv(mqtt.READ_BYTES):
                self.device.received(data)
        except (OSError, ValueError) as error:
            # Only its kind: what it says may hold what was sent.
            return type(error).__name__
        finally:
            self.drop()
            self._socket = None
        return "closed"
