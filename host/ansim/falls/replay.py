"""Plays recordings into a virtual board's motion sensor, and follows what the real firmware makes of them.

A recording is played after a few seconds of its first sample, in which the device comes to rest from the one before,
and the mean posture of its last second is held for as long as the detector may wait for more, as the evaluation does.
Times are the device's, counted from the recording's first sample.
"""

import threading
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ansim.client import Console, Deadline
from ansim.errors import DeviceError
from ansim.virtual import ControlClient
from ansim.virtual.clock import Clock

LEAD_IN_S = 4.0
# The detector waits for no more than this after a recording's end.
HOLD_S = 20.0
CANCEL_HOLD_MS = 3500
MOST_TRIES = 3
# The last samples are read, decided on and announced in this time.
_TAIL_S = 1.0
# The longest pre-alarm, and then some.
_ALARM_S = 90.0
# What serial line, network and receiver may take on top of the device's time: seconds of this machine.
_PATIENCE_S = 20.0
_CONNECT_S = 60.0
_LOOK_S = 0.05
# A board without a sensor, and a device that is told to tell no falls.
_NEVER_READY = ("none", "off")

IMPACT, SUSPECT, FALL, CLEARED = "impact", "suspect", "fall", "cleared"
PREALARM, RAISED, SENT, CANCELLED, ACKNOWLEDGED = "prealarm", "raised", "sent", "cancelled", "acknowledged"
_STAGES = frozenset({IMPACT, SUSPECT, FALL, CLEARED})
_OF_THE_ALARM = frozenset({PREALARM, RAISED, SENT, ACKNOWLEDGED})


class Result(StrEnum):
    """What a recording led to."""

    NOTHING = "nothing"
    ALARM = "alarm"  # acknowledged by the receiver
    CANCELLED = "cancelled"  # in its pre-alarm, and told to the receiver
    LOST = "lost"  # an alarm that nobody acknowledged: never to be seen


@dataclass(frozen=True)
class Movement:
    """What is played: samples are x, y, z in mg, interleaved; is_fall is its label."""

    name: str
    samples: "array[int]"
    rate_hz: float
    is_fall: bool

    @property
    def duration_s(self) -> float:
        return len(self.samples) / 3 / self.rate_hz

    def framed(self) -> "array[int]":
        """Return the samples after LEAD_IN_S of the first one, and then one more: the posture that is held."""
        return self.samples[:3] * round(LEAD_IN_S * self.rate_hz) + self.samples + self._rest()

    def _rest(self) -> "array[int]":
        last = self.samples[-3 * round(self.rate_hz) :]
        return array("h", (sum(last[axis::3]) // (len(last) // 3) for axis in range(3)))


@dataclass(frozen=True)
class Happening:
    """Something that the device said; at_s is when, after the movement's first sample."""

    at_s: float
    what: str


@dataclass
class Outcome:
    """What became of one movement.

    Attributes:
        alarms: the ids of the falls that were noticed; settled: of those, what the receiver acknowledged.
        late: how often the device was so late to hear its sensor's call that samples may have been lost.
        gaps: how often samples were lost while the device watched.
        tries: how often it was played.
    """

    movement: Movement
    happenings: list[Happening] = field(default_factory=list)
    alarms: list[tuple[int, int]] = field(default_factory=list)
    settled: set[tuple[int, int]] = field(default_factory=set)
    cancelled: bool = False
    late: int = 0
    gaps: int = 0
    tries: int = 1

    @property
    def result(self) -> Result:
        if not self.alarms:
            return Result.NOTHING
        if not self.settled.issuperset(self.alarms):
            return Result.LOST
        return Result.CANCELLED if self.cancelled else Result.ALARM

    @property
    def kept_up(self) -> bool:
        """Whether the device saw every sample that it should have seen."""
        return not self.late and not self.gaps

    @property
    def waits_for_alarm(self) -> bool:
        return not self.settled.issuperset(self.alarms)

    @property
    def stages(self) -> list[str]:
        return [happening.what for happening in self.happenings if happening.what in _STAGES]

    def take(self, said: dict[str, Any], at_s: float) -> Happening | None:
        """Take in what the device announced; return what that is, if it is about a fall."""
        what = said.get("stage") if said["event"] == "fall_stage" else said["event"]
        if what in _OF_THE_ALARM:
            if said.get("kind") != "fall":
                return None
            self._take_alarm(str(what), (said["boot"], said["seq"]))
        elif what == CANCELLED:
            if tuple(said.get("of", ())) not in self.alarms:
                return None
            self.cancelled = True
        elif what not in _STAGES:
            return None
        self.happenings.append(Happening(at_s, str(what)))
        return self.happenings[-1]

    def _take_alarm(self, what: str, alarm: tuple[int, int]) -> None:
        if alarm not in self.alarms:
            self.alarms.append(alarm)
        if what == ACKNOWLEDGED:
            self.settled.add(alarm)


class Replayer:
    """Plays movements on one device, one after the other.

    Args:
        control: of its virtual board.
        console: of the device.
        tell: called with each happening, as it comes.
        look: called all the while, with the moment in the movement (seconds).
    """

    def __init__(
        self,
        control: ControlClient,
        console: Console,
        tell: Callable[[Happening], None] = lambda _: None,
        look: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._control = control
        self._console = console
        self._tell = tell
        self._look = look
        self._clock = Clock(control.status()["speed"])
        self._start_ms = 0.0
        # How far this clock is ahead of what the device tells as time, at most.
        self._ahead_ms: float | None = None

    def until_ready(self) -> dict[str, Any]:
        """Wait until the device is connected and watches for falls; return its info.

        Raises:
            DeviceError: it does not, after a while.
        """
        deadline = Deadline(_CONNECT_S)
        while True:
            info = self._info()
            if info["link"] == "up" and info["pending"] == 0 and info["fall"]["state"] == "ok":
                return info
            if deadline.expired or info["fall"]["state"] in _NEVER_READY:
                raise DeviceError(
                    f"the device on {self._console.name} does not watch for falls, or is not connected: motion sensor"
                    f" {info['fall']['state']}, link {info['link']} {info['link_fault']}".rstrip(),
                    "It needs a sensor, the setting 'fall', an identity, and its receiver in reach.",
                )
            next(self._console.announcements(Deadline(_LOOK_S)), None)

    def play_well(
        self, movement: Movement, *, cancel: bool = False, begin: Callable[[Movement, int], None] = lambda *_: None
    ) -> Outcome:
        """Play a movement, and again up to MOST_TRIES times if the board did not keep up, for then it proves nothing.

        Args:
            begin: called before each try, with its number.
        """
        tries = 0
        while True:
            tries += 1
            begin(movement, tries)
            outcome = self.play(movement, cancel=cancel)
            outcome.tries = tries
            if outcome.kept_up or tries == MOST_TRIES:
                return outcome

    def play(self, movement: Movement, *, cancel: bool = False) -> Outcome:
        """Play a movement and follow the device until nothing more is to come of it.

        Args:
            cancel: hold the button as soon as there is a pre-alarm.
        """
        outcome = Outcome(movement)
        late, gaps = self._late(), self._info()["fall"]["gaps"]
        self._control.play(movement.framed(), movement.rate_hz)
        self._start_ms = self._clock.now_ms() + LEAD_IN_S * 1000
        fingers: list[threading.Thread] = []
        while self._waits(outcome):
            for happening in self._listen(outcome):
                if cancel and happening.what == PREALARM:
                    fingers.append(self._hold_button())
        for finger in fingers:
            finger.join()
        outcome.late = self._late() - late
        outcome.gaps = self._info()["fall"]["gaps"] - gaps
        return outcome

    def _waits(self, outcome: Outcome) -> bool:
        """Whether something may still come of the movement."""
        over_s = self._at_s() - outcome.movement.duration_s
        if over_s < _TAIL_S + self._chip_s(_LOOK_S):
            return True
        if outcome.waits_for_alarm:
            return over_s < _ALARM_S + self._chip_s(_PATIENCE_S)
        return over_s < HOLD_S and outcome.stages[-1:] in ([IMPACT], [SUSPECT])

    def _listen(self, outcome: Outcome) -> list[Happening]:
        """Take in what the device says for a moment; return what happened."""
        happened = []
        for said in self._console.announcements(Deadline(_LOOK_S)):
            happening = outcome.take(said, self._said_s(said))
            if happening is not None:
                happened.append(happening)
                self._tell(happening)
        self._look(self._at_s())
        return happened

    def _said_s(self, said: dict[str, Any]) -> float:
        """Return when it was said. The device's own time tells; the quickest of its words tell how that differs."""
        if said["event"] == "armed" or self._ahead_ms is None:
            self._ahead_ms = self._clock.now_ms() - said["ms"]
        self._ahead_ms = min(self._ahead_ms, self._clock.now_ms() - said["ms"])
        return float(said["ms"] + self._ahead_ms - self._start_ms) / 1000

    def _at_s(self) -> float:
        return (self._clock.now_ms() - self._start_ms) / 1000

    def _chip_s(self, real_s: float) -> float:
        return real_s * self._clock.speed

    def _hold_button(self) -> threading.Thread:
        finger = threading.Thread(target=self._control.press, args=(CANCEL_HOLD_MS,))
        finger.start()
        return finger

    def _late(self) -> int:
        return int(self._control.status()["chip_state"]["late"])

    def _info(self) -> dict[str, Any]:
        return self._console.request("info", repeat=True, timeout_s=_PATIENCE_S)
