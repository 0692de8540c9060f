"""A chip whose sleep is skipped, and what happens to it at a chosen moment."""

import time
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansim.virtual.schedule import Moment
from chip_kit import Bench, flash_content

SECOND_MS = 1000
HOUR_MS = 3600 * SECOND_MS
BUTTON = 33
# How long a busy machine may take to start a program, in the chip's time.
SLACK_MS = 10 * SECOND_MS
# Wakes by the button (ext0, low) or after an hour; tells its starts, and its clock.
SLEEPER = (
    "import machine, esp32, time\nr = machine.RTC(); n = len(r.memory())\n"
    "print('start', n, machine.reset_cause(), machine.wake_reason(), time.time_ns() // 1000000, 'ms')\n"
    "r.memory(bytes(n + 1))\nesp32.wake_on_ext0(machine.Pin(33, machine.Pin.IN, machine.Pin.PULL_UP), 0)\n"
    f"machine.deepsleep({HOUR_MS})\n"
)
# LIS2DW12 at 50 Hz, +-16 g: a change of 1 g between two samples drives INT1, which wakes (ext1, high).
WATCHER = (
    "import machine, esp32, time\n"
    "print('start', 0, machine.reset_cause(), machine.wake_reason(), time.time_ns() // 1000000, 'ms')\n"
    "bus = machine.I2C(0)\n"
    "for register, value in ((0x21, 0x44), (0x25, 0x30), (0x2E, 0xC0), (0x20, 0x44), (0x23, 0x20), (0x34, 2)):\n"
    "  bus.writeto_mem(0x19, register, bytes((value,)))\n"
    "time.sleep_ms(60); bus.writeto_mem(0x19, 0x3F, b'\\x20'); bus.readfrom_mem(0x19, 0x38, 1)\n"
    f"esp32.wake_on_ext1((machine.Pin(34),), 1)\nmachine.deepsleep({24 * HOUR_MS})\n"
)


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Bench]:
    """A chip that is about to start SLEEPER; its button is up."""
    with Bench(tmp_path, flash_content({"main.py": SLEEPER}), skips_sleep=True) as bench:
        bench.chip.set_pin(BUTTON, 1)
        yield bench


def starts(bench: Bench, reason: int, which: int | None = None) -> int:
    """Wait for a start from deep sleep with this reason; return the chip's clock there, in ms."""
    bench.sees(f"start {which} 4 {reason} " if which is not None else f" 4 {reason} ")
    return int(bench.sees(" ms"))


def press(bench: Bench, hold_ms: int) -> None:
    """Press the button, in the chip's thread."""
    bench.chip.set_pin(BUTTON, 0)
    bench.chip.later(hold_ms, lambda: bench.chip.set_pin(BUTTON, 1))


def test_a_day_of_deep_sleep_takes_no_time_and_is_all_there(sleeper: Bench) -> None:
    sleeper.chip.power_on()
    began_ms = time.monotonic() * 1000
    for n in range(1, 25):
        woken_ms = starts(sleeper, 4, n)
        assert 0 <= woken_ms - n * HOUR_MS <= time.monotonic() * 1000 - began_ms + SLACK_MS


def test_a_stimulus_comes_at_its_moment_of_the_chip_s_time(sleeper: Bench) -> None:
    due_ms = 10 * HOUR_MS + HOUR_MS // 2
    sleeper.chip.later(due_ms, lambda: press(sleeper, 100))
    sleeper.chip.power_on()
    assert due_ms <= starts(sleeper, 2) <= due_ms + SLACK_MS


def test_stimuli_that_are_due_together_keep_their_order(sleeper: Bench) -> None:
    seen: list[int] = []
    for number in range(5):
        sleeper.chip.later(HOUR_MS // 3, lambda number=number: seen.append(number))  # type: ignore[misc]
    sleeper.chip.power_on()
    starts(sleeper, 4)
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("stimuli", [99, 100, 101])
def test_a_long_quiet_after_so_many_things_is_skipped_like_any_other(sleeper: Bench, stimuli: int) -> None:
    for number in range(stimuli):
        sleeper.chip.later(HOUR_MS // 2 + number, lambda: None)
    sleeper.chip.power_on()
    assert HOUR_MS <= starts(sleeper, 4, 1) <= HOUR_MS + SLACK_MS


@pytest.mark.parametrize("moment", [Moment.SLEEP, Moment.ASLEEP])
def test_a_press_as_it_falls_asleep_wakes_it_at_once(sleeper: Bench, moment: Moment) -> None:
    sleeper.chip.later(0, lambda: press(sleeper, 100), moment)
    sleeper.chip.power_on()
    assert starts(sleeper, 2, 1) < SLACK_MS


def test_a_tap_that_is_over_before_the_wake_pins_are_looked_at_wakes_nobody(sleeper: Bench) -> None:
    def tap() -> None:
        sleeper.chip.set_pin(BUTTON, 0)
        sleeper.chip.set_pin(BUTTON, 1)

    sleeper.chip.later(0, tap, Moment.SLEEP)
    sleeper.chip.power_on()
    assert starts(sleeper, 4, 1) >= HOUR_MS


def test_what_comes_at_its_wake_finds_no_program_running(sleeper: Bench) -> None:
    states: list[object] = []
    sleeper.chip.later(0, lambda: states.append(sleeper.chip.state()["status"]), Moment.WAKE)
    sleeper.chip.power_on()
    starts(sleeper, 4, 1)
    assert states == ["asleep"]


def test_a_time_after_a_moment_counts_from_there(sleeper: Bench) -> None:
    sleeper.chip.later(20 * SECOND_MS, lambda: press(sleeper, 100), Moment.ASLEEP)
    sleeper.chip.power_on()
    assert 20 * SECOND_MS <= starts(sleeper, 2, 1) <= 20 * SECOND_MS + SLACK_MS


def test_a_chip_that_loses_its_power_as_it_wakes_does_not_start(sleeper: Bench) -> None:
    sleeper.chip.later(0, sleeper.chip.power_off, Moment.WAKE)
    sleeper.chip.power_on()
    sleeper.until(lambda: sleeper.chip.state()["status"] == "off")
    assert [told["cause"] for told in sleeper.told("reset")] == ["power_on"]


def test_while_time_is_held_it_sleeps_as_long_as_anybody(sleeper: Bench) -> None:
    sleeper.chip.hold_time(True)
    sleeper.chip.power_on()
    sleeper.until(lambda: sleeper.chip.state()["status"] == "asleep")
    time.sleep(0.2)
    assert sleeper.chip.state()["status"] == "asleep"
    sleeper.chip.hold_time(False)
    starts(sleeper, 4, 1)


def test_without_a_timer_it_sleeps_until_something_is_done_to_it(tmp_path: Path) -> None:
    program = SLEEPER.replace(f"deepsleep({HOUR_MS})", "deepsleep()")
    with Bench(tmp_path, flash_content({"main.py": program}), skips_sleep=True) as bench:
        bench.chip.set_pin(BUTTON, 1)
        bench.chip.power_on()
        bench.until(lambda: bench.chip.state()["status"] == "asleep")
        press(bench, 100)
        assert starts(bench, 2, 1) < SLACK_MS


def test_a_sensor_wakes_it_after_hours_at_the_moment_of_the_impact(tmp_path: Path) -> None:
    due_ms = 7 * HOUR_MS
    impact = array("h", [0, 0, 1000] * 5 + [0, 0, 5000])
    with Bench(tmp_path, flash_content({"main.py": WATCHER}), skips_sleep=True) as bench:
        bench.chip.change_sensor(None, 0.0, None)
        bench.chip.later(due_ms, lambda: bench.chip.play(impact, 50.0, False))
        bench.chip.power_on()
        assert due_ms <= starts(bench, 3) <= due_ms + SLACK_MS


def test_light_sleep_is_skipped_and_all_clocks_see_it(tmp_path: Path) -> None:
    with Bench(tmp_path, flash_content({}), skips_sleep=True) as bench:
        bench.chip.power_on()
        bench.sees(">>> ")
        bench.raw_repl()
        bench.run("import machine, time\na = time.ticks_ms(), time.ticks_us(), time.time_ns()")
        bench.run(f"for _ in range(10): machine.lightsleep({100 * SECOND_MS})")
        bench.run("b = time.ticks_ms(), time.ticks_us(), time.time_ns()\ns = time.ticks_diff(b[0], a[0])")
        assert int(bench.run("print(s)")) >= 1000 * SECOND_MS
        near = "abs((b[2] - a[2]) // 1000000 - s) < 1000, (b[1] - a[1] - s * 1000 + 500000) % (1 << 30) < 1000000"
        assert bench.run(f"print({near})") == "True True\n"


def test_a_watchdog_stands_still_in_light_sleep_and_goes_on_after(tmp_path: Path) -> None:
    program = (
        "import machine, time\nprint('cause', machine.reset_cause())\n"
        "if machine.reset_cause() == 1:\n  machine.WDT(timeout=3000)\n  machine.lightsleep(60000); print('woken')\n"
        "  while True: pass\n"
    )
    with Bench(tmp_path, flash_content({"main.py": program}), skips_sleep=True) as bench:
        bench.chip.power_on()
        bench.sees("woken")
        bench.sees("cause 3")
