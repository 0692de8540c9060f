"""The air around a virtual board: the Wi-Fi networks in reach, and the way from them to the real network.

The chip's sockets connect to a listener on loopback, one for each destination; what arrives is carried on to the
destination while the radio is up, and held while it is not, as TCP does when a radio is out of reach.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ansim.virtual.forwarder import Forwarder, Service
from ansim.virtual.traffic import Traffic


@dataclass(frozen=True)
class Network:
    """A Wi-Fi network; an empty passphrase is an open one.

    Attributes:
        access_points: the numbers of those in reach, the strongest first.
        address: what its DHCP server gives to the board, with mask and router; nothing is carried for another one.
    """

    ssid: str
    passphrase: str
    service: Service = Service.FULL
    access_points: tuple[int, ...] = (1,)
    channel: int = 6
    address: str = "10.0.2.15"

    def bssid(self, access_point: int) -> bytes:
        return b"\x02an" + bytes([len(self.ssid), 0, access_point])

    def __repr__(self) -> str:
        return f"Network({self.ssid!r})"


class Air:
    """Networks, signal, and the forwarders behind them. Any thread may use it.

    Attributes:
        rssi_dbm: how strong the board receives its network.
        joined: the network that the board's station has joined last.
        traffic: what the board's connections have carried.
        changed: called after each change, from the thread that made it.
        delay_ms: added to each piece of data that crosses the air, either way.
        association_ms: how long a station takes from connect() to an address, on the first channel that it listens on.
        channel_ms: how long it listens on each further one (ESP-IDF: up to 120).
        dhcp_ms: how long it takes from the association to an address by DHCP.
        beacon_timeout_ms: how long a station takes to notice that its network went away (ESP-IDF: 6 s).
    """

    def __init__(self) -> None:
        self.rssi_dbm = -55
        self.joined = ""
        self.delay_ms = 0
        self.association_ms = 150
        self.channel_ms = 0
        self.dhcp_ms = 0
        self.beacon_timeout_ms = 6000
        self.traffic = Traffic()
        self.changed: Callable[[], None] = lambda: None
        self._enabled = True
        self._networks: dict[str, Network] = {}
        self._forwarder: Forwarder | None = None
        self._lock = threading.Lock()

    @property
    def enabled(self) -> bool:
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        """Switch every network on or off; connections through them stop moving at once, and are not told."""
        self._enabled = enabled
        if not enabled:
            self.carry(False)
        self.changed()

    def set_network(
        self,
        ssid: str,
        passphrase: str,
        service: str = Service.FULL,
        access_points: Sequence[int] = (1,),
        address: str = Network.address,
        channel: int = Network.channel,
    ) -> None:
        """Add a network, or change it.

        Args:
            service: one of Service.
            access_points: numbers from 0 to 255 of those in reach; none: the network is known, but out of reach.
            address: what the board is given from now on.
            channel: 1 to 13.
        """
        self._networks[ssid] = Network(ssid, passphrase, Service(service), tuple(access_points), channel, address)
        self.changed()

    def networks(self) -> list[Network]:
        """Return what is in reach."""
        return [net for net in self._networks.values() if net.access_points] if self._enabled else []

    def find(self, ssid: str) -> Network | None:
        """Return a network in reach."""
        return next((net for net in self.networks() if net.ssid == ssid), None)

    @property
    def service(self) -> Service:
        """What the network gives that the station has joined last."""
        joined = self._networks.get(self.joined)
        return Service.FULL if joined is None else joined.service

    def carry(self, on: bool) -> None:
        """Let the chip's connections move (it is on a network), or hold them."""
        with self._lock:
            if self._forwarder is not None:
                self._forwarder.carry(on)

    def forget(self) -> None:
        """Let the connections that there are carry nothing any more, for ever, and tell neither end.

        So it is when the chip goes away without a word, and when a router on the way forgets its connections.
        """
        with self._lock:
            if self._forwarder is not None:
                self._forwarder.abandon()

    def route(self, host: str, port: int) -> int:
        """Return a loopback port that leads to a destination. Blocks while the name is looked up.

        Raises:
            OSError: nobody knows the name.
        """
        with self._lock:
            if self._forwarder is None:
                self._forwarder = Forwarder(self)
                self._forwarder.carry(True)
            forwarder = self._forwarder
        return forwarder.route(host, port)

    def close(self) -> None:
        with self._lock:
            forwarder, self._forwarder = self._forwarder, None
        if forwarder is not None:
            forwarder.close()
