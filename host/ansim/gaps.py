"""Which events of a device are missing. Pure, and bounded whatever a device sends.

Alarms, cancels, faults and restores of one boot have the numbers 0, 1, 2, ... without a hole (docs/protocol.md), so a
hole is an event that is still on its way, was lost, or was given up by a device whose memory was full.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ansim_fw.core.message import FIRST_HEARTBEAT_SEQ

# A device has at most 64 events on their way, so no more holes than that can still fill. Of more, the two lowest are
# made one.
MAX_HOLES = 64
# The newest boots of a device; events of older ones that come so late are kept, but not checked.
MAX_BOOTS = 4

Hole = tuple[int, int]


@dataclass
class BootIds:
    """Which numbers of one boot have come: all below ``next_seq`` but those in ``holes`` (first, last), ascending."""

    next_seq: int = 0
    holes: list[Hole] = field(default_factory=list)

    def take(self, seq: int) -> None:
        """Note that seq has come; the same one may come again."""
        if seq >= self.next_seq:
            if seq > self.next_seq:
                self.holes.append((self.next_seq, seq - 1))
            self.next_seq = seq + 1
        else:
            self._fill(seq)
        while len(self.holes) > MAX_HOLES:
            self.holes[:2] = [(self.holes[0][0], self.holes[1][1])]

    def _fill(self, seq: int) -> None:
        for place, (first, last) in enumerate(self.holes):
            if first <= seq <= last:
                parts = [(first, seq - 1), (seq + 1, last)]
                self.holes[place : place + 1] = [part for part in parts if part[0] <= part[1]]
                return


class DeviceIds:
    """Which events of one device have come, for its newest boots."""

    def __init__(self, boots: Mapping[int, BootIds] | None = None) -> None:
        self.boots = dict(boots or {})

    @classmethod
    def load(cls, stored: Iterable[list[int]]) -> "DeviceIds":
        """Return what ``dump`` gave."""
        return cls({boot: BootIds(seq, list(zip(flat[::2], flat[1::2], strict=True))) for boot, seq, *flat in stored})

    def dump(self) -> list[list[int]]:
        """Return it as JSON values: for each boot its number, next_seq, and first and last of each hole."""
        return [
            [boot, ids.next_seq, *(end for hole in ids.holes for end in hole)]
            for boot, ids in sorted(self.boots.items())
        ]

    def take(self, boot: int, seq: int) -> None:
        """Note that this event has come. Heartbeats, and boots older than the newest MAX_BOOTS, are passed over."""
        if seq >= FIRST_HEARTBEAT_SEQ:
            return
        if boot not in self.boots:
            if len(self.boots) >= MAX_BOOTS and boot < min(self.boots):
                return
            self.boots[boot] = BootIds()
        self.boots[boot].take(seq)
        while len(self.boots) > MAX_BOOTS:
            del self.boots[min(self.boots)]

    def missing(self) -> int:
        """Return how many events are missing."""
        return sum(last - first + 1 for ids in self.boots.values() for first, last in ids.holes)

    def give_up(self) -> None:
        """Wait for nothing that is missing now."""
        for ids in self.boots.values():
            ids.holes.clear()

    def holes(self) -> list[tuple[int, int, int]]:
        """Return each hole as (boot, first seq, last seq), ascending."""
        return [(boot, *hole) for boot, ids in sorted(self.boots.items()) for hole in ids.holes]


@dataclass
class _Waiting:
    """A hole: since when it is there, what its device had said by then, and since when the device speaks again."""

    since_ms: int
    signs: int
    heard_ms: int | None = None


class HoleWatch:
    """Tells holes that will not fill from events that are still on their way.

    A hole is overdue when it was there for the reach time, its device was heard after that, and it was there for
    another reach time: a device that was away with an event begins to send it when it is heard.

    Args:
        reach_ms: how long a living device may take to be heard (``supervision.reach_ms``).
    """

    def __init__(self, reach_ms: int) -> None:
        self._reach_ms = reach_ms
        self._waiting: dict[tuple[str, int, int], _Waiting] = {}

    def overdue(self, now_ms: int, devices: Mapping[str, tuple[int, DeviceIds]]) -> list[str]:
        """Look at all devices that have holes; return those with an overdue one, ascending.

        Args:
            devices: for each what it said so far (a count that rises when it is heard) and its ids.
        """
        seen = {
            (device, boot, first): signs for device, (signs, ids) in devices.items() for boot, first, _ in ids.holes()
        }
        self._waiting = {key: self._waiting.get(key) or _Waiting(now_ms, signs) for key, signs in seen.items()}
        for key, waiting in self._waiting.items():
            self._hear(waiting, now_ms, seen[key])
        late = {key[0] for key, waiting in self._waiting.items() if self._is_overdue(waiting, now_ms)}
        return sorted(late)

    def _hear(self, waiting: _Waiting, now_ms: int, signs: int) -> None:
        if now_ms - waiting.since_ms < self._reach_ms:
            waiting.signs = signs
        elif waiting.heard_ms is None and signs != waiting.signs:
            waiting.heard_ms = now_ms

    def _is_overdue(self, waiting: _Waiting, now_ms: int) -> bool:
        return waiting.heard_ms is not None and now_ms - waiting.heard_ms >= self._reach_ms
