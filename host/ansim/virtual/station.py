"""The chip's Wi-Fi station: what WLAN.connect(), status() and the loss of a network do, and when.

States and reasons as MicroPython's ports/esp32/network_wlan.c keeps them (1.22 and later, pull request 12932): after a
failed or lost connection the station tries again until its number of reconnects is used up (unlimited unless
WLAN.config(reconnects=n)). The reason of the last failure is forgotten only when the station has an address again, and
some reasons are what status() says from then on, also while the next attempt is under way.
"""

from ansim.virtual.air import Air, Network
from ansim.virtual.forwarder import Service

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


class Station:
    """A station in the air. Time comes in as milliseconds on a clock that does not go back."""

    def __init__(self, air: Air) -> None:
        self._air = air
        self.reset()

    def reset(self) -> None:
        """The chip starts anew."""
        self.active = False
        self.reconnects = -1
        self.ssid = ""
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
    def carries(self) -> bool:
        """Whether data gets through: it does not when the access point is gone and the station has not noticed."""
        return self._connected and self._in_reach()

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

    def connect(self, ssid: str, passphrase: str, now_ms: int) -> bool:
        """Start to join a network; return False when the station is off, or busy with an attempt."""
        if not self.active or (self._wanted and not self._connected and self._due_ms is not None):
            return False
        self.ssid, self._passphrase = ssid, passphrase
        self._connected = False
        self._wanted = True
        self._failures = 0
        self._due_ms = now_ms + self._air.association_ms
        return True

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
        if network.service != Service.NO_ADDRESS:
            self._air.joined = network.ssid
            self._connected = True
            self._failures = self._reason = 0

    def _lose(self, reason: int, now_ms: int) -> None:
        self._connected = False
        self._access_point = -1
        self._reason = reason
        self._failures += 1
        if self._wanted and self._may_retry():
            self._due_ms = now_ms + max(_RETRY_MS, self._air.association_ms)
