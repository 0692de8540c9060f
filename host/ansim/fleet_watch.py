"""The receiver's second eye: it looks at broker and database again and again, for what no message tells."""

import asyncio
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from ansim.database import DatabaseRefused, DatabaseUnavailable
from ansim.device_rows import DeviceState, plausible_interval_min
from ansim.event import Event
from ansim.event_store import EventStore
from ansim.event_stream import EventStream, Place
from ansim.gaps import HoleWatch
from ansim.supervision import ClockWatch, Supervisor

LOOK_S = 2

# A batch that is not committed after so long, or events older than this when they are: we do not hear just now.
_BEHIND_MS = 5_000
# So many devices are noted as silent in one transaction.
_CHUNK = 500
_MS_PER_MIN = 60_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FleetWatch:
    """Finds devices that are silent and events that are missing.

    Everything is reckoned by a clock that only runs forward. The broker's clock, which dates all events, is compared
    with it at each look; this machine's own is not used.

    Args:
        interval_min: of devices that never said theirs.
        reach_ms: how long a living device may take to be heard (``supervision.reach_ms``).
    """

    def __init__(self, store: EventStore, interval_min: int, reach_ms: int) -> None:
        self._store = store
        self._interval_ms = interval_min * _MS_PER_MIN
        self._supervisor = Supervisor(reach_ms)
        self._holes = HoleWatch(reach_ms)
        self._clocks = ClockWatch()
        # The broker's clock, in milliseconds since 1970, less ours; and when it last was set.
        self._offset_ms: int | None = None
        self._set_ms: int | None = None
        self._in_hand_ms: int | None = None
        self._fresh_ms: int | None = None
        self._caught_up = False
        self._signs: dict[str, int] = {}
        self._silent: set[str] = set()

    def taking(self) -> None:
        """Note that a batch is at hand, and not committed."""
        if self._in_hand_ms is None:
            self._in_hand_ms = _now_ms()

    def took(self, batch: Sequence[Event]) -> None:
        """Note that the batch at hand is committed, with these events."""
        self._in_hand_ms = None
        now_ms = _now_ms()
        latest = {each.device: each for each in batch}
        for each in batch:
            if each is latest[each.device] or each.type == "heartbeat":
                self._heard(each, now_ms)

    def took_again(self, event: Event) -> None:
        """Note an event of the archive that the database lacked, and so took its device for older than it is."""
        interval_min = plausible_interval_min(event)
        interval_ms = None if interval_min is None else interval_min * _MS_PER_MIN
        self._supervisor.heard_of(event.device, min(self._by_our_clock(event.received_at), _now_ms()), interval_ms)

    async def look(self, stream: EventStream) -> Place | None:
        """Look once; return how far the receivers are, None when broker or database did not answer."""
        place = await stream.place()
        try:
            await self._take_place(place)
            if place is not None and self._supervisor.settled(_now_ms()):
                await self._take_back()
                await self._note_silent()
                await self._note_gaps(place.at)
        except (DatabaseUnavailable, DatabaseRefused):
            # The next look tries again; what waits for the database is told of where events are taken.
            return None
        return place

    async def _take_place(self, place: Place | None) -> None:
        now_ms = _now_ms()
        if place is None:
            self._caught_up = False
            self._supervisor.deaf()
            return
        told_ms = _ms(place.at)
        self._offset_ms = told_ms - now_ms
        self._caught_up = place.waiting == 0
        if self._clocks.doubtful(now_ms, told_ms):
            self._set_ms = now_ms
            self._supervisor.deaf()
        if await asyncio.to_thread(self._store.count_devices) > len(self._signs):
            # The first look, or another receiver heard a device that is new to us.
            await self._load()
        if self._is_hearing(place, now_ms):
            self._supervisor.hear(now_ms)
        else:
            self._supervisor.deaf()

    def _is_hearing(self, place: Place, now_ms: int) -> bool:
        if self._in_hand_ms is not None and now_ms - self._in_hand_ms > _BEHIND_MS:
            return False
        return place.waiting == 0 or (self._fresh_ms is not None and now_ms - self._fresh_ms <= _BEHIND_MS)

    async def _load(self) -> None:
        for state in await asyncio.to_thread(self._store.devices):
            self._take_state(state, self._by_our_clock(state.last_seen_at))
            if state.silent:
                self._note(state.device)

    def _take_state(self, state: DeviceState, at_ms: int) -> None:
        interval_ms = self._interval_ms if state.interval_min is None else state.interval_min * _MS_PER_MIN
        self._signs[state.device] = state.signs
        self._supervisor.heard(state.device, min(at_ms, _now_ms()), interval_ms)

    def _heard(self, event: Event, now_ms: int) -> None:
        # With nothing waiting it was said just now, whatever the broker's clock did meanwhile; and a silence that this
        # event has ended in the database must be able to begin again.
        is_new = self._caught_up or event.device in self._silent
        at_ms = now_ms if is_new else min(self._by_our_clock(event.received_at), now_ms)
        self._silent.discard(event.device)
        if now_ms - at_ms <= _BEHIND_MS:
            self._fresh_ms = now_ms
        interval_min = plausible_interval_min(event)
        if interval_min is not None:
            self._supervisor.heard(event.device, at_ms, interval_min * _MS_PER_MIN)
        elif self._supervisor.knows(event.device):
            self._supervisor.heard(event.device, at_ms)
        else:
            self._signs[event.device] = 0
            self._supervisor.heard(event.device, at_ms, self._interval_ms)

    def _by_our_clock(self, at: datetime) -> int:
        return _now_ms() if self._offset_ms is None else _ms(at) - self._offset_ms

    async def _take_back(self) -> None:
        """Look which of the silent devices another receiver has heard."""
        for devices in _chunks(self._silent):
            for state in await asyncio.to_thread(self._store.devices_named, devices):
                if not state.silent:
                    self._heard_elsewhere(state)

    async def _note_silent(self) -> None:
        for devices in _chunks(self._supervisor.due(_now_ms())):
            suspects = {device: self._signs.get(device, 0) for device in devices}
            states = await asyncio.to_thread(self._store.note_silent, suspects)
            for state in states:
                if state.signs == suspects[state.device]:
                    self._note(state.device)
                else:
                    self._heard_elsewhere(state)
            for unknown in suspects.keys() - {state.device for state in states}:
                # Another program removed it.
                self._note(unknown)

    def _note(self, device: str) -> None:
        self._silent.add(device)
        self._supervisor.noted(device)

    def _heard_elsewhere(self, state: DeviceState) -> None:
        self._silent.discard(state.device)
        at_ms = self._by_our_clock(state.last_seen_at)
        # What the broker's clock said before it was set tells nothing.
        self._take_state(state, at_ms if self._set_ms is None else max(at_ms, self._set_ms))

    async def _note_gaps(self, at: datetime) -> None:
        devices = await asyncio.to_thread(self._store.with_holes)
        for device in self._holes.overdue(_now_ms(), devices):
            await asyncio.to_thread(self._store.note_gap, device, devices[device][1], at)


def _chunks(devices: Collection[str]) -> list[list[str]]:
    ordered = sorted(devices)
    return [ordered[start : start + _CHUNK] for start in range(0, len(ordered), _CHUNK)]


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _ms(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)
