"""A device's way to the broker, as hal.link.Link shows it to the loop, and the air that it goes through."""

from collections.abc import Callable
from typing import Protocol
from zlib import crc32

from ansim.simulation import chance
from ansim.simulation.chance import Chance
from ansim.simulation.timeline import Timeline
from ansim_fw.core import link_watch, message

# What can stand between a device and its broker, and how long an attempt takes to find out (hal.link, hal.wifi).
OBSTACLES = {
    "wifi_absent": 8_000,
    "wifi_refused": 3_000,
    "wifi_timeout": 40_000,
    "name_unknown": 14_000,
    "tls_refused": 1_500,
    "broker_refused": 2_000,
    "broker_unreachable": 10_000,
}

# A half-open connection takes so many messages into its buffers before the queue of hal.link is full.
_BUFFERED = 16
# hal.link: a ping after 20 s of silence, 10 s for its answer.
_NOTICED_MS = (20_000, 40_000)


class Listener(Protocol):
    """Whose link it is."""

    def before_change(self) -> None:
        """Something is about to change: act on how it was until now."""

    def after_change(self) -> None:
        """Something has changed: look at it soon."""


class Uplink(Protocol):
    """The broker, as a device sees it."""

    @property
    def up(self) -> bool: ...

    def join(self, device: int, link: "Link") -> None: ...

    def take(self, device: int, payload: bytes) -> bool: ...


class Link:
    """One connection at a time, with the interface that loop.py uses.

    Attributes:
        status: link_watch.DOWN, BUSY or UP; fault: why it went down last.
        commands: what came from the receiver, checked; the loop takes it out.
        since_ms: when status became what it is.
        on_puback: called with the payload that the broker has acknowledged; the firmware pays no heed to that.
    """

    def __init__(self, timeline: Timeline, draws: Chance, device: int, broker: Uplink, listener: Listener) -> None:
        self.status = link_watch.DOWN
        self.fault = ""
        self.commands: list[dict[str, object]] = []
        self.since_ms = 0
        self.on_puback: Callable[[bytes], None] | None = None
        self._timeline = timeline
        self._draws = draws
        self._device = device
        self._broker = broker
        self._listener = listener
        self._session = 0
        self._attempts = 0
        self._buffered = 0
        self._last_arrival_ms = 0
        self._obstacle = ""
        self._obstacle_until_ms = 0
        self._half_open_until_ms = 0
        self._deaf_until_ms = 0
        self._slow_until_ms = 0
        self._slow_ms = 0

    # What the loop does

    def connect(self) -> None:
        if self.status != link_watch.DOWN:
            return
        self._attempts += 1
        self._enter(link_watch.BUSY, self.fault)
        self._timeline.after(self._attempt_ms(), self._arrive, self._session)

    def close(self, fault: str) -> None:
        self._session += 1
        self._enter(link_watch.DOWN, fault)

    def publish(self, payload: bytes) -> bool:
        """As hal.link.Link.publish: False if the queue is full or the link is not up."""
        if self.status != link_watch.UP:
            return False
        now_ms = self._timeline.now_ms
        if now_ms < self._half_open_until_ms:
            self._buffered += 1
            if self._buffered > _BUFFERED:
                return False
        arrives_ms = max(now_ms, self._half_open_until_ms) + self._delay_ms(chance.UPLINK, payload)
        # A connection keeps the order.
        self._last_arrival_ms = max(arrives_ms, self._last_arrival_ms)
        self._timeline.at(self._last_arrival_ms, self._reach_broker, self._session, payload)
        return True

    # What the world does

    def power_off(self) -> None:
        """The device is off: its connection is gone, and nobody is told."""
        self.close("")
        self.commands.clear()

    def drop(self, fault: str) -> None:
        """The connection ends by itself."""
        if self.status != link_watch.DOWN:
            self._listener.before_change()
            # What the device does just before may have ended it, too.
            if self.status != link_watch.DOWN:
                self.close(fault)
            self._listener.after_change()

    def obstruct(self, obstacle: str, until_ms: int) -> None:
        self._obstacle = obstacle
        self._obstacle_until_ms = until_ms
        if obstacle.startswith("wifi"):
            self.drop("link_lost")

    def break_silently(self, until_ms: int) -> None:
        """Nothing comes through, and nobody says so: the device notices by its ping."""
        self._half_open_until_ms = until_ms
        self._buffered = 0
        notice_ms = self._draws.between(*_NOTICED_MS, chance.NOTICED, self._device, self._attempts)
        self._timeline.after(notice_ms, self._notice, self._session)

    def deafen(self, until_ms: int) -> None:
        """Nothing comes down to the device."""
        self._deaf_until_ms = until_ms

    def slow_down(self, slow_ms: int, until_ms: int) -> None:
        self._slow_ms = slow_ms
        self._slow_until_ms = until_ms

    def send_down(self, payload: bytes) -> None:
        """A command sets out to the device; QoS 0, it may not get there."""
        if self.status == link_watch.UP:
            self._timeline.after(self._delay_ms(chance.DOWNLINK, payload), self._reach_device, self._session, payload)

    def calm_down(self) -> None:
        """Every trouble of the air ends."""
        self._obstacle_until_ms = self._half_open_until_ms = self._deaf_until_ms = self._slow_until_ms = 0

    @property
    def trouble_until_ms(self) -> int:
        """When the last trouble of this device's own way ended, or will end; the broker's troubles do not count."""
        return max(
            self._obstacle_until_ms,
            self._half_open_until_ms,
            self._deaf_until_ms,
            self._slow_until_ms,
        )

    # How it goes

    def _enter(self, status: int, fault: str) -> None:
        self.status = status
        self.fault = fault
        self.since_ms = self._timeline.now_ms

    def _what_stands_between(self) -> str:
        now_ms = self._timeline.now_ms
        if now_ms < self._obstacle_until_ms:
            return self._obstacle
        if now_ms < self._half_open_until_ms or not self._broker.up:
            return "broker_unreachable"
        return ""

    def _attempt_ms(self) -> int:
        obstacle = self._what_stands_between()
        if obstacle:
            return OBSTACLES[obstacle]
        return self._draws.between(800, 5_000, chance.CONNECT, self._device, self._attempts)

    def _arrive(self, session: int) -> None:
        if session != self._session:
            return
        obstacle = self._what_stands_between()
        if obstacle:
            self.drop(obstacle)
            return
        self._listener.before_change()
        if session == self._session:
            self._last_arrival_ms = 0
            self._buffered = 0
            self._enter(link_watch.UP, "")
            self._broker.join(self._device, self)
        self._listener.after_change()

    def _notice(self, session: int) -> None:
        if session == self._session and self._timeline.now_ms < self._half_open_until_ms:
            self.drop("link_lost")

    def _delay_ms(self, way: int, payload: bytes) -> int:
        key = (way, self._device, crc32(payload))
        if self._timeline.now_ms < self._slow_until_ms:
            return self._draws.between(20, self._slow_ms, *key)
        return self._draws.between(10, 120, *key)

    def _reach_broker(self, session: int, payload: bytes) -> None:
        # What is on its way when a connection ends may arrive all the same.
        lost = session != self._session and self._draws.below(2, chance.SURVIVES, self._device, crc32(payload))
        if lost or not self._broker.take(self._device, payload):
            return
        if self.on_puback is not None and session == self._session:
            self.on_puback(payload)

    def _reach_device(self, session: int, payload: bytes) -> None:
        now_ms = self._timeline.now_ms
        if session != self._session or now_ms < self._deaf_until_ms or now_ms < self._half_open_until_ms:
            return
        self._listener.before_change()
        if session == self._session:
            self.commands.append(message.decode_command(payload))
        self._listener.after_change()
