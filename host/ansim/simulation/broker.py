"""The broker: PUBACKs, keeps a stream of events for the receiver, and hands commands to who is connected."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ansim.archive_mark import ArchiveMark
from ansim.event_archive import KEPT_DAYS
from ansim.event_stream import BATCH, WAITING_PER_DEVICE
from ansim.simulation import chance
from ansim.simulation.chance import Chance
from ansim.simulation.link import Link
from ansim.simulation.timeline import DAY_MS, Timeline

# ack_wait of the consumer (event_stream.py): what the receiver took and did not acknowledge comes again.
_ACK_WAIT_MS = 10_000
_LATE_MS = 30_000
# The archive from which a receiver takes again what its database lacks.
_ARCHIVE_MS = KEPT_DAYS * DAY_MS
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


@dataclass
class Stored:
    """A message in the stream.

    Args:
        number: its place; device: whose it is.
        at: when the broker stored it, by its clock; came_ms: the same in virtual time.
        ready_ms: when it may be given to the receiver, (again).
        deliveries: how often it was.
    """

    number: int
    device: int
    payload: bytes
    at: datetime
    came_ms: int
    ready_ms: int
    deliveries: int = 0


class Broker:
    """One broker with the devices of a world."""

    def __init__(self, timeline: Timeline, draws: Chance) -> None:
        self.on_message: Callable[[int], None] = lambda _ready_ms: None
        self._timeline = timeline
        self._draws = draws
        self._links: dict[int, Link] = {}
        self._stream: dict[int, Stored] = {}
        self._waiting: Counter[int] = Counter()
        self._archive: deque[Stored] = deque()
        self._count = 0
        self._clock_ms = 0
        self._down_until_ms = 0
        self._drops_until_ms = 0
        self._reorders_until_ms = 0
        self._repeats_until_ms = 0

    @property
    def up(self) -> bool:
        return self._timeline.now_ms >= self._down_until_ms

    # Devices

    def join(self, device: int, link: Link) -> None:
        self._links[device] = link

    def take(self, device: int, payload: bytes) -> bool:
        """Take an event in; True is a PUBACK, which proves nothing."""
        if not self.up or self._waiting[device] >= WAITING_PER_DEVICE:
            return False
        now_ms = self._timeline.now_ms
        if now_ms < self._drops_until_ms:
            return True
        self._count += 1
        late_ms = 0
        if now_ms < self._reorders_until_ms:
            late_ms = self._draws.below(_LATE_MS, chance.REORDER, device, self._count)
        stored = Stored(self._count, device, payload, self.at(now_ms), now_ms, now_ms + late_ms)
        self._stream[self._count] = stored
        self._waiting[device] += 1
        self._archive.append(stored)
        self.on_message(stored.ready_ms)
        return True

    # Receiver

    def fetch(self) -> list[Stored]:
        """Return what may be given to the receiver now, one batch at most."""
        now_ms = self._timeline.now_ms
        batch: list[Stored] = []
        for each in self._stream.values():
            if each.ready_ms <= now_ms:
                each.ready_ms = now_ms + _ACK_WAIT_MS
                each.deliveries += 1
                batch.append(each)
                if len(batch) == BATCH:
                    break
        return batch

    def next_ready_ms(self) -> int | None:
        """When there is something for the receiver; None if nothing waits."""
        return min((each.ready_ms for each in self._stream.values()), default=None)

    def acknowledge(self, stored: Stored) -> None:
        """The receiver is done with it; in a time of repetitions the broker does not hear that at first."""
        repeats = self._timeline.now_ms < self._repeats_until_ms and stored.deliveries < 4
        if repeats and self._draws.below(2, chance.REPEAT, stored.number, stored.deliveries):
            return
        if self._stream.pop(stored.number, None) is not None:
            self._waiting[stored.device] -= 1

    def command(self, device: int, payload: bytes) -> None:
        link = self._links.get(device)
        if self.up and link is not None:
            link.send_down(payload)

    def archive_end(self) -> ArchiveMark:
        """Return where the archive ends."""
        return ArchiveMark("simulated", self._count)

    def archived(self, start: ArchiveMark | None, end: ArchiveMark) -> list[Stored]:
        """Return what the archive holds behind start (None: all) up to end, as far back as it goes."""
        while self._archive and self._archive[0].came_ms < self._timeline.now_ms - _ARCHIVE_MS:
            self._archive.popleft()
        first = 0 if start is None else start.seq
        return [each for each in self._archive if first < each.number <= end.seq]

    # Its clock

    def at(self, when_ms: int) -> datetime:
        """Return what its clock says at when_ms."""
        return _EPOCH + timedelta(milliseconds=when_ms + self._clock_ms)

    def to_timeline(self, at: datetime) -> int:
        """Return when its clock says so, if it was never set."""
        return (at - _EPOCH) // _MS - self._clock_ms

    def set_clock(self, jump_ms: int) -> None:
        self._clock_ms += jump_ms

    # Troubles

    def go_down(self, until_ms: int, lost_ms: int) -> None:
        """Stop; what came in the last lost_ms had a PUBACK and is gone."""
        now_ms = self._timeline.now_ms
        self._down_until_ms = max(until_ms, self._down_until_ms)
        for each in [one for one in self._stream.values() if one.came_ms > now_ms - lost_ms]:
            del self._stream[each.number]
            self._archive.remove(each)
            self._waiting[each.device] -= 1
        for link in self._links.values():
            link.drop("link_lost")
        self._links.clear()

    @property
    def trouble_until_ms(self) -> int:
        """When it last ceased, or will cease, to keep messages from the receiver that it took from devices."""
        return max(self._drops_until_ms, self._reorders_until_ms + _LATE_MS)

    def drop_messages(self, until_ms: int) -> None:
        self._drops_until_ms = until_ms

    def reorder(self, until_ms: int) -> None:
        self._reorders_until_ms = until_ms

    def repeat(self, until_ms: int) -> None:
        self._repeats_until_ms = until_ms

    def calm_down(self) -> None:
        self._down_until_ms = self._drops_until_ms = self._reorders_until_ms = self._repeats_until_ms = 0
