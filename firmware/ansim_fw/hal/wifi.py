"""Joining a Wi-Fi network, step by step."""

import network
from micropython import const

JOINING = const(0)
JOINED = const(1)
FAILED = const(2)

TIMEOUT_MS = const(20000)

# What ESP-IDF gives as the reason after a wrong passphrase, depending on the access point: 202 (authentication failed),
# 15 (4-way handshake timeout), 204 (handshake timeout). ESP-IDF programming guide, "Wi-Fi Reason Code".
_REFUSALS = (202, 15, 204)

# The names of MicroPython 1.24 and later, or of 1.23.
_STATION = network.WLAN.IF_STA if hasattr(network.WLAN, "IF_STA") else network.STA_IF


class Wifi:
    """The radio as a station. Networks are tried in turn, one an attempt.

    Args:
        networks: (name, passphrase) each, at least one.

    Attributes:
        fault: why the last attempt failed: wifi_absent, wifi_refused or wifi_timeout.
    """

    def __init__(self, networks: "list[tuple[str, str]]") -> None:
        self._networks = networks
        self._next = 0
        self._left_ms = 0
        self._wlan = network.WLAN(_STATION)
        self.fault = ""

    def join(self) -> None:
        """Start to join, unless joined already."""
        self._left_ms = TIMEOUT_MS
        if self.joined():
            return
        name, passphrase = self._networks[self._next]
        self._next = (self._next + 1) % len(self._networks)
        try:
            self._wlan.active(True)
            # MicroPython would try again by itself for ever, and say "connecting" instead of why it failed.
            self._wlan.config(reconnects=0)
            self._wlan.connect(name, passphrase)
        except OSError:
            # The radio is busy with the attempt before, or out of memory; the timeout ends this one.
            self.fault = "wifi_timeout"

    def step(self, elapsed_ms: int) -> int:
        """Pass time; return JOINING, JOINED or FAILED."""
        if self.joined():
            return JOINED
        self._left_ms -= elapsed_ms
        status = self._wlan.status()
        if status in _REFUSALS:
            return self._fail("wifi_refused")
        if status == network.STAT_NO_AP_FOUND:
            return self._fail("wifi_absent")
        if status != network.STAT_CONNECTING or self._left_ms <= 0:
            return self._fail("wifi_timeout")
        return JOINING

    def joined(self) -> bool:
        return self._wlan.isconnected()

    def rssi_dbm(self) -> int:
        """Return the signal's strength; 0 without a network."""
        try:
            return self._wlan.status("rssi") if self.joined() else 0
        except OSError:
            return 0

    def _fail(self, fault: str) -> int:
        self.fault = fault
        try:
            self._wlan.disconnect()
        except OSError:
            # It was not even started.
            pass
        return FAILED
