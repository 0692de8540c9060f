"""Joining a Wi-Fi network, step by step.

What is said of ESP32 builds here is in MicroPython's ports/esp32/network_wlan.c, 1.23 and later.
"""

import network
from micropython import const

from ansim_fw.core.wifi_choice import WifiChoice

JOINING = const(0)
JOINED = const(1)
FAILED = const(2)

TIMEOUT_MS = const(20000)

# What ESP-IDF gives as the reason after a wrong passphrase, depending on the access point: 202 (authentication failed),
# 15 (4-way handshake timeout), 204 (handshake timeout); where one is needed and there is none: 210 and 211 (no access
# point with this security). ESP-IDF programming guide, "Wi-Fi Reason Code".
_REFUSALS = (202, 15, 204, 210, 211)

# The names of MicroPython 1.24 and later, or of 1.23.
_STATION = network.WLAN.IF_STA if hasattr(network.WLAN, "IF_STA") else network.STA_IF

_UNDER_WAY = (network.STAT_CONNECTING, network.STAT_IDLE, network.STAT_GOT_IP)


class Wifi:
    """The radio as a station: one network an attempt.

    Args:
        networks: (name, passphrase) each, at least one.
        last: the name of the last good network, or an empty one.

    Attributes:
        fault: why the last attempt failed: wifi_absent, wifi_refused or wifi_timeout.
    """

    def __init__(self, networks: "list[tuple[str, str]]", last: str) -> None:
        self._networks = networks
        self._choice = WifiChoice([name for name, _ in networks], last)
        self._wlan = network.WLAN(_STATION)
        self._left_ms = 0
        # What status() said before the attempt began.
        self._stale = 0
        self.fault = ""

    def join(self) -> None:
        """Start to join, unless joined already.

        The radio leaves a network some milliseconds after leave(); an attempt before that is lost with it, and no more.
        """
        self._left_ms = TIMEOUT_MS
        if self.joined():
            return
        name, passphrase = self._networks[self._choice.current]
        try:
            self._wlan.active(True)
            self._stale = self._wlan.status()
            # The radio tries once, so that status() tells why it failed; where that is hidden, it may as well go on.
            self._wlan.config(reconnects=0 if self._stale in _UNDER_WAY else -1)
            self._wlan.connect(name, passphrase)
        except OSError:
            # The radio is busy, or out of memory: this attempt is over.
            self._left_ms = 0

    def step(self, elapsed_ms: int) -> int:
        """Pass time; return JOINING, JOINED or FAILED."""
        self._left_ms -= elapsed_ms
        if self.joined():
            return JOINED
        status = self._wlan.status()
        # A reason from before, which status() goes on saying until there is an address, tells nothing of this attempt.
        failed = status not in _UNDER_WAY and status != self._stale
        return self._fail(status) if failed or self._left_ms <= 0 else JOINING

    def joined(self) -> bool:
        return self._wlan.isconnected()

    def name(self) -> str:
        """Return the name of the network that is tried or joined."""
        return self._networks[self._choice.current][0]

    def name_server(self) -> str:
        """Return the address of the network's name server; of its router if DHCP told none."""
        _, _, router, server = self._wlan.ifconfig()
        return router if server == "0.0.0.0" else server

    def good(self) -> None:
        """The broker was reached through this network."""
        self._choice.good()

    def no_broker(self) -> None:
        """The broker was not reached through this network, which is left for the next one after some tries."""
        if self._choice.no_broker():
            self.leave()

    def leave(self) -> None:
        """Leave the network, or stop trying to join it."""
        try:
            self._wlan.disconnect()
        except OSError:
            # It was not even started.
            pass

    def rssi_dbm(self) -> int:
        """Return the signal's strength; 0 without a network."""
        try:
            return self._wlan.status("rssi") if self.joined() else 0
        except OSError:
            return 0

    def _fail(self, status: int) -> int:
        self.leave()
        if status in _UNDER_WAY:
            # Once nothing is under way any more, status() says the reason, if there is one.
            status = self._wlan.status()
        self.fault = "wifi_timeout"
        if status in _REFUSALS:
            self.fault = "wifi_refused"
        elif status == network.STAT_NO_AP_FOUND:
            self.fault = "wifi_absent"
        self._choice.not_joined()
        return FAILED
