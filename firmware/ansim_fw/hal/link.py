"""The connection to the receiver: TLS and MQTT, in steps that do not wait (bounds: docs/firmware.md)."""

import errno
import gc
import os
import select
import ssl
import sys

from micropython import const

from ansim_fw.core import link_watch, message, mqtt
from ansim_fw.hal import wifi

_OFF = const(0)
_WIFI = const(1)
_NAME = const(2)
_TCP = const(3)
_TLS = const(4)
_MQTT = const(5)
_UP = const(6)
STATE_NAMES = ("off", "wifi", "name", "tcp", "tls", "mqtt", "up")

_TLS_TIMEOUT_MS = const(15000)
_MQTT_TIMEOUT_MS = const(10000)
# With a host at an address that was kept: what is wrong with it is not waited for.
_QUICK_TLS_TIMEOUT_MS = const(5000)
_PING_MS = const(20000)
_PONG_TIMEOUT_MS = const(10000)
_KEEPALIVE_S = const(60)

_MAX_QUEUE = const(8)
# So many chunks are read a step: whatever a broker sends costs a bounded share of the loop.
_READS_PER_STEP = const(4)
_SUBSCRIBE_ID = const(1)
# As in way.py, which ends what it does in time by itself.
_ARRIVED = const(4)
_LOST = const(5)
_NEVER_MS = const(0x3FFFFFFF)
# Mbed TLS: the other end closed the connection; there is no memory. Neither is a refusal.
_NO_REFUSALS = (-0x7280, -0x7F00)
# These say nothing about the network: it was never tried, or the broker was reached and proved itself.
_NOT_THE_NETWORK = ("", "link_lost", "broker_refused")
# What is loaded for the way to the broker alone. The modules go before the handshake, which needs the memory.
_ON_THE_WAY = (
    ("ansim_fw.hal", "way"),
    ("ansim_fw.hal", "joining"),
    ("ansim_fw.hal", "resolver"),
    ("ansim_fw.hal", "last_good"),
    ("ansim_fw.core", "dns"),
    ("ansim_fw.core", "quick"),
)


class Link:
    """One connection at a time to the device's broker, always over TLS with the broker's certificate checked.

    CONNECT, SUBSCRIBE and what is published meanwhile go out in one flight (MQTT 3.1.1, 3.1.4): a broker that refuses
    the first ignores the rest. A device that sleeps calls use_quick() at each start.

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
        self.wifi = wifi.Wifi(identity.wifi)
        self._identity = identity
        self._way: "way.Way | None" = None
        # What quick() returned last; None on a device that keeps nothing.
        self._kept: "bytes | None" = None
        # What is to be kept of this connection, and what is known of the way that led to it: see _keep().
        self._led: "tuple[Any, ...] | None" = None
        self._facts = (False, 0, 0)
        self._chosen = False
        self._saved = False
        # The address comes from what was kept.
        self._hurried = False
        # CONNECT waits for what goes out with it.
        self._flight = False
        self._topic = message.event_topic(identity.site, identity.device)
        self._poller = poller
        # Where the broker is called, and where it was reached last.
        self._address = ""
        self._good = ""
        self._dials = 0
        self._socket: "Any" = None
        self._queue: list[bytes] = []
        self._sent = 0
        # In one piece each, for good: after hours of work there may be memory, but none in one piece.
        self._reader = mqtt.Reader()
        self._chunk = bytearray(mqtt.READ_BYTES)
        self._context: "Any" = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._trusts = False
        self._packet_id = _SUBSCRIBE_ID
        self._left_ms = 0
        self._idle_ms = 0

    def status(self) -> int:
        """Return the state as the core's inputs tell it."""
        if self.state >= _MQTT:
            return link_watch.UP if self.state == _UP else link_watch.OPEN
        return link_watch.DOWN if self.state == _OFF else link_watch.BUSY

    def radio_on(self) -> bool:
        return self.wifi.on

    def use_quick(self, data: bytes) -> None:
        """Keep shortcuts for after the next sleep, and use those that quick() returned before the last one.

        Args:
            data: empty, old, or of another firmware, it counts for nothing.
        """
        self._kept = data

    def quick(self) -> bytes:
        """Return what makes the next connection quick, and which network it is to try; at most 64 bytes."""
        if self._kept is None:
            return b""
        kept = self._unpack()
        if self._chosen:
            kept.network = self.wifi.choice.current
            kept.tries = self.wifi.choice.tries
        self._kept = kept.pack()
        _unload(_ON_THE_WAY)
        return self._kept

    def _unpack(self) -> "Quick":
        """Return what was kept, with what is new since."""
        from ansim_fw.core import quick

        kept = quick.unpack(self._kept or b"", len(self._identity.wifi))
        led, self._led = self._led, None
        if led is not None:
            network, channel, addresses, leased_s, address, named_s = led
            kept.joined(network, channel)
            if leased_s:
                kept.leased(addresses, leased_s)
            if named_s:
                kept.named(address, named_s)
        return kept

    def connect(self) -> None:
        """Start to connect, unless that is under way."""
        if self.state == _OFF:
            self._set_out(False)

    def close(self, fault: str) -> None:
        """End the connection; fault says why."""
        joined = self.state > _WIFI
        self._queue.clear()
        self.fault = fault
        self._enter(_OFF, 0)
        self._hang_up()
        if joined and fault not in _NOT_THE_NETWORK:
            self.wifi.no_broker()

    def off(self) -> None:
        """End the connection in order, if there is one, and take the radio's power away; connect() begins anew.

        An attempt that this ends has failed: the next one is made without what was kept, or with the next network.
        """
        fault = self.fault
        if self.state == _UP:
            self._say_goodbye()
        elif self.state == _WIFI:
            self.wifi.choice.not_joined()
        elif self.state > _WIFI:
            self.wifi.choice.no_broker()
        self.close("")
        self.fault = fault
        self.wifi.off()

    def use(self, networks: "list[tuple[str, str]]", first: str) -> None:
        """Begin anew, with these networks, at the one of this name."""
        self.off()
        # What was kept has networks by their numbers.
        self._led = None
        if self._kept is not None:
            self._kept = b""
        self._chosen = True
        self.wifi.networks = networks
        self.wifi.choose(first)
        if networks:
            self.connect()

    def _say_goodbye(self) -> None:
        if not self._queue:
            try:
                self._socket.write(mqtt.DISCONNECT_PACKET)
            except OSError:
                # The broker finds out by itself that the device is gone.
                pass

    def publish(self, payload: bytes) -> bool:
        """Queue an event message; False if the queue is full or the link takes none."""
        if self.state < _MQTT or len(self._queue) >= _MAX_QUEUE:
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
            self._STEPS[self.state](self, elapsed_ms)
        except (OSError, ValueError) as error:
            self._fail(self._blame(error))
            return
        except Exception:
            self.close("link_lost")
            raise
        if self._left_ms <= 0 and self.state != _OFF:
            self._fail("link_lost" if self.state == _UP else "broker_unreachable")

    def _fail(self, fault: str) -> None:
        """End the connection; one that is not made yet, with an address that was kept, is tried anew without."""
        if self._hurried and self.state == _TLS:
            self._queue.clear()
            self._hang_up()
            self._set_out(True)
        else:
            self.close(fault)

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

    def _set_out(self, anew: bool) -> None:
        """Begin the way to the broker; anew: with nothing that was kept."""
        from ansim_fw.hal import way

        kept = None if self._kept is None else self._unpack()
        if kept is not None and anew:
            kept.forget()
        if not self._chosen:
            self._chosen = True
            way.choose(self.wifi, kept)
        self._way = way.Way(self.wifi, self._identity, self._poller, kept, self._dials, self._good, anew)
        self._enter(_WIFI, _NEVER_MS)

    def _go(self, elapsed_ms: int) -> None:
        going = self._way
        at = going.step(elapsed_ms)  # type: ignore[union-attr]  # there is one in these states
        if at == _ARRIVED:
            self._arrive()
        elif at == _LOST:
            self._enter(going.lost_at, 0)  # type: ignore[union-attr]
            self.close(going.fault)  # type: ignore[union-attr]
        elif at != self.state:
            self._enter(at, _NEVER_MS)

    def _arrive(self) -> None:
        """Take the connection over, and give the memory back that the way to it took."""
        gone = self._way
        self._socket, gone.socket = gone.socket, None  # type: ignore[union-attr]  # see _go()
        self._address = gone.address  # type: ignore[union-attr]
        self._hurried = gone.hurried  # type: ignore[union-attr]
        self._facts = (gone.known, gone.leased_s, gone.named_s)  # type: ignore[union-attr]
        self._end_way()
        self._poller.unregister(self._socket)
        self._enter(_TLS, _QUICK_TLS_TIMEOUT_MS if self._hurried else _TLS_TIMEOUT_MS)
        gc.collect()
        self._wrap()

    def _end_way(self) -> None:
        gone, self._way = self._way, None
        if gone is None:
            return
        gone.close()
        self._dials = gone.dials
        if gone.kept is not None:
            self._kept = gone.kept.pack()
        _unload(_ON_THE_WAY)

    def _wrap(self) -> None:
        if not self._trusts:
            # This authority's certificates (DER) alone are accepted; by itself it would accept any.
            self._context.load_verify_locations(cadata=self._identity.ca())
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._trusts = True
        self._socket = self._context.wrap_socket(
            self._socket, server_hostname=self._identity.host, do_handshake_on_connect=False
        )
        self._poller.register(self._socket, select.POLLIN)
        token = self._identity.token()
        # The end of the token makes the client id one that nobody else can guess and so throw this device off with. It
        # is another one each time: of a device that comes back before its last connection was missed NATS ends the old
        # one, takes the two for a fight, and holds whoever comes next within a second.
        client_id = self._identity.device + "-" + token[-12:].decode() + os.urandom(2).hex()
        self._reader.clear()
        self._sent = 0
        self._queue.append(mqtt.connect(client_id, self._identity.device, token, _KEEPALIVE_S))

    def _secure(self, _elapsed_ms: int) -> None:
        # Writing drives the handshake; the first byte that goes through ends it.
        self._sent = self._socket.write(memoryview(self._queue[0])[:1]) or 0
        if self._sent:
            topic = message.command_topic(self._identity.site, self._identity.device)
            self._queue.append(mqtt.subscribe(_SUBSCRIBE_ID, topic))
            # The rest waits for what is to be published with it: until the next cycle, which comes at once.
            self._flight = True
            self._poller.modify(self._socket, select.POLLIN | select.POLLOUT)
            self._enter(_MQTT, _MQTT_TIMEOUT_MS)

    def _log_in(self, elapsed_ms: int) -> None:
        if self._flight:
            self._flight = False
            self._poller.modify(self._socket, select.POLLIN)
            # One record, and but for a long token one segment.
            self._queue = [b"".join(self._queue)]
        self._talk(elapsed_ms)

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

    # Not of the object, where each of them would take memory.
    _STEPS = (_rest, _go, _go, _go, _secure, _log_in, _talk)

    # Bytes

    def _hang_up(self) -> None:
        self._end_way()
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

    def _subscribed(self, body: bytes) -> None:
        if len(body) != 3 or body[2] != 0:
            self.close("broker_refused")
            return
        self.fault = ""
        self._idle_ms = 0
        self._dials = 0
        self._keep()
        self._enter(_UP, _PING_MS + _PONG_TIMEOUT_MS)

    def _keep(self) -> None:
        """The broker was reached: note what is new about the way to it."""
        self._hurried = False
        self._good = self._address
        self.wifi.choice.good()
        known, leased_s, named_s = self._facts
        if not known and not self._saved:
            from ansim_fw.hal import last_good

            self._saved = last_good.save(self.wifi.name(), self._address)
            _unload(_ON_THE_WAY)
        if self._kept is not None:
            network = self.wifi.choice.current
            self._led = (network, self.wifi.channel(), self.wifi.addresses(), leased_s, self._address, named_s)

    def _command(self, payload: bytes) -> None:
        try:
            self.commands.append(message.decode_command(payload))
        except ValueError:
            # Not for this version, or not from a receiver: nothing a device could do about it.
            return


def _unload(modules: "tuple[tuple[str, str], ...]") -> None:
    """Give the memory of modules back; whoever imports one next loads it again."""
    for package, name in modules:
        if sys.modules.pop(package + "." + name, None):
            delattr(sys.modules[package], name)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ansim_fw.core.quick import Quick
    from ansim_fw.hal import settings, way
