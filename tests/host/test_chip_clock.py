"""A chip whose time runs faster than life: everything that it measures does."""

import time
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from ansim.boards import load_board
from ansim.errors import BadInput
from ansim.home import Home
from ansim.virtual import VirtualBoard, start_board
from ansim.virtual.lateness import LATE_MS, Lateness
from chip_kit import PATIENCE_S, Bench, flash_content

SPEED = 20
# How far a program may be behind its chip's time, in that time: what a busy machine may cost, and then some.
SLACK_MS = 4000 * SPEED
# LIS2DW12 at 50 Hz, +-16 g, FIFO streaming: a change of 1 g between two samples drives INT1 until its source is read.
SENSOR = (
    "from machine import I2C, Pin\nimport time\nbus = I2C(0, scl=Pin(22), sda=Pin(21)); pin = Pin(34, Pin.IN)\n"
    "for register, value in ((0x21, 0x44), (0x25, 0x30), (0x2E, 0xC0), (0x20, 0x44), (0x22, 0x10), (0x34, 2)):\n"
    "  bus.writeto_mem(0x19, register, bytes((value,)))\n"
    "time.sleep_ms(100)\nbus.writeto_mem(0x19, 0x23, b'\\x20'); bus.writeto_mem(0x19, 0x3F, b'\\x20')\n"
)


def boot(bench: Bench) -> None:
    bench.chip.power_on()
    bench.sees(">>> ")
    bench.raw_repl()


def ticks(bench: Bench) -> tuple[float, int, float]:
    """Return the chip's ticks, and this machine's milliseconds before and after they were read."""
    before_ms = time.monotonic() * 1000
    read = int(bench.run("import time; print(time.ticks_ms())"))
    return before_ms, read, time.monotonic() * 1000


@pytest.mark.parametrize("speed", [1, SPEED, 100])
def test_ticks_run_so_many_times_faster(tmp_path: Path, speed: int) -> None:
    with Bench(tmp_path, flash_content({}), speed) as bench:
        boot(bench)
        first_before, first, first_after = ticks(bench)
        bench.run(f"time.sleep_ms({200 * speed})")
        second_before, second, second_after = ticks(bench)
        assert (second_before - first_after) * speed - speed <= second - first
        assert second - first <= (second_after - first_before) * speed + speed


def test_all_clocks_of_the_chip_agree(tmp_path: Path) -> None:
    with Bench(tmp_path, flash_content({}), SPEED) as bench:
        boot(bench)
        bench.run(
            "import time, machine, select, sys\np = select.poll(); p.register(sys.stdin, select.POLLIN)\nseen = []"
        )
        bench.run("n = []\nt = machine.Timer(0, period=100, callback=n.append)")
        bench.run(
            # Again, if this machine had something else to do between the first look and the last.
            "def clocks():\n  while True:\n    seen = time.ticks_ms(), time.ticks_us(), time.time_ns()\n"
            "    if time.ticks_diff(time.ticks_ms(), seen[0]) < 500: return seen\n"
            "a = clocks(); turns = len(n)\n"
            "for wait in (lambda: time.sleep_ms(3000), lambda: time.sleep(3), lambda: p.poll(3000),"
            " lambda: time.sleep_us(3000000), lambda: machine.lightsleep(3000)):\n  wait()\n"
            "b = clocks(); turns = len(n) - turns\n"
            "ms = time.ticks_diff(b[0], a[0])\n"
        )
        assert bench.run("print(15000 <= ms)") == "True\n"
        near = "print(abs(time.ticks_diff(b[1], a[1]) // 1000 - ms) < 1000, abs((b[2] - a[2]) // 1000000 - ms) < 1000)"
        assert bench.run(near) == "True True\n"
        # A timer stands still in light sleep.
        assert bench.run("time.sleep_ms(500); turns = len(n); print(turns >= 115)") == "True\n"


@pytest.mark.parametrize("wait_ms", [10, 200, 3000])
def test_a_wait_is_never_shorter_than_asked_for(tmp_path: Path, wait_ms: int) -> None:
    with Bench(tmp_path, flash_content({}), 50) as bench:
        boot(bench)
        bench.run("import time, select, sys\np = select.poll(); p.register(sys.stdin, select.POLLIN)")
        program = (
            "took = []\nfor _ in range(20):\n"
            f"  a = time.ticks_ms(); time.sleep_ms({wait_ms}); b = time.ticks_ms(); p.poll({wait_ms})\n"
            "  took += [time.ticks_diff(b, a), time.ticks_diff(time.ticks_ms(), b)]\n"
            "print(min(took))"
        )
        assert int(bench.run(program)) >= wait_ms


def test_ticks_wrap_as_on_the_chip(tmp_path: Path) -> None:
    with Bench(tmp_path, flash_content({}), SPEED) as bench:
        bench.chip.ticks_at_start_ms = (1 << 30) - SLACK_MS
        boot(bench)
        seen = bench.run(
            f"import time\nfirst = time.ticks_ms()\ntime.sleep_ms({2 * SLACK_MS})\nsecond = time.ticks_ms()\n"
            f"print(first > second, {2 * SLACK_MS} <= time.ticks_diff(second, first) < {4 * SLACK_MS})"
        )
        assert seen == "True True\n"


def test_a_watchdog_waits_in_the_chips_time(tmp_path: Path) -> None:
    program = (
        "import machine, time\nprint('cause', machine.reset_cause())\n"
        f"if machine.reset_cause() == 1:\n  machine.WDT(timeout={SLACK_MS})\n"
        "  n = 0\n  while True:\n    time.sleep_ms(1000); n += 1; print('second', n)"
    )
    with Bench(tmp_path, flash_content({"main.py": program}), SPEED) as bench:
        bench.chip.power_on()
        seconds = bench.sees("cause 3").count(b"second ")
        # What the program lost to a busy machine is no more than the slack.
        assert SLACK_MS // 2000 <= seconds <= SLACK_MS // 1000


def test_deep_sleep_is_measured_in_the_chips_time(tmp_path: Path) -> None:
    program = (
        "import machine, time\nprint('cause', machine.reset_cause(), 'at', time.time(), 's')\n"
        f"if machine.reset_cause() == 1:\n  machine.deepsleep({SLACK_MS})"
    )
    with Bench(tmp_path, flash_content({"main.py": program}), SPEED) as bench:
        bench.chip.power_on()
        bench.sees("cause 4 at ")
        slept_s = int(bench.sees(" s"))
        assert SLACK_MS // 1000 <= slept_s <= 2 * SLACK_MS // 1000


def test_a_network_that_goes_away_is_noticed_in_the_chips_time(tmp_path: Path) -> None:
    with Bench(tmp_path, flash_content({}), SPEED) as bench:
        bench.chip.air.set_network("home", "")
        bench.chip.air.beacon_timeout_ms = SLACK_MS
        boot(bench)
        bench.run("import network, time\nw = network.WLAN(); w.active(True); w.connect('home')")
        bench.until(lambda: bench.run("print(w.isconnected())") == "True\n", "connection")
        start = int(bench.run("print(time.ticks_ms())"))
        bench.chip.air.enabled = False
        bench.until(lambda: bench.run("print(w.isconnected())") == "False\n", "loss")
        took_ms = int(bench.run("print(time.ticks_ms())")) - start
        assert SLACK_MS <= took_ms <= 2 * SLACK_MS


def test_a_sensor_that_is_heard_late_is_told_and_counted(tmp_path: Path) -> None:
    with Bench(tmp_path, flash_content({}), SPEED, sensor=load_board("virtual").sensor) as bench:
        boot(bench)
        bench.chip.change_sensor(None, 0.0, None)
        bench.run(SENSOR)
        for _ in range(2):
            bench.run("time.sleep_ms(2000)")
            bench.chip.play(array("h", [0, 0, 1000] * 5 + [0, 0, 5000]), 50.0, False)
            # A second after its call is too late.
            bench.run("while not pin(): time.sleep_ms(20)\ntime.sleep_ms(1000)\nbus.readfrom_mem(0x19, 0x38, 1)")
        told = bench.until(lambda: bench.told("late")[1:], "word of it")
        assert bench.chip.state()["late"] == len(bench.told("late")) == 2
        assert all(late["after_ms"] >= 1000 for late in told)


def test_a_sensor_that_is_heard_at_once_or_all_the_time_is_not_late() -> None:
    lateness = Lateness()
    lateness.read(1000.0)
    lateness.called(3000.0)
    assert lateness.read(3000.0 + LATE_MS) == 0
    lateness.called(3300.0)
    assert lateness.read(3700.0) == 0, "it was not left alone: what is lost then is told by its FIFO"
    lateness.called(9000.0)
    assert lateness.read(9001.0 + LATE_MS) == LATE_MS + 1
    assert lateness.count == 1


def test_a_press_is_held_in_the_chips_time(start_booting_board: Callable[..., VirtualBoard]) -> None:
    hold_ms = 20_000
    # A program that is held up sees its beginning late.
    program = (
        "import time\nfrom machine import Pin\np, right, done = Pin(33, Pin.IN, Pin.PULL_UP), Pin(25), Pin(26)\n"
        "done.init(Pin.OUT, value=0)\nwhile p.value(): time.sleep_ms(20)\nstart = time.ticks_ms()\n"
        "while not p.value(): time.sleep_ms(20)\nheld_ms = time.ticks_diff(time.ticks_ms(), start)\n"
        f"right.init(Pin.OUT, value={hold_ms // 2} <= held_ms <= {hold_ms + SLACK_MS})\ndone.on()"
    )
    board = start_booting_board({"main.py": program}, speed=SPEED)
    assert board.control.status()["speed"] == SPEED
    until_pin(board, 26, 0)
    board.control.press(hold_ms)
    until_pin(board, 26, 1)
    assert board.control.status()["chip_state"]["pins"]["25"]["out"] == 1


def until_pin(board: VirtualBoard, pin: int, level: int) -> None:
    """Wait until a program drives a pin."""
    deadline = time.monotonic() + PATIENCE_S
    while board.control.status()["chip_state"]["pins"].get(str(pin), {}).get("out") != level:
        assert time.monotonic() < deadline, f"pin {pin} is not {level}"
        time.sleep(0.01)


def test_a_speed_that_no_board_has_is_refused(home: Home) -> None:
    for speed in (0, 101):
        with pytest.raises(BadInput, match=f"speed {speed}"):
            start_board(home, speed=speed)
