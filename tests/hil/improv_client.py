"""A client of Improv Wi-Fi over a serial port, written from https://www.improv-wifi.com/serial/ and nothing of ours."""

from typing import Any

from ansim.client import Deadline

HEADER = b"IMPROV\x01"
CURRENT_STATE, ERROR_STATE, RPC, RPC_RESULT = 1, 2, 3, 4
SEND_WIFI, REQUEST_STATE, REQUEST_INFO, REQUEST_NETWORKS, HOSTNAME = 1, 2, 3, 4, 5
READY, PROVISIONING, PROVISIONED = 2, 3, 4
NO_ERROR, INVALID_RPC, UNKNOWN_RPC, UNABLE_TO_CONNECT, UNKNOWN_ERROR = 0, 1, 2, 3, 0xFF

_ANSWER_S = 30.0
_LONGEST = 9 + 255 + 1

Packet = tuple[int, bytes]


class ImprovClient:
    """Speaks to the device at the other end of an open serial port, and passes over what is no packet."""

    def __init__(self, link: Any) -> None:
        self._link = link
        self._received = b""

    def send(self, command: int, data: bytes = b"") -> None:
        self._link.write(packet(RPC, bytes([command, len(data)]) + data) + b"\n")

    def call(self, command: int, data: bytes = b"") -> list[Packet]:
        """Send a command; return the packets up to its result or an error, those included."""
        self.send(command, data)
        found = [self.next()]
        while not is_last(found[-1], command):
            found.append(self.next())
        return found

    def error(self, command: int, data: bytes = b"") -> int:
        """Send a command; return the error that it ends with."""
        kind, data = self.call(command, data)[-1]
        assert kind == ERROR_STATE
        return data[0]

    def strings(self, command: int) -> list[str]:
        """Send a command; return the strings of its one result."""
        return strings(self.call(command)[-1][1])

    def state(self) -> int:
        """Return the state that the device tells."""
        self.send(REQUEST_STATE)
        return next(data[0] for kind, data in iter(self.next, None) if kind == CURRENT_STATE)

    def networks(self) -> list[list[str]]:
        """Return what the device finds: name, signal strength, YES or NO for a passphrase."""
        self.send(REQUEST_NETWORKS)
        results = (data for kind, data in iter(self.next, None) if kind == RPC_RESULT)
        return list(iter(lambda: strings(next(results)), []))

    def provision(self, ssid: str, passphrase: str) -> list[Packet]:
        """Send a network; return what the device says up to the end."""
        return self.call(SEND_WIFI, settings(ssid, passphrase))

    def next(self) -> Packet:
        """Return the next packet, type and data."""
        deadline = Deadline(_ANSWER_S)
        while (found := self._take()) is None:
            assert not deadline.expired, f"no packet in {_ANSWER_S:g} s; the rest is {self._received[-200:]!r}"
            self._received += self._link.read(max(1, self._link.in_waiting))
        return found

    def _take(self) -> Packet | None:
        at = self._received.find(HEADER)
        if at < 0:
            self._received = self._received[-_LONGEST:]
            return None
        packed = self._received[at:]
        if len(packed) < 9 or len(packed) < 10 + packed[8]:
            return None
        end = 9 + packed[8]
        assert packed[end] == sum(packed[:end]) & 0xFF, "a packet's checksum is wrong"
        self._received = packed[end + 1 :]
        return packed[7], packed[9:end]


def packet(kind: int, data: bytes) -> bytes:
    framed = HEADER + bytes([kind, len(data)]) + data
    return framed + bytes([sum(framed) & 0xFF])


def settings(ssid: str, passphrase: str) -> bytes:
    name, secret = ssid.encode(), passphrase.encode()
    return bytes([len(name)]) + name + bytes([len(secret)]) + secret


def strings(result: bytes) -> list[str]:
    """Return the strings in the data of a result."""
    found, rest = [], result[2:]
    assert len(rest) == result[1]
    while rest:
        found.append(rest[1 : 1 + rest[0]].decode())
        rest = rest[1 + rest[0] :]
    return found


def is_last(found: Packet, command: int) -> bool:
    kind, data = found
    return (kind == RPC_RESULT and data[0] == command) or (kind == ERROR_STATE and data[0] != NO_ERROR)
