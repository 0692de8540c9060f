"""What the reference pendant does from the press that wakes it to the alarm on the air, step by step, and for a bump.

Counted by the virtual board, in what holds for hardware, too: modules loaded, files opened, reads of the flash and
their bytes, programs, accesses to NVS, transfers on the I2C bus, flights over the air. A step's figure is its flash
reads; beside it is the rest, and how long a chip works for all that by the model of docs/power.md. The times that are
measured are this machine's and are not told.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ansim.board_file import stand_in_for, write_board
from ansim.boards import load_board
from ansim.power.work import COST_MS, work_ms
from ansim.sandbox import Sandbox
from ansim.virtual.control import Seen
from figure import Figure
from unit_under_test import UnitUnderTest

BOARD = "esp32c3_pendant"
PATIENCE_S = 90.0
# The last one counts: a connection's shortcuts are believed when they have held.
PRESSES = 3
_PRESS_MS = 150
# Asleep for so long, it has no heartbeat under way, and none due.
_LATER_MS = 20_000
# MicroPython's wake reasons.
TIMER, GPIO = 4, 7
# A second of rest, a jolt that no model takes for an impact, and rest again.
_REST_MG, _JOLT_MG, _HZ = (0, 0, 1000), (300, 0, 1000), 50
_BUMP = [*_REST_MG * _HZ, *_JOLT_MG * 3, *_REST_MG * 2 * _HZ]

# The marks of a run of the chip, and what ends with each of them; a step is what is done from one to the next.
STEPS = {
    "main": "main.py begins",
    "watchdog": "button and watchdog are armed",
    "program": "the alarm is being stored",
    "radio": "the radio goes on",
    "joined": "Wi-Fi is joined",
    "connected": "the broker's address is known",
    "flight1": "TCP is connected",
    "flight2": "TLS: its hello is answered",
    "flight3": "TLS is done, and the alarm goes out",
}
# The counts of a step beside its flash reads, as they are told.
BESIDE = {
    "flash_read_bytes": "bytes",
    "imports": "loaded",
    "opens": "opened",
    "programs": "programs",
    "erases": "erases",
    "nvs_reads": "NVS reads",
    "nvs_writes": "NVS writes",
    "i2c_transfers": "I2C",
    "names": "names asked",
}
# What a wake may cost at the most; a tenth more than it did when these were set.
PRESS_BOUNDS = {
    "flash_reads": 1000,
    "flash_read_bytes": 90_000,
    "imports": 57,
    "opens": 6,
    "programs": 6,
    "nvs_reads": 10,
    "nvs_writes": 0,
    "flights_out": 3,
    "names": 0,
}
BUMP_BOUNDS = {"flash_reads": 450, "flash_read_bytes": 37_500, "imports": 23, "opens": 3, "programs": 0, "nvs_reads": 0}
NAMES = {
    "flash_reads": "flash reads",
    "flash_read_bytes": "bytes read from flash",
    "imports": "modules loaded",
    "opens": "files opened",
    "programs": "flash programs",
    "nvs_reads": "NVS reads",
    "nvs_writes": "NVS writes",
    "flights_out": "flights out until the alarm is on the air",
    "names": "names looked up",
}


@dataclass
class Wake:
    """All that the chip did from a wake from deep sleep to the next deep sleep.

    Attributes:
        reason: what MicroPython calls it; counts: by name, added up over its runs; marks: those of the first, see
            virtual.runs.
    """

    reason: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    marks: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, run: dict[str, object]) -> None:
        self.counts += Counter({name: value for name, value in run.items() if isinstance(value, int)})
        marks = run["marks"]
        if isinstance(marks, dict):
            self.marks = self.marks or marks


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, Sandbox(Path(folder)) as sandbox, asleep(sandbox) as (pendant, seen):
        presses = [pressed(pendant, seen) for _ in range(PRESSES)]
        pendant.control.later(_LATER_MS, on="asleep").play(_BUMP, _HZ)
        bump = next_wake(seen, GPIO)
        rows = len(pendant.rows("sos"))
    return [
        *step_figures(presses[-1]),
        *totals("press", until_sent(presses[-1]), PRESS_BOUNDS),
        Figure("presses from deep sleep without a row, or with two", abs(PRESSES - rows), "presses", 0),
        *totals("bump", dict(bump.counts), BUMP_BOUNDS),
        Figure("bump: milliseconds with the radio on", bump.counts["radio_ms"], "ms", 0),
    ]


@contextmanager
def asleep(sandbox: Sandbox) -> Iterator[tuple[UnitUnderTest, Iterator[Seen]]]:
    """A pendant in deep sleep that has been in touch with its receiver."""
    with tempfile.TemporaryDirectory() as folder:
        board = str(write_board(stand_in_for(load_board(BOARD), "pendant"), Path(folder)))
        pendant = UnitUnderTest.on(sandbox, sandbox.start_board(board=board, skip_sleep=True), board)
        yield from _asleep(pendant)


def _asleep(pendant: UnitUnderTest) -> Iterator[tuple[UnitUnderTest, Iterator[Seen]]]:
    pendant.flash()
    pendant.control.supply(False)
    pendant.write_identity(role="pendant")
    pendant.disconnect()
    with pendant.control.watch(timeout_s=PATIENCE_S) as seen:
        while next_wake(seen, TIMER).counts["connections"] == 0:
            pass
        yield pendant, seen
    pendant.close()


def pressed(pendant: UnitUnderTest, seen: Iterator[Seen]) -> Wake:
    pendant.control.later(_LATER_MS, on="asleep").press(_PRESS_MS)
    return next_wake(seen, GPIO)


def next_wake(seen: Iterator[Seen], reason: int) -> Wake:
    """Wait until the chip was woken so and sleeps deeply again; return what there was between."""
    wake, deadline = Wake(), time.monotonic() + PATIENCE_S
    for event in seen:
        if event.event == "ran":
            if event.details["began"] == "deep_sleep":
                wake = Wake(event.details["wake"])
            wake.add(event.details)
            if event.details["ended"] == "deep_sleep" and wake.reason == reason:
                return wake
        if time.monotonic() > deadline:
            break
    raise RuntimeError(f"the pendant did not sleep again within {PATIENCE_S:g} s")


def step_figures(wake: Wake) -> list[Figure]:
    """One figure a step: its flash reads, and beside them what else it did."""
    figures, before = [], Counter[str]()
    for number, mark in enumerate((mark for mark in wake.marks if mark in STEPS), 1):
        now = Counter(wake.marks[mark])
        done = now - before
        beside = [f"{done[name]} {said}" for name, said in BESIDE.items() if done[name]]
        if any(done[cost] for cost in COST_MS):
            beside.append(f"{work_ms(done):.0f} ms on a chip")
        name = f"press {number}: until {STEPS[mark]}"
        figures.append(Figure(name, done["flash_reads"], "flash reads", peer=", ".join(beside)))
        before = now
    return figures


def until_sent(wake: Wake) -> dict[str, int]:
    """Return the counts from the wake to the flight that has the alarm, that flight included."""
    last = [mark for mark in wake.marks if mark in STEPS][-1]
    counts = dict(wake.marks[last])
    return {**counts, "flights_out": counts.get("flights_out", 0) + 1}


def totals(what: str, counts: dict[str, int], bounds: dict[str, int]) -> list[Figure]:
    return [
        Figure(f"{what} from deep sleep: {NAMES[name]}", counts.get(name, 0), "", bound)
        for name, bound in bounds.items()
    ]
