"""The chip's Wi-Fi station: what WLAN.connect(), status() and the loss of a network do, and when.

States and reasons as MicroPython's ports/esp32/network_wlan.c keeps them (1.22 and later, pull request 12932): after a
failed or lost connection the station tries again until its number of reconnects is used up (unlimited unless
WLAN.config(reconnects=n)). The reason of the last failure is forgotten only when the station has an address again, and
some reasons are what status() says from then on, also while the next attempt is under way.

A connection begins with a scan, channel by channel, that ends at the first access point of the network; it begins at
the channel of the configuration, which config(channel=) sets (1.25 and later, pull request 16225) and connect() with a
name forgets. With addresses set by ifconfig() DHCP is not asked; the station is joined as soon as it is associated.
"""

from ansim.virtual.air import Air, Network
from ansim.virtual.forwarder import NAME_SERVER, Service

IDLE = 1000
CONNECTING = 1001
GOT_IP = 1010
ASSOC_LEAVE = 8
BEACON_TIMEOUT = 200
NO_AP_FOUND = 201
WRONG_PASSWORD = 202

# What status() says in place of CONNECTING.
_LASTING = {ASSOC_LEAVE: IDLE, NO_AP_FOUND: NO_AP_FOUND, WRONG_PASSWORD: WRONG_PASSWORD}

# A scan of all channels comes before NO_AP_FOUND; ESP-IDF's default is about 2.4 s, cut short here.
_RETRY_MS = 500
# disconnect() returns before the station has left its network.
_LEAVE_MS = 20
_CHANNELS = 13

Addresses = tuple[str, str, str, str]


class Station:
    """A station in the air. Time comes in as milliseconds on a clock that does not go back.

    Attributes:
        scanned: how many channels were listened on in attempts to connect, since the chip started.
        leases: how often DHCP gave an address since then.
    """

    def __init__(self, air: Air) -> None:
        self._air = air
        self.reset()

    def reset(self) -> None:
        """The chip starts anew."""
        self.active = False
        self.reconnects = -1
        self.ssid = ""
        self.scanned = 0
        self.leases = 0
        self._hint = 0
        self._fixed: Addresses | None = None
        self._given: Addresses | None = None
        self._passphrase = ""
        self._access_point = -1
        self._wanted = False
        self._connected = False
        self._failures = 0
        self._reason = 0
        self._due_ms: int | None = None

    @property
    def connected(self) -> bool:
        return self._connected

    @property
    def busy(self) -> bool:
        """Whether an attempt to connect is under way."""
        return self._wanted and not self._connected and self._due_ms is not None

    @property
    def carries(self) -> bool:
        """Whether data gets through: not when the access point is gone unnoticed, nor with an address of elsewhere."""
        network = self._network()
        return self._connected and network is not None and self._in_reach() and self.addresses[0] == network.address

    @property
    def addresses(self) -> Addresses:
        """The station's address, mask, router and name server."""
        return self._fixed or self._given or ("0.0.0.0",) * 4

    @property
    def channel(self) -> int:
        """Where the radio is."""
        network = self._network() if self._connected else None
        return network.channel if network is not None else self._hint or 1

    @property
    def due_ms(self) -> int | None:
        """When ``tick`` has to be called, or None."""
        return self._due_ms

    @property
    def status(self) -> int:
        if self._connected:
            return GOT_IP
        if self._reason in _LASTING:
            return _LASTING[self._reason]
        if self._wanted and self._may_retry():
            return CONNECTING
        return self._reason or IDLE

    def switch(self, active: bool, now_ms: int) -> None:
        self.active = active
        if not active:
            self.disconnect(now_ms)
            if self._connected:
                self._due_ms = None
                self._lose(ASSOC_LEAVE, now_ms)

    def configure(self, ssid: str, passphrase: str) -> None:
        """Take the network to join, on whatever channel."""
        self.ssid, self._passphrase, self._hint = ssid, passphrase, 0

    def listen_on(self, channel: int) -> None:
        """Take the channel on which the next scan begins."""
        self._hint = channel

    def use(self, addresses: Addresses | None) -> None:
        """Use these addresses; None: such as DHCP gives."""
        self._fixed = addresses

    def connect(self, now_ms: int) -> bool:
        """Start to join the network; return False when the station is off, or busy with an attempt."""
        if not self.active or self.busy:
            return False
        self._connected = False
        self._wanted = True
        self._failures = 0
        self._due_ms = now_ms + self._attempt_ms()
        return True

    def _attempt_ms(self) -> int:
        """Listen on one channel after the other; return how long it takes from now to an address, or to a failure."""
        network = self._air.find(self.ssid)
        passed = _CHANNELS - 1 if network is None else (network.channel - max(self._hint, 1)) % _CHANNELS
        self.scanned += passed + 1
        return self._air.association_ms + passed * self._air.channel_ms + (0 if self._fixed else self._air.dhcp_ms)

    def disconnect(self, now_ms: int) -> None:
        """Stop trying; leave the network, which takes a moment."""
        self._wanted = False
        self._due_ms = now_ms + _LEAVE_MS if self._connected else None

    def tick(self, now_ms: int) -> None:
        """Do what is due."""
        if self._due_ms is None or now_ms < self._due_ms:
            return
        self._due_ms = None
        if self._connected:
            self._lose(BEACON_TIMEOUT if self._wanted else ASSOC_LEAVE, now_ms)
        elif self._wanted:
            self._join(now_ms)

    def air_changed(self, now_ms: int) -> None:
        """A network came, went or changed: a connected station notices after a while that its own is gone."""
        if not self._wanted:
            return
        if not self._connected:
            if self._due_ms is None and self._in_reach():
                # It waits for an address.
                self._due_ms = now_ms
        elif self._in_reach():
            self._due_ms = None
        elif self._due_ms is None:
            self._due_ms = now_ms + self._air.beacon_timeout_ms

    def _network(self) -> Network | None:
        """Return the wanted network, if it is in reach and takes the passphrase."""
        network = self._air.find(self.ssid)
        return network if network is not None and network.passphrase == self._passphrase else None

    def _in_reach(self) -> bool:
        """Tell whether the access point is there that the station has joined."""
        network = self._network()
        return network is not None and self._access_point in network.access_points

    def _may_retry(self) -> bool:
        return self.reconnects < 0 or self._failures <= self.reconnects

    def _join(self, now_ms: int) -> None:
        network = self._network()
        if network is None:
            self._lose(WRONG_PASSWORD if self._air.find(self.ssid) else NO_AP_FOUND, now_ms)
            return
        self._access_point = network.access_points[0]
        if self._fixed is None and network.service == Service.NO_ADDRESS:
            return
        if self._fixed is None:
            self.leases += 1
            self._given = (network.address, "255.255.255.0", "10.0.2.2", NAME_SERVER[0])
        self._air.joined = network.ssid
        self._connected = True
        self._failures = self._reason = 0

    def _lose(self, reason: int, now_ms: int) -> None:
        self._connected = False
        self._given = None
        self._access_point = -1
        self._reason = reason
        self._failures += 1
        if self._wanted and self._may_retry():
            self._due_ms = now_ms + max(_RETRY_MS, self._attempt_ms())
