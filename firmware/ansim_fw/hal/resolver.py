"""Looking up the broker's address without waiting for it: getaddrinfo() with a name blocks for seconds."""

import os
import select
import socket

from micropython import const

from ansim_fw.core import dns

_TIMEOUT_MS = const(6000)
_REPEAT_MS = const(2000)


class Resolver:
    """One look-up at a time: asks a name server three times at the most, over UDP.

    Args:
        poller: select.poll that the loop waits on; the look-up's socket is in it while there is one.
    """

    def __init__(self, poller: "select.poll") -> None:
        self._poller = poller
        self._socket: "Any" = None
        self._asked = b""
        self._server: "Any" = None
        self._left_ms = 0

    def ask(self, server: str, name: str) -> "list[str] | None":
        """Begin to ask a name server, an address, for the addresses of name; return them if nobody has to be asked.

        Raises:
            OSError: there is no socket.
            ValueError: no host can have this name.
        """
        if dns.is_address(name):
            return [name]
        self._asked = dns.query(int.from_bytes(os.urandom(2), "big"), name)
        self._left_ms = _TIMEOUT_MS
        self._server = socket.getaddrinfo(*dns.whom_to_ask(name, server))[0][-1]
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._poller.register(self._socket, select.POLLIN)
        self._socket.sendto(self._asked, self._server)
        return None

    def step(self, elapsed_ms: int) -> "list[str] | None":
        """Pass time; return the addresses, none if there are none or nobody answered; None while not known.

        Raises:
            OSError: the network does not carry queries.
        """
        before = (self._left_ms - 1) // _REPEAT_MS
        self._left_ms -= elapsed_ms
        for stream, _ in self._poller.ipoll(0):
            if stream is self._socket:
                found = dns.addresses(self._asked, self._socket.recv(dns.MAX_ANSWER))
                if found is not None:
                    return found
        if self._left_ms <= 0:
            return []
        if (self._left_ms - 1) // _REPEAT_MS < before:
            self._socket.sendto(self._asked, self._server)
        return None

    def close(self) -> None:
        """End the look-up, if there is one."""
        closing, self._socket = self._socket, None
        if closing is not None:
            self._poller.unregister(closing)
            closing.close()


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
