"""Which devices are silent. Pure: time comes in as milliseconds of a clock that only runs forward.

A device is silent when it was not heard for its interval and the *reach* time besides, and we heard all through the
last reach time: connected to the broker, with nothing waiting there. After an outage of ours every living device with
something to say is heard within the reach time, so an outage alone makes no device silent.
"""

import heapq
from dataclasses import dataclass

from ansim_fw.core.link_watch import CALM_LIMIT_MS
from ansim_fw.core.outbox import OTHER_LIMIT_MS

# From the start of an attempt to connect until a device's message is at the broker.
_CONNECT_MS = 60_000

# When more of the fleet than this share, and so many devices, went unheard since we began to hear, we rather doubt our
# clock and our network than all of them.
_DOUBT_SHARE = 1 / 4
_DOUBT_LEAST = 4

# A clock that went so much further than another, or less, was set; one that was not looked at for so long, stood still.
JUMP_MS = 5_000
FROZEN_MS = 60_000


def reach_ms(spread_s: int) -> int:
    """Return how long a living device may take to be heard once it has something to say and the way is free.

    The sum of the slowest retry of a heartbeat, the longest wait between attempts to connect, and one connecting.

    Args:
        spread_s: the fleet's setting; 0 stands for waits of up to a minute.
    """
    return OTHER_LIMIT_MS + max(2 * spread_s * 1000, CALM_LIMIT_MS) + _CONNECT_MS


@dataclass
class _Watched:
    """A device, when it was last heard, and the entry of the queue that counts for it (None: it is in none)."""

    heard_ms: int
    interval_ms: int
    queued_ms: int | None = None
    noted: bool = False


class Supervisor:
    """Watches every device that was ever heard.

    Bound: while we hear, ``due`` names a device that fell silent once ``interval + reach`` have passed since it was
    last heard and ``reach`` since we began to hear. Where more than a quarter of the fleet, and at least four devices,
    would be silent without having been heard since we began to hear, those have ``interval + reach`` of our hearing.

    Args:
        reach_ms: how long a living device may take to be heard (the function of that name).
    """

    def __init__(self, reach_ms: int) -> None:
        self._reach_ms = reach_ms
        self._devices: dict[str, _Watched] = {}
        # Each device that may fall silent is in it, at its deadline or before.
        self._queue: list[tuple[int, str]] = []
        self._due: set[str] = set()
        self._hearing_ms: int | None = None
        # Not to have been heard before this counts for nothing: we doubted.
        self._floor_ms: int | None = None

    def knows(self, device: str) -> bool:
        """Tell whether device was heard before."""
        return device in self._devices

    def heard(self, device: str, at_ms: int, interval_ms: int | None = None) -> None:
        """Note a sign of life.

        Args:
            at_ms: when the device gave it, at the latest now; an older one than is known changes nothing.
            interval_ms: how often it promises one; None: as it said before.

        Raises:
            ValueError: a device that is not known, without an interval.
        """
        watched = self._devices.get(device)
        if watched is None:
            if interval_ms is None:
                raise ValueError("a device that is not known needs an interval")
            watched = self._devices[device] = _Watched(at_ms, interval_ms)
        elif at_ms > watched.heard_ms:
            watched.heard_ms = at_ms
            watched.noted = False
        if interval_ms is not None:
            watched.interval_ms = interval_ms
        if not watched.noted:
            self._due.discard(device)
            self._enqueue(device, watched)

    def heard_of(self, device: str, at_ms: int, interval_ms: int | None) -> None:
        """Note a sign of life that is only told of now: what it promises counts if nothing newer is known.

        Args:
            device: one that is not known is passed over.
            at_ms, interval_ms: as for ``heard``.
        """
        watched = self._devices.get(device)
        if watched is not None:
            self.heard(device, at_ms, interval_ms if at_ms >= watched.heard_ms else None)

    def noted(self, device: str) -> None:
        """Note that this device's silence is on record: it is not due again until it was heard."""
        self._devices[device].noted = True
        self._devices[device].queued_ms = None
        self._due.discard(device)

    def hear(self, now_ms: int) -> None:
        """Note that we hear; nothing changes when we did already."""
        if self._hearing_ms is None:
            self._hearing_ms = now_ms

    def deaf(self) -> None:
        """Note that we could not hear, or can't be sure that we could; ``hear`` begins anew."""
        self._hearing_ms = None

    def settled(self, now_ms: int) -> bool:
        """Tell whether we heard all through the last reach time."""
        return self._hearing_ms is not None and now_ms - self._hearing_ms >= self._reach_ms

    def due(self, now_ms: int) -> list[str]:
        """Return the devices that are silent and not noted, in no order; the same again until noted or heard."""
        if self._hearing_ms is None or not self.settled(now_ms):
            return []
        self._collect(now_ms)
        if self._floor_ms != self._hearing_ms and self._is_doubtful(self._hearing_ms):
            self._floor_ms = self._hearing_ms
            for device in self._due:
                self._enqueue(device, self._devices[device])
            self._due.clear()
            self._collect(now_ms)
        return list(self._due)

    def _is_doubtful(self, hearing_ms: int) -> bool:
        unheard = sum(self._devices[device].heard_ms < hearing_ms for device in self._due)
        return unheard >= _DOUBT_LEAST and unheard > _DOUBT_SHARE * len(self._devices)

    def _collect(self, now_ms: int) -> None:
        """Move the devices whose deadline has passed from the queue to those that are due."""
        while self._queue and self._queue[0][0] <= now_ms:
            queued_ms, device = heapq.heappop(self._queue)
            watched = self._devices[device]
            if queued_ms != watched.queued_ms:
                # An earlier entry counted for it, or it is noted.
                continue
            watched.queued_ms = None
            if self._deadline_ms(watched) <= now_ms:
                self._due.add(device)
            else:
                self._enqueue(device, watched)

    def _enqueue(self, device: str, watched: _Watched) -> None:
        """Have device looked at when its deadline passes; one that is looked at before stays where it is."""
        deadline_ms = self._deadline_ms(watched)
        if watched.queued_ms is None or deadline_ms < watched.queued_ms:
            watched.queued_ms = deadline_ms
            heapq.heappush(self._queue, (deadline_ms, device))

    def _deadline_ms(self, watched: _Watched) -> int:
        """Return the first moment at which the device is silent."""
        heard_ms = watched.heard_ms if self._floor_ms is None else max(watched.heard_ms, self._floor_ms)
        return heard_ms + watched.interval_ms + self._reach_ms + 1


class ClockWatch:
    """Tells when the time that passed can't be trusted: a clock was set, or this process stood still."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None

    def doubtful(self, steady_ms: int, told_ms: int) -> bool:
        """Tell whether the clocks disagree over the time since the last call, or that was too long ago.

        Args:
            steady_ms: a clock that only runs forward.
            told_ms: the other one, which people and programs set.
        """
        before, self._last = self._last, (steady_ms, told_ms)
        if before is None:
            return False
        passed_ms = steady_ms - before[0]
        return passed_ms > FROZEN_MS or abs(told_ms - before[1] - passed_ms) > JUMP_MS
