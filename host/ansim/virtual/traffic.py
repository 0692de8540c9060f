"""What crosses the air: connections, bytes and flights, names that are looked up. Counted by the forwarder."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass

_REMEMBERED = 16


@dataclass
class Connection:
    """One TCP connection of the chip.

    Attributes:
        to: host and port.
        flights_out, flights_in: how often each way began to carry data after the other had, or after nothing: a chip
            that asks, waits and asks again has sent two flights, however many segments they took. Making the connection
            and ending it are none of them.
    """

    to: str
    sent_bytes: int = 0
    received_bytes: int = 0
    flights_out: int = 0
    flights_in: int = 0
    going_out: bool | None = None


class Traffic:
    """Counts since the board started. Written by the forwarder's thread, read by any.

    Attributes:
        heard: called at each "connected" and at each "flight" from the chip, before it is counted.
    """

    def __init__(self) -> None:
        self.heard: Callable[[str], None] = lambda _: None
        self._counts: Counter[str] = Counter()
        self._recent: deque[Connection] = deque(maxlen=_REMEMBERED)

    def asked_name(self) -> None:
        """A name server was asked."""
        self._counts["names"] += 1

    def connected(self, to: str) -> Connection:
        """A connection was made; return what its data is counted on."""
        self.heard("connected")
        self._counts["connections"] += 1
        self._recent.append(Connection(to))
        return self._recent[-1]

    def carried(self, connection: Connection, size: int, out: bool) -> None:
        """Count data that crosses, out: from the chip."""
        bytes_name, flights_name = ("sent_bytes", "flights_out") if out else ("received_bytes", "flights_in")
        turned = connection.going_out is not out
        if turned and out:
            self.heard("flight")
        connection.going_out = out
        for name, number in ((bytes_name, size), (flights_name, int(turned))):
            self._counts[name] += number
            setattr(connection, name, getattr(connection, name) + number)

    def figures(self) -> dict[str, int]:
        """Return what was counted in all."""
        names = ("names", "connections", "sent_bytes", "received_bytes", "flights_out", "flights_in")
        return {name: self._counts[name] for name in names}

    def recent(self) -> list[dict[str, object]]:
        """Return the last connections, the latest last."""
        found = [asdict(connection) for connection in list(self._recent)]
        for connection in found:
            del connection["going_out"]
        return found
