"""The air around a virtual board: the Wi-Fi networks in reach, and the way from them to the real network.

The chip's sockets connect to a listener on loopback, one for each destination; what arrives is carried on to the
destination while the radio is up, and held while it is not, as TCP does when a radio is out of reach.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass

_CHUNK_BYTES = 16384
# lwIP's limit on a chip is 12 to 16 sockets; beyond that the oldest abandoned ones go.
_MAX_CONNECTIONS = 64
_CONNECT_TIMEOUT_S = 20
_RESOLVE_TIMEOUT_S = 14
_SWITCH_TIMEOUT_S = 5


@dataclass(frozen=True)
class Network:
    """A Wi-Fi network; an empty passphrase is an open one."""

    ssid: str
    passphrase: str
    bssid: bytes
    channel: int = 6

    def __repr__(self) -> str:
        return f"Network({self.ssid!r})"


class Air:
    """Networks, signal, and the forwarders behind them. Any thread may use it.

    Attributes:
        rssi_dbm: how strong the board receives its network.
        changed: called after each change, from the thread that made it.
        delay_ms: added to each piece of data that crosses the air, either way.
        association_ms: how long a station takes from connect() to an address.
        beacon_timeout_ms: how long a station takes to notice that its network went away (ESP-IDF: 6 s).
    """

    def __init__(self) -> None:
        self.rssi_dbm = -55
        self.delay_ms = 0
        self.association_ms = 150
        self.beacon_timeout_ms = 6000
        self.changed: Callable[[], None] = lambda: None
        self._enabled = True
        self._networks: dict[str, Network] = {}
        self._forwarder: _Forwarder | None = None
        self._lock = threading.Lock()

    @property
    def enabled(self) -> bool:
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        """Switch every network on or off; connections through them stop moving at once, and are not told."""
        self._enabled = enabled
        if not enabled:
            self.carry(False)
        self.changed()

    def set_network(self, ssid: str, passphrase: str) -> None:
        """Add a network, or change its passphrase."""
        self._networks[ssid] = Network(ssid, passphrase, b"\x02an" + len(ssid).to_bytes(1) + b"\x00\x01")
        self.changed()

    def networks(self) -> list[Network]:
        """Return what a scan finds."""
        return list(self._networks.values()) if self._enabled else []

    def find(self, ssid: str) -> Network | None:
        return self._networks.get(ssid) if self._enabled else None

    def carry(self, on: bool) -> None:
        """Let the chip's connections move (it is on a network), or hold them."""
        with self._lock:
            if self._forwarder is not None:
                self._forwarder.carry(on)

    def forget(self) -> None:
        """The chip went away without a word: its connections stay open at the other end, and nothing moves on them."""
        with self._lock:
            if self._forwarder is not None:
                self._forwarder.abandon()

    def route(self, host: str, port: int) -> int:
        """Return a loopback port that leads to a destination. Blocks while the name is looked up.

        Raises:
            OSError: nobody knows the name.
        """
        with self._lock:
            if self._forwarder is None:
                self._forwarder = _Forwarder(self)
                self._forwarder.carry(True)
            forwarder = self._forwarder
        return forwarder.route(host, port)

    def known_route(self, host: str, port: int) -> int | None:
        """Return what route() gave for a destination before, without waiting."""
        with self._lock:
            return self._forwarder.ports.get((host, port)) if self._forwarder else None

    def close(self) -> None:
        with self._lock:
            forwarder, self._forwarder = self._forwarder, None
        if forwarder is not None:
            forwarder.close()


class _Forwarder:
    """An event loop in a thread of its own, with a listener for each destination.

    Attributes:
        ports: (host, port) of a destination to the loopback port that leads there.
    """

    def __init__(self, air: Air) -> None:
        self._air = air
        self.ports: dict[tuple[str, int], int] = {}
        self._servers: list[asyncio.Server] = []
        self._links: dict[asyncio.Task[None], _Link] = {}
        self._loop = asyncio.new_event_loop()
        self._up = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="air", daemon=True)
        self._thread.start()

    def route(self, host: str, port: int) -> int:
        try:
            return asyncio.run_coroutine_threadsafe(self._route(host, port), self._loop).result(_RESOLVE_TIMEOUT_S)
        except TimeoutError as error:
            raise OSError(f"no answer for {host}") from error

    def carry(self, on: bool) -> None:
        """Open or shut the gate; when this returns, nothing more crosses a gate that was shut."""

        async def switch() -> None:
            if on:
                self._up.set()
            else:
                self._up.clear()

        if on != self._up.is_set():
            asyncio.run_coroutine_threadsafe(switch(), self._loop).result(_SWITCH_TIMEOUT_S)

    def abandon(self) -> None:
        def mark() -> None:
            for link in self._links.values():
                link.abandoned = True

        self._loop.call_soon_threadsafe(mark)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        tasks = list(self._links)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _route(self, host: str, port: int) -> int:
        known = self.ports.get((host, port))
        if known is not None:
            return known
        await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._accept(_Link(reader, writer), host, port)

        server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=_CHUNK_BYTES)
        self._servers.append(server)
        self.ports[host, port] = int(server.sockets[0].getsockname()[1])
        return self.ports[host, port]

    async def _accept(self, link: "_Link", host: str, port: int) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links[task] = link
        self._drop_oldest()
        try:
            await self._carry(link, host, port)
        except (OSError, TimeoutError, asyncio.CancelledError):
            link.reset()
        finally:
            del self._links[task]

    def _drop_oldest(self) -> None:
        for task in list(self._links)[:-_MAX_CONNECTIONS]:
            task.cancel()

    async def _carry(self, link: "_Link", host: str, port: int) -> None:
        await self._up.wait()
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port, limit=_CHUNK_BYTES)
        link.far = writer
        _no_delay(writer)
        _no_delay(link.near)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(link, reader, link.near))
                group.create_task(self._pump(link, link.reader, writer))
        except* OSError:
            link.reset()
        link.close()

    async def _pump(self, link: "_Link", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one direction until its end; the end, too, crosses only while the radio is up."""
        while data := await reader.read(_CHUNK_BYTES):
            await self._cross(link)
            writer.write(data)
            await writer.drain()
        await self._cross(link)
        if writer.can_write_eof():
            writer.write_eof()

    async def _cross(self, link: "_Link") -> None:
        if self._air.delay_ms:
            await asyncio.sleep(self._air.delay_ms / 1000)
        await self._up.wait()
        # Asked last: what a chip left unsent when its power went is lost with it.
        if link.abandoned:
            await asyncio.Event().wait()


class _Link:
    """One connection of the chip: its own end, and the far one."""

    def __init__(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.near = near
        self.far: asyncio.StreamWriter | None = None
        self.abandoned = False

    def close(self) -> None:
        for writer in (self.near, self.far):
            if writer is not None:
                writer.close()

    def reset(self) -> None:
        """End both ends with RST, as a refused or broken connection ends."""
        for writer in (self.near, self.far):
            if writer is not None and not writer.is_closing():
                end = writer.get_extra_info("socket")
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()


def _no_delay(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
