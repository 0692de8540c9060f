"""Sleep as a program on the chip meets it: what wakes it, what its pins do meanwhile, and what ends without sleep."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansim.boards import load_board
from ansim.home import project_root
from chip_kit import Bench, flash_content

SECOND_MS = 1000
REPORT = (
    "import machine, esp32\nfrom machine import Pin\n"
    "cause, wake = machine.reset_cause(), machine.wake_reason()\nprint('cause', cause, 'wake', wake)\n"
)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A chip in the raw REPL whose sleep is skipped."""
    with Bench(tmp_path, flash_content({}), skips_sleep=True) as made:
        made.chip.power_on()
        made.sees(">>> ")
        made.raw_repl()
        made.run("import machine, esp32, time\nfrom machine import Pin")
        yield made


@pytest.fixture
def run_main(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Start a chip with a main.py, on the virtual board or on one with an ESP32-C3."""
    made: list[Bench] = []

    def run(program: str, c3: bool = False) -> Bench:
        board = load_board(str(c3_board(tmp_path))) if c3 else load_board("virtual")
        bench = Bench(tmp_path, flash_content({"main.py": program}, board), chip=board.chip, skips_sleep=True)
        made.append(bench)
        bench.chip.power_on()
        return bench

    yield run
    for bench in made:
        bench.chip.close()


def c3_board(folder: Path) -> Path:
    """Write the board file of the reference pendant with a stand-in for its chip, which this machine can run."""
    text = (project_root() / "boards" / "esp32c3_pendant.toml").read_text()
    changed = text.replace('name = "esp32c3_pendant"', 'name = "c3"').replace('"rv32imc"', '"x64"')
    path = folder / "c3.toml"
    path.write_text(changed.replace("[micropython]\n", "[micropython]\nstand_in = true\n"))
    return path


def asleep(bench: Bench) -> None:
    bench.until(lambda: bench.chip.state()["status"] == "asleep", "sleep")


# What wakes


@pytest.mark.parametrize(("pin", "level"), [(3, 1), (4, 1), (0, 0)])
def test_a_c3_is_woken_by_one_of_its_gpios_and_says_which(run_main: Callable[..., Bench], pin: int, level: int) -> None:
    program = REPORT + (
        "print('woken by', machine.mem32[0x60008110] & 63)\n"
        f"if cause == 1:\n  esp32.wake_on_gpio((Pin({pin}), Pin(5)), {bool(level)})\n  machine.deepsleep()"
    )
    bench = run_main(program, c3=True)
    for number in (pin, 5):
        bench.chip.set_pin(number, 1 - level)
    bench.sees("cause 1 wake 0")
    asleep(bench)
    bench.chip.set_pin(pin, level)
    bench.sees("cause 4 wake 7")
    bench.sees(f"woken by {1 << pin}\r\n")


def test_a_c3_has_no_other_way_and_its_other_pins_do_not_wake_it(run_main: Callable[..., Bench]) -> None:
    program = REPORT + (
        "print(hasattr(esp32, 'wake_on_ext0'), hasattr(esp32, 'wake_on_ext1'))\n"
        "esp32.wake_on_gpio((Pin(8),), True)\ntry: machine.deepsleep()\nexcept ValueError as e: print(e)\n"
        "try: Pin(22)\nexcept ValueError as e: print(e)"
    )
    bench = run_main(program, c3=True)
    bench.sees("False False\r\nwake-up pin not supported\r\ninvalid pin\r\n")


def test_an_esp32_takes_gpios_for_light_sleep_only(bench: Bench) -> None:
    bench.chip.set_pin(5, 0)
    bench.run("esp32.wake_on_gpio((Pin(5),), True)")
    refused = "try: machine.deepsleep(1000)\nexcept ValueError as e: print(e)"
    assert bench.run(refused) == "DEEPSLEEP with gpio pins not supported on this chip\n"
    bench.chip.write(b"machine.lightsleep(); print('reason', machine.wake_reason(), Pin(5)())\x04")
    asleep(bench)
    bench.chip.set_pin(5, 1)
    bench.sees("reason 7 1")


def test_a_time_of_nothing_is_over_at_once_and_the_last_one_is_forgotten(bench: Bench) -> None:
    assert bench.run("machine.lightsleep(0); print(machine.wake_reason())") == "4\n"
    bench.chip.set_pin(33, 1)
    bench.run("esp32.wake_on_ext0(Pin(33), 0); machine.lightsleep(1000)")
    bench.chip.write(b"machine.lightsleep(); print('reason', machine.wake_reason())\x04")
    asleep(bench)
    bench.chip.set_pin(33, 0)
    bench.sees("reason 2")


def test_all_low_wakes_when_all_are_low(bench: Bench) -> None:
    for pin in (32, 33):
        bench.chip.set_pin(pin, 1)
    bench.run("esp32.wake_on_ext1((Pin(32), Pin(33)), esp32.WAKEUP_ALL_LOW)")
    bench.chip.write(b"machine.lightsleep(); print('reason', machine.wake_reason())\x04")
    asleep(bench)
    bench.chip.set_pin(32, 0)
    assert bench.chip.state()["status"] == "asleep"
    bench.chip.set_pin(33, 0)
    bench.sees("reason 3")


def test_an_interrupt_takes_its_pin_off_ext0(bench: Bench) -> None:
    bench.chip.set_pin(33, 0)
    bench.run("p = Pin(33, Pin.IN)\nesp32.wake_on_ext0(p, 0)\np.irq(print)\nmachine.lightsleep(1000)")
    assert bench.run("print(machine.wake_reason())") == "4\n"


def test_ext0_is_for_one_pin(bench: Bench) -> None:
    bench.run("Pin(33).irq(trigger=Pin.WAKE_LOW, wake=machine.DEEPSLEEP)")
    again = "try: Pin(32).irq(trigger=Pin.WAKE_LOW, wake=machine.DEEPSLEEP)\nexcept ValueError as e: print(e)"
    assert bench.run(again) == "no resources\n"


# Pins


def test_a_pin_that_could_wake_belongs_to_the_rtc_until_it_is_set_up_again(bench: Bench) -> None:
    bench.chip.set_pin(33, 1)
    bench.run("p = Pin(33, Pin.IN, Pin.PULL_UP)\nesp32.wake_on_ext0(p, 0)\nmachine.lightsleep(1000)")
    assert bench.run("print(p(), Pin(33)(), p.init(pull=Pin.PULL_UP), p())") == "0 0 None 0\n"
    assert bench.run("print(Pin(33, Pin.IN)(), p())") == "1 1\n"


def test_the_same_after_deep_sleep(run_main: Callable[..., Bench]) -> None:
    program = REPORT + (
        "if cause == 4: print(Pin(33)(), Pin(33, Pin.IN)())\nelse:\n"
        "  esp32.wake_on_ext0(Pin(33, Pin.IN), 0); machine.deepsleep(1000)"
    )
    bench = run_main(program)
    bench.chip.set_pin(33, 1)
    bench.sees("cause 4")
    bench.sees("0 1\r\n")


def test_no_handler_runs_for_what_a_pin_did_in_light_sleep_and_all_for_what_comes_after(bench: Bench) -> None:
    bench.chip.set_pin(33, 1)
    bench.chip.set_pin(5, 0)
    bench.run(
        "hits = []\np = Pin(33, Pin.IN)\np.irq(hits.append, Pin.IRQ_FALLING)\nesp32.wake_on_gpio((Pin(5),), True)"
    )
    bench.chip.write(b"machine.lightsleep(); print('woken')\x04")
    asleep(bench)
    for pin, level in ((33, 0), (33, 1), (5, 1)):
        bench.chip.set_pin(pin, level)
    bench.sees("woken\r\n\x04\x04>")
    assert bench.run("p(); print(len(hits))") == "0\n"
    bench.chip.set_pin(33, 0)
    assert bench.run("p(); print(len(hits))") == "1\n"


def test_deep_sleep_lets_go_of_outputs_that_nobody_holds(run_main: Callable[..., Bench]) -> None:
    program = REPORT + (
        "if cause == 1:\n  Pin(25, Pin.OUT, value=1); machine.PWM(Pin(26), freq=2000)\n"
        "  Pin(27, Pin.OUT, value=1, hold=True); Pin(5, Pin.OUT, value=1, hold=True)\n  machine.deepsleep(1000)\n"
        "while True: pass"
    )
    bench = run_main(program)
    bench.sees("cause 4")
    assert {"pin": 25, "value": None} in bench.told("pin")
    assert {"pin": 5, "value": None} in bench.told("pin"), "a digital pad, which needs gpio_deep_sleep_hold()"
    assert {"pin": 26, "duty_u16": 0, "freq_hz": 0} in bench.told("pwm")
    pins = bench.chip.state()["pins"]
    assert isinstance(pins, dict) and pins[27]["out"] == pins[27]["held"] == 1


def test_a_held_pad_keeps_its_level_over_deep_sleep_until_it_is_let_go(
    run_main: Callable[..., Bench],
) -> None:
    program = REPORT + (
        "if cause == 1:\n  Pin(5, Pin.OUT, value=1, hold=True); esp32.gpio_deep_sleep_hold(True)\n"
        "  machine.deepsleep(1000)\n"
        "p = Pin(5, Pin.OUT, value=0)\nprint('still held')\np.init(hold=False)\nprint('let go')\nwhile True: pass"
    )
    bench = run_main(program)
    bench.sees("still held")
    assert [told["value"] for told in bench.told("pin")][:1] == [1]
    bench.sees("let go")
    bench.until(lambda: [told["value"] for told in bench.told("pin")] == [1, 0])


# Without sleep


def test_a_weak_supply_gives_way_when_the_radio_is_switched_on(run_main: Callable[..., Bench]) -> None:
    program = REPORT + (
        "import network, time\nr = machine.RTC()\n"
        "if not r.memory():\n  r.memory(b'kept'); network.WLAN().active(True)\n  while True: time.sleep_ms(100)\n"
        "print(r.memory())\nwhile True: pass"
    )
    bench = run_main(program)
    bench.chip.weaken(True)
    bench.sees("Brownout detector was triggered")
    assert b"rst:0xc (SW_CPU_RESET)" in bench.sees("cause 1 wake 0\r\nb'kept'")
    assert bench.told("reset")[-1] == {"cause": "brownout"}


def test_a_weak_supply_is_enough_while_the_radio_is_off(bench: Bench) -> None:
    bench.chip.weaken(True)
    bench.run("import network\nmachine.lightsleep(1000)\nw = network.WLAN()")
    assert bench.run("print(w.active())") == "False\n"
    bench.chip.weaken(False)
    assert bench.run("print(w.active(True))") == "True\n"
