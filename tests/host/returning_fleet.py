"""A fleet that comes back at one moment, in virtual time: when each device connects by its LinkWatch."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from ansim_fw.core.link_watch import BUSY, DOWN, UP, LinkWatch
from ansim_fw.core.retry import Jitter

# Chips of one order have numbers in a row; the firmware seeds with the last four bytes (hal/power.py).
FIRST_MAC = 0x6F280001
SECOND_MS = 1000
# What a broker of 5,000 devices must stand, with no alarm among them.
MOST_PER_SECOND = 250
# From the attempt to a connection that is up: Wi-Fi is there, a handshake takes so long.
HANDSHAKE_MS = 1500
# As long up before the outage as makes it a first one.
_SETTLED_MS = 3_600_000


@dataclass(frozen=True)
class Outage:
    """What happens to all devices at once.

    Args:
        away_ms: how long the broker is away, refusing, after it is lost; 0 with power_cut.
        power_cut: the devices start at that moment, all together; else they lose a connection that was well.
        urgent_every: every so many of them has an alarm waiting; 0: none.
    """

    away_ms: int
    power_cut: bool = False
    urgent_every: int = 0


@dataclass(frozen=True)
class Return:
    """How a fleet came back: each device's connection, and every attempt, in milliseconds after the moment."""

    connections_ms: list[int]
    attempts_ms: list[int]


def come_back(devices: int, spread_ms: int, outage: Outage, first_mac: int = FIRST_MAC) -> Return:
    """Play one outage; every device comes back."""
    attempts: list[int] = []
    connections: list[int] = []
    fleet = [_Device(first_mac, number, spread_ms, outage) for number in range(devices)]
    due = [(0, number) for number in range(devices)]
    while due:
        now_ms, number = heapq.heappop(due)
        device = fleet[number]
        if device.attempts_at(now_ms):
            attempts.append(now_ms)
            if now_ms >= outage.away_ms:
                connections.append(now_ms)
                continue
        heapq.heappush(due, (now_ms + device.idle_ms(), number))
    return Return(connections, attempts)


def most_in_a_second(times_ms: Sequence[int]) -> int:
    """Return the most of the times that lie within any one second."""
    ordered = sorted(times_ms)
    most = first = 0
    for at, time_ms in enumerate(ordered):
        while ordered[first] <= time_ms - SECOND_MS:
            first += 1
        most = max(most, at - first + 1)
    return most


class _Device:
    def __init__(self, first_mac: int, number: int, spread_ms: int, outage: Outage) -> None:
        self._watch = LinkWatch(Jitter(first_mac + number), spread_ms)
        self._urgent = bool(outage.urgent_every) and number % outage.urgent_every == 0
        self._now_ms = 0
        if not outage.power_cut:
            self._live_until_the_outage()

    def attempts_at(self, now_ms: int) -> bool:
        elapsed_ms, self._now_ms = now_ms - self._now_ms, now_ms
        return self._watch.step(elapsed_ms, DOWN, self._urgent)

    def idle_ms(self) -> int:
        return max(self._watch.idle_ms(DOWN, self._urgent, ""), 1)

    def _live_until_the_outage(self) -> None:
        while not self._watch.step(max(self._watch.idle_ms(DOWN, False, ""), 1), DOWN, False):
            pass
        self._watch.step(HANDSHAKE_MS, BUSY, False)
        self._watch.step(_SETTLED_MS, UP, self._urgent)
