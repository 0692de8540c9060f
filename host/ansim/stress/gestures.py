"""What a device's wearer does with it: one function a kind of scenario.GestureKind."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from ansim.falls.replay import ACKNOWLEDGED, RAISED, Replayer
from ansim.stress import movements
from ansim.stress.expect import Done
from ansim.stress.plan import PlannedGesture
from ansim.stress.scenario import GestureKind
from ansim.stress.unit import Unit
from ansim.virtual.bounce import bouncing_press

# Less than what the firmware takes to be a bounce.
_BOUNCE_MS = 15
# A press that a cancel begins with, and what lies between the two.
_PRESS_MS = 150
_BETWEEN_MS = 600
# A device that is on duty tells of a press within so much of this machine's time; of one that is not, nothing is heard.
_TOLD_S = 1.5
# No restart kept it from telling: a machine that is busy. What it tells later would be taken for the next gesture's.
_LATE_S = 4.0


class Hands:
    """Makes gestures on one device, one after the other.

    Args:
        restarted: whether a restart may have kept the device from telling of something that was done at a moment.
    """

    def __init__(self, unit: Unit, restarted: Callable[[int], bool]) -> None:
        self._unit = unit
        self._restarted = restarted
        self._finger = ThreadPoolExecutor(1, thread_name_prefix=f"finger {unit.name}")

    @property
    def device(self) -> str:
        return self._unit.name

    def close(self) -> None:
        self._finger.shutdown()

    def make(self, gesture: PlannedGesture) -> Done:
        """Make a gesture, and wait until the device tells of it, or would have.

        Raises:
            DeviceError: the place does not answer.
        """
        self._unit.pause(gesture.gap_ms)
        return _MAKERS[gesture.kind](self, gesture)

    def _press(self, gesture: PlannedGesture) -> Done:
        return self._down(gesture.kind, gesture.hold_ms, lambda: self._unit.control.press(gesture.hold_ms))

    def _chatter(self, gesture: PlannedGesture) -> Done:
        edges_us = bouncing_press(gesture.chance, gesture.hold_ms, _BOUNCE_MS)
        return self._down(gesture.kind, gesture.hold_ms, lambda: self._unit.control.bounce(edges_us))

    def _press_and_hold(self, gesture: PlannedGesture) -> Done:
        """Raise an alarm, and hold the button while it may be cancelled."""
        first = self._down(gesture.kind, _PRESS_MS, lambda: self._unit.control.press(_PRESS_MS))
        self._unit.pause(_BETWEEN_MS)
        second = self._down(gesture.kind, gesture.hold_ms, lambda: self._unit.control.press(gesture.hold_ms))
        kept_ms = None if first.kept_ms is None else second.kept_ms
        return Done(gesture.kind, first.begun_ms, second.until_ms, kept_ms)

    def _move(self, gesture: PlannedGesture) -> Done:
        """Fall, or walk and sit down."""
        begun_ms = self._unit.clock.now_ms()
        replayer = Replayer(self._unit.control, self._unit.console)
        replayer.until_ready()
        made = movements.fall(gesture.chance) if gesture.kind == "fall" else movements.walk(gesture.chance)
        outcome = replayer.play(made)
        now_ms = self._unit.clock.now_ms()
        at_s = {each.what: each.at_s for each in outcome.happenings}
        took_ms = round(1000 * (at_s.get(ACKNOWLEDGED, 0.0) - at_s.get(RAISED, 0.0)) / self._unit.speed)
        for alarm in outcome.alarms:
            self._unit.heard.raised.append((now_ms - took_ms, alarm))
            self._unit.heard.kept[alarm] = now_ms
        for alarm in outcome.settled:
            self._unit.heard.acknowledged[alarm] = now_ms
        return Done(gesture.kind, begun_ms, now_ms, now_ms, sure=outcome.kept_up)

    def _down(self, kind: GestureKind, hold_ms: int, act: Callable[[], None]) -> Done:
        """Have a finger do something with the button, and listen until the device has kept what came of it."""
        unit, heard = self._unit, self._unit.heard
        begun_ms, cancels = unit.clock.now_ms(), len(heard.cancels)
        moving: Future[None] = self._finger.submit(act)

        def told() -> bool:
            ids = heard.since(begun_ms)
            return len(heard.cancels) > cancels or (bool(ids) and all(each in heard.kept for each in ids))

        unit.listen(moving.done, unit.real_s(hold_ms) + _TOLD_S)
        moving.result()
        until_ms = unit.clock.now_ms()
        if not unit.listen(told, _TOLD_S):
            unit.listen(lambda: told() or self._restarted(begun_ms), _LATE_S)
        kept = told()
        kept_ms = max((heard.kept.get(each, 0) for each in heard.since(begun_ms)), default=unit.clock.now_ms())
        return Done(kind, begun_ms, until_ms, kept_ms if kept else None)


_MAKERS: dict[GestureKind, Callable[[Hands, PlannedGesture], Done]] = {
    "press": Hands._press,
    "chatter": Hands._chatter,
    "cancel": Hands._press_and_hold,
    "race": Hands._press_and_hold,
    "body": Hands._press_and_hold,
    "fall": Hands._move,
    "move": Hands._move,
}
