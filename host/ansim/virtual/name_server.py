"""The name server of the networks in the air: answers queries for addresses (RFC 1035), rightly or not."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import cast

_HEADER_BYTES = 12
_QUESTION_TAIL_BYTES = 4
_LONGEST_QUERY = 512
_TTL_S = 60

# Addresses of a name; an empty list: nobody knows it; None: no answer.
Lookup = Callable[[str], Awaitable[list[str] | None]]


class NameServer(asyncio.DatagramProtocol):
    """Answers each query by itself, in the event loop that it is used in."""

    def __init__(self, look_up: Lookup) -> None:
        self._look_up = look_up
        self._transport: asyncio.DatagramTransport | None = None
        self._answering: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not all of asyncio's own are instances of it before Python 3.12.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(data, addr))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, query: bytes, asker: tuple[str, int]) -> None:
        name, end = read_question(query)
        if not name or self._transport is None:
            return
        found = await self._look_up(name)
        if found is not None:
            self._transport.sendto(write_answer(query[:end], found), asker)


def read_question(query: bytes) -> tuple[str, int]:
    """Return the name that a query asks for, and where its question ends; an empty name if it is no query."""
    labels, at = [], _HEADER_BYTES
    while at < min(len(query), _LONGEST_QUERY) and (length := query[at]):
        labels.append(query[at + 1 : at + 1 + length])
        at += 1 + length
    end = at + 1 + _QUESTION_TAIL_BYTES
    if len(query) < end or query[2] & 0x80:
        return "", 0
    return b".".join(labels).decode("ascii", "replace"), end


def write_answer(query: bytes, addresses: list[str]) -> bytes:
    """Return the answer to a query that ends after its question: these addresses, or that nobody knows the name."""
    flags = b"\x81\x80" if addresses else b"\x81\x83"
    counts = b"\0\1" + len(addresses).to_bytes(2) + b"\0\0\0\0"
    records = [b"\xc0\x0c\0\1\0\1" + _TTL_S.to_bytes(4) + b"\0\4" + socket.inet_aton(address) for address in addresses]
    return query[:2] + flags + counts + query[_HEADER_BYTES:] + b"".join(records)
