"""The control channel's client: what the world does to a virtual board, and what is seen of it from outside.

JSON lines over TCP on 127.0.0.1, opened with the token in the board's folder (docs/virtual-board.md).
"""

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ansim.errors import DeviceError

_ANSWER_S = 5.0
_MAX_LINE_BYTES = 1 << 16


@dataclass(frozen=True)
class Seen:
    """Something the board did. ``ms`` is time.monotonic() of this machine, in milliseconds."""

    ms: int
    event: str
    details: dict[str, Any]


@dataclass(frozen=True)
class ControlClient:
    """Talks to one running board; each call is a connection of its own, so calls may come from any thread.

    Every method raises DeviceError when the board does not answer or refuses.
    """

    name: str
    port: int
    token: str = field(repr=False)

    def status(self) -> dict[str, Any]:
        """Return the board's state.

        ``state`` is off, reset, download or running; ``tool_connected`` says whether a tool has the serial
        port open, at ``baud``; ``chip_state`` is what the chip tells of itself.
        """
        return self._call("status")

    def stats(self) -> dict[str, Any]:
        """Return what passed over the serial line, and what the chip did to its flash, since the board was started.

        Bytes each way, round trips, dropped bytes, clients; ``flash``: operations, programs, programmed_bytes, erases,
        most_worn_erases (of the sector that was erased most often).
        """
        return self._call("stats")

    def press(self, hold_ms: int = 150) -> None:
        """Press the button, hold it for hold_ms and let it go."""
        self._call("press", hold_ms / 1000 + _ANSWER_S, hold_ms=hold_ms)

    def button(self, down: bool) -> None:
        self._call("button", down=down)

    def wifi(self, on: bool) -> None:
        """Give the board a Wi-Fi network in reach, or take it away."""
        self._call("wifi", on=on)

    def network(self, ssid: str, passphrase: str, service: str = "full", access_points: Sequence[int] = (1,)) -> None:
        """Add a network, or change it; an empty passphrase makes it an open one.

        Args:
            service: what it gives to who has joined it, see docs/virtual-board.md.
            access_points: numbers of those in reach, the strongest first; none: the network is out of reach.
        """
        points = list(access_points)
        self._call("network", ssid=ssid, passphrase=passphrase, service=service, access_points=points)

    def stall(self) -> None:
        """Let the connections that are open carry nothing any more, and tell neither end."""
        self._call("stall")

    def rssi(self, dbm: int) -> None:
        self._call("rssi", dbm=dbm)

    def battery(self, battery_mv: int) -> None:
        """Set the cell's voltage."""
        self._call("battery", mv=battery_mv)

    def reset(self) -> None:
        """Press the reset button (EN)."""
        self._call("reset")

    def power(self, on: bool) -> None:
        self._call("power", on=on)

    def cut_power_at(self, operation: int, done_percent: int = 50) -> None:
        """Cut the power in the operation-th flash operation from now, 1 the next, when done_percent of it are done.

        Between 0 and 100 per cent at least one byte of it is done, and never all. The board then is off, and tells
        watchers so. Switched off or reset before, it forgets this.
        """
        self._call("cut_power_at", operation=operation, done_percent=done_percent)

    @contextmanager
    def watch(self, timeout_s: float | None = None) -> Iterator[Iterator[Seen]]:
        """Yield an iterator of what the board does from now on.

        The iterator ends when the board ends, or when nothing happened for timeout_s.
        """
        with self._connect() as link:
            link.ask("watch")
            link.wait_up_to(timeout_s)
            yield link.events()

    def _call(self, command: str, timeout_s: float = _ANSWER_S, **arguments: object) -> dict[str, Any]:
        with self._connect() as link:
            link.wait_up_to(timeout_s)
            return link.ask(command, **arguments)

    @contextmanager
    def _connect(self) -> Iterator["_Link"]:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=_ANSWER_S) as connection:
                link = _Link(self.name, connection)
                link.exchange({"token": self.token})
                yield link
        except OSError as error:
            raise DeviceError(
                f"the virtual board '{self.name}' does not answer ({error})",
                f"Start it with: ansim virtual start {self.name}",
            ) from error


class _Link:
    """One authenticated connection."""

    def __init__(self, name: str, connection: socket.socket) -> None:
        self._name = name
        self._connection = connection
        self._lines = connection.makefile("rb")

    def wait_up_to(self, timeout_s: float | None) -> None:
        self._connection.settimeout(timeout_s)

    def ask(self, command: str, **arguments: object) -> dict[str, Any]:
        return self.exchange({"cmd": command, **arguments})

    def exchange(self, message: dict[str, object]) -> dict[str, Any]:
        self._connection.sendall(json.dumps(message).encode() + b"\n")
        answer = self._read()
        if not answer:
            raise ConnectionError("it closed the connection")
        if not answer.get("ok"):
            raise DeviceError(f"the virtual board '{self._name}' refuses: {answer.get('error')}")
        result: dict[str, Any] = answer["result"]
        return result

    def events(self) -> Iterator[Seen]:
        while event := self._read_event():
            yield Seen(event.pop("ms"), event.pop("event"), event)

    def _read_event(self) -> dict[str, Any]:
        try:
            return self._read()
        except TimeoutError:
            return {}

    def _read(self) -> dict[str, Any]:
        line = self._lines.readline(_MAX_LINE_BYTES)
        message: dict[str, Any] = json.loads(line) if line else {}
        return message
