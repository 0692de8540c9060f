"""The way to the broker: Wi-Fi, name, TCP, in steps that do not wait, by what was kept of the last one if it is young.

Loaded while it is of use: what comes next, the handshake, needs the memory.
"""

import errno
import select
import socket
import time

from micropython import const

from ansim_fw.hal import last_good
from ansim_fw.hal.joining import FAILED, JOINED, Joining
from ansim_fw.hal.resolver import Resolver

# What step() returns: the first three are the link's states.
WIFI = const(1)
NAME = const(2)
TCP = const(3)
ARRIVED = const(4)
LOST = const(5)

# Joining and the resolver end by themselves before that.
_WIFI_TIMEOUT_MS = const(40000)
_NAME_TIMEOUT_MS = const(20000)
_TCP_TIMEOUT_MS = const(8000)
# To an address that was kept: what is wrong with it is not waited for.
_QUICK_TIMEOUT_MS = const(2000)

_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)


class Way:
    """One attempt to get a TCP connection to the broker.

    An attempt in which something that was kept fails forgets all of it, and goes on at once without.

    Args:
        poller: select.poll that the loop waits on; the attempt's sockets are in it.
        kept: None on a device that keeps nothing.
        dials: how many addresses were tried since the broker was reached: they are tried in turn.
        last: where the broker was since the device started; empty when it was not reached yet.
        anew: leave the network first, if it was joined with addresses that were kept.

    Attributes:
        socket, address: the connection, once step() has returned ARRIVED; dials: see above.
        fault: why there is none, once it has returned LOST; lost_at: WIFI, NAME or TCP.
        hurried: something that was kept is in use.
        known: this network and address led to the broker before.
        leased_s, named_s: when DHCP gave the addresses and the name server the broker's; 0 where they were kept.
    """

    def __init__(
        self,
        wifi: "Wifi",
        identity: "Identity",
        poller: "select.poll",
        kept: "Quick | None",
        dials: int,
        last: str,
        anew: bool = False,
    ) -> None:
        self.kept = kept
        self.socket: "Any" = None
        self.address = ""
        self.dials = dials
        self.fault = ""
        self.lost_at = WIFI
        self.hurried = False
        self.known = False
        self.leased_s = 0
        self.named_s = 0
        self._wifi = wifi
        self._identity = identity
        self._poller = poller
        self._last = last
        self._resolver: "Resolver | None" = None
        self._state = WIFI
        self._left_ms = _WIFI_TIMEOUT_MS
        self._joining = self._join(anew)

    def step(self, elapsed_ms: int) -> int:
        """Pass time; return WIFI, NAME or TCP, which it is at, or ARRIVED or LOST."""
        self._left_ms -= elapsed_ms
        try:
            if self._state == WIFI:
                self._wait_for_wifi(elapsed_ms)
            elif self._state == NAME:
                self._wait_for_name(elapsed_ms)
            elif self._state == TCP:
                self._wait_for_connection()
        except (OSError, ValueError):
            self._fail("broker_unreachable")
        if self._left_ms <= 0 and self._state < ARRIVED:
            self._fail("broker_unreachable")
        return self._state

    def close(self) -> None:
        """End what is under way; whoever has taken the socket has set it to None."""
        self._end_look_up()
        closing, self.socket = self.socket, None
        if closing is not None:
            self._poller.unregister(closing)
            closing.close()

    def _fail(self, fault: str) -> None:
        self.close()
        if not self.hurried or self.kept is None:
            self.fault = fault
            self.lost_at = self._state
            self._state = LOST
            return
        self.kept.forget()
        self.hurried = False
        anew = self._wifi.leased or self._state == WIFI
        self._state = WIFI
        self._left_ms = _WIFI_TIMEOUT_MS
        self._joining = self._join(anew)

    # Wi-Fi

    def _join(self, anew: bool) -> Joining:
        kept = self.kept
        if anew or kept is None or kept.good != self._wifi.choice.current:
            return Joining(self._wifi, anew=anew and self._wifi.joined())
        lease = kept.lease(time.time())
        self.hurried = bool(lease or kept.channel)
        return Joining(self._wifi, kept.channel, lease)

    def _wait_for_wifi(self, elapsed_ms: int) -> None:
        progress = self._joining.step(elapsed_ms)
        if progress == FAILED:
            if not self.hurried:
                self._wifi.choice.not_joined()
            self._fail(self._joining.fault)
        elif progress == JOINED:
            now_s = time.time()
            if self._joining.asked:
                self.leased_s = now_s
            address = self.kept.broker(now_s) if self.kept is not None else ""
            if address:
                self.hurried = True
                self._call(address, _QUICK_TIMEOUT_MS)
            else:
                self._look_up()

    # Name

    def _look_up(self) -> None:
        self._state = NAME
        self._left_ms = _NAME_TIMEOUT_MS
        self._resolver = Resolver(self._poller)
        try:
            found = self._resolver.ask(self._name_server(), self._identity.host)
        except (OSError, ValueError):
            found = []
        if found is not None:
            self._dial(found)

    def _name_server(self) -> str:
        """Return the address of the network's name server; of its router if DHCP told none."""
        _, _, router, server = self._wifi.addresses()
        return router if server == "0.0.0.0" else server

    def _wait_for_name(self, elapsed_ms: int) -> None:
        try:
            found = self._resolver.step(elapsed_ms)  # type: ignore[union-attr]  # there is one in this state
        except OSError:
            found = []
        if found is not None:
            self._dial(found)

    def _end_look_up(self) -> None:
        if self._resolver is not None:
            self._resolver.close()
            self._resolver = None

    # TCP

    def _dial(self, found: "list[str]") -> None:
        """Connect to one of these addresses or the last good one, in turn."""
        self._end_look_up()
        if found:
            self.named_s = time.time()
        last = self._last or last_good.load()[1]
        if last and last not in found:
            found.append(last)
        if not found:
            self._fail("name_unknown")
            return
        self.dials += 1
        self._call(found[(self.dials - 1) % len(found)], _TCP_TIMEOUT_MS)

    def _call(self, host: str, timeout_ms: int) -> None:
        self._state = TCP
        self._left_ms = timeout_ms
        self.address = host
        # It is an address: nobody is asked.
        address = socket.getaddrinfo(host, self._identity.port)[0][-1]
        made = socket.socket()
        self.socket = made
        self._poller.register(made, select.POLLOUT)
        made.setblocking(False)
        try:
            # Without this each flight of the handshake waits for a delayed acknowledgement.
            made.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        except OSError:
            pass
        try:
            made.connect(address)
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                raise

    def _wait_for_connection(self) -> None:
        for stream, happened in self._poller.ipoll(0):
            if stream is not self.socket:
                continue
            if happened & (select.POLLERR | select.POLLHUP):
                self._fail("broker_unreachable")
            elif happened & select.POLLOUT:
                self.known = self.kept is not None and self.kept.led(self._wifi.choice.current, self.address)
                self._state = ARRIVED
            return


def choose(wifi: "Wifi", kept: "Quick | None") -> None:
    """Begin with the network that is known best: call it once, before the first attempt after a start."""
    count = len(wifi.networks)
    wifi.choose(last_good.load()[0] if kept is None or kept.good >= count else wifi.networks[kept.good][0])
    if kept is not None and kept.network < count:
        wifi.choice.resume(kept.network, kept.tries)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ansim_fw.core.quick import Quick
    from ansim_fw.hal.settings import Identity
    from ansim_fw.hal.wifi import Wifi
