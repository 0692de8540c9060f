"""A stress run from its first board to its result."""

import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Protocol, TypeVar

from ansim import flash_job
from ansim.database import Database
from ansim.errors import BadInput
from ansim.places import Ground, find_ground, why_not
from ansim.stress import levels, oracle, plan
from ansim.stress.clock import RunClock
from ansim.stress.oracle import Oracle
from ansim.stress.player import Player
from ansim.stress.result import INVENTED, LEAK, LOST, NOT_RECOVERED, REFUSED, WRONG, Finding, Result, Setting, Slope
from ansim.stress.scenario import Scenario
from ansim.stress.unit import RECOVER_S, Unit
from ansim.stress.world import World
from ansim.workers import Workers
from ansim_fw.version import VERSION

_LOOK_S = 0.2
# A device that is told to stop comes to rest first, and is judged.
_STOP_S = 3 * RECOVER_S
_WHOLE_RUN = -1


@dataclass(frozen=True)
class Wish:
    """What a person asks for; 0 where it is left to the scenario and the place."""

    scenario: str
    seed: int = 1
    count: int = 0
    duration_s: int = 0
    devices: int = 0
    speed: int = 0
    place: str = "virtual"


# Called now and then with the players, and how many gestures there are to be.
Look = Callable[[Sequence[Player], int], None]
Tell = Callable[[str], None]


def settle(wish: Wish, scenario: Scenario, ground: Ground) -> Setting:
    """Fill in what is not wished, and check that the place can do it.

    Raises:
        BadInput: it can't.
    """
    devices = wish.devices or (1 if ground.lacks("boards") else scenario.devices)
    speed = wish.speed or (1 if ground.lacks("speed") else scenario.speed)
    count = 0 if wish.duration_s else wish.count or scenario.count
    wanted = [*scenario.needs, *(["boards"] if devices > 1 else []), *(["speed"] if speed > 1 else [])]
    if reason := why_not(ground, wanted):
        raise BadInput(f"the scenario {wish.scenario} can't be played: {reason}", "Choose another place or scenario.")
    length = f"--duration {wish.duration_s}" if wish.duration_s else f"--count {count}"
    place = "" if wish.place == "virtual" else f" --place {quote(wish.place)}"
    command = (
        f"ansim stress {quote(wish.scenario)} --seed {wish.seed} {length} --devices {devices} --speed {speed}{place}"
    )
    return Setting(wish.scenario, wish.seed, count, wish.duration_s, devices, speed, wish.place, command)


def run(wish: Wish, scenario: Scenario, tell: Tell = lambda _: None, look: Look = lambda *_: None) -> Result:
    """Play a scenario, and return what came of it; after Ctrl-C, what came of it so far.

    Raises:
        BadInput: the place can't do it.
        AnsimError: it could not begin.
    """
    ground = find_ground(wish.place)
    setting = settle(wish, scenario, ground)
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="ansim-stress-")))
        workers = ending.enter_context(Workers(preload=["ansim.stress.world"]))
        tell("starting broker, receiver and devices")
        clock = RunClock()
        world = ending.enter_context(World(folder, ground, clock, workers, scenario.role))
        units = _units(setting, ground, world, ending)
        _prepare(units, world, scenario)
        database = ending.enter_context(closing(Database.open(world.sandbox.home.database_url)))
        return _Run(setting, scenario, ground, world, units, Oracle(database)).play(look)


def _units(setting: Setting, ground: Ground, world: World, ending: ExitStack) -> list[Unit]:
    made = []
    for number in range(setting.devices):
        place = ground.open(world.sandbox, f"stress-{number}", speed=setting.speed)
        made.append(Unit(place, world.sandbox.home, world.clock, setting.speed))
        ending.callback(made[-1].close)
    return made


def _prepare(units: Sequence[Unit], world: World, scenario: Scenario) -> None:
    """Flash and provision all devices at once.

    Raises:
        AnsimError: why one of them could not be.
    """
    prepared = flash_job.prepare(world.sandbox.home, units[0].place.board_file)
    for work in [_Work(unit.prepare, prepared, scenario.settings) for unit in units]:
        work.ended()


@dataclass(frozen=True)
class _Run:
    """Devices that are ready, and what is to be done with them."""

    setting: Setting
    scenario: Scenario
    ground: Ground
    world: World
    units: Sequence[Unit]
    oracle: Oracle

    def play(self, look: Look) -> Result:
        stop = threading.Event()
        started_at, begun_ms = datetime.now(UTC), self.world.clock.now_ms()
        wifi = self.ground.wifi
        players = [Player(unit, self.oracle, wifi, self.world.faults, stop) for unit in self.units]
        shares = plan.shares(self.setting.count, len(players))
        playing = {
            player.unit.name: _Work(player.play, plan.episodes(self.scenario, self.setting.seed, number, share))
            for number, (player, share) in enumerate(zip(players, shares, strict=True))
            if share or self.setting.duration_s
        }
        away = threading.Event()
        outages = [
            _Work(self.world.play, plan.outages(line, self.setting.seed), away) for line in self.scenario.outages
        ]
        interrupted = not self._watch(playing.values(), players, stop, begun_ms, look)
        stop.set()
        stuck = [name for name, work in playing.items() if not work.ended(_STOP_S)]
        away.set()
        stuck += ["" for work in outages if not work.ended(_STOP_S)]
        self.world.look()
        lasted_s = (self.world.clock.now_ms() - begun_ms) / 1000
        return self._result(players, stuck, started_at, lasted_s, interrupted)

    def _watch(
        self, playing: Collection["_Work"], players: Sequence[Player], stop: threading.Event, begun_ms: int, look: Look
    ) -> bool:
        """Look at the players until they have ended, or the time is over; False: somebody interrupted."""
        try:
            while any(thread.is_alive() for thread in playing):
                look(players, self.setting.count)
                over_s = (self.world.clock.now_ms() - begun_ms) / 1000 - self.setting.duration_s
                if self.setting.duration_s and over_s >= 0:
                    stop.set()
                time.sleep(_LOOK_S)
            look(players, self.setting.count)
        except KeyboardInterrupt:
            return False
        return True

    def _result(
        self, players: Sequence[Player], stuck: Sequence[str], started_at: datetime, lasted_s: float, interrupted: bool
    ) -> Result:
        stories = [player.story for player in players]
        slopes = [found for player in players if (found := levels.slope(player.unit.name, player.story.levels))]
        findings = [each for story in stories for each in story.findings]
        findings += [self._found(NOT_RECOVERED, name, f"it did not stop in {_STOP_S:g} s") for name in stuck]
        findings += [*self._leaks(slopes), *self._late(players), *self._refused()]
        return Result(
            self.setting,
            VERSION,
            started_at.isoformat(timespec="seconds"),
            round(lasted_s, 1),
            tuple(player.unit.name for player in players),
            _in_order(each for story in stories for each in story.gestures),
            _in_order([*(each for story in stories for each in story.faults), *self.world.faults]),
            tuple(each for story in stories for each in story.alarms),
            _in_order(each for story in stories for each in story.resets),
            _in_order(each for story in stories for each in story.levels),
            tuple(slopes),
            _in_order(findings),
            interrupted,
        )

    def _leaks(self, slopes: Iterable[Slope]) -> list[Finding]:
        return [
            self._found(LEAK, each.device, f"{each.bytes_per_1000:.0f} bytes of heap in 1000 gestures")
            for each in slopes
            if levels.is_leak(each)
        ]

    def _late(self, players: Sequence[Player]) -> list[Finding]:
        """What came, went or changed after its episode was judged, and what is of no device of the run."""
        strangers = self.oracle.strangers([player.unit.name for player in players])
        found = [self._found(INVENTED, name, "rows of a device that there is not") for name in strangers]
        for player in players:
            name, judged = player.unit.name, {(each.boot, each.seq) for each in player.story.alarms}
            rows = self.oracle.rows(name)
            there = {each.id for each in rows}
            if player.whole and (extra := there - judged):
                found.append(self._found(INVENTED, name, f"rows that came after all was told: {sorted(extra)[:5]}"))
            if gone := judged - there:
                found.append(self._found(LOST, name, f"rows that were there once: {sorted(gone)[:5]}"))
            if other := oracle.disagreement(rows):
                found.append(self._found(WRONG, name, other))
        return found

    def _refused(self) -> list[Finding]:
        found = [self._found(REFUSED, "", reason) for reason in self.oracle.refused()]
        if self.world.error is not None:
            found.append(self._found(NOT_RECOVERED, "", self.world.error.message))
        return found

    def _found(self, kind: str, device: str, detail: str) -> Finding:
        return Finding(self.world.clock.now_ms(), device, kind, _WHOLE_RUN, detail)


class _Moment(Protocol):
    @property
    def at_ms(self) -> int: ...


_AnyMoment = TypeVar("_AnyMoment", bound=_Moment)


def _in_order(each: Iterable[_AnyMoment]) -> tuple[_AnyMoment, ...]:
    return tuple(sorted(each, key=lambda one: one.at_ms))


class _Work(threading.Thread):
    """Work in a thread that does not outlive the process, and whose error is its starter's."""

    def __init__(self, work: Callable[..., None], *args: object) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._given = args
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work(*self._given)
        except Exception as error:
            self._error = error

    def ended(self, timeout_s: float | None = None) -> bool:
        """Wait until it has ended, tell whether it has, and raise what it raised."""
        self.join(timeout_s)
        if self._error is not None:
            raise self._error
        return not self.is_alive()
