"""The course of a run with a fleet: connect, a storm of alarms, everybody back after the broker was killed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ansim.flasher import Progress
from ansim.stress.fleet.city import City, EventId, Stored
from ansim.stress.fleet.crowd import LOAD, Crowd, Made, State, allow_connections
from ansim.stress.fleet.guarded import Meter
from ansim.stress.fleet.result import Figures, Phase, Result

# From the moment in which nothing hinders any more.
_PATIENCE_S = 60
_SAMPLE_S = 1.0
_MB = 1024**2


@dataclass(frozen=True)
class Plan:
    """What a run does. Each part of it ends, at the latest after its own time and a minute.

    Args:
        devices: how many there are, switched on at ``rate`` a second.
        alarms: how many of them raise one in the storm, evenly over storm_s; as many again while the broker is away.
        hold_s: how long the run goes on after the storm with heartbeats alone.
        spread_s: over how many seconds a device's first attempt to connect is spread, and each one after an outage.
        here, elsewhere: processes of the load on this machine, and on others.
    """

    devices: int
    alarms: int
    storm_s: float
    hold_s: float
    rate: float
    spread_s: int
    here: int
    elsewhere: int = 0


def play(plan: Plan, folder: Path, on_progress: Progress, on_ticket: Callable[[Path], None]) -> Result:
    """Play a run in folder, which holds nothing yet.

    Raises:
        AnsimError: it could not be played to its end.
    """
    allow_connections(plan.devices)
    on_progress("starting broker, receiver and load", 0, 1)
    with (
        City(folder, plan.spread_s) as city,
        Crowd(city, plan.spread_s, plan.here, plan.elsewhere, on_ticket) as crowd,
    ):
        return _Course(plan, city, crowd, on_progress).play()


class _Course:
    def __init__(self, plan: Plan, city: City, crowd: Crowd, on_progress: Progress) -> None:
        self._plan = plan
        self._city = city
        self._crowd = crowd
        self._on_progress = on_progress
        self._phases: list[Phase] = []
        self._meter = Meter({"broker": city.broker_word, "receiver": "receive", "load": LOAD})

    def play(self) -> Result:
        plan, crowd = self._plan, self._crowd
        crowd.begin("connect")
        crowd.spawn(plan.devices, plan.rate)
        self._await("connect", plan.devices / plan.rate + 3 * plan.spread_s, self._is_whole)
        connected = crowd.state.connected
        self._storm()
        self._outage()
        made = crowd.report()
        return self._judged(made, self._city.stored(), connected)

    def _storm(self) -> None:
        plan = self._plan
        self._crowd.begin("storm")
        self._crowd.call(plan.alarms, plan.storm_s)
        until_s = time.monotonic() + plan.storm_s + plan.hold_s
        raised = min(plan.alarms, self._crowd.state.devices)
        self._await(
            "storm",
            plan.storm_s + plan.hold_s,
            lambda state: time.monotonic() > until_s and state.alarms >= raised and not state.owed,
        )

    def _outage(self) -> None:
        """Kill the broker; when it is back, everybody is, with an event that waits."""
        plan, crowd = self._plan, self._crowd
        crowd.begin("return")
        self._city.kill_broker()
        crowd.until(lambda state: not state.connected, _PATIENCE_S)
        raised = crowd.state.alarms + min(plan.alarms, crowd.state.devices)
        crowd.call(plan.alarms, 0, faults=True)
        crowd.until(lambda state: state.alarms >= raised, _PATIENCE_S)
        self._city.start_broker()
        self._await("return", 3 * plan.spread_s, self._is_whole)

    def _is_whole(self, state: State) -> bool:
        return state.connected == state.devices == self._plan.devices and not state.owed

    def _await(self, name: str, planned_s: float, condition: Callable[[State], bool]) -> None:
        """Go through a phase until the condition holds, and note what it cost."""
        self._meter.look()
        self._crowd.worst()
        began_s, cpu_s, done = time.monotonic(), self._meter.cpu_s(), False
        while not done and time.monotonic() - began_s < planned_s + _PATIENCE_S:
            self._on_progress(name, self._crowd.state.connected, self._plan.devices)
            done = self._crowd.until(condition, _SAMPLE_S)
            self._meter.look()
        seconds = time.monotonic() - began_s
        cpu = {what: round(100 * (now_s - cpu_s[what]) / seconds) for what, now_s in self._meter.cpu_s().items()}
        late_s, silent = self._crowd.worst()
        self._phases.append(Phase(name, done, round(seconds, 1), round(late_s, 2), silent, cpu))

    def _judged(self, made: Made, stored: Stored, connected: int) -> Result:
        for figure in made.figures:
            phase = next(each for each in self._phases if each.name == figure["phase"])
            phase.figures.append(Figures(**{name: value for name, value in figure.items() if name != "phase"}))
        told = compared(made, stored)
        alarms = [acknowledged for kind, acknowledged in made.events.values() if kind == "alarm"]
        return Result(
            devices=self._plan.devices,
            connected=connected,
            alarms=len(alarms),
            acknowledged=sum(alarms),
            lost=len(told.lost),
            waiting=len(told.waiting),
            invented=len(told.invented),
            refused=stored.refused,
            repeated=stored.repeated,
            events=len(stored.events),
            peak_mb={name: round(peak / _MB) for name, peak in self._meter.peak_bytes.items()},
            phases=self._phases,
        )


@dataclass(frozen=True)
class Compared:
    """What devices made beside what is stored: ids of events.

    Args:
        lost: acknowledged, and not stored; waiting: neither, and still in the device's keeping; invented: rows of no
            event. By the table's key an event has no second row.
    """

    lost: set[EventId]
    waiting: set[EventId]
    invented: set[EventId]


def compared(made: Made, stored: Stored) -> Compared:
    """Compare. A heartbeat that is not acknowledged waits for nothing: a newer one takes its place."""
    right = {id for id, kind in stored.events.items() if id in made.events and made.events[id][0] == kind}
    acknowledged = {id for id, (_, known) in made.events.items() if known}
    return Compared(
        lost=acknowledged - right,
        waiting=made.lasting() - acknowledged - right,
        invented=stored.events.keys() - right,
    )
