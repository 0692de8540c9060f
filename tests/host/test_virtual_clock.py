"""A board's real-time clock that jumps; and that goes on over all that leaves the power on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from ansim.cli import cli
from ansim.errors import DeviceError
from ansim.virtual import VirtualBoard
from ansim.virtual.rtc_clock import MAX_JUMP_MS
from chip_kit import Bench, flash_content

HOUR_MS = 3_600_000
HOUR_S = 3600
CLOCKS = "import time; print(time.time(), time.ticks_ms())"
SET = "import machine; machine.RTC().datetime((2026, 11, 22, 0, 9, 30, 0, 0))"
SET_S = 848655000
# What a busy machine may take from one look to the next.
SLACK_S = 10


def clocks(bench: Bench) -> tuple[int, int]:
    seconds, ticks_ms = bench.run(CLOCKS).split()
    return int(seconds), int(ticks_ms)


def restart(bench: Bench) -> None:
    """Have the chip start its programs anew, which keeps the clock."""
    bench.chip.write(b"import machine; machine.reset()\x04")
    bench.sees("SW_CPU_RESET")
    bench.sees(">>> ")
    bench.raw_repl()


@pytest.fixture
def bench(tmp_path: Path) -> "Bench":
    with Bench(tmp_path, flash_content({})) as bench:
        bench.chip.power_on()
        bench.sees(">>> ")
        bench.raw_repl()
        yield bench


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS, MAX_JUMP_MS])
def test_the_clock_jumps_and_ticks_go_on(bench: Bench, by_ms: int) -> None:
    bench.run(SET)
    before_s, before_ms = clocks(bench)
    bench.chip.jump_clock(by_ms)
    after_s, after_ms = clocks(bench)
    assert 0 <= after_s - before_s - by_ms // 1000 <= SLACK_S
    assert 0 <= after_ms - before_ms <= SLACK_S * 1000


def test_a_clock_that_was_never_set_can_jump_to_before_its_beginning(bench: Bench) -> None:
    bench.chip.jump_clock(-HOUR_MS)
    assert -HOUR_S <= clocks(bench)[0] <= -HOUR_S + SLACK_S


def test_a_jump_stays_over_resets_until_the_clock_is_set(bench: Bench) -> None:
    bench.run(SET)
    bench.chip.jump_clock(HOUR_MS)
    restart(bench)
    assert 0 <= clocks(bench)[0] - SET_S - HOUR_S <= SLACK_S
    bench.run(SET)
    assert 0 <= clocks(bench)[0] - SET_S <= SLACK_S


def test_a_clock_that_is_set_after_a_restart_is_right_after_the_next_one(bench: Bench) -> None:
    bench.run("import time; time.sleep(2)")
    restart(bench)
    bench.run(SET)
    at_ms = clocks(bench)[1]
    restart(bench)
    seconds, ticks_ms = clocks(bench)
    bench.run(f"before, now = {SET_S}, time.time()")
    assert 0 <= seconds - SET_S <= 1 + (at_ms + ticks_ms) // 1000, "what went by before the first restart counted twice"


def test_a_jump_is_lost_with_the_power(bench: Bench) -> None:
    bench.chip.jump_clock(HOUR_MS)
    bench.chip.power_off()
    bench.chip.power_on()
    bench.sees(">>> ")
    bench.raw_repl()
    assert 0 <= clocks(bench)[0] <= SLACK_S


def test_a_timer_does_not_see_the_jump(bench: Bench) -> None:
    bench.run("import machine, time; n = []; t = machine.Timer(0, mode=0, period=60000, callback=n.append)")
    bench.chip.jump_clock(HOUR_MS)
    assert bench.run("time.sleep_ms(50); print(n)") == "[]\n"


def test_the_clock_jumps_at_a_moment_of_the_board_s_time(start_booting_board: Callable[..., VirtualBoard]) -> None:
    program = "import machine, time\npin = machine.Pin(25, machine.Pin.OUT, value=0)\n"
    program += "while time.time() < 3600: time.sleep_ms(10)\npin(1)"
    board = start_booting_board({"main.py": program})
    with board.control.watch(timeout_s=20) as events:
        board.control.later(after_ms=100).clock(HOUR_MS)
        seen = [next(events)]
        while (seen[-1].event, seen[-1].details.get("value")) != ("pin", 1):
            seen.append(next(events))
    assert "stimulus" in [each.event for each in seen]


@pytest.mark.usefixtures("virtual_board")
def test_the_command_line_takes_both_directions(virtual_board: VirtualBoard) -> None:
    for by_ms in ("-3600000", "3600000"):
        done = CliRunner().invoke(cli, ["virtual", "clock", by_ms, "--json"])
        assert done.exit_code == 0, done.output
        assert json.loads(done.output) == {"ok": True, "name": "virtual"}
    with pytest.raises(DeviceError, match="by_ms must be a whole number"):
        virtual_board.control.clock(MAX_JUMP_MS + 1)
