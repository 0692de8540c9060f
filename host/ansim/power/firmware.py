"""The same life on the real firmware: a virtual board whose chip sleeps in no time, moved as the wearer moves.

The virtual board is the simulated one, with its chip's way to wake, its pins, and its motion sensor over I2C with FIFO
and interrupt. The ledger is the one that the device tells in its heartbeats.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from ansim import console_key, flash_job
from ansim.board_file import stand_in_for, write_board
from ansim.client import Console, Deadline
from ansim.errors import BadInput, DeviceError
from ansim.event import Event
from ansim.flash_job import Job
from ansim.power.day import DAY_S, Stir, Wearer
from ansim.power.rates import Rates
from ansim.power.simulate import Life, Tell
from ansim.power.usage import Usage, read_usage
from ansim.provisioning import Wishes
from ansim.sandbox import Sandbox
from ansim.serial_link import open_port
from ansim.virtual import ControlClient
from ansim.virtual.control_server import MAX_WAITING

# Each takes minutes.
MAX_DAYS = 3
_DAY_MS = DAY_S * 1000
_HZ = 50
# Movements that are nearer to each other are one recording.
_APART_S = 5
# As much as a recording that waits may hold, less its last sample.
_LONGEST_S = 1000
_REST, _JOLT, _RAMP_MG = 1000, 300, 100
_POLL_S = 0.5
# An hour of a day at home takes some 5 s; a board that takes so much longer is stuck.
_STUCK_S = 120.0
# In which all movements are ordered, in this machine's time, and the device has its first contact.
_SETTLE_MS = 300_000


@dataclass(frozen=True)
class Ran:
    """What the device told between its first and its last heartbeat asleep.

    Args:
        hours: between the two; heartbeats: how many there were.
        usage: what its ledger grew by.
    """

    hours: float
    heartbeats: int
    usage: Usage


def run(life: Life, rates: Rates, tell: Tell) -> Ran:
    """Let a device live that life.

    Raises:
        BadInput: the life is too long or too lively, or its board has no motion sensor.
        DeviceError: the device did not live it.
    """
    if life.days > MAX_DAYS:
        raise BadInput(
            f"{life.days} days of the firmware are too many", f"Give --simulate 1 to {MAX_DAYS} with --firmware."
        )
    if life.board.sensor is None:
        raise BadInput(f"board '{life.board.name}' has no motion sensor", "Give another --board.")
    wearer = Wearer(life.day, rates.parts[life.board.sensor.part], life.seed, life.wakes_an_hour)
    movements = _all_movements(wearer, life.days)
    with tempfile.TemporaryDirectory(prefix="ansim-") as folder, Sandbox(Path(folder)) as sandbox:
        board_file = write_board(stand_in_for(life.board, "pendant"), Path(folder))
        control = _device(sandbox, str(board_file), life.interval_min, tell)
        _move(control, movements)
        control.power(True)
        _wait(control, life.days, tell)
        return _ran([each.event for each in sandbox.receiver.heard()])


def _device(sandbox: Sandbox, board_file: str, interval_min: int, tell: Tell) -> ControlClient:
    """Make a pendant, off its charger and switched off; return what switches it on, and moves it."""
    board = sandbox.start_board(board=board_file, skip_sleep=True)
    flash_job.flash(Job(sandbox.home, board.url, board_file, Wishes(role="pendant")), tell)
    with open_port(board.url, sandbox.home) as link:
        console_key.change(Console(link, board.url), sandbox.home, "config", {"set": {"heartbeat_min": interval_min}})
    board.control.supply(False)
    board.control.power(False)
    return board.control


def _all_movements(wearer: Wearer, days: int) -> list[list[Stir]]:
    """Return all movements of the days.

    Raises:
        BadInput: they are more than can wait at a board.
    """
    stirs = [each for day in range(days) for each in wearer.between(day * DAY_S, (day + 1) * DAY_S)]
    found = list(_movements(stirs))
    if len(found) > MAX_WAITING:
        raise BadInput(
            f"{len(found)} movements are more than the {MAX_WAITING} that a virtual board can be told of",
            "Give a calmer --day, or fewer days.",
        )
    return found


def _move(control: ControlClient, movements: Sequence[Sequence[Stir]]) -> None:
    """Order all movements, as recordings that are played when their time comes."""
    begin_ms = control.status()["chip_ms"] + _SETTLE_MS
    for movement in movements:
        after_ms = begin_ms + movement[0].at_s * 1000 - control.status()["chip_ms"]
        control.later(max(after_ms, 0)).play(_samples(movement), _HZ)


def _movements(stirs: Sequence[Stir]) -> Iterator[list[Stir]]:
    """Yield what belongs together, at most _LONGEST_S of it at once."""
    together: list[Stir] = []
    for each in stirs:
        is_apart = together and each.at_s - together[-1].at_s > _APART_S
        if is_apart or (together and each.at_s - together[0].at_s >= _LONGEST_S):
            yield together
            together = []
        together.append(each)
    if together:
        yield together


def _samples(movement: Sequence[Stir]) -> list[int]:
    """Return x, y, z in mg: jolts on x in seconds that stir, an impact on z, reached in small steps, for a window.

    One jolt wakes the device. The other one comes when it is awake, as in a movement that lasts for that second.
    """
    by_second = {each.at_s: each for each in movement}
    samples: list[int] = []
    for second in range(movement[0].at_s, movement[-1].at_s + 1):
        each = by_second.get(second)
        xs, zs = [0] * _HZ, [_REST] * _HZ
        if each is not None and each.stirs:
            xs[10] = xs[_HZ - 2] = _JOLT
        if each is not None and each.windows:
            ramp = [_REST + _RAMP_MG * step for step in range(1, 7)]
            zs[20:32] = [*ramp, *ramp[::-1]]
        samples += [axis for x, z in zip(xs, zs, strict=True) for axis in (x, 0, z)]
    # Stillness, which the last sample is held as.
    return [*samples, 0, 0, _REST]


def _wait(control: ControlClient, days: int, tell: Tell) -> None:
    """Return when the chip has lived so long.

    Raises:
        DeviceError: its time stands still.
    """
    end_ms = control.status()["chip_ms"] + _SETTLE_MS + days * _DAY_MS
    now_ms, moved = 0, Deadline(_STUCK_S)
    while now_ms < end_ms:
        before_ms, now_ms = now_ms, control.status()["chip_ms"]
        if now_ms - before_ms > 2 * _POLL_S * 1000:
            moved = Deadline(_STUCK_S)
        if moved.expired:
            raise DeviceError("the virtual board does not fall asleep", "This is a defect: please report it.")
        tell("living on the firmware", max(now_ms - end_ms + days * _DAY_MS, 0), days * _DAY_MS)
        time.sleep(_POLL_S)


def _ran(events: Sequence[Event]) -> Ran:
    beats = [each for each in events if each.type == "heartbeat" and (each.data or {}).get("deep_s")]
    if len(beats) < 2:
        raise DeviceError("the device told less than two heartbeats while it slept", "Let it live for longer.")
    first, last = (read_usage(each.data or {}, "the device") for each in (beats[0], beats[-1]))
    grown = Usage(*(getattr(last, item.name) - getattr(first, item.name) for item in fields(Usage)))
    return Ran(grown.total_s / 3600, len(beats), grown)
