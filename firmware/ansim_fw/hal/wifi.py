"""The radio as a station, and which of the known networks it is to join; joining.py joins one."""

import network

from ansim_fw.core.wifi_choice import WifiChoice

# The names of MicroPython 1.24 and later, or of 1.23.
_STATION = network.WLAN.IF_STA if hasattr(network.WLAN, "IF_STA") else network.STA_IF


class Wifi:
    """What is there of the radio all the time.

    Args:
        networks: (name, passphrase) each, at least one.

    Attributes:
        wlan: MicroPython's station.
        choice: which of the networks it is.
        on: the radio has power.
        leased: addresses that were kept are in use, and not such as DHCP gave.
    """

    def __init__(self, networks: "list[tuple[str, str]]") -> None:
        self.networks = networks
        self.wlan = network.WLAN(_STATION)
        self.choose("")
        self.on = False
        self.leased = False

    def choose(self, last: str) -> None:
        """Begin with the network of this name, if it is known, else with the first."""
        self.choice = WifiChoice([name for name, _ in self.networks], last)

    def joined(self) -> bool:
        return self.wlan.isconnected()

    def name(self) -> str:
        """Return the name of the network that is tried or joined."""
        return self.networks[self.choice.current][0]

    def addresses(self) -> "Addresses":
        """Return the station's address, mask, router and name server."""
        return self.wlan.ifconfig()

    def channel(self) -> int:
        """Return the channel of the network that is joined; 0 if the radio does not tell."""
        try:
            return self.wlan.config("channel")
        except (OSError, ValueError):
            return 0

    def no_broker(self) -> None:
        """The broker was not reached through this network, which is left for the next one after some tries."""
        if self.choice.no_broker():
            self.leave()

    def leave(self) -> None:
        """Leave the network, or stop trying to join it."""
        try:
            self.wlan.disconnect()
        except OSError:
            # It was not even started.
            pass

    def off(self) -> None:
        """Take the radio's power away."""
        try:
            self.wlan.active(False)
            self.on = False
        except OSError:
            # It is left on; the next sleep takes its power.
            pass

    def rssi_dbm(self) -> int:
        """Return the signal's strength; 0 without a network."""
        try:
            return self.wlan.status("rssi") if self.joined() else 0
        except OSError:
            return 0


TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansim_fw.core.quick import Addresses
