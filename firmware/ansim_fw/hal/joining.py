"""Joining a Wi-Fi network, step by step.

What is said of ESP32 builds here is in MicroPython's ports/esp32/network_wlan.c, 1.23 and later.
"""

import network
from micropython import const

JOINING = const(0)
JOINED = const(1)
FAILED = const(2)

_TIMEOUT_MS = const(20000)
# Without DHCP, and with the channel known, a network is joined within a second or two, or not at all.
_QUICK_TIMEOUT_MS = const(6000)

# What ESP-IDF gives as the reason after a wrong passphrase, depending on the access point: 202 (authentication failed),
# 15 (4-way handshake timeout), 204 (handshake timeout); where one is needed and there is none: 210 and 211 (no access
# point with this security). ESP-IDF programming guide, "Wi-Fi Reason Code".
_REFUSALS = (202, 15, 204, 210, 211)

_UNDER_WAY = (network.STAT_CONNECTING, network.STAT_IDLE, network.STAT_GOT_IP)


class Joining:
    """One attempt to join the network that is chosen.

    The radio leaves a network some milliseconds after it was told to; an attempt before that is lost with it, and no
    more.

    Args:
        channel: where to listen first; 0: on all channels in their order.
        addresses: to use in place of asking DHCP: the station's, mask, router's, name server's.
        anew: leave the network first, if it is joined.

    Attributes:
        asked: DHCP gives the addresses, and gives them now.
        fault: why it failed: wifi_absent, wifi_refused or wifi_timeout.
    """

    def __init__(
        self, wifi: "Wifi", channel: int = 0, addresses: "Addresses | None" = None, anew: bool = False
    ) -> None:
        self.asked = False
        self.fault = ""
        self._wifi = wifi
        self._wlan = wifi.wlan
        self._channel = channel
        self._addresses = addresses
        self._left_ms = _QUICK_TIMEOUT_MS if channel or addresses is not None else _TIMEOUT_MS
        # What status() said before the attempt began.
        self._stale = 0
        self._leaving = anew
        if anew:
            wifi.leave()
        else:
            self._begin()

    def step(self, elapsed_ms: int) -> int:
        """Pass time; return JOINING, JOINED or FAILED."""
        self._left_ms -= elapsed_ms
        if self._leaving:
            return self._wait_until_left()
        if self._wifi.joined() and (not self._wifi.leased or self._hears()):
            return JOINED
        status = self._wlan.status()
        # A reason from before, which status() goes on saying until there is an address, tells nothing of this attempt.
        failed = status not in _UNDER_WAY and status != self._stale
        return self._fail(status) if failed or self._left_ms <= 0 else JOINING

    def _wait_until_left(self) -> int:
        if not self._wifi.joined():
            self._leaving = False
            self._begin()
        elif self._left_ms <= 0:
            return self._fail(network.STAT_CONNECTING)
        return JOINING

    def _begin(self) -> None:
        """Start to join, unless joined already."""
        if self._wifi.joined():
            return
        try:
            self._address()
            self._connect()
        except OSError:
            # The radio is busy, or out of memory: this attempt is over.
            self._left_ms = 0

    def _address(self) -> None:
        """Use the addresses that were kept, or such as DHCP gives."""
        self.asked = self._addresses is None
        if self._addresses is not None:
            # Before the radio starts: later, the driver may take the station for joined.
            self._wifi.leased = True
            self._wlan.ifconfig(self._addresses)
        elif self._wifi.leased:
            self._wifi.leased = False
            self._wlan.ifconfig("dhcp")  # type: ignore[call-overload]  # ports/esp32/network_common.c takes it

    def _connect(self) -> None:
        name, passphrase = self._wifi.networks[self._wifi.choice.current]
        noted = self._channel > 0 and not self._wlan.active() and self._note(name, passphrase)
        self._wlan.active(True)
        self._wifi.on = True
        self._stale = self._wlan.status()
        # The radio tries once, so that status() tells why it failed; where that is hidden, it may as well go on.
        self._wlan.config(reconnects=0 if self._stale in _UNDER_WAY else -1)
        if not noted or not self._connect_on_channel(name):
            self._wlan.connect(name, passphrase)

    def _note(self, name: str, passphrase: str) -> bool:
        """Have the radio, which is off, take name and passphrase: connect() with them forgets a channel."""
        try:
            self._wlan.connect(name, passphrase)
        except OSError:
            # It is not started: so it should be.
            return True
        return False

    def _connect_on_channel(self, name: str) -> bool:
        """Connect to the network of _note(), listening on the channel first; False if that can't be done."""
        try:
            if self._wlan.config("ssid") != name:
                return False
            self._wlan.config(channel=self._channel)
            self._wlan.connect()
        except (OSError, ValueError):
            return False
        return True

    def _hears(self) -> bool:
        """Tell whether there is an access point; with kept addresses the driver may say too early that it joined."""
        try:
            self._wlan.status("rssi")
        except OSError:
            return False
        return True

    def _fail(self, status: int) -> int:
        self._wifi.leave()
        if status in _UNDER_WAY:
            # Once nothing is under way any more, status() says the reason, if there is one.
            status = self._wlan.status()
        self.fault = "wifi_timeout"
        if status in _REFUSALS:
            self.fault = "wifi_refused"
        elif status == network.STAT_NO_AP_FOUND:
            self.fault = "wifi_absent"
        return FAILED


TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansim_fw.core.quick import Addresses
    from ansim_fw.hal.wifi import Wifi
