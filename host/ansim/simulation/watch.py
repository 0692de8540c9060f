"""The receiver's supervision of its devices, as fleet_watch.py does it but in virtual time, and whether it is right."""

from collections.abc import Callable, Mapping
from datetime import datetime

from ansim.device_rows import plausible_interval_min
from ansim.event import Event
from ansim.event_store import EventStore
from ansim.gaps import HoleWatch
from ansim.simulation.broker import Broker
from ansim.simulation.timeline import MINUTE_MS, Timeline
from ansim.simulation.unit import Unit
from ansim.simulation.witness import Violation, device_name
from ansim.supervision import ClockWatch, Supervisor, reach_ms
from ansim_fw.core import config

# The real receiver looks every 2 s; what that would find is found so much later here.
LOOK_MS = 2 * MINUTE_MS
REACH_MS = reach_ms(config.default("spread_s"))
_DEFAULT_INTERVAL_MS = config.default("heartbeat_min") * MINUTE_MS
_LOOKS_A_GAP_LOOK = 30
# A message that is ready for longer, and not taken, means that we are behind.
_BEHIND_MS = 5_000
# An event's way, besides what reach_ms allows for.
_SLACK_MS = MINUTE_MS


class FleetTruth:
    """When each device was last heard, how often it promised to be, and since when everything could be heard.

    It outlives the receiver's process.
    """

    def __init__(self, broker: Broker, timeline: Timeline, units: Mapping[int, Unit]) -> None:
        self.units = {device_name(number): unit for number, unit in units.items()}
        self.heard_ms: dict[str, int] = {}
        self.interval_ms: dict[str, int] = {}
        self.noted_ms: dict[str, int] = {}
        self.hears_since_ms = 0
        self.clock_set_ms = 0
        # The last time that it was set before the receiver's process started.
        self.clock_set_before_ms = 0
        self._broker = broker
        self._timeline = timeline

    def heard(self, event: Event, at_ms: int) -> None:
        """An event, which came to the broker at at_ms, is committed."""
        self.heard_ms[event.device] = max(at_ms, self.heard_ms.get(event.device, 0))
        interval_min = plausible_interval_min(event)
        if interval_min is not None:
            self.interval_ms[event.device] = interval_min * MINUTE_MS

    def check_noted(self, device: str) -> None:
        """The receiver takes device for silent: there must be a reason, and that the broker was away is none.

        A receiver that starts knows when a device was heard by the broker's clock alone. That it was set forward since
        then nobody can tell it.
        """
        if self.heard_ms[device] < self.clock_set_before_ms:
            return
        trouble_ms = max(self.units[device].trouble_until_ms(), self._broker.trouble_until_ms)
        if self._timeline.now_ms - trouble_ms > REACH_MS:
            raise Violation("silence_is_told", f"{device} is said to be silent without a reason")

    def is_heard_again(self, device: str) -> bool:
        """Tell whether device was heard since it was noted as silent."""
        return self.heard_ms[device] > self.noted_ms.get(device, 0)

    def overdue(self) -> list[str]:
        """Return the devices that must have been noted by now."""
        now_ms = self._timeline.now_ms
        late_ms = REACH_MS + 2 * LOOK_MS + _SLACK_MS
        return [
            device
            for device, heard_ms in self.heard_ms.items()
            if now_ms - max(heard_ms, self.hears_since_ms)
            > self.interval_ms.get(device, _DEFAULT_INTERVAL_MS) + late_ms
        ]


class Watch:
    """One receiver process's view, from its start on."""

    def __init__(
        self,
        store: EventStore,
        broker: Broker,
        timeline: Timeline,
        truth: FleetTruth,
        make_supervisor: Callable[[int], Supervisor],
    ) -> None:
        self._store = store
        self._broker = broker
        self._timeline = timeline
        self._truth = truth
        self._supervisor = make_supervisor(REACH_MS)
        self._holes = HoleWatch(REACH_MS)
        self._clocks = ClockWatch()
        self._looks = 0
        self._load()

    def took(self, event: Event, came_ms: int) -> None:
        """An event, which came to the broker at came_ms, is committed."""
        self._truth.heard(event, came_ms)
        at_ms = self._by_our_clock(event.received_at)
        interval_min = plausible_interval_min(event)
        if interval_min is not None:
            self._supervisor.heard(event.device, at_ms, interval_min * MINUTE_MS)
        elif self._supervisor.knows(event.device):
            self._supervisor.heard(event.device, at_ms)
        else:
            self._supervisor.heard(event.device, at_ms, _DEFAULT_INTERVAL_MS)

    def took_again(self, event: Event) -> None:
        """The database lacked this event of the archive."""
        interval_min = plausible_interval_min(event)
        interval_ms = None if interval_min is None else interval_min * MINUTE_MS
        self._supervisor.heard_of(event.device, self._by_our_clock(event.received_at), interval_ms)

    def clock_jumps(self, before_ms: int, after_ms: int) -> None:
        """The broker's clock was so far ahead, and is now."""
        now_ms = self._timeline.now_ms
        self._clocks.doubtful(now_ms - 1, now_ms - 1 + before_ms)
        if self._clocks.doubtful(now_ms, now_ms + after_ms):
            self.deaf()

    def _by_our_clock(self, at: datetime) -> int:
        return min(self._broker.to_timeline(at), self._timeline.now_ms)

    def deaf(self) -> None:
        self._supervisor.deaf()
        self._truth.hears_since_ms = self._timeline.now_ms

    def look(self) -> None:
        """As FleetWatch.look."""
        now_ms = self._timeline.now_ms
        ready_ms = self._broker.next_ready_ms()
        if not self._broker.up or (ready_ms is not None and ready_ms < now_ms - _BEHIND_MS):
            self.deaf()
            return
        self._supervisor.hear(now_ms)
        if self._supervisor.settled(now_ms):
            self._note_silent()
            self._note_gaps()
        self._check()

    def _load(self) -> None:
        self._truth.hears_since_ms = self._timeline.now_ms
        self._truth.clock_set_before_ms = self._truth.clock_set_ms
        for state in self._store.devices():
            minutes = state.interval_min
            interval_ms = _DEFAULT_INTERVAL_MS if minutes is None else minutes * MINUTE_MS
            self._supervisor.heard(state.device, self._by_our_clock(state.last_seen_at), interval_ms)
            if state.silent:
                self._supervisor.noted(state.device)

    def _note_silent(self) -> None:
        due = self._supervisor.due(self._timeline.now_ms)
        if not due:
            return
        for device in due:
            self._truth.check_noted(device)
            self._truth.noted_ms[device] = self._timeline.now_ms
        signs = {state.device: state.signs for state in self._store.devices()}
        self._store.note_silent({device: signs[device] for device in due if device in signs})
        for device in due:
            self._supervisor.noted(device)

    def _note_gaps(self) -> None:
        self._looks += 1
        if self._looks % _LOOKS_A_GAP_LOOK:
            return
        devices = self._store.with_holes()
        now = self._broker.at(self._timeline.now_ms)
        for device in self._holes.overdue(self._timeline.now_ms, devices):
            self._store.note_gap(device, devices[device][1], now)

    def _check(self) -> None:
        overdue = self._truth.overdue()
        if overdue:
            silent = {state.device for state in self._store.devices() if state.silent}
            for device in overdue:
                if device not in silent:
                    raise Violation("silence_is_told", f"{device} is silent, and nobody says so")
