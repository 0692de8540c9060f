"""Thousands of devices in one process: the firmware's real core on real MQTT connections over TLS, in real time.

What of a device is missing here: its Wi-Fi, and its flash (an event counts as stored at once).
"""

import asyncio
import asyncio.sslproto
import json
import os
import re
import resource
import signal
import ssl
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from mqtt_device import identity, trusting
from nats.aio.client import Client, RawCredentials
from returning_fleet import FIRST_MAC

from ansim import nats_jwt, secret_files
from ansim.broker import Broker
from ansim.credentials import Authority, load_ca
from ansim.home import Home
from ansim_fw.core import config, device, link_watch, message, mqtt

KEEPALIVE_S = 60
PING_S = 20
# Descriptors beside the connections: the process's own, and the broker's files.
SPARE_DESCRIPTORS = 200
# A device that was provisioned once, at its first start.
BOOT = 1 << 19
_PAGE = 1000
_FRACTION = re.compile(r"\.\d+")


def allow_connections(wanted: int) -> None:
    """Let this process, and the broker that it starts, have so many connections.

    Raises:
        RuntimeError: the system does not allow it; says what to do.
    """
    needed = wanted + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise RuntimeError(
            f"{wanted} connections need {needed} open files, and {hard} are allowed: ulimit -Hn {needed}"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class FleetDevice(asyncio.Protocol):
    """One device: the core's actions carried out on a connection, and what the broker says given to the core.

    Attributes:
        raised: ids (boot, seq) of all events that it made durable; a device forgets one only on its ack.
        refused: why attempts to connect failed.
    """

    def __init__(self, fleet: "Fleet", number: int, token: str) -> None:
        self.name = device_name(number)
        self.raised: list[tuple[int, int]] = []
        self.refused: Counter[str] = Counter()
        self._fleet = fleet
        self._token = token
        settings = {name: config.default(name) for name in config.LIMITS} | {"spread_s": fleet.spread_s}
        self._core = device.Device(BOOT, settings, FIRST_MAC + number, "0.0.0", "power_on", 0, True)
        self._inputs = device.Inputs()
        self._reader = mqtt.Reader()
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._packet_id = 1
        self._loop = asyncio.get_running_loop()
        self._stepped_at = 0.0
        self._due: asyncio.TimerHandle | None = None
        self._ping_due: asyncio.TimerHandle | None = None
        self._ended = False

    @property
    def connected(self) -> bool:
        return self._inputs.link == link_watch.UP

    @property
    def waiting(self) -> int:
        """How many events are not acknowledged."""
        return len(self._core.outbox.entries)

    def report(self, fault: str) -> None:
        """Have it raise a fault."""
        self._core.report(fault)
        self.step()

    def alarm(self) -> None:
        """Have it raise a test alarm."""
        self._core.trigger()
        self.step()

    def start(self) -> None:
        """Switch it on."""
        self._stepped_at = self._loop.time()
        self.step()

    def step(self) -> None:
        """Let the time that has passed pass for the core, and come again when it has something to do.

        To be called before an input changes, too: that time passed with the old one.
        """
        if self._ended:
            return
        now = self._loop.time()
        elapsed_ms = int((now - self._stepped_at) * 1000)
        self._stepped_at += elapsed_ms / 1000
        actions = self._core.step(elapsed_ms, self._inputs)
        self._inputs.stored.clear()
        self._inputs.commands.clear()
        while actions:
            self._act(actions.pop(0))
        if self._due is not None:
            self._due.cancel()
        self._due = self._loop.call_later(self._core.idle_ms(self._inputs) / 1000, self.step)

    def end(self) -> None:
        """Be no more."""
        self._ended = True
        for timer in (self._due, self._ping_due, self._connecting):
            if timer is not None:
                timer.cancel()
        if self._transport is not None:
            self._transport.abort()

    # What the core wants

    def _act(self, action: "tuple[object, ...]") -> None:
        what = action[0]
        if what == device.STORE:
            self.raised.append((action[1].boot, action[1].seq))
            self._inputs.stored.append((action[1], True))
        elif what == device.SEND:
            self._publish(action[1])
        elif what == device.CONNECT:
            self._inputs.link = link_watch.BUSY
            self._connecting = self._loop.create_task(self._connect())
        elif what == device.RECONNECT and self._transport is not None:
            self._transport.abort()

    def _publish(self, entry: "object") -> None:
        self._packet_id = self._packet_id % 0xFFFF + 1
        payload = message.encode_event(entry.event, entry.age_ms, entry.attempts)
        self._write(mqtt.publish(self._packet_id, message.event_topic(identity().site, self.name), payload))

    async def _connect(self) -> None:
        try:
            await self._loop.create_connection(
                lambda: self,
                "127.0.0.1",
                self._fleet.port,
                ssl=self._fleet.context,
                server_hostname="localhost",
                ssl_handshake_timeout=15,
            )
        except (OSError, TimeoutError, ssl.SSLError) as error:
            self._down(type(error).__name__)

    def _write(self, packet: bytes) -> None:
        if self._transport is not None:
            self._transport.write(packet)

    def _ping(self) -> None:
        self._write(mqtt.PINGREQ_PACKET)
        self._ping_due = self._loop.call_later(PING_S, self._ping)

    def _down(self, why: str) -> None:
        self.refused[why] += 1
        if self._ping_due is not None:
            self._ping_due.cancel()
        self._transport = None
        self.step()
        self._inputs.link = link_watch.DOWN
        self._inputs.link_fault = "broker_unreachable"
        self.step()

    # What the broker does

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._reader = mqtt.Reader()
        client_id = f"{self.name}-{self._token[-12:]}"
        self._write(mqtt.connect(client_id, self.name, self._token.encode(), KEEPALIVE_S))

    def connection_lost(self, _error: Exception | None) -> None:
        self._down("lost" if self.connected else "closed")

    def data_received(self, data: bytes) -> None:
        for at in range(0, len(data), mqtt.READ_BYTES):
            piece = data[at : at + mqtt.READ_BYTES]
            self._reader.feed(piece, len(piece))
            while (packet := self._reader.next()) is not None:
                self._take(*packet)

    def _take(self, kind: int, flags: int, body: bytes) -> None:
        if kind == mqtt.CONNACK:
            assert body[1] == 0, f"{self.name} was refused: CONNACK {body[1]}"
            self._write(mqtt.subscribe(1, message.command_topic(identity().site, self.name)))
        elif kind == mqtt.SUBACK:
            self.step()
            self._inputs.link = link_watch.UP
            self._inputs.link_fault = ""
            self._ping()
            self.step()
        elif kind == mqtt.PUBLISH:
            self._inputs.commands.append(message.decode_command(mqtt.payload_of(flags, body)))
            self.step()


class Fleet:
    """Devices with tokens of their own for home's broker at port; make it inside a running event loop."""

    def __init__(self, home: Home, port: int, devices: int, spread_s: int) -> None:
        # What asyncio keeps for reading, for each connection: 256 KB of it otherwise.
        asyncio.sslproto.SSLProtocol.max_size = 4096
        self.port = port
        self.context = trusting(home)
        self.spread_s = spread_s
        authority = Authority.load(home)
        self.devices = [
            FleetDevice(self, number, authority.device_token(identity(device_name(number))))
            for number in range(devices)
        ]

    def start(self) -> None:
        """Switch all devices on at one moment."""
        for one in self.devices:
            one.start()

    def close(self) -> None:
        for one in self.devices:
            one.end()

    @property
    def connected(self) -> int:
        return sum(one.connected for one in self.devices)

    @property
    def waiting(self) -> int:
        return sum(one.waiting for one in self.devices)

    def raised(self) -> set[tuple[str, int, int]]:
        """Return the ids (device, boot, seq) of all events but heartbeats, which no device keeps."""
        return {(one.name, *event) for one in self.devices for event in one.raised}

    def refused(self) -> Counter[str]:
        return sum((one.refused for one in self.devices), Counter())


def device_name(number: int) -> str:
    return f"AN{number + 1:06d}"


async def until(condition: Callable[[], bool], timeout_s: float) -> None:
    """Wait until condition holds.

    Raises:
        TimeoutError: it does not in time.
    """
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)


async def accepted_ms(home: Home, client_port: int) -> list[int]:
    """Return when the broker took each MQTT connection that it has now, by its own record, in ms since 1970."""
    client = Client()
    await client.connect(
        f"tls://localhost:{client_port}",
        user_credentials=RawCredentials(_system_credentials(home)),
        tls=ssl.create_default_context(cadata=load_ca(home)),
    )
    try:
        return [_to_ms(one["start"]) for one in await _connections(client) if one.get("type") == "mqtt"]
    finally:
        await client.close()


async def _connections(client: Client) -> "list[dict[str, str]]":
    found: list[dict[str, str]] = []
    while True:
        asked = json.dumps({"offset": len(found), "limit": _PAGE, "sort": "cid"}).encode()
        answer = await client.request("$SYS.REQ.SERVER.PING.CONNZ", asked, timeout=20)
        page = json.loads(answer.data)["data"]["connections"]
        found += page
        if len(page) < _PAGE:
            return found


def _system_credentials(home: Home) -> str:
    """Return credentials that may ask the broker about its connections."""
    system = nats_jwt.KeyPair(secret_files.read(home.keys / "system.nk").strip())
    user = nats_jwt.KeyPair.generate(nats_jwt.USER)
    limits = {"subs": -1, "data": -1, "payload": -1}
    token = nats_jwt.encode(system, user.public, "count", {"pub": {}, "sub": {}, **limits, "type": "user"})
    return (
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
    )


def _to_ms(text: str) -> int:
    """Return Go's RFC 3339 time, which has up to nine digits of a second, as milliseconds since 1970."""
    fraction = _FRACTION.search(text)
    digits = fraction[0][1:4].ljust(3, "0") if fraction else "000"
    whole = datetime.fromisoformat(_FRACTION.sub("", text).replace("Z", "+00:00"))
    return int(whole.timestamp()) * 1000 + int(digits)


def peak_memory_bytes(pid: int) -> int:
    """Return the most memory that a process has had so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def server_pid(broker: Broker) -> int:
    """Return the process of nats-server itself: the only child of the guard that ends it with us."""
    guard = broker._process.pid
    (server,) = Path(f"/proc/{guard}/task/{guard}/children").read_text().split()
    return int(server)


def kill(broker: Broker) -> None:
    """Kill nats-server with SIGKILL; broker can be started again."""
    os.kill(server_pid(broker), signal.SIGKILL)
    broker.stop()
