"""The way to the receiver: Wi-Fi, name, TCP, TLS, MQTT, in steps that do not wait (bounds: docs/firmware.md)."""

import errno
import gc
import select
import socket
import ssl
import sys

from micropython import const

from ansim_fw.core import link_watch, message, mqtt
from ansim_fw.hal import wifi
from ansim_fw.hal.last_good import LastGood

_OFF = const(0)
_WIFI = const(1)
_NAME = const(2)
_TCP = const(3)
_TLS = const(4)
_MQTT = const(5)
_UP = const(6)
STATE_NAMES = ("off", "wifi", "name", "tcp", "tls", "mqtt", "up")

# The resolver ends by itself before that.
_NAME_TIMEOUT_MS = const(20000)
_TCP_TIMEOUT_MS = const(8000)
_TLS_TIMEOUT_MS = const(15000)
_MQTT_TIMEOUT_MS = const(10000)
_PING_MS = const(20000)
_PONG_TIMEOUT_MS = const(10000)
_KEEPALIVE_S = const(60)

_MAX_QUEUE = const(8)
# So many chunks are read a step: whatever a broker sends costs a bounded share of the loop.
_READS_PER_STEP = const(4)
_SUBSCRIBE_ID = const(1)
# Mbed TLS: the other end closed the connection; there is no memory. Neither is a refusal.
_NO_REFUSALS = (-0x7280, -0x7F00)
# These say nothing about the network: it was never tried, or the broker was reached and proved itself.
_NOT_THE_NETWORK = ("", "link_lost", "broker_refused")
_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)


class Link:
    """One connection at a time to the device's broker, always over TLS with the broker's certificate checked.

    Args:
        identity: a complete settings.Identity.
        poller: select.poll that the loop waits on; the link's socket is in it while there is one.

    Attributes:
        state: an index into STATE_NAMES.
        fault: why the link went down last, one of docs/protocol.md; empty while it is up.
        commands: what the receiver said, checked; the loop takes it out.
        changed: the state or fault is new; the loop clears it.
    """

    def __init__(self, identity: "settings.Identity", poller: "select.poll") -> None:
        self.state = _OFF
        self.fault = ""
        self.commands: list[dict[str, object]] = []
        self.changed = False
        self._last_good = LastGood()
        self.wifi = wifi.Wifi(identity.wifi, self._last_good.network)
        self._identity = identity
        self._topic = message.event_topic(identity.site, identity.device)
        self._poller = poller
        self._resolver: "Any" = None
        self._address = ""
        self._dials = 0
        self._socket: "Any" = None
        self._queue: list[bytes] = []
        self._sent = 0
        self._reader: "Any" = None
        self._chunk = bytearray()
        self._packet_id = _SUBSCRIBE_ID
        self._left_ms = 0
        self._idle_ms = 0
        self._context: "Any" = None
        self._steps = (self._rest, self._join, self._ask_name, self._open, self._secure, self._talk, self._talk)

    def status(self) -> int:
        """Return the state as the core's inputs tell it."""
        if self.state == _UP:
            return link_watch.UP
        return link_watch.DOWN if self.state == _OFF else link_watch.BUSY

    def connect(self) -> None:
        """Start to connect, unless that is under way."""
        if self.state == _OFF:
            self.wifi.join()
            self._enter(_WIFI, wifi.TIMEOUT_MS * 2)

    def close(self, fault: str) -> None:
        """End the connection; fault says why."""
        joined = self.state > _WIFI
        self._queue.clear()
        self.fault = fault
        self._enter(_OFF, 0)
        self._hang_up()
        if joined and fault not in _NOT_THE_NETWORK:
            self.wifi.no_broker()

    def publish(self, payload: bytes) -> bool:
        """Queue an event message; False if the queue is full or the link is not up."""
        if self.state != _UP or len(self._queue) >= _MAX_QUEUE:
            return False
        self._packet_id = self._packet_id % 0xFFFF + 1
        self._queue.append(mqtt.publish(self._packet_id, self._topic, payload))
        return True

    def poll(self, elapsed_ms: int) -> None:
        """Go one step on. A failure closes the link and is in fault; what nobody foresaw is raised, too."""
        if self.state == _OFF:
            return
        self._left_ms -= elapsed_ms
        if self.state > _WIFI and not self.wifi.joined():
            self.close("link_lost")
            self.wifi.leave()
            return
        try:
            self._steps[self.state](elapsed_ms)
        except (OSError, ValueError) as error:
            self.close(self._blame(error))
            return
        except Exception:
            self.close("link_lost")
            raise
        if self._left_ms <= 0 and self.state != _OFF:
            self.close("link_lost" if self.state == _UP else "broker_unreachable")

    def _blame(self, error: "OSError | ValueError") -> str:
        """Return the fault that an exception in this state means."""
        if self.state == _TLS:
            # Mbed TLS: ValueError for a certificate it does not trust, negative numbers for its other refusals.
            number = -1 if isinstance(error, ValueError) else error.errno or 0
            return "tls_refused" if number < 0 and number not in _NO_REFUSALS else "broker_unreachable"
        return "link_lost" if self.state == _UP else "broker_unreachable"

    def _enter(self, state: int, timeout_ms: int) -> None:
        self.state = state
        self._left_ms = timeout_ms
        self.changed = True

    # Steps, one a state

    def _rest(self, _elapsed_ms: int) -> None:
        return

    def _join(self, elapsed_ms: int) -> None:
        progress = self.wifi.step(elapsed_ms)
        if progress == wifi.FAILED:
            self.close(self.wifi.fault)
        elif progress == wifi.JOINED:
            self._look_up()

    def _look_up(self) -> None:
        # Loaded while it is of use: what comes next, the handshake, needs the memory.
        from ansim_fw.hal import resolver

        self._enter(_NAME, _NAME_TIMEOUT_MS)
        self._resolver = resolver.Resolver(self._poller)
        try:
            found = self._resolver.ask(self.wifi.name_server(), self._identity.host)
        except (OSError, ValueError):
            found = []
        if found is not None:
            self._dial(found)

    def _ask_name(self, elapsed_ms: int) -> None:
        try:
            found = self._resolver.step(elapsed_ms)
        except OSError:
            found = []
        if found is not None:
            self._dial(found)

    def _dial(self, found: "list[str]") -> None:
        """Connect to one of these addresses or the last good one, in turn."""
        self._end_look_up()
        last = self._last_good.address
        if last and last not in found:
            found.append(last)
        if not found:
            self.close("name_unknown")
            return
        self._address = found[self._dials % len(found)]
        self._dials += 1
        # It is an address: nobody is asked.
        address = socket.getaddrinfo(self._address, self._identity.port)[0][-1]
        self._enter(_TCP, _TCP_TIMEOUT_MS)
        made = socket.socket()
        self._socket = made
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

    def _open(self, _elapsed_ms: int) -> None:
        for stream, happened in self._poller.ipoll(0):
            if stream is not self._socket:
                continue
            if happened & (select.POLLERR | select.POLLHUP):
                self.close("broker_unreachable")
                return
            if happened & select.POLLOUT:
                self._wrap()
                return

    def _wrap(self) -> None:
        gc.collect()
        self._poller.unregister(self._socket)
        self._enter(_TLS, _TLS_TIMEOUT_MS)
        if self._context is None:
            self._context = _trust(self._identity.ca)
        self._socket = self._context.wrap_socket(
            self._socket, server_hostname=self._identity.host, do_handshake_on_connect=False
        )
        self._poller.register(self._socket, select.POLLIN)
        token = self._identity.token
        # The end of the token makes the client id one that nobody else can guess and so throw this device off with.
        client_id = self._identity.device + "-" + token[-12:].decode()
        self._reader = mqtt.Reader()
        self._chunk = bytearray(mqtt.READ_BYTES)
        self._sent = 0
        self._queue.append(mqtt.connect(client_id, self._identity.device, token, _KEEPALIVE_S))

    def _secure(self, _elapsed_ms: int) -> None:
        # Writing drives the handshake; the first byte that goes through ends it.
        self._write()
        if not self._queue or self._sent:
            self._enter(_MQTT, _MQTT_TIMEOUT_MS)

    def _talk(self, elapsed_ms: int) -> None:
        self._write()
        self._read()
        if self.state == _UP:
            self._keep_alive(elapsed_ms)

    def _keep_alive(self, elapsed_ms: int) -> None:
        self._idle_ms += elapsed_ms
        if self._idle_ms >= _PING_MS:
            self._idle_ms = 0
            self._left_ms = _PONG_TIMEOUT_MS
            self._queue.append(mqtt.PINGREQ_PACKET)

    # Bytes

    def _end_look_up(self) -> None:
        if self._resolver is not None:
            self._resolver.close()
            self._resolver = None
            _unload("ansim_fw.hal", "resolver")
            _unload("ansim_fw.core", "dns")

    def _hang_up(self) -> None:
        self._end_look_up()
        closing, self._socket = self._socket, None
        if closing is not None:
            self._poller.unregister(closing)
            try:
                closing.close()
            except OSError:
                # It is gone all the same.
                pass

    def _write(self) -> None:
        while self._queue:
            packet = self._queue[0]
            count = self._socket.write(memoryview(packet)[self._sent :] if self._sent else packet)
            if not count:
                return
            self._sent += count
            if self._sent == len(packet):
                self._queue.pop(0)
                self._sent = 0

    def _read(self) -> None:
        for _ in range(_READS_PER_STEP):
            count = self._socket.readinto(self._chunk)
            if count is None:
                return
            if count == 0:
                raise OSError(errno.ECONNRESET)
            self._reader.feed(self._chunk, count)
            packet = self._reader.next()
            while packet is not None:
                self._take(*packet)
                if self.state == _OFF:
                    # It closed the link: what came after it is of no connection.
                    return
                packet = self._reader.next()

    def _take(self, kind: int, flags: int, body: bytes) -> None:
        if kind == mqtt.CONNACK:
            self._connected(body)
        elif kind == mqtt.SUBACK:
            self._subscribed(body)
        elif kind == mqtt.PUBLISH:
            self._command(mqtt.payload_of(flags, body))
        elif kind == mqtt.PINGRESP:
            self._left_ms = _PING_MS + _PONG_TIMEOUT_MS
        # A PUBACK proves nothing: only the receiver's own acknowledgement does.

    def _connected(self, body: bytes) -> None:
        if len(body) != 2 or body[1] != 0:
            self.close("broker_refused")
            return
        topic = message.command_topic(self._identity.site, self._identity.device)
        self._queue.append(mqtt.subscribe(_SUBSCRIBE_ID, topic))

    def _subscribed(self, body: bytes) -> None:
        if len(body) != 3 or body[2] != 0:
            self.close("broker_refused")
            return
        self.fault = ""
        self._idle_ms = 0
        self._dials = 0
        self.wifi.good()
        self._last_good.keep(self.wifi.name(), self._address)
        self._enter(_UP, _PING_MS + _PONG_TIMEOUT_MS)

    def _command(self, payload: bytes) -> None:
        try:
            self.commands.append(message.decode_command(payload))
        except ValueError:
            # Not for this version, or not from a receiver: nothing a device could do about it.
            return


def _trust(ca: bytes) -> "Any":
    """Return a context that accepts only certificates of this authority (DER); the default would accept any."""
    context: "Any" = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=ca)
    return context


def _unload(package: str, name: str) -> None:
    """Give the memory of a module back; whoever imports it next loads it again."""
    sys.modules.pop(package + "." + name, None)
    delattr(sys.modules[package], name)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ansim_fw.hal import settings
