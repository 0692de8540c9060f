"""The chip's Wi-Fi station: what WLAN.connect(), status() and the loss of a network do, and when.

States and reasons as MicroPython's ports/esp32/network_wlan.c keeps them: after a failed or lost connection the
station tries again until its number of reconnects is used up (unlimited unless WLAN.config(reconnects=n)), and status()
says CONNECTING for as long as it tries.
"""

from ansim.virtual.air import Air

IDLE = 1000
CONNECTING = 1001
GOT_IP = 1010
BEACON_TIMEOUT = 200
NO_AP_FOUND = 201
WRONG_PASSWORD = 202

# A scan of all channels comes before NO_AP_FOUND; ESP-IDF's default is about 2.4 s, cut short here.
_RETRY_MS = 500


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
        self._wanted = False
        self._connected = False
        self._failures = 0
        self._reason = 0
        self._due_ms: int | None = None

    @property
    def connected(self) -> bool:
        return self._connected

    @property
    def due_ms(self) -> int | None:
        """When ``tick`` has to be called, or None."""
        return self._due_ms

    @property
    def status(self) -> int:
        if self._connected:
            return GOT_IP
        if self._wanted and (self.reconnects < 0 or self._failures <= self.reconnects):
            return CONNECTING
        return self._reason or IDLE

    def switch(self, active: bool) -> None:
        self.active = active
        if not active:
            self.disconnect()

    def connect(self, ssid: str, passphrase: str, now_ms: int) -> bool:
        """Start to join a network; return False when the station is off."""
        if not self.active:
            return False
        self.ssid, self._passphrase = ssid, passphrase
        self._connected = False
        self._wanted = True
        self._failures = self._reason = 0
        self._due_ms = now_ms + self._air.association_ms
        return True

    def disconnect(self) -> None:
        self._wanted = self._connected = False
        self._due_ms = None

    def tick(self, now_ms: int) -> None:
        """Do what is due."""
        if self._due_ms is None or now_ms < self._due_ms:
            return
        self._due_ms = None
        if self._connected:
            self._lose(BEACON_TIMEOUT, now_ms)
        elif self._wanted:
            self._join(now_ms)

    def air_changed(self, now_ms: int) -> None:
        """A network came, went or changed: a connected station notices after a while that its own is gone."""
        if not self._connected:
            return
        if self._in_reach():
            self._due_ms = None
        elif self._due_ms is None:
            self._due_ms = now_ms + self._air.beacon_timeout_ms

    def _in_reach(self) -> bool:
        network = self._air.find(self.ssid)
        return network is not None and network.passphrase == self._passphrase

    def _join(self, now_ms: int) -> None:
        network = self._air.find(self.ssid)
        if network is None:
            self._lose(NO_AP_FOUND, now_ms)
        elif network.passphrase != self._passphrase:
            self._lose(WRONG_PASSWORD, now_ms)
        else:
            self._connected = True
            self._failures = self._reason = 0

    def _lose(self, reason: int, now_ms: int) -> None:
        self._connected = False
        self._reason = reason
        self._failures += 1
        if self.reconnects < 0 or self._failures <= self.reconnects:
            self._due_ms = now_ms + max(_RETRY_MS, self._air.association_ms)
