"""What the tests need of a device: an MQTT 3.1.1 client over a raw TLS socket, and a home with keys for a broker."""

import json
import socket
import ssl
import struct
import time
from pathlib import Path
from typing import Any

from ansim import credentials
from ansim.fleet import Fleet
from ansim.home import Home
from ansim.registry import Identity

TIMEOUT_S = 10.0


def make_home(path: Path, site: str = "city") -> Home:
    """Return a home with all keys and a broker on free ports."""
    home = Home(path)
    credentials.make(home, "localhost")
    Fleet(site=site, port=0, client_port=0).save(home)
    return home


def identity(device: str = "AN000001", site: str = "city") -> Identity:
    return Identity(device, "24:6f:28:00:00:01", "virtual", site, "hub", 1)


def trusting(home: Home) -> ssl.SSLContext:
    """Return a context that trusts the home's own CA and no other."""
    context = ssl.create_default_context(cadata=credentials.load_ca(home))
    # Python's default from 3.13 on.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


class MqttDevice:
    """One connection. ``connack`` is the broker's answer: 0 accepted, 4 or 5 refused, None closed without one."""

    def __init__(
        self,
        port: int,
        context: ssl.SSLContext | None,
        token: str | None,
        device: str = "AN000001",
        site: str = "city",
    ) -> None:
        """context None: plain text. Raises ssl.SSLError when the broker is not to be trusted."""
        raw = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = raw if context is None else context.wrap_socket(raw, server_hostname="localhost")
        self._device, self._site, self._packet_id = device, site, 0
        self._received = b""
        flags = 0x02 if token is None else 0xC2
        # docs/protocol.md: a client id that no one else can guess.
        client_id = f"{device}-{(token or '')[-12:]}"
        body = _text("MQTT") + bytes([4, flags]) + struct.pack(">H", 60) + _text(client_id)
        if token is not None:
            body += _text(device) + _text(token)
        self._send(0x10, body)
        answer = self.receive()
        self.connack = answer[1][1] if answer and answer[0] == 0x20 else None

    def __enter__(self) -> "MqttDevice":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def publish(self, payload: bytes, topic: str | None = None) -> bool:
        """Publish with QoS 1; True when the broker sent a PUBACK, False when it closed."""
        self.publish_only(payload, topic)
        answer = self.receive()
        return answer is not None and answer[0] == 0x40

    def publish_only(self, payload: bytes, topic: str | None = None) -> None:
        self._packet_id = self._packet_id % 65535 + 1
        name = topic or f"ansim/{self._site}/{self._device}/evt"
        self._send(0x32, _text(name) + struct.pack(">H", self._packet_id) + payload)

    def subscribe(self, topic: str | None = None) -> bool:
        """Subscribe with QoS 0; tells whether the broker granted it."""
        name = topic or f"ansim/{self._site}/{self._device}/cmd"
        self._send(0x82, struct.pack(">H", 1) + _text(name) + b"\0")
        answer = self.receive()
        return answer is not None and answer[1][2] == 0

    def command(self, timeout_s: float = TIMEOUT_S) -> dict[str, Any] | None:
        """Return the next command, None when none comes in time or the broker closes; PUBACKs are passed over."""
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left_s)
            try:
                answer = self.receive()
            except TimeoutError:
                break
            if answer is None:
                break
            if answer[0] == 0x30:
                size = struct.unpack(">H", answer[1][:2])[0]
                found: dict[str, Any] = json.loads(answer[1][2 + size :])
                return found
        return None

    def receive(self) -> tuple[int, bytes] | None:
        """Return the next packet's first byte and body; None when the broker has closed.

        Raises:
            TimeoutError: none came in time; what came of it is kept for the next call.
        """
        try:
            while (found := self._whole_packet()) is None:
                chunk = self._socket.recv(4096)
                if not chunk:
                    return None
                self._received += chunk
        except (ConnectionError, ssl.SSLError):
            return None
        return found

    def _whole_packet(self) -> tuple[int, bytes] | None:
        size = 0
        for start, digit in enumerate(self._received[1:5], 2):
            size |= (digit & 0x7F) << 7 * (start - 2)
            if not digit & 0x80:
                break
        else:
            return None
        if len(self._received) < start + size:
            return None
        head, body = self._received[0], self._received[start : start + size]
        self._received = self._received[start + size :]
        return head, body

    def _send(self, head: int, body: bytes) -> None:
        size, length = b"", len(body)
        while True:
            length, digit = divmod(length, 128)
            size += bytes([digit | (0x80 if length else 0)])
            if not length:
                break
        self._socket.sendall(bytes([head]) + size + body)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">H", len(encoded)) + encoded
