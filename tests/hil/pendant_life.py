"""A pendant's life on its cell, in random wakes, and what its board saw of it."""

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pendant import PATIENCE_S, Pendant

import movements
from ansim.client import Deadline
from ansim.event import Event
from ansim.virtual.control import Seen

# ESP-IDF's reasons, as machine.wake_reason() tells them; a level at a pin may be the button's or the sensor's.
_BY_TIMER, _BY_LEVEL = 4, 7
_REASONS = {2: "button", 3: "motion", _BY_TIMER: "timer"}
# A finger is down for no less and, if it does not mean to hold, for no more.
FINGER_MS = (80, 600)
# Alarms, faults, restores and cancels are numbered from 0; heartbeats from here.
FIRST_BEAT = 1 << 29
# More than wakes the sensor, less than an impact.
_JOLT_MG = (300, 420)
_POLL_S = 0.01
# network.STAT_CONNECTING of an ESP32.
_CONNECTING = 1001
# A wake so near to the moment of a heartbeat may have made it.
_NEAR_MS = 5_000
# From the moment in which a chip wakes to its reset, as the board tells them on a machine that has other things to do.
_WAKING_MS = 500
# More than any has before a press.
_EVENTS_OF_A_WAKE = 5000
_STORY = 60
_TOLD_OF_A_RUN = ("began", "wake", "ended", "cpu_ms", "radio_ms", "nvs_writes", "programs", "imports", "marks")


@dataclass
class Wake:
    """What happened from one deep sleep to the next.

    Args:
        reason: button, motion, timer, or the cause of another reset.
        began_ms, ended_ms: in the chip's time.
        runs: what the board counted from one light sleep to the next.
        pressed: the button moved in it.
    """

    reason: str
    began_ms: int
    ended_ms: int = 0
    runs: list[dict[str, Any]] = field(default_factory=list)
    pressed: bool = False

    def sum(self, name: str) -> int:
        return sum(int(run[name]) for run in self.runs)

    @property
    def light_ms(self) -> int:
        return self.ended_ms - self.began_ms - self.sum("cpu_ms") - self.sum("radio_ms")

    @property
    def armed_ms(self) -> int:
        """When its program listened to the button: the watchdog is what it arms next."""
        marks = self.runs[0]["marks"]
        return self.began_ms + int(marks["watchdog"]["cpu_ms"]) if "watchdog" in marks else self.ended_ms

    def find_reason(self, button: int) -> None:
        """Tell what ended a deep sleep, where the button is at this pin."""
        if self.reason == "deep_sleep":
            by, pins = self.runs[0]["wake"], self.runs[0]["pins"]
            self.reason = ("button" if button in pins else "motion") if by == _BY_LEVEL else _REASONS.get(by, "unknown")


def wakes(seen: Sequence[Seen], button: int) -> list[Wake]:
    """Return all wakes that ended in a deep sleep; the first one begins with a reset. The button is at this pin."""
    found: list[Wake] = []
    now: Wake | None = None
    for each in seen:
        if each.event == "reset":
            now = Wake(str(each.details["cause"]), each.chip_ms)
        elif now is None:
            continue
        elif each.event == "button":
            now.pressed = True
        elif each.event == "ran":
            now.runs.append(each.details)
            if each.details["ended"] != "light_sleep":
                now.ended_ms = each.chip_ms
                now.find_reason(button)
                found.append(now)
                now = None
    return found


def story(seen: Sequence[Seen]) -> str:
    """Return the first things that were seen, a line each, without what was counted."""
    told = [
        f"{each.chip_ms} {each.event} "
        + str({name: value for name, value in each.details.items() if each.event != "ran" or name in _TOLD_OF_A_RUN})
        for each in seen[:_STORY]
    ]
    return "\n".join(told)


class Life:
    """Lets things happen to a pendant, one after the other, and knows what has to come of it.

    Args:
        chances: all that is random comes from it.
        beat_ms: between two heartbeats.
        bumps_apart_ms: between two bumps, at least and at most.

    Attributes:
        boot: of its one start.
        presses: how many there were of each kind; excused: how many of them no program could notice.
        bumped_ms: spans of the chip's time in which there were bumps and heartbeats, and nothing else.
    """

    def __init__(self, pendant: Pendant, chances: random.Random, beat_ms: int, bumps_apart_ms: tuple[int, int]) -> None:
        self.pendant = pendant
        self.presses: Counter[str] = Counter()
        self.excused: Counter[str] = Counter()
        self.bumped_ms: list[tuple[int, int]] = []
        self.beat_ms = beat_ms
        self._bumps_apart_ms = bumps_apart_ms
        self._chances = chances
        self._at = 0
        self.boot = 0

    def begin(self) -> None:
        """Start it anew, on its cell, and wait until it sleeps."""
        self.pendant.control.still(movements.UPRIGHT)
        self._at = self.pendant.sleeps(self.pendant.start_on_its_cell())
        self.boot = self.beats()[-1].boot

    # What happens

    def bump(self, count: int) -> None:
        """Bump against so many things."""
        began_ms = self._now_ms()
        after_ms = 0
        for _ in range(count):
            after_ms += self._chances.randint(*self._bumps_apart_ms)
            self.pendant.control.later(after_ms).play(self._jolt())
        self._until_still(count)
        self.bumped_ms.append((began_ms, self._now_ms()))

    def sit_down(self) -> None:
        """Let it be an impact: the detector is called, and tells no fall."""
        self.pendant.control.later(self._some_time()).play(movements.sitting_down().samples)
        self._until_still(1)

    def press(self, kind: str) -> None:
        """Press at a moment of this kind (see MOMENTS), and check that it is an alarm, and one."""
        hold_ms = self._chances.randint(*FINGER_MS)
        before = len(self.alarms())
        MOMENTS[kind](self, hold_ms)
        self.presses[kind] += 1
        down_at, down = self.pendant.finds("button", self._at, down=True)
        up_at, up = self.pendant.finds("button", down_at, down=False)
        self._at = self.pendant.sleeps(up_at)
        told = f"press {self.presses.total()} ('{kind}', {hold_ms} ms, at {down.chip_ms} ms of the chip's time)"
        if self._is_excused(down_at, down.chip_ms, up.chip_ms) and len(self.alarms()) == before:
            self.excused[kind] += 1
            if kind != "waking":
                print(f"{told} comes before the button is armed:\n{story(self.pendant.seen[down_at - 9 :])}")
        else:
            deadline = Deadline(PATIENCE_S)
            while len(self.alarms()) == before:
                assert not deadline.expired, f"{told} is no alarm:\n{story(self.pendant.seen[down_at - 9 :])}"
                time.sleep(_POLL_S)
            before += 1
        assert len(self.alarms()) == before, f"{told} is too many alarms"

    def lose_wifi(self, pressed: bool) -> None:
        """Be without Wi-Fi for a heartbeat or two; pressed: and call for help in the middle of it."""
        control = self.pendant.control
        control.wifi(False)
        if pressed:
            # An alarm keeps it awake until it is through.
            control.later(on="wake", after_ms=self._chances.randint(10_000, 40_000)).wifi(True)
            self.press("asleep")
        else:
            control.later(after_ms=self._chances.randint(1, 3) * self.beat_ms).wifi(True)
            self._at = self.pendant.sees("stimulus", self._at, do="wifi")
        self.calm_down()

    def calm_down(self) -> None:
        """Wait until a heartbeat says that nothing waits: what went wrong is told."""
        told = len(self.beats())
        deadline = Deadline(PATIENCE_S)
        while not any(beat.data and beat.data["pending"] == 0 for beat in self.beats()[told + 1 :]):
            assert not deadline.expired, f"it does not calm down:\n{story(self.pendant.seen[-_STORY:])}"
            time.sleep(_POLL_S)
        self._at = self.pendant.sleeps(len(self.pendant.seen))

    # What came of it

    def cycles(self) -> int:
        return sum(each.event == "sleep" and bool(each.details["deep"]) for each in list(self.pendant.seen))

    def wakes(self, with_start: bool = False) -> list[Wake]:
        """Return its wakes since begin(); with_start: the start comes first."""
        found = wakes(list(self.pendant.seen), self.pendant.button)
        begun = max(at for at, wake in enumerate(found) if wake.reason == "power_on")
        return found[begun + (not with_start) :]

    def due_ms(self) -> list[int]:
        """Return when a timer woke it for a heartbeat, out of deep sleep or light sleep."""
        return [
            wake.ended_ms - int(wake.runs[-1]["cpu_ms"]) - int(wake.runs[-1]["radio_ms"])
            for wake in self.wakes()
            if wake.runs[-1]["wake"] == _BY_TIMER and wake.runs[-1]["radio_ms"] and not wake.pressed
        ]

    def bumps(self) -> list[Wake]:
        """Return the wakes by the sensor in which nothing was to be done: no heartbeat fell due."""
        due_ms = self.due_ms()[0]
        return [
            wake
            for wake in self.wakes()
            if wake.reason == "motion"
            and any(begin_ms < wake.began_ms and wake.ended_ms < end_ms for begin_ms, end_ms in self.bumped_ms)
            and (wake.began_ms - _NEAR_MS - due_ms) // self.beat_ms
            == (wake.ended_ms + _NEAR_MS - due_ms) // self.beat_ms
        ]

    def events(self) -> list[Event]:
        """Return all that the receiver took of this device, in order, each id once or the test fails."""
        heard = [each.event for each in self.pendant.sandbox.receiver.heard() if each.new]
        mine = [event for event in heard if event.device == self.pendant.name and event.boot >= self.boot]
        assert len({event.id for event in mine}) == len(mine)
        return mine

    def boots(self) -> dict[int, int]:
        """Return how many events each of its starts has sent, by boot number."""
        return dict(Counter(event.boot for event in self.events()))

    def alarms(self) -> list[Event]:
        return [event for event in self.events() if event.type == "alarm"]

    def beats(self) -> list[Event]:
        return [event for event in self.events() if event.type == "heartbeat"]

    # Moments of a press

    def _while_deep(self, hold_ms: int) -> None:
        self.pendant.control.later(on="asleep", after_ms=self._some_time()).press(hold_ms)

    def _while_falling_asleep(self, hold_ms: int) -> None:
        self.pendant.control.later(on="sleep").press(hold_ms)

    def _while_waking(self, hold_ms: int) -> None:
        self.pendant.control.later(on="wake").press(hold_ms)

    def _while_connecting(self, hold_ms: int) -> None:
        self._at = self.pendant.sees("wifi", len(self.pendant.seen), status=_CONNECTING)
        self.pendant.control.press(hold_ms)

    def _while_light(self, hold_ms: int) -> None:
        """It sleeps deeply now, and the bump is why it next falls asleep: lightly."""
        self.pendant.control.later(self._chances.randint(1, 5000)).play(self._jolt())
        self.pendant.control.later(on="asleep", after_ms=self._chances.randint(1, 8000)).press(hold_ms)

    def _while_judging(self, hold_ms: int) -> None:
        begin_ms = self._some_time()
        self.pendant.control.later(begin_ms).play(movements.sitting_down().samples)
        self.pendant.control.later(begin_ms + self._chances.randint(3000, 8000)).press(hold_ms)

    # Helpers

    def _now_ms(self) -> int:
        return int(self.pendant.control.status()["chip_ms"])

    def _some_time(self) -> int:
        return self._chances.randint(1, self.beat_ms)

    def _jolt(self) -> Sequence[int]:
        """Return a push in one direction and back."""
        x, y, z = movements.UPRIGHT
        jolt = self._chances.randint(*_JOLT_MG) * self._chances.choice((-1, 1))
        pushed = self._chances.choice(([(x + jolt, y, z), (x - jolt, y, z)], [(x, y, z + jolt), (x, y, z - jolt)]))
        still = movements.still(movements.UPRIGHT, 0.2)
        return movements.movement("jolt", [still, pushed, still]).samples

    def _is_excused(self, down_at: int, down_ms: int, up_ms: int) -> bool:
        """Tell whether a tap began and ended between a wake that was not its own and the arming of the button."""
        return any(
            wake.reason != "button" and wake.began_ms - _WAKING_MS <= down_ms and up_ms <= wake.armed_ms
            for wake in wakes(self.pendant.seen[max(down_at - _EVENTS_OF_A_WAKE, 0) :], self.pendant.button)
        )

    def _until_still(self, movements_left: int) -> None:
        for _ in range(movements_left):
            self._at = self.pendant.sees("motion", self._at, state="ended")
        self._at = self.pendant.sleeps(self._at)


MOMENTS = {
    "asleep": Life._while_deep,
    "falling asleep": Life._while_falling_asleep,
    "waking": Life._while_waking,
    "connecting": Life._while_connecting,
    "light sleep": Life._while_light,
    "judging": Life._while_judging,
}
