"""The way from the air to the real network: one listener on loopback for each destination of the chip's sockets."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from ansim.virtual.name_server import NameServer
from ansim.virtual.traffic import Connection

if TYPE_CHECKING:
    from ansim.virtual.air import Air

# What a station is told by DHCP, and where a captive network's web server is.
NAME_SERVER = ("10.0.2.3", 53)
# Whoever is on the network and knows a name of the local link (RFC 6762).
LINK_LOCAL_NAMES = ("224.0.0.251", 5353)
_LINK_LOCAL_SUFFIX = ".local"
PORTAL = "10.0.2.4"

_CHUNK_BYTES = 16384
# lwIP's limit on a chip is 12 to 16 sockets; beyond that the oldest abandoned ones go.
_MAX_CONNECTIONS = 64
_CONNECT_TIMEOUT_S = 20
# lwIP asks a name server four times, and then gives up.
_RESOLVE_TIMEOUT_S = 14
_SWITCH_TIMEOUT_S = 5

_PORTAL_ANSWER = b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

_T = TypeVar("_T")


class Service(StrEnum):
    """What a network gives to who has joined it."""

    FULL = "full"
    NO_ADDRESS = "no_address"  # DHCP does not answer
    NO_NAMES = "no_names"  # the name server does not answer
    UNKNOWN_NAMES = "unknown_names"  # the name server knows no name
    WRONG_NAMES = "wrong_names"  # every name is the portal's, a web server
    CAPTIVE = "captive"  # the same, and nothing but the portal is reached
    NO_WAY_OUT = "no_way_out"  # names are known, but what is sent gets nowhere


class Forwarder:
    """An event loop in a thread of its own, with a listener for each destination.

    What a destination leads to is the joined network's service (``air.service``) at the moment of use.
    """

    def __init__(self, air: "Air") -> None:
        self._air = air
        self._ports: dict[tuple[str, int], int] = {}
        self._servers: list[asyncio.Server] = []
        self._names: dict[tuple[str, int], asyncio.DatagramTransport] = {}
        self._nowhere: list[socket.socket] = []
        self._links: dict[asyncio.Task[None], _Link] = {}
        self._loop = asyncio.new_event_loop()
        self._up = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="air", daemon=True)
        self._thread.start()

    def route(self, host: str, port: int) -> int:
        """Return a loopback port that leads to a destination; see Air.route."""
        try:
            return self._run(self._route(host, port), _RESOLVE_TIMEOUT_S)
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
            self._run(switch(), _SWITCH_TIMEOUT_S)

    def abandon(self) -> None:
        """See Air.forget."""

        def mark() -> None:
            for link in self._links.values():
                link.abandoned = True

        self._loop.call_soon_threadsafe(mark)

    def close(self) -> None:
        self._run(self._close(), 5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, _T], timeout_s: float) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for names in self._names.values():
            names.close()
        for end in self._nowhere:
            end.close()
        tasks = list(self._links)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Names

    async def _look_up(self, name: str) -> list[str] | None:
        """Return a name's addresses as the network's name server tells them; None: it does not answer."""
        self._air.traffic.asked_name()
        if not self._up.is_set():
            return None
        await self._delay()
        match self._air.service:
            case Service.NO_NAMES:
                return None
            case Service.UNKNOWN_NAMES:
                return []
            case Service.WRONG_NAMES | Service.CAPTIVE:
                return [PORTAL]
        return await self._known_addresses(name)

    async def _look_up_on_link(self, name: str) -> list[str] | None:
        """Return the addresses of ``NAME.local``, which somebody with this machine's name for NAME tells."""
        self._air.traffic.asked_name()
        if not self._up.is_set() or not name.endswith(_LINK_LOCAL_SUFFIX):
            return None
        await self._delay()
        return await self._known_addresses(name.removesuffix(_LINK_LOCAL_SUFFIX)) or None

    async def _known_addresses(self, name: str) -> list[str]:
        with contextlib.suppress(OSError, UnicodeError):
            found = await self._loop.getaddrinfo(name, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
            return list(dict.fromkeys(str(address[0]) for *_, address in found))
        return []

    async def _name_server_port(self, asked: tuple[str, int]) -> int:
        if asked not in self._names:
            look_up = self._look_up if asked == NAME_SERVER else self._look_up_on_link
            made = await self._loop.create_datagram_endpoint(lambda: NameServer(look_up), ("127.0.0.1", 0))
            self._names[asked] = made[0]
        return int(self._names[asked].get_extra_info("sockname")[1])

    # Routes

    async def _route(self, host: str, port: int) -> int:
        if (host, port) in (NAME_SERVER, LINK_LOCAL_NAMES):
            return await self._name_server_port((host, port))
        if not _is_address(host):
            host = await self._resolve(host)
        service = self._air.service
        if service == Service.NO_WAY_OUT or (service == Service.CAPTIVE and host != PORTAL):
            return self._nowhere_port()
        return await self._listen(host, port)

    async def _resolve(self, name: str) -> str:
        while (found := await self._look_up(name)) is None:
            await asyncio.sleep(_RESOLVE_TIMEOUT_S)
        if not found:
            raise OSError(f"nobody knows {name}")
        return found[0]

    def _nowhere_port(self) -> int:
        """Return a port where connections are never made: its queue is full, so Linux drops what asks for one more."""
        if not self._nowhere:
            listener = socket.create_server(("127.0.0.1", 0), backlog=0)
            filler = socket.create_connection(listener.getsockname())
            self._nowhere = [listener, filler]
        return int(self._nowhere[0].getsockname()[1])

    async def _listen(self, host: str, port: int) -> int:
        known = self._ports.get((host, port))
        if known is not None:
            return known

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            counted = self._air.traffic.connected(f"{host}:{port}")
            await self._accept(_Link(reader, writer, counted), host, port)

        server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=_CHUNK_BYTES)
        self._servers.append(server)
        self._ports[host, port] = int(server.sockets[0].getsockname()[1])
        return self._ports[host, port]

    # Connections

    async def _accept(self, link: "_Link", host: str, port: int) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links[task] = link
        self._drop_oldest()
        try:
            await (self._be_portal(link) if host == PORTAL else self._carry(link, host, port))
        except (OSError, TimeoutError, asyncio.CancelledError):
            link.reset()
        finally:
            del self._links[task]

    def _drop_oldest(self) -> None:
        for task in list(self._links)[:-_MAX_CONNECTIONS]:
            task.cancel()

    async def _be_portal(self, link: "_Link") -> None:
        """Answer whatever is said as a captive network's web server does."""
        asked = await link.reader.read(_CHUNK_BYTES)
        await self._cross(link)
        self._air.traffic.carried(link.counted, len(asked), out=True)
        self._air.traffic.carried(link.counted, len(_PORTAL_ANSWER), out=False)
        link.near.write(_PORTAL_ANSWER)
        await link.near.drain()
        link.close()

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
            self._air.traffic.carried(link.counted, len(data), out=writer is link.far)
            writer.write(data)
            await writer.drain()
        await self._cross(link)
        if writer.can_write_eof():
            writer.write_eof()

    async def _cross(self, link: "_Link") -> None:
        await self._delay()
        await self._up.wait()
        # Asked last: what a chip left unsent when its power went is lost with it.
        if link.abandoned:
            await asyncio.Event().wait()

    async def _delay(self) -> None:
        if self._air.delay_ms:
            await asyncio.sleep(self._air.delay_ms / 1000)


class _Link:
    """One connection of the chip: its own end, and the far one."""

    def __init__(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter, counted: Connection) -> None:
        self.reader = reader
        self.near = near
        self.counted = counted
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


def _is_address(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        return False
    return True
