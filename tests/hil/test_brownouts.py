"""A cell that is cold or old: at rest it looks well, and under the radio it breaks down."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pendant import Pendant, board_file, prepared

from ansim.sandbox import Sandbox

pytestmark = pytest.mark.needs(
    "battery", "boards", "flash", "power", "press", "sleep", "speed", "supply", "watch", "wifi"
)

SPEED = 10
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
# A tenth of the charge, and less than what a virtual board's radio takes.
WEAK_MV, FULL_MV = 2950, 4100
# A start, and what was seen of it on a machine that has other things to do.
NEAR_MS = 30_000


@pytest.fixture
def pendant(sandbox: Sandbox, tmp_path: Path) -> Iterator[Pendant]:
    """On its cell, asleep, with an hour between its heartbeats."""
    board = Path(board_file(tmp_path, "bma400"))
    text = board.read_text()
    for old, new in (
        ("[3690, 10]", "[2900, 10]"),
        ("[3610, 5]", "[2850, 5]"),
        ("[3300, 0]", "[2800, 0]"),
        ("empty_mv = 3300", "empty_mv = 2800"),
    ):
        assert old in text
        text = text.replace(old, new)
    board.write_text(text)
    with prepared(sandbox, "brownouts", str(board), heartbeat_min=60, speed=SPEED, skip_sleep=True) as made:
        made.disconnect()
        made.sleeps(made.start_on_its_cell())
        yield made


def test_a_cell_that_breaks_down_again_and_again_gets_rests_and_a_press_is_tried_at_once(pendant: Pendant) -> None:
    control = pendant.control
    control.battery(WEAK_MV)
    before = pendant.start_on_its_cell()
    begun_ms = control.status()["chip_ms"]
    pressed_ms, warm_ms = begun_ms + 4 * HOUR_MS + HOUR_MS // 3, begun_ms + 6 * HOUR_MS
    control.later(after_ms=pressed_ms - begun_ms).press(300)
    control.later(after_ms=warm_ms - begun_ms).battery(FULL_MV)
    pendant.sees("stimulus", before, do="battery")
    tries_ms = [
        seen.chip_ms for seen in pendant.seen[before:] if seen.event == "reset" and seen.details["cause"] == "brownout"
    ]
    gaps_ms = [later - earlier for earlier, later in zip(tries_ms, tries_ms[1:], strict=False)]
    quiet = [at_ms for at_ms in tries_ms if at_ms < pressed_ms]
    # Three starts, then rests of 30 s, a minute, and so on.
    assert 5 <= len(quiet) <= 12, gaps_ms
    called = [at_ms for at_ms in tries_ms if at_ms >= pressed_ms]
    assert called[0] - pressed_ms < NEAR_MS, gaps_ms
    hours = (warm_ms - pressed_ms) / HOUR_MS
    assert 12 * hours / 2 < len(called) < 12 * hours + 2, gaps_ms
    pendant.receives(lambda event: event.kind == "sos", "alarm")
    assert len(pendant.rows("sos")) == 1
