"""What is kept over a sleep of the connection before it, and how long each part is believed without asking anew.

An address belongs to the device as long as its lease runs (RFC 2131, 4.4.5), and MicroPython does not tell how long
that is. So an address is used for half of the shortest lease that routers commonly give, an hour. A server that gives
the same address again has kept it for the device all the time in between; then the next one is believed for twice that
time. All that is kept is forgotten when a connection that was made with it fails.
"""

from micropython import const

FIRST_S = const(1800)
LONGEST_S = const(21600)
# No network has this number.
NONE = const(255)

_VERSION = const(1)
_SIZE = const(37)
_HIGHEST_CHANNEL = const(196)


class Quick:
    """Shortcuts to the broker. Times are seconds of a clock that goes on in sleep; any jump of it makes them unusable.

    Attributes:
        good: the number of the network that led to the broker last, to which channel and addresses belong; or NONE.
        network: the number of the network to try next, or NONE; tries: how often it was joined and led to no broker.
        channel: where its access point was heard last; 0 when not known.
    """

    def __init__(self) -> None:
        self.good = NONE
        self.network = NONE
        self.tries = 0
        self.forget()

    def forget(self) -> None:
        """Drop all shortcuts: one of them has failed."""
        self.channel = 0
        self._addresses = b""
        self._leased_s = 0
        self._trusted_s = FIRST_S
        self._broker = b""
        self._named_s = 0

    def led(self, network: int, address: str) -> bool:
        """Tell whether what is known is that this network led to the broker at this address."""
        return network == self.good and _packed(address) == self._broker

    def joined(self, network: int, channel: int) -> None:
        """Note which network has led to the broker."""
        if network != self.good:
            self.forget()
        self.good = network
        self.channel = channel if 0 < channel <= _HIGHEST_CHANNEL else 0

    def leased(self, addresses: "Addresses", at_s: int) -> None:
        """Note what the network's DHCP server gave: address, mask, router, name server."""
        packed = b"".join([_packed(each) for each in addresses])
        if packed == self._addresses:
            self._trusted_s = min(max(self._trusted_s, 2 * (at_s - self._leased_s)), LONGEST_S)
        else:
            self._trusted_s = FIRST_S
        self._addresses = packed
        self._leased_s = at_s

    def lease(self, now_s: int) -> "Addresses | None":
        """Return what leased() noted, None when it is too old or nothing is known."""
        if not self._addresses or not 0 <= now_s - self._leased_s < self._trusted_s:
            return None
        packed = self._addresses
        return _text(packed[:4]), _text(packed[4:8]), _text(packed[8:12]), _text(packed[12:])

    def named(self, address: str, at_s: int) -> None:
        """Note the address that the broker's name had."""
        self._broker = _packed(address)
        self._named_s = at_s

    def broker(self, now_s: int) -> str:
        """Return what named() noted; empty when it is too old or nothing is known."""
        return _text(self._broker) if self._broker and 0 <= now_s - self._named_s < LONGEST_S else ""

    def pack(self) -> bytes:
        head = bytes((_VERSION, self.good, self.network, self.tries, self.channel))
        addresses = (self._addresses or bytes(16)) + (self._broker or bytes(4))
        return head + addresses + _word(self._leased_s) + _word(self._trusted_s) + _word(self._named_s)


def unpack(data: bytes, networks: int) -> Quick:
    """Return what pack() made; what knows nothing when that was another version's, or is not whole.

    Args:
        networks: how many there are.
    """
    found = Quick()
    if len(data) != _SIZE or data[0] != _VERSION or data[4] > _HIGHEST_CHANNEL:
        return found
    trusted_s = int.from_bytes(data[29:33], "big")
    if not FIRST_S <= trusted_s <= LONGEST_S or any(networks <= each != NONE for each in data[1:3]):
        return found
    found.good, found.network, found.tries, found.channel = data[1], data[2], data[3], data[4]
    found._addresses = data[5:21] if any(data[5:21]) else b""
    found._broker = data[21:25] if any(data[21:25]) else b""
    found._leased_s = int.from_bytes(data[25:29], "big")
    found._trusted_s = trusted_s
    found._named_s = int.from_bytes(data[33:37], "big")
    return found


def _packed(address: str) -> bytes:
    return bytes([int(part) for part in address.split(".")])


def _text(packed: bytes) -> str:
    return ".".join([str(byte) for byte in packed])


def _word(seconds: int) -> bytes:
    return (seconds & 0xFFFFFFFF).to_bytes(4, "big")


TYPE_CHECKING = False
if TYPE_CHECKING:
    # The station's, its mask, its router's, its name server's.
    Addresses = tuple[str, str, str, str]
