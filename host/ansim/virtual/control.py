"""The control channel's client: what the world does to a virtual board, and what is seen of it from outside.

JSON lines over TCP on 127.0.0.1, opened with the token in the board's folder (docs/virtual-board.md).
"""

import json
import secrets
import socket
import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ansim.errors import DeviceError

_ANSWER_S = 5.0
_PLAY_S = 30.0  # a day at 200 Hz is 100 MB
_MAX_LINE_BYTES = 1 << 16


@dataclass(frozen=True)
class Seen:
    """Something the board did.

    Attributes:
        ms: time.monotonic() of this machine, in milliseconds.
        chip_ms: the time on the chip's clock since the board started.
    """

    ms: int
    chip_ms: int
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
    folder: Path
    when: Mapping[str, object] | None = None

    def later(self, after_ms: int = 0, on: str | None = None) -> "ControlClient":
        """Return a client whose stimuli come later: all but status, stats and watch. Watchers are told ``stimulus``.

        Args:
            after_ms: from now, or from that moment, in the chip's time.
            on: "sleep": when a program next asks for sleep, before it is looked whether something wakes the chip;
                "asleep": after that; "wake": when it wakes, before a program runs. Each for once.
        """
        return replace(self, when={"after_ms": after_ms} if on is None else {"after_ms": after_ms, "on": on})

    def status(self) -> dict[str, Any]:
        """Return the board's state.

        ``state`` is off, reset, download or running; ``tool_connected`` says whether a tool has the serial
        port open, at ``baud``; ``chip_state`` is what the chip tells of itself, ``speed`` how fast its time runs;
        ``motion`` says whether a recording plays and where it is (``playing``, ``repeat``, ``at_ms``, ``of_ms``).
        """
        return self._call("status")

    def stats(self) -> dict[str, Any]:
        """Return what passed over the serial line, and what the chip did to its flash, since the board was started.

        Bytes each way, round trips, dropped bytes, clients; ``flash``: operations, programs, programmed_bytes, erases,
        most_worn_erases (of the sector that was erased most often).
        """
        return self._call("stats")

    def press(self, hold_ms: int = 150) -> None:
        """Press the button, hold it for hold_ms of the chip's time and let it go."""
        self._do("press", hold_ms / 1000 + _ANSWER_S, hold_ms=hold_ms)

    def bounce(self, edges_us: Sequence[int]) -> None:
        """Close and open the button's contact in turn at these moments, as a worn one does; see bounce.bouncing_press.

        Args:
            edges_us: ascending microseconds of the chip's time from now, an even number of them.
        """
        self._do("bounce", max(edges_us, default=0) / 1_000_000 + _ANSWER_S, edges_us=list(edges_us))

    def supply(self, on: bool) -> None:
        """Connect the charger, USB or mains, or take it away. A board starts with it."""
        self._do("supply", on=on)

    def button(self, down: bool) -> None:
        self._do("button", down=down)

    def wifi(self, on: bool) -> None:
        """Give the board a Wi-Fi network in reach, or take it away."""
        self._do("wifi", on=on)

    def network(self, ssid: str, passphrase: str, service: str = "full", access_points: Sequence[int] = (1,)) -> None:
        """Add a network, or change it; an empty passphrase makes it an open one.

        Args:
            service: what it gives to who has joined it, see docs/virtual-board.md.
            access_points: numbers of those in reach, the strongest first; none: the network is out of reach.
        """
        points = list(access_points)
        self._do("network", ssid=ssid, passphrase=passphrase, service=service, access_points=points)

    def stall(self) -> None:
        """Let the connections that are open carry nothing any more, and tell neither end."""
        self._do("stall")

    def rssi(self, dbm: int) -> None:
        self._do("rssi", dbm=dbm)

    def battery(self, battery_mv: int) -> None:
        """Set the cell's voltage."""
        self._do("battery", mv=battery_mv)

    def heap(self, less_kb: int) -> None:
        """Let programs have so much less memory, from the next start of one on; 0: all of it again."""
        self._do("heap", less_kb=less_kb)

    def clock(self, by_ms: int) -> None:
        """Let the chip's real-time clock jump forward, or back; ticks don't jump."""
        self._do("clock", by_ms=by_ms)

    def reset(self) -> None:
        """Press the reset button (EN)."""
        self._do("reset")

    def power(self, on: bool) -> None:
        self._do("power", on=on)

    def cut_power_at(self, operation: int, done_percent: int = 50) -> None:
        """Cut the power in the operation-th flash operation from now, 1 the next, when done_percent of it are done.

        Between 0 and 100 per cent at least one byte of it is done, and never all. The board then is off, and tells
        watchers so. Switched off or reset before, it forgets this.
        """
        self._do("cut_power_at", operation=operation, done_percent=done_percent)

    def play(self, samples: Sequence[int], rate_hz: float = 50.0, repeat: bool = False) -> None:
        """Move the motion sensor as a recording says, from its next sample on.

        Args:
            samples: x, y, z in mg, interleaved, each -32768 to 32767; at most a day at 200 Hz.
            rate_hz: the recording's.
            repeat: start again after the last sample, without an end; else the last one is held.
        """
        data = array("h", samples)
        if sys.byteorder == "big":
            data.byteswap()
        file = self.folder / f"motion-{secrets.token_hex(8)}.s16"
        try:
            file.write_bytes(data.tobytes())
            self._do("motion", _PLAY_S, file=file.name, rate_hz=rate_hz, repeat=repeat)
        finally:
            file.unlink(missing_ok=True)

    def still(self, posture_mg: Sequence[float] = (0, 0, 1000)) -> None:
        """Keep the motion sensor still, with this acceleration."""
        self._do("motion", posture_mg=list(posture_mg))

    def sensor_fault(self, fault: str) -> None:
        """Let the motion sensor have a fault and no other, see docs/virtual-board.md; "none": be well again."""
        self._do("sensor", fault=fault)

    def sensor_errors(self, noise_mg: float | None = None, offset_mg: Sequence[float] | None = None) -> None:
        """Set the standard deviation of the motion sensor's noise, and what each axis says too much."""
        given: dict[str, object] = {} if noise_mg is None else {"noise_mg": noise_mg}
        if offset_mg is not None:
            given["offset_mg"] = list(offset_mg)
        self._do("sensor", **given)

    def wire(self, device: str, lines: Mapping[str, tuple[int, int]], pins: Mapping[int, int]) -> None:
        """Wire this board, a rig, to another one of the same home; the same again changes nothing.

        The wires are gone with either board, and the device is let go of then.

        Args:
            device: its name.
            lines: to "button", "power" and "reset" of the device: pin here, and its level when the line is on.
            pins: of the device, to those here that see them.
        """
        driving = {name: {"pin": pin, "level": level} for name, (pin, level) in lines.items()}
        seeing = [{"from": pin, "to": here} for pin, here in pins.items()]
        self._call("wire", 2 * _ANSWER_S, board=device, lines=driving, pins=seeing)

    @contextmanager
    def watch(self, timeout_s: float | None = None) -> Iterator[Iterator[Seen]]:
        """Yield an iterator of what the board does from now on.

        The iterator ends when the board ends, or when nothing happened for timeout_s.
        """
        with self._connect() as link:
            link.ask("watch")
            link.wait_up_to(timeout_s)
            yield link.events()

    def _do(self, command: str, timeout_s: float = _ANSWER_S, /, **arguments: object) -> None:
        """Have a stimulus act, now or later."""
        if self.when is None:
            self._call(command, timeout_s, **arguments)
        else:
            self._call("later", timeout_s, **self.when, do={"cmd": command, **arguments})

    def _call(self, command: str, timeout_s: float = _ANSWER_S, /, **arguments: object) -> dict[str, Any]:
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
            yield Seen(event.pop("ms"), event.pop("chip_ms"), event.pop("event"), event)

    def _read_event(self) -> dict[str, Any]:
        try:
            return self._read()
        except TimeoutError:
            return {}

    def _read(self) -> dict[str, Any]:
        line = self._lines.readline(_MAX_LINE_BYTES)
        message: dict[str, Any] = json.loads(line) if line else {}
        return message
