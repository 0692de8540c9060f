"""A light device: the firmware's real core on an MQTT connection that somebody else keeps.

What of a device is missing here: its Wi-Fi, its flash (an event counts as stored at once), its sensors.
"""

import secrets
from collections.abc import Callable
from typing import Protocol

from ansim_fw.core import config, device, event, link_watch, message, mqtt
from ansim_fw.core.outbox import Entry

# As the firmware's link has them.
KEEPALIVE_S = 60
PING_S = 20
# A device that was provisioned once, at its first start.
BOOT = 1 << 19
# Chips of one order have numbers in a row.
FIRST_MAC = 0x6F280001
CONNECT = "connect"
_TOKEN_DIGITS = 12


class Timer(Protocol):
    """Something that is due later."""

    def cancel(self) -> None:
        """It is not due any more; nothing happens where it was already."""


class Wire(Protocol):
    """What a device stands on: time, and a connection to the broker."""

    def now_s(self) -> float:
        """Return a time that never runs backwards, in seconds."""

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call after so many seconds."""

    def connect(self) -> None:
        """Begin to connect; then it calls the device's opened() or lost()."""

    def write(self, data: bytes) -> None:
        """Send data, if there is a connection."""

    def drop(self) -> None:
        """End the connection, if there is one; it calls the device's lost()."""


class Ears(Protocol):
    """Who hears how a device fares."""

    def took(self, what: str, ms: float, trouble: str) -> None:
        """Something took so long: a connection (CONNECT), or an event's way to its ack (its type).

        Args:
            trouble: why it failed; empty: it is well.
        """

    def made(self, what: str) -> None:
        """An event of this type, which is no heartbeat, was made; it is owed an ack."""

    def settled(self) -> None:
        """One of those has its ack."""

    def linked(self, up: bool) -> None:
        """The connection is up, or no more."""


class Made:
    """An event that a device made: its type, when (seconds), and whether its ack came."""

    __slots__ = ("acknowledged", "at_s", "type")

    def __init__(self, type: int, at_s: float) -> None:
        self.type = type
        self.at_s = at_s
        self.acknowledged = False


class LightDevice:
    """One device: the core's actions carried out on a wire, and what the broker says given to the core.

    Attributes:
        events: all that it made, by (boot, seq); of heartbeats those that went out.
        heard_at_s: when its last heartbeat was acknowledged; at first, when it was switched on.
    """

    def __init__(self, number: int, site: str, token: str, settings: dict[str, int], wire: Wire, ears: Ears) -> None:
        self.name = device_name(number)
        self.events: dict[tuple[int, int], Made] = {}
        self.heard_at_s = wire.now_s()
        self._site = site
        self._token = token
        self._wire = wire
        self._ears = ears
        all_settings = {name: config.default(name) for name in config.LIMITS} | settings
        self._core = device.Device(BOOT, all_settings, FIRST_MAC + number, "0.0.0", "power_on", (), True)
        self._inputs = device.Inputs()
        self._reader = mqtt.Reader()
        self._packet_id = 1
        self._stepped_at_s = wire.now_s()
        self._called_at_s = 0.0
        self._due: Timer | None = None
        self._ping_due: Timer | None = None
        self._ended = False

    def alarm(self) -> None:
        """Have it raise a test alarm."""
        self.step()
        self._core.trigger()
        self.step()

    def report(self, fault: str) -> None:
        """Have it raise a fault."""
        self.step()
        self._core.report(fault)
        self.step()

    def end(self) -> None:
        """Make and send nothing more."""
        self._ended = True
        for timer in (self._due, self._ping_due):
            if timer is not None:
                timer.cancel()
        self._wire.drop()

    def step(self) -> None:
        """Let the time that has passed pass for the core, and come again when it has something to do.

        To be called before an input changes, too: that time passed with the old one.
        """
        if self._ended:
            return
        elapsed_ms = int((self._wire.now_s() - self._stepped_at_s) * 1000)
        self._stepped_at_s += elapsed_ms / 1000
        actions = self._core.step(elapsed_ms, self._inputs)
        self._inputs.stored.clear()
        self._inputs.commands.clear()
        while actions:
            self._act(actions.pop(0))
        if self._due is not None:
            self._due.cancel()
        self._due = self._wire.later(self._core.idle_ms(self._inputs) / 1000, self.step)

    # What the core wants

    def _act(self, action: tuple[object, ...]) -> None:
        what = action[0]
        if what == device.STORE:
            made = action[1]
            assert isinstance(made, event.Event)
            self.events[made.boot, made.seq] = Made(made.type, self._wire.now_s())
            self._ears.made(event.TYPE_NAMES[made.type])
            self._inputs.stored.append((made, True))
        elif what == device.SEND:
            assert isinstance(action[1], Entry)
            self._publish(action[1])
        elif what == device.CONNECT:
            self._inputs.link = link_watch.BUSY
            self._called_at_s = self._wire.now_s()
            self._wire.connect()
        elif what == device.RECONNECT:
            self._wire.drop()

    def _publish(self, entry: Entry) -> None:
        made = entry.event
        if made.type == event.HEARTBEAT:
            self.events.setdefault((made.boot, made.seq), Made(made.type, self._wire.now_s()))
        self._packet_id = self._packet_id % 0xFFFF + 1
        payload = message.encode_event(made, entry.age_ms, entry.attempts)
        self._wire.write(mqtt.publish(self._packet_id, message.event_topic(self._site, self.name), payload))

    def _ping(self) -> None:
        self._wire.write(mqtt.PINGREQ_PACKET)
        self._ping_due = self._wire.later(PING_S, self._ping)

    # What the wire says

    def opened(self) -> None:
        """TLS stands: say who it is, and send what waits in the same flight, as the firmware does."""
        self._reader.clear()
        # docs/protocol.md: a client id that no one else can guess, another for each connection.
        client_id = f"{self.name}-{self._token[-_TOKEN_DIGITS:]}{secrets.token_hex(2)}"
        hello = mqtt.connect(client_id, self.name, self._token.encode(), KEEPALIVE_S)
        self._wire.write(hello + mqtt.subscribe(1, message.command_topic(self._site, self.name)))
        self.step()
        self._inputs.link = link_watch.OPEN
        self.step()

    def lost(self, why: str) -> None:
        """There is no connection any more, or none could be made.

        Args:
            why: one word for it.
        """
        if self._ping_due is not None:
            self._ping_due.cancel()
        was_up = self._inputs.link == link_watch.UP
        self.step()
        self._inputs.link = link_watch.DOWN
        self._inputs.link_fault = "broker_unreachable"
        if was_up:
            self._ears.linked(False)
        else:
            self._ears.took(CONNECT, self._since_ms(self._called_at_s), why)
        self.step()

    def received(self, data: bytes) -> None:
        """Take what the broker sent.

        Raises:
            ValueError: that is no MQTT of a broker that goes by docs/protocol.md.
        """
        for at in range(0, len(data), mqtt.READ_BYTES):
            piece = data[at : at + mqtt.READ_BYTES]
            self._reader.feed(piece, len(piece))
            while (packet := self._reader.next()) is not None:
                self._take(*packet)

    def _take(self, kind: int, flags: int, body: bytes) -> None:
        if kind == mqtt.CONNACK and body[1] != 0:
            raise ValueError("refused")
        if kind == mqtt.SUBACK:
            self.step()
            self._inputs.link = link_watch.UP
            self._inputs.link_fault = ""
            self._ears.linked(True)
            self._ears.took(CONNECT, self._since_ms(self._called_at_s), "")
            self._ping_due = self._wire.later(PING_S, self._ping)
            self.step()
        elif kind == mqtt.PUBLISH:
            command = message.decode_command(mqtt.payload_of(flags, body))
            self.step()
            if command["cmd"] == "ack":
                self._note_ack(command["boot"], command["seq"])
            self._inputs.commands.append(command)
            self.step()

    def _note_ack(self, boot: object, seq: object) -> None:
        assert isinstance(boot, int) and isinstance(seq, int)
        made = self.events.get((boot, seq))
        if made is None or made.acknowledged:
            return
        made.acknowledged = True
        self._ears.took(event.TYPE_NAMES[made.type], self._since_ms(made.at_s), "")
        if made.type == event.HEARTBEAT:
            self.heard_at_s = self._wire.now_s()
        else:
            self._ears.settled()

    def _since_ms(self, at_s: float) -> float:
        return (self._wire.now_s() - at_s) * 1000


def device_name(number: int) -> str:
    return f"AN{number + 1:06d}"
