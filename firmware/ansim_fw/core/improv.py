"""Packets of Improv Wi-Fi over a serial port, https://www.improv-wifi.com/serial/ (docs/wifi.md says what of it).

Of the checksum that page says nothing: the public clients and devices take the sum of all bytes before it.
"""

from micropython import const

# Types of packets.
CURRENT_STATE = const(1)
ERROR_STATE = const(2)
RPC = const(3)
RESULT = const(4)

# Commands.
WIFI = const(1)
STATE = const(2)
INFO = const(3)
SCAN = const(4)

# States.
READY = const(2)
PROVISIONING = const(3)
PROVISIONED = const(4)

# Error states.
NONE = const(0)
INVALID = const(1)
UNKNOWN = const(2)
UNABLE = const(3)
REFUSED = const(255)

_HEADER = b"IMPROV\x01"
_LONGEST_NAME = const(32)
_LONGEST_DATA = const(255)


def command(packet: bytes) -> "tuple[int, bytes]":
    """Return the number and the data of an RPC.

    Args:
        packet: type, length, data and checksum, as json_seq.Reader finds them.

    Raises:
        ValueError: it is damaged.
    """
    if packet[-1] != sum(_HEADER + packet[:-1]) & 0xFF or packet[1] < 2 or packet[3] != packet[1] - 2:
        raise ValueError("no command")
    return packet[2], packet[4:-1]


def credentials(data: bytes) -> "tuple[str, str]":
    """Return a network's name and passphrase: each with its length before it. An open network's passphrase is empty.

    Raises:
        ValueError: not what a network can be called or secured with (IEEE 802.11: a passphrase has 8 to 63 printable
            ASCII characters; 64 hex digits are the key itself). Never tells the passphrase.
    """
    split = data[0] + 1 if data else 0
    name, size, secret = data[1:split], data[split : split + 1], data[split + 1 :]
    if not 1 < split <= _LONGEST_NAME + 1 or size != bytes((len(secret) & 0xFF,)):
        raise ValueError("no network's name and passphrase")
    allowed = b"0123456789abcdefABCDEF" if len(secret) == 64 else bytes(range(32, 127))
    if (secret and not 8 <= len(secret) <= 64) or any(each not in allowed for each in secret):
        raise ValueError("no passphrase of Wi-Fi")
    return name.decode(), secret.decode()


def packet(kind: int, data: bytes) -> bytes:
    """Return a packet with the LF that ends it as a line."""
    framed = _HEADER + bytes((kind, len(data))) + data
    return framed + bytes((sum(framed) & 0xFF, 10))


def result(number: int, texts: "Sequence[str]") -> bytes:
    """Return the packet that answers the command of this number; texts that don't fit it any more are left out."""
    data = b""
    for text in texts:
        coded = text.encode()
        if len(data) + len(coded) < _LONGEST_DATA - 2:
            data += bytes((len(coded),)) + coded
    return packet(RESULT, bytes((number, len(data))) + data)


def in_the_air(ssid: bytes, rssi_dbm: int, secured: int) -> bytes:
    """Return the packet that tells of a network that was found; empty: its name is hidden, or not UTF-8."""
    try:
        name = ssid.decode()
    except ValueError:
        name = ""
    return result(SCAN, (name, str(rssi_dbm), "YES" if secured else "NO")) if name else b""


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
