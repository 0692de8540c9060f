"""Plays the episodes of one device, and judges each when the device has come to rest."""

import threading
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansim.errors import AnsimError
from ansim.fleet import WifiNetwork
from ansim.stress import expect, oracle
from ansim.stress.expect import Done, Restart
from ansim.stress.faults import Troubles
from ansim.stress.gestures import Hands
from ansim.stress.oracle import EventId, Oracle, Row
from ansim.stress.plan import Episode, PlannedFault
from ansim.stress.result import (
    BROKEN,
    LOST,
    NOT_RECOVERED,
    UNEXPLAINED_RESET,
    WRONG,
    Alarm,
    Fault,
    Finding,
    Gesture,
    Level,
    Reset,
)
from ansim.stress.unit import Heard, Unit

# Each clock is read a little after what it tells the time of.
_SLACK_MS = 100
_LEVELS = ("boot", "heap_free", "pending", "loop_ms", "up_s")
_LAST_WORDS_S = 0.2
_LISTEN_S = 0.5


@dataclass
class Story:
    """What happened to one device so far; lists only grow, so that others may read them meanwhile."""

    gestures: list[Gesture] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    resets: list[Reset] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


class Player:
    """Plays on one device.

    Args:
        wifi: the network that it is to lose, if the place has one.
        outages: what goes wrong with the whole world, which is told as it is over.
        stop: ends the run after the episode at hand.

    Attributes:
        whole: whether each episode that it began is judged.
    """

    def __init__(
        self, unit: Unit, oracle: Oracle, wifi: WifiNetwork | None, outages: Sequence[Fault], stop: threading.Event
    ) -> None:
        self.story = Story()
        self.unit = unit
        self.whole = True
        self._oracle = oracle
        self._wifi = wifi
        self._outages = outages
        self._stop = stop
        self._hands = Hands(unit, self._restarted)
        self._troubles: Troubles | None = None
        self._last: EventId = (-1, -1)
        self._last_told: EventId = (-1, -1)
        self._starts = 0
        self._begun_ms = 0

    def play(self, episodes: Iterable[Episode]) -> None:
        """Play until the episodes are over, or it is told to stop, or the device does not come back.

        An error that nobody foresaw ends it, too, and is a finding: what others find is not lost with it.
        """
        try:
            for episode in episodes:
                if self._stop.is_set() or not self._play_safely(episode):
                    return
        finally:
            self._hands.close()

    def _play_safely(self, episode: Episode) -> bool:
        self.whole = False
        try:
            goes_on = self._play(episode)
        except Exception as error:
            self._find(BROKEN, episode, _told_error(error))
            return False
        self.whole = True
        return goes_on

    def _play(self, episode: Episode) -> bool:
        """Play one episode; tell whether the device can go on."""
        unit = self.unit
        unit.heard.forget()
        self._begun_ms = unit.clock.now_ms()
        unit.pause(episode.pause_ms)
        troubles = self._troubles = Troubles(unit, self._wifi, episode.faults, self._stop)
        troubles.start()
        done: list[Done] = []
        failure = ""
        try:
            self._make(episode, done)
            self._recover(troubles)
            self._note_level(len(done))
        except AnsimError as error:
            failure = error.message
        finally:
            troubles.join()
        self._judge(episode, troubles, done)
        if failure:
            self._find(NOT_RECOVERED, episode, failure)
        return not failure

    def _make(self, episode: Episode, done: list[Done]) -> None:
        """Make an episode's gestures, and add what was made to done."""
        for gesture in episode.gestures:
            if self._stop.is_set():
                return
            done.append(self._hands.make(gesture))

    def _restarted(self, since_ms: int) -> bool:
        return self._troubles is not None and self._troubles.may_have_met(since_ms, self.unit.heard.armed_ms)

    def _recover(self, troubles: Troubles) -> None:
        """Wait until nothing is in the way any more, and the device at rest.

        Raises:
            AnsimError: why it is not.
        """
        unit = self.unit
        while troubles.is_alive():
            unit.listen(lambda: not troubles.is_alive(), _LISTEN_S)
        if troubles.error is not None:
            raise troubles.error
        unit.come_to_rest(sensor=any(each.planned.kind == "sensor" for each in troubles.lasting))

    def _note_level(self, done: int) -> None:
        unit = self.unit
        info = unit.level()
        # What was announced while it answered.
        unit.listen(lambda: all(each in unit.heard.acknowledged for each in unit.heard.kept), _LAST_WORDS_S)
        boot, heap, pending, loop_ms, up_s = (int(info[name]) for name in _LEVELS)
        made = len(self.story.gestures) + done
        self.story.levels.append(Level(unit.clock.now_ms(), unit.name, boot, heap, pending, loop_ms, up_s, made))

    # What came of it

    def _judge(self, episode: Episode, troubles: Troubles, done: Sequence[Done]) -> None:
        heard = self.unit.heard
        restarts = troubles.restarts(heard.armed_ms) + self._judge_starts(episode, troubles)
        self.story.faults += [each.told(self.unit.name) for each in troubles.lasting]
        may_be = [expect.allowed(each, restarts) for each in done]
        self.story.gestures += [
            self._told(each, episode, allowed, troubles) for each, allowed in zip(done, may_be, strict=True)
        ]
        rows = self._oracle.rows(self.unit.name, self._last)
        self._note(rows, episode)
        raised_ms = {event_id: at_ms for at_ms, event_id in heard.raised}
        for kind, told in expect.judge(done, restarts, oracle.alarms(rows, raised_ms)):
            self._find(kind, episode, told)
        if missing := heard.kept.keys() - {each.id for each in rows}:
            self._find(LOST, episode, f"the device said that it has kept {sorted(missing)}")
        if other := oracle.disagreement(rows):
            self._find(WRONG, episode, other)
        self._judge_sensor(episode, troubles)

    def _judge_sensor(self, episode: Episode, troubles: Troubles) -> None:
        told = self._oracle.of_sensor(self.unit.name, self._last_told)
        self._last_told = max([self._last_told, *(each.id for each in told)])
        had, in_part = troubles.sensor(cut_short=False), troubles.sensor(cut_short=True)
        if wrong := expect.judge_sensor(had, [(each.type, each.kind) for each in told], in_part):
            self._find(wrong[0], episode, wrong[1])

    def _note(self, rows: Sequence[Row], episode: Episode) -> None:
        now_ms, name = self.unit.clock.now_ms(), self.unit.name
        self._last = max([self._last, *(each.id for each in rows)])
        self.story.alarms += [
            Alarm(now_ms, name, *each.id, each.type, each.kind, each.state, each.deliveries, episode.number)
            for each in rows
        ]

    def _judge_starts(self, episode: Episode, troubles: Troubles) -> list[Restart]:
        """Explain each start that was seen; return those that no fault made by itself, but may."""
        armed_ms = self.unit.heard.armed_ms
        seen = list(self.unit.starts[self._starts :])
        self._starts += len(seen)
        # A place that sees none, or not this one: the device said that it started.
        seen += [(ms, "") for ms in armed_ms[len(seen) :]]
        found = []
        for at_ms, cause in seen:
            by = troubles.explain(at_ms + _SLACK_MS, cause)
            self.story.resets.append(Reset(at_ms, self.unit.name, cause, by))
            if not by:
                self._find(UNEXPLAINED_RESET, episode, f"it started again: {cause or 'for an unknown cause'}")
            elif cause == "watchdog":
                found.append(Restart(at_ms, next((ms for ms in armed_ms if ms >= at_ms), None)))
        return found

    def _told(self, done: Done, episode: Episode, allowed: frozenset[expect.Rows], troubles: Troubles) -> Gesture:
        acknowledged_ms, took_ms = acknowledged(self.unit.heard, done)
        until_ms = done.until_ms if acknowledged_ms is None else acknowledged_ms
        # What a fault leaves behind lasts until the device is at rest, with which an episode ends.
        mine = any(each.begun_ms <= until_ms for each in troubles.lasting)
        worlds = any(each.at_ms <= until_ms and self._begun_ms <= each.until_ms for each in self._outages)
        excused = allowed != expect.ALLOWED[done.kind]
        return Gesture(done.begun_ms, self.unit.name, done.kind, episode.number, took_ms, mine or worlds, excused)

    def _find(self, kind: str, episode: Episode, detail: str) -> None:
        kinds = ", ".join(_told_fault(each) for each in episode.faults)
        detail += f" (faults: {kinds})" if kinds else ""
        self.story.findings.append(Finding(self.unit.clock.now_ms(), self.unit.name, kind, episode.number, detail))


def acknowledged(heard: Heard, done: Done) -> tuple[int, int] | tuple[None, None]:
    """Return when the first alarm that was raised in a gesture was acknowledged, and how long it took, if it was.

    That is from the moment in which somebody called for help; of a fall, from the end of its pre-alarm.
    """
    for raised_ms, event_id in heard.raised:
        if done.begun_ms <= raised_ms <= (done.kept_ms or done.until_ms):
            if (at_ms := heard.acknowledged.get(event_id)) is None:
                break
            return at_ms, at_ms - (raised_ms if done.kind == "fall" else done.begun_ms)
    return None, None


def _told_error(error: Exception) -> str:
    """Return an error's kind, and where in the program it came from."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    # The text of one that nobody foresaw may hold a secret.
    text = f": {error.message}" if isinstance(error, AnsimError) else ""
    return f"{type(error).__name__}{text} ({Path(at.filename).name}:{at.lineno})"


def _told_fault(fault: PlannedFault) -> str:
    return f"{fault.kind} at {fault.at_ms} ms for {fault.for_ms} ms"
