"""What happens to a world from outside: presses and faults, drawn from its seed before it begins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from ansim.simulation import receiver
from ansim.simulation.chance import mix
from ansim.simulation.link import OBSTACLES
from ansim.simulation.timeline import DAY_MS, HOUR_MS, MINUTE_MS

OBSTACLE_NAMES = tuple(OBSTACLES)
WORLD = -1


@dataclass(frozen=True, order=True)
class Stimulus:
    """One thing that happens.

    Args:
        device: to which device of the world; WORLD: to broker or receiver.
        kind: one of KINDS.
        values: as KINDS says of the kind.
    """

    at_ms: int
    device: int
    kind: str
    values: tuple[int, ...] = ()


@dataclass(frozen=True)
class Kind:
    """A kind of stimulus.

    Args:
        of_device: it happens to a device, else to broker or receiver.
        limits: lowest and highest of each value; more_values: the last may come again and again.
    """

    name: str
    of_device: bool
    limits: tuple[tuple[int, int], ...] = ()
    more_values: bool = False

    def takes(self, values: Sequence[object]) -> bool:
        """Tell whether values are legal."""
        if len(values) != len(self.limits) and not (
            self.more_values and len(self.limits) <= len(values) <= _MOST_VALUES
        ):
            return False
        limits = [*self.limits, *self.limits[-1:] * (len(values) - len(self.limits))]
        return all(
            type(value) is int and low <= value <= high for value, (low, high) in zip(values, limits, strict=True)
        )


_MOST_VALUES = 100
_ANY = (0, 1 << 20)
_DURATION_MS = (0, 366 * DAY_MS)
_SHELF = (0, 1)

KINDS = {
    each.name: each
    for each in (
        # held_ms
        Kind("press", True, (_DURATION_MS,)),
        # down_ms, up_ms, down_ms, ...
        Kind("chatter", True, ((1, 10_000),), more_values=True),
        Kind("fall", True),
        # at which action or flash operation from now, 0: at once; how much of that is done; off_ms
        Kind("cut", True, (_ANY, _ANY, _DURATION_MS)),
        # duration_ms: the loop stands still; 60 s or more is for ever
        Kind("hang", True, (_DURATION_MS,)),
        # shelf, which record, which bit
        Kind("rot", True, (_SHELF, _ANY, _ANY)),
        # which record, which bit: the same on both shelves
        Kind("rot_both", True, (_ANY, _ANY)),
        # shelf (2: both), duration_ms
        Kind("flash_refuses", True, ((0, 2), _DURATION_MS)),
        # which of link.OBSTACLES, duration_ms
        Kind("obstacle", True, ((0, len(OBSTACLES) - 1), _DURATION_MS)),
        Kind("link_loss", True),
        # duration_ms
        Kind("half_open", True, (_DURATION_MS,)),
        # duration_ms: nothing comes down to the device
        Kind("deaf", True, (_DURATION_MS,)),
        # longest delay in ms, duration_ms
        Kind("slow", True, ((20, 10 * MINUTE_MS), _DURATION_MS)),
        # mv
        Kind("battery", True, ((0, 10_000),)),
        # minutes between heartbeats
        Kind("interval", True, ((1, 1440),)),
        # an operator closes the device's oldest open alarm
        Kind("handle", True),
        # duration_ms, and what came in the last lost_ms is lost
        Kind("broker_down", False, (_DURATION_MS, _DURATION_MS)),
        # duration_ms: PUBACKs and drops
        Kind("broker_drops", False, (_DURATION_MS,)),
        Kind("reorder", False, (_DURATION_MS,)),
        Kind("repeat", False, (_DURATION_MS,)),
        Kind("receiver_down", False, (_DURATION_MS,)),
        # where (receiver.BEFORE_COMMIT ...), down_ms
        Kind("receiver_killed", False, ((0, 2), _DURATION_MS)),
        Kind("backup", False),
        # down_ms, then the receiver begins with the last backup
        Kind("restore", False, (_DURATION_MS,)),
        # jump_ms of the broker's clock, which dates the events
        Kind("clock", False, ((-10 * 366 * DAY_MS, 10 * 366 * DAY_MS),)),
    )
}

# A scene is a few stimuli that belong together: (after so many ms, kind, values).
_Scene = list[tuple[int, str, tuple[int, ...]]]
_Draw = Callable[[Random], _Scene]


def plan(seed: int, devices: Sequence[int], duration_ms: int, intensity: int = 1) -> tuple[Stimulus, ...]:
    """Return what happens in duration_ms to a world of these devices, in order of time.

    Args:
        intensity: so many times as often as in the default mix.
    """
    found: list[Stimulus] = []
    for device in (WORLD, *devices):
        draws = Random(mix(seed, device + 1))
        scenes = _WORLD_SCENES if device == WORLD else _DEVICE_SCENES
        for a_day, draw in scenes:
            found += _draw_scenes(draws, device, intensity * a_day, draw, duration_ms)
    return tuple(sorted(each for each in found if each.at_ms < duration_ms))


def _draw_scenes(draws: Random, device: int, a_day: float, draw: _Draw, duration_ms: int) -> list[Stimulus]:
    found: list[Stimulus] = []
    at_ms = 0.0
    while True:
        at_ms += draws.expovariate(a_day / DAY_MS)
        if at_ms >= duration_ms:
            return found
        for after_ms, kind, values in draw(draws):
            whose = device if KINDS[kind].of_device else WORLD
            found.append(Stimulus(int(at_ms) + after_ms, whose, kind, values))


def _span(draws: Random, longest_ms: int) -> int:
    """A duration from a second up, short ones as often as long ones."""
    return int(1000 * (longest_ms / 1000) ** draws.random())


def _press(draws: Random) -> _Scene:
    return [(0, "press", (draws.randint(50, 800),))]


def _long_press(draws: Random) -> _Scene:
    return [(0, "press", (draws.randint(800, 8_000),))]


def _cancel(draws: Random) -> _Scene:
    return [
        (0, "press", (draws.randint(50, 500),)),
        (draws.randint(2_000, 35_000), "press", (draws.randint(2_500, 4_500),)),
    ]


def _slow_cancel(draws: Random) -> _Scene:
    """Let go in the last moment, or just after it."""
    scene = draws.choice((_cancel, _cancelled_fall))(draws)
    return [*scene[:-1], (scene[-1][0], "press", (draws.randint(9_700, 10_300),))]


def _body(draws: Random) -> _Scene:
    """Somebody who called or fell lies on the button, while the loop may be held up."""
    what = draws.choice((("press", (200,)), ("fall", ())))
    scene: _Scene = [(0, *what), (draws.randint(500, 29_000), "press", (draws.randint(10_000, 50_000),))]
    for _ in range(draws.randint(0, 2)):
        scene.append((scene[1][0] + draws.randint(0, 10_000), "hang", (_span(draws, 20_000),)))
    return scene


def _stuck(draws: Random) -> _Scene:
    return [(0, "press", (draws.randint(61_000, 20 * MINUTE_MS),))]


def _storm(draws: Random) -> _Scene:
    gaps_ms = [draws.randint(150, 2_000) for _ in range(draws.randint(3, 80))]
    return [(sum(gaps_ms[:at]), "press", (draws.randint(50, 140),)) for at in range(len(gaps_ms))]


def _chatter(draws: Random) -> _Scene:
    return [(0, "chatter", tuple(draws.randint(1, 15) for _ in range(2 * draws.randint(1, 15))))]


def _fall(_draws: Random) -> _Scene:
    return [(0, "fall", ())]


def _falls(draws: Random) -> _Scene:
    """Somebody who falls, gets up, and falls again."""
    return [(draws.randint(0, 90_000), "fall", ()) for _ in range(draws.randint(2, 4))]


def _cancelled_fall(draws: Random) -> _Scene:
    """Held from at once to just after the pre-alarm."""
    return [(0, "fall", ()), (draws.randint(1_000, 31_000), "press", (draws.randint(2_500, 4_500),))]


def _late_cancel(draws: Random) -> _Scene:
    return [(0, "fall", ()), (draws.randint(29_800, 30_200), "press", (draws.randint(3_000, 3_500),))]


def _fall_and_call(draws: Random) -> _Scene:
    return [(0, "fall", ()), (draws.randint(500, 33_000), "press", (draws.randint(50, 800),))]


def _fall_out_of_reach(draws: Random) -> _Scene:
    scene = _cancelled_fall(draws)
    return [*_obstacle(draws), *((3_000 + after_ms, kind, values) for after_ms, kind, values in scene)]


def _cut_in_prealarm(draws: Random) -> _Scene:
    return [(0, "fall", ()), (draws.randint(0, 31_000), "cut", _cut_values(draws, draws.randint(0, 6)))]


def _cut_in_cancel(draws: Random) -> _Scene:
    fall, press = _cancelled_fall(draws)
    return [fall, press, (press[0] + press[2][0], "cut", _cut_values(draws, draws.randint(0, 24)))]


def _cut_values(draws: Random, points: int) -> tuple[int, ...]:
    return points, draws.randrange(1 << 16), _span(draws, HOUR_MS)


def _cut(draws: Random) -> _Scene:
    return [(0, "cut", _cut_values(draws, 0))]


def _cut_in_press(draws: Random) -> _Scene:
    """The power goes somewhere between a press and its acknowledgement."""
    return [(0, "cut", _cut_values(draws, draws.randint(1, 24))), *_press(draws)]


def _brownouts(draws: Random) -> _Scene:
    """A weak supply: it goes again and again in the first moments."""
    scene: _Scene = [*_press(draws), (draws.randint(0, 300), "cut", (0, 0, 100))]
    at_ms = scene[-1][0]
    for _ in range(draws.randint(2, 10)):
        at_ms += 100 + draws.randint(200, 4_000)
        scene.append((at_ms, "cut", (draws.randint(0, 6), draws.randrange(1 << 16), 100)))
    return scene


def _hang(draws: Random) -> _Scene:
    return [(0, "hang", (_span(draws, 2 * MINUTE_MS),)), (draws.randint(0, 500), "press", (draws.randint(50, 500),))]


def _rot(draws: Random) -> _Scene:
    return [(0, "rot", (draws.randrange(2), draws.randrange(64), draws.randrange(1024)))]


def _rot_then_restart(draws: Random) -> _Scene:
    """An alarm waits, rots on one shelf, and the device restarts."""
    return [
        (0, "obstacle", (draws.randrange(len(OBSTACLE_NAMES)), 10 * MINUTE_MS)),
        (2_000, "press", (200,)),
        (5_000, *_rot(draws)[0][1:]),
        (9_000, "cut", (0, 0, 1_000)),
    ]


def _rot_both(draws: Random) -> _Scene:
    scene = _rot_then_restart(draws)
    scene[2] = (5_000, "rot_both", (draws.randrange(64), draws.randrange(1024)))
    return scene


def _flash_refuses(draws: Random) -> _Scene:
    return [
        (0, "flash_refuses", (draws.randrange(3), _span(draws, HOUR_MS))),
        (draws.randint(100, 900), "press", (300,)),
    ]


def _obstacle(draws: Random) -> _Scene:
    return [(0, "obstacle", (draws.randrange(len(OBSTACLE_NAMES)), _span(draws, 12 * HOUR_MS)))]


def _obstacle_and_press(draws: Random) -> _Scene:
    return [*_obstacle(draws), (draws.randint(100, 100_000), "press", (draws.randint(50, 500),))]


def _link_loss(draws: Random) -> _Scene:
    scene: _Scene = [(0, "link_loss", ())]
    return scene if draws.random() < 0.5 else [*_press(draws), (draws.randint(1, 200), "link_loss", ())]


def _half_open(draws: Random) -> _Scene:
    return [(0, "half_open", (_span(draws, 2 * HOUR_MS),)), (draws.randint(0, 30_000), "press", (200,))]


def _deaf(draws: Random) -> _Scene:
    return [(0, "deaf", (_span(draws, HOUR_MS),)), (draws.randint(0, 1_000), "press", (200,))]


def _slow(draws: Random) -> _Scene:
    return [
        (0, "slow", (_span(draws, 2 * MINUTE_MS), _span(draws, 6 * HOUR_MS))),
        (draws.randint(0, 1_000), "press", (200,)),
    ]


def _battery(draws: Random) -> _Scene:
    """It declines, chatters about the limit, and is charged."""
    levels = [(minute * MINUTE_MS, "battery", (3_430 + draws.randint(-60, 60),)) for minute in range(0, 60, 7)]
    return [*levels, (70 * MINUTE_MS, "battery", (3_900,))]


def _interval(draws: Random) -> _Scene:
    return [(0, "interval", (draws.choice((30, 60, 60, 120, 240, 1440)),))]


def _handle(draws: Random) -> _Scene:
    return [*_press(draws), (_span(draws, 2 * MINUTE_MS), "handle", ())]


def _broker_down(draws: Random) -> _Scene:
    return [(0, "broker_down", (_span(draws, 4 * HOUR_MS), draws.choice((0, 0, 1_000, 10_000))))]


def _broker_drops(draws: Random) -> _Scene:
    return [(0, "broker_drops", (_span(draws, HOUR_MS),))]


def _reorder(draws: Random) -> _Scene:
    return [(0, "reorder", (_span(draws, 4 * HOUR_MS),))]


def _repeat(draws: Random) -> _Scene:
    return [(0, "repeat", (_span(draws, 4 * HOUR_MS),))]


def _receiver_down(draws: Random) -> _Scene:
    return [(0, "receiver_down", (_span(draws, 8 * HOUR_MS),))]


def _receiver_killed(draws: Random) -> _Scene:
    where = draws.choice((receiver.BEFORE_COMMIT, receiver.AFTER_COMMIT, receiver.BETWEEN_ACKNOWLEDGEMENTS))
    return [(0, "receiver_killed", (where, _span(draws, 5 * MINUTE_MS)))]


def _restore(draws: Random) -> _Scene:
    return [(0, "backup", ()), (_span(draws, DAY_MS), "restore", (_span(draws, HOUR_MS),))]


def _press_after_backup(draws: Random) -> _Scene:
    """The only row of an alarm goes with the machine."""
    return [(0, "backup", ()), *_press(draws), (_span(draws, HOUR_MS), "restore", (_span(draws, HOUR_MS),))]


def _clock(draws: Random) -> _Scene:
    return [(0, "clock", (draws.choice((-1, 1)) * _span(draws, DAY_MS),))]


# The default mix: how often a day, for one device and for one world.
_DEVICE_SCENES: tuple[tuple[float, _Draw], ...] = (
    (1.0, _press),
    (0.1, _long_press),
    (0.1, _cancel),
    (0.01, _stuck),
    (0.02, _storm),
    (0.1, _chatter),
    (0.05, _cut),
    (0.3, _cut_in_press),
    (0.05, _brownouts),
    (0.1, _hang),
    (0.05, _rot),
    (0.1, _rot_then_restart),
    (0.01, _rot_both),
    (0.03, _flash_refuses),
    (0.1, _obstacle),
    (0.1, _obstacle_and_press),
    (0.3, _link_loss),
    (0.1, _half_open),
    (0.1, _deaf),
    (0.1, _slow),
    (0.02, _battery),
    (0.02, _interval),
    (0.2, _handle),
    (0.02, _press_after_backup),
    (0.2, _fall),
    (0.02, _falls),
    (0.2, _cancelled_fall),
    (0.05, _late_cancel),
    (0.1, _fall_and_call),
    (0.1, _fall_out_of_reach),
    (0.2, _cut_in_prealarm),
    (0.2, _cut_in_cancel),
    (0.05, _slow_cancel),
    (0.1, _body),
)
_WORLD_SCENES: tuple[tuple[float, _Draw], ...] = (
    (0.2, _broker_down),
    (0.2, _broker_drops),
    (0.2, _reorder),
    (0.3, _repeat),
    (0.2, _receiver_down),
    (1.0, _receiver_killed),
    (0.05, _restore),
    (0.1, _clock),
)
