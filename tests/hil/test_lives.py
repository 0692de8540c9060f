"""A thousand times asleep and awake again: nothing is missed, lost, late or leaking, and a bump is no more than a look.

The lives below come to more than a thousand deep sleeps together, one of them to more than five hundred; each prints
its own (pytest -s). A tap that begins and ends between a wake by timer or sensor and the arming of the button may be
missed: no program runs meanwhile, and the pin's level is all that a chip has. Every other press has to be an alarm, and
one.
"""

import random
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pendant import Pendant, board_file
from pendant_life import FIRST_BEAT, MOMENTS, Life

from ansim.database import Database
from ansim.event import Event
from ansim.event_store import EventStore
from ansim.sandbox import Sandbox
from ansim_fw.core import link_watch

pytestmark = pytest.mark.needs(
    "boards", "flash", "motion", "power", "press", "radio", "sleep", "speed", "supply", "watch", "wifi"
)

# The ten seconds in which a pendant shows that its alarm is acknowledged are one here.
SPEED = 10
MIN_MS = 60_000

# main.py, pack.mpy, and the one file that has all modules; how many of these a bump loads.
BUMP_OPENS = 3
BUMP_IMPORTS = 21
NOTHING_OF = (
    *("radio_ms", "names", "connections", "sent_bytes", "received_bytes"),
    *("nvs_reads", "nvs_writes", "programs", "programmed_bytes", "erases"),
)
# So much later a heartbeat may be for each wake before it; a chip's crystal is wrong by more.
DRIFT_MS_A_WAKE = 1.0
# The first and the last heartbeats, for what changes in a life.
ENDS = 20
SAME_HEAP_BYTES = 512
# How near the device's ledger is to what the board saw. To fall lightly asleep and to wake from it is sleep to the
# device, and takes so much of this machine's time at most.
SHARES = {"deep_s": 0.01, "radio_s": 0.1, "cpu_s": 0.1, "light_s": 0.01}
NEAR_S, LIGHTLY_ASLEEP_S = 5, 0.002 * SPEED
# A device is up from the end of its start.
COLD_START_MS = 10_000
# One that is aimed at another moment may meet the start for a heartbeat all the same.
EXCUSED_SHARE, EXCUSED_ELSEWHERE = 0.1, 1
# One in eleven is aimed at a start.
PRESSES = [*MOMENTS, *(kind for kind in MOMENTS if kind != "waking")]

Step = Callable[[], None]


@dataclass(frozen=True)
class Kind:
    """A life: with this board and motion sensor, so many sleeps at least, a heartbeat each so many minutes.

    Args:
        bumps_apart_ms: between two bumps, at least and at most.
        presses: kinds of them (MOMENTS).
        outages: how often Wi-Fi is away, with a press in every other one.
        bumps_at_once: so many bumps with nothing else between.
    """

    seed: int
    board: str
    part: str
    sleeps: int
    beat_min: int
    bumps_apart_ms: tuple[int, int]
    presses: Sequence[str]
    outages: int = 0
    bumps_at_once: int = 10


LIVES = {
    "long": Kind(20261122, "virtual", "bma400", 505, 2, (20_000, 30_000), PRESSES * 2, outages=4),
    "slow": Kind(7, "virtual", "bma400", 250, 15, (60_000, 300_000), PRESSES, outages=2),
    "level": Kind(11, "esp32c3_pendant", "bma400", 250, 5, (20_000, 90_000), PRESSES, outages=2),
}
# Its sensor remembers so little that it is watched for ten minutes after each stir.
_SOME = ("asleep", "falling asleep", "light sleep")
WATCHED = Kind(13, "virtual", "lis2dw12", 12, 60, (650_000, 900_000), _SOME, bumps_at_once=1)


@contextmanager
def living(kind: Kind, sandbox: Sandbox, folder: Path) -> Iterator[Life]:
    """A pendant that sleeps. At the end its life is printed, for whoever looks into it."""
    file = board_file(folder, kind.part, kind.board)
    pendant = Pendant(sandbox, f"life-{kind.seed}", file, speed=SPEED, skip_sleep=True)
    life = Life(pendant, random.Random(kind.seed), kind.beat_min * MIN_MS, kind.bumps_apart_ms)
    try:
        pendant.prepare(heartbeat_min=kind.beat_min)
        pendant.disconnect()
        life.begin()
        yield life
    finally:
        if life.boot:
            tell(kind, life)
        pendant.close()


def tell(kind: Kind, life: Life) -> None:
    reasons = Counter(wake.reason for wake in life.wakes())
    faults = Counter(event.kind for event in life.events() if event.type == "fault")
    imports = max((wake.sum("imports") for wake in life.bumps()), default=0)
    free, late_ms = heap_free(life), lateness_ms(life)
    more = more_heap(free)
    print(f"\n{kind.board} with {kind.part}, seed {kind.seed}: {life.cycles()} sleeps; wakes by {dict(reasons)};")
    print(f"faults {dict(faults)}; presses {dict(life.presses)}, before the button is armed {dict(life.excused)};")
    print(f"{len(life.bumps())} bumps, at most {imports} modules loaded for one; boots {life.boots()};")
    print(f"{len(free)} heartbeats, the last {change(late_ms):+g} ms later than the first, {more:+g} bytes of heap")


def live(kind: Kind, life: Life) -> None:
    """Let it all happen, in any order, and go on until it slept as often as it shall."""

    def bump() -> None:
        life.bump(kind.bumps_at_once)

    steps: list[Step] = [bump] * (kind.sleeps // (2 * kind.bumps_at_once)) + [life.sit_down]
    steps += [lambda: life.lose_wifi(pressed=False), lambda: life.lose_wifi(pressed=True)] * (kind.outages // 2)
    steps += [pressing(life, moment) for moment in kind.presses]
    random.Random(kind.seed).shuffle(steps)
    for step in steps:
        step()
    while life.cycles() < kind.sleeps:
        bump()
    life.calm_down()


def pressing(life: Life, moment: str) -> Step:
    return lambda: life.press(moment)


def check(kind: Kind, life: Life) -> None:
    """Check all that holds for every life."""
    assert {wake.reason for wake in life.wakes()} <= {"button", "motion", "timer"}, "it did not just wake"
    check_alarms(life)
    check_events(life)
    check_schedule(life)
    assert len(life.bumps()) >= kind.sleeps / 4
    check_bumps(life)
    check_ledger(life)


def check_alarms(life: Life) -> None:
    """Each press is a row of the receiver's, and there is no other alarm."""
    with_database = Database.open(life.pendant.sandbox.home.database_url)
    try:
        rows = [row for row in EventStore(with_database).alarms() if row.device == life.pendant.name]
    finally:
        with_database.close()
    mine = [row for row in rows if row.boot >= life.boot]
    assert len(mine) == len(life.alarms()) == life.presses.total() - life.excused.total()
    assert {row.kind for row in mine} <= {"sos"}
    assert life.excused.total() <= EXCUSED_SHARE * life.presses.total() + EXCUSED_ELSEWHERE
    assert life.excused.total() - life.excused["waking"] <= EXCUSED_ELSEWHERE


def check_events(life: Life) -> None:
    """Whatever was made durable arrived, each once, in one start; and nothing is wrong with the device."""
    events = life.events()
    assert {event.boot for event in events} == {life.boot}
    numbers = sorted(event.seq for event in events if event.seq < FIRST_BEAT)
    assert numbers == list(range(len(numbers)))
    assert lasting_faults(events) <= set(link_watch.REASONS)
    assert life.beats()[-1].data["pending"] == 0  # type: ignore[index]  # a heartbeat has data


def lasting_faults(events: Sequence[Event]) -> set[str]:
    """Return the kinds of faults that did not end.

    A device whose alarm does not get through may have no memory to watch for falls meanwhile, and says so.
    """
    found: set[str] = set()
    for event in events:
        if event.type == "fault":
            found.add(event.kind)
        elif event.type == "restore":
            found.discard(event.kind)
    return found


def check_schedule(life: Life) -> None:
    """Heartbeats are due by the clock, whatever happened between them."""
    late_ms = lateness_ms(life)
    assert abs(change(late_ms)) <= DRIFT_MS_A_WAKE * len(life.wakes()), late_ms
    # One that fell due in another wake was made in that one.
    due_ms = life.due_ms()
    expected = (due_ms[-1] - due_ms[0] + life.beat_ms // 2) // life.beat_ms + 1
    assert len(life.beats()) >= 0.9 * expected


def lateness_ms(life: Life) -> list[int]:
    """Return how much later than by the first one's schedule each heartbeat fell due."""
    due_ms = life.due_ms()
    half_ms = life.beat_ms // 2
    return [(each - due_ms[0] + half_ms) % life.beat_ms - half_ms for each in due_ms]


def change(figures: Sequence[int]) -> float:
    """Return by how much the last are more than the first; one that was tried again out of schedule does not count."""
    return statistics.median(figures[-ENDS:]) - statistics.median(figures[:ENDS])


def check_heap(life: Life) -> None:
    """What is free after a start does not become less; for some time it is, as each alarm is remembered for an hour."""
    free = heap_free(life)
    assert len(free) >= 2 * ENDS
    assert more_heap(free) >= -SAME_HEAP_BYTES, free


def more_heap(free: list[int]) -> float:
    """Return by how much the best of the end is more than what was usual at the beginning; one start may have more."""
    return max(free[-ENDS:]) - statistics.median(free[:ENDS])


def heap_free(life: Life) -> list[int]:
    return [int(beat.data["heap_free"]) for beat in life.beats() if beat.data]


def check_bumps(life: Life) -> None:
    """A wake without an action opens what it needs for that, and does nothing with anything else."""
    for wake in life.bumps():
        done = {name: wake.sum(name) for name in NOTHING_OF if wake.sum(name)}
        assert not done, f"the bump at {wake.began_ms} ms: {done}"
        assert wake.sum("opens") <= BUMP_OPENS and wake.sum("imports") <= BUMP_IMPORTS, wake.runs[0]


def check_ledger(life: Life) -> None:
    """What the device tells of its time is what its board saw until then."""
    start, *all_wakes = life.wakes(with_start=True)
    # It lives on meanwhile.
    until_s = (all_wakes[-1].ended_ms - start.began_ms - COLD_START_MS) // 1000
    told = [beat.data for beat in life.beats() if beat.data and int(beat.data["up_s"]) < until_s][-1]
    end_ms = start.began_ms + int(told["up_s"]) * 1000 + COLD_START_MS
    wakes = [wake for wake in all_wakes if wake.began_ms <= end_ms]
    sleeps = zip([start, *wakes], wakes, strict=False)
    seen_s = {
        "deep_s": sum(after.began_ms - before.ended_ms for before, after in sleeps) / 1000,
        "radio_s": sum(wake.sum("radio_ms") for wake in wakes) / 1000,
        "cpu_s": sum(wake.sum("cpu_ms") for wake in wakes) / 1000,
        "light_s": sum(wake.light_ms for wake in wakes) / 1000,
    }
    in_light_s = LIGHTLY_ASLEEP_S * sum(len(wake.runs) - 1 for wake in wakes)
    for name, share in SHARES.items():
        near_s = NEAR_S + share * seen_s[name] + (in_light_s if name in ("cpu_s", "light_s") else 0)
        assert int(told[name]) == pytest.approx(seen_s[name], rel=0, abs=near_s), (name, told, seen_s)
    awake = int(told["cpu_s"]) + int(told["light_s"])
    assert awake == pytest.approx(seen_s["cpu_s"] + seen_s["light_s"], rel=SHARES["light_s"], abs=NEAR_S)


@pytest.mark.parametrize("name", LIVES)
def test_a_life_of_wakes_misses_nothing_loses_nothing_and_leaves_nothing_behind(
    name: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    kind = LIVES[name]
    with living(kind, sandbox, tmp_path) as life:
        live(kind, life)
        reasons = Counter(wake.reason for wake in life.wakes())
        assert reasons.total() >= kind.sleeps
        assert reasons["motion"] > kind.sleeps / 4 and reasons["timer"] > 20 and reasons["button"] > 2, reasons
        check_heap(life)
        check(kind, life)


def test_a_sensor_with_a_short_memory_wakes_it_and_is_watched_for_ten_minutes(sandbox: Sandbox, tmp_path: Path) -> None:
    with living(WATCHED, sandbox, tmp_path) as life:
        live(WATCHED, life)
        check(WATCHED, life)
