"""What a program sees of the chip's hardware: pins, interrupts, watchdog, sleep, time, buses."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chip_kit import MAC, Bench, flash_content


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A chip in the raw REPL."""
    with Bench(tmp_path, flash_content({})) as made:
        made.chip.power_on()
        made.sees(">>> ")
        made.raw_repl()
        yield made


def test_an_input_has_its_pull_until_the_world_drives_it(bench: Bench) -> None:
    bench.run("from machine import Pin\nup, down = Pin(33, Pin.IN, Pin.PULL_UP), Pin(32, Pin.IN, Pin.PULL_DOWN)")
    assert bench.run("print(up.value(), down.value(), up())") == "1 0 1\n"
    bench.chip.set_pin(33, 0)
    bench.chip.set_pin(32, 1)
    assert bench.run("print(up.value(), down.value())") == "0 1\n"


def test_outputs_are_seen_from_outside(bench: Bench) -> None:
    bench.run("from machine import *\nPin(25, Pin.OUT, value=1)\nPWM(Pin(26), freq=2700, duty_u16=32768)")
    bench.until(lambda: bench.told("pwm"))
    assert {"pin": 25, "value": 1} in bench.told("pin")
    assert bench.told("pwm")[-1] == {"pin": 26, "duty_u16": 32768, "freq_hz": 2700}


def test_a_signal_inverts_an_active_low_output(bench: Bench) -> None:
    bench.run("from machine import *\ns = Signal(Pin(25, Pin.OUT, value=1), invert=True)\ns.on()")
    bench.until(lambda: bench.told("pin")[-1] == {"pin": 25, "value": 0})
    assert bench.run("print(s.value(), s())") == "1 1\n"


@pytest.mark.parametrize("call", ["Pin(6)", "Pin(40)", "Pin('A1')"])
def test_pins_that_an_esp32_lacks_are_refused(bench: Bench, call: str) -> None:
    assert bench.run(f"from machine import Pin\ntry: {call}\nexcept ValueError as e: print(e)") == "invalid pin\n"


def test_an_input_only_pin_refuses_to_be_an_output(bench: Bench) -> None:
    program = "from machine import Pin\ntry: Pin(35, Pin.OUT)\nexcept ValueError as e: print(e)"
    assert bench.run(program) == "pin can only be input\n"


def test_a_press_shorter_than_a_loop_reaches_the_interrupt_handler(bench: Bench) -> None:
    bench.run("from machine import Pin\nhits = []\np = Pin(33, Pin.IN, Pin.PULL_UP)")
    bench.run("p.irq(lambda pin: hits.append(pin is p), Pin.IRQ_FALLING)")
    bench.chip.set_pin(33, 0)
    bench.chip.set_pin(33, 1)
    assert bench.run("print(p.value(), hits)") == "1 [True]\n"


@pytest.mark.parametrize("wait", ["time.sleep(600)", "for _ in poller.ipoll(600000): pass"])
def test_a_handler_runs_while_the_program_sleeps_or_waits(bench: Bench, wait: str) -> None:
    bench.run("import time, select, sys\nfrom machine import Pin\np = Pin(33, Pin.IN, Pin.PULL_UP)")
    bench.run("p.irq(lambda _: print('hit'), Pin.IRQ_FALLING)")
    bench.run("poller = select.poll(); poller.register(sys.stdin, select.POLLIN)")
    bench.chip.write(f"print('go')\n{wait}\x04".encode())
    bench.sees("go\r\n")
    bench.chip.set_pin(33, 0)
    bench.chip.set_pin(33, 1)
    bench.sees("hit\r\n")


def test_a_handler_does_not_end_a_wait(bench: Bench) -> None:
    bench.run("import time, select, sys\nfrom machine import Pin\nat = []\np = Pin(33, Pin.IN, Pin.PULL_UP)")
    bench.run("p.irq(at.append, Pin.IRQ_FALLING)\npoller = select.poll(); poller.register(sys.stdin, select.POLLIN)")
    for wait in ("time.sleep_ms(300)", "for _ in poller.ipoll(300): pass"):
        program = f"at.clear(); print('go'); start = time.ticks_ms()\n{wait}\nend = time.ticks_ms()\x04"
        bench.chip.write(program.encode())
        bench.sees("go\r\n")
        bench.chip.set_pin(33, 0)
        bench.chip.set_pin(33, 1)
        bench.sees(b"\x04\x04>")
        assert bench.run("p(); print(len(at), 290 <= time.ticks_diff(end, start))") == "1 True\n"


def test_a_failing_handler_is_reported_and_the_program_goes_on(bench: Bench) -> None:
    bench.run("from machine import Pin\np = Pin(33, Pin.IN, Pin.PULL_UP)\np.irq(lambda _: 1 // 0, Pin.IRQ_FALLING)")
    bench.chip.set_pin(33, 0)
    seen = bench.run("p.value()\nprint('on')")
    assert "ZeroDivisionError" in seen and seen.endswith("on\n")


def test_masked_interrupts_wait(bench: Bench) -> None:
    bench.run("import machine\nfrom machine import Pin\nhits = []\np = Pin(33, Pin.IN, Pin.PULL_UP)")
    bench.run("p.irq(hits.append, Pin.IRQ_FALLING)\nstate = machine.disable_irq()")
    bench.chip.set_pin(33, 0)
    assert bench.run("p.value(); print(len(hits)); machine.enable_irq(state); print(len(hits))") == "0\n1\n"


def test_timers_run_while_the_program_sleeps(bench: Bench) -> None:
    bench.run("import time\nfrom machine import Timer\nn = []\nt = Timer(0)\nstart = time.ticks_ms()")
    bench.run("t.init(period=10, callback=n.append)\ntime.sleep_ms(100)\nt.deinit()\nfirst = len(n)")
    assert bench.run("print(9 <= first <= time.ticks_diff(time.ticks_ms(), start) // 10)") == "True\n"
    bench.run("once = Timer(1, mode=Timer.ONE_SHOT, period=5, callback=n.append); time.sleep_ms(60)")
    assert bench.run("print(len(n) - first)") == "1\n"


def test_an_idle_loop_allocates_nothing(bench: Bench) -> None:
    bench.run(
        "import micropython, time, select, sys, network\nfrom machine import *\n"
        "p, led, w = Pin(33, Pin.IN, Pin.PULL_UP), Pin(25, Pin.OUT), WDT(timeout=60000)\n"
        "bus, out = I2C(0, scl=Pin(22), sda=Pin(21)), bytearray(6)\n"
        "p.irq(lambda _: None, Pin.IRQ_FALLING)\nadc = ADC(Pin(35), atten=ADC.ATTN_11DB)\nwlan = network.WLAN()\n"
        "poller = select.poll(); poller.register(sys.stdin, select.POLLIN)\nlast = 0\n"
        "def idle():\n  global last\n"
        "  for turn in range(50):\n"
        "    led.value(turn & 1); p.value(); w.feed(); adc.read_uv(); wlan.isconnected()\n"
        "    bus.readfrom_mem_into(0x19, 0x28, out); bus.writeto_mem(0x19, 0x20, out)\n"
        "    now = time.ticks_ms(); time.ticks_diff(now, last); last = now\n"
        "    for _ in poller.ipoll(1): pass\n    time.sleep_ms(1)\n"
        "idle()\n"
    )
    bench.run("micropython.heap_lock()\ntry:\n  idle()\nfinally:\n  micropython.heap_unlock()")


def test_the_battery_is_read_in_microvolts_up_to_full_scale(bench: Bench) -> None:
    bench.run("from machine import *\na = ADC(Pin(35), atten=ADC.ATTN_11DB)")
    bench.chip.set_adc(35, 1_950_000)
    assert bench.run("print(a.read_uv())") == "1950000\n"
    bench.chip.set_adc(35, 3_300_000)
    assert bench.run("print(a.read_uv(), a.read_u16())") == "2450000 65535\n"


def test_the_accelerometer_answers_on_i2c_and_a_missing_part_does_not(bench: Bench) -> None:
    bench.run("from machine import *\nbus = I2C(0, scl=Pin(22), sda=Pin(21))")
    assert bench.run("print(bus.scan(), bus.readfrom_mem(0x19, 0x0F, 1))") == "[25] b'D'\n"
    assert bench.run("try: bus.readfrom(0x30, 1)\nexcept OSError as e: print(e.errno)") == "19\n"
    bench.run("bus.writeto_mem(0x19, 0x20, b'\\x44')")
    bench.run("out = bytearray(6)\nwhile not bus.readfrom_mem(0x19, 0x27, 1)[0] & 1: pass")
    bench.run("bus.readfrom_mem_into(0x19, 0x28, out)")
    seen = "print(bus.readfrom_mem(0x19, 0x20, 1), abs(int.from_bytes(out[4:], 'little') * 2000 // 32768 - 1000) < 20)"
    assert bench.run(seen) == "b'D' True\n"


@pytest.mark.parametrize(
    "call",
    [
        "machine.deepsleep('soon')",
        "machine.I2C(0).readfrom(0x19, 5000)",
        "machine.I2C(0).readfrom(0x19, 66000)",
        "network.WLAN().connect(['home'])",
    ],
)
def test_a_request_that_makes_no_sense_is_refused_and_the_chip_goes_on(bench: Bench, call: str) -> None:
    bench.run("import machine, network\nnetwork.WLAN().active(True)")
    assert bench.run(f"try: {call}\nexcept OSError as e: print(e.errno)") == "22\n"
    assert bench.run("print(machine.I2C(0).scan())") == "[25]\n"


def test_identity_and_clock(bench: Bench) -> None:
    assert bench.run("import machine; print(machine.unique_id().hex(), machine.freq())") == f"{MAC.hex()} 160000000\n"
    assert (
        bench.run("import time; print(time.localtime()[:3], time.gmtime(0)[:6])")
        == "(2000, 1, 1) (2000, 1, 1, 0, 0, 0)\n"
    )
    bench.run("machine.RTC().datetime((2026, 11, 22, 0, 9, 30, 15, 0))")
    assert bench.run("print(time.localtime()[:5], time.mktime((2026, 11, 22, 9, 30, 15, 0, 0)))") == (
        "(2026, 11, 22, 9, 30) 848655015\n"
    )


def test_ticks_wrap_as_on_the_chip(tmp_path: Path) -> None:
    with Bench(tmp_path, flash_content({})) as bench:
        bench.chip.ticks_at_start_ms = (1 << 30) - 500
        bench.chip.power_on()
        bench.sees(">>> ")
        bench.raw_repl()
        seen = bench.run(
            "import time\nfirst = time.ticks_ms()\ntime.sleep_ms(600)\nsecond = time.ticks_ms()\n"
            "print(first > second, 590 < time.ticks_diff(second, first) < 5000, time.ticks_add(0, -1) == (1 << 30) - 1)"
        )
        assert seen == "True True True\n"


REPORT = (
    "import machine\nprint('cause', machine.reset_cause(), 'wake', machine.wake_reason(), machine.RTC().memory())\n"
)


def test_reset_keeps_rtc_memory_and_power_on_loses_it(tmp_path: Path) -> None:
    program = REPORT + "if not machine.RTC().memory():\n  machine.RTC().memory(b'kept')\n  machine.reset()"
    with Bench(tmp_path, flash_content({"main.py": program})) as bench:
        bench.chip.power_on()
        bench.sees("cause 1 wake 0 b''")
        assert b"rst:0xc (SW_CPU_RESET)" in bench.sees("cause 2 wake 0 b'kept'")
        bench.chip.power_on()
        bench.sees("cause 1 wake 0 b''")


def test_a_watchdog_that_nobody_feeds_restarts_the_chip(tmp_path: Path) -> None:
    program = REPORT + "if machine.reset_cause() == 1:\n  machine.WDT(timeout=200)\n  while True: pass"
    with Bench(tmp_path, flash_content({"main.py": program})) as bench:
        bench.chip.power_on()
        assert b"Task watchdog got triggered" in bench.sees("cause 3")
        assert bench.chip.state()["watchdog_ms"] == 0


def test_a_second_watchdog_sets_a_new_timeout_and_a_soft_reset_does_not_stop_it(tmp_path: Path) -> None:
    program = REPORT + (
        "if machine.reset_cause() == 1:\n  machine.WDT(timeout=500); machine.WDT(timeout=4000)\n"
        "  import time; time.sleep_ms(700); print('alive'); machine.soft_reset()"
    )
    with Bench(tmp_path, flash_content({"main.py": program})) as bench:
        bench.chip.power_on()
        bench.sees("alive")
        bench.sees("cause 5")
        bench.sees("cause 3")


def test_deep_sleep_ends_by_its_timer_as_a_reset(tmp_path: Path) -> None:
    program = REPORT + "if machine.reset_cause() == 1:\n  machine.RTC().memory(b'kept')\n  machine.deepsleep(300)"
    with Bench(tmp_path, flash_content({"main.py": program})) as bench:
        bench.chip.power_on()
        bench.until(lambda: bench.chip.state()["status"] == "asleep")
        assert b"rst:0x5 (DEEPSLEEP_RESET)" in bench.sees("cause 4 wake 4 b'kept'")


@pytest.mark.parametrize(
    ("arm", "pin", "level", "reason"),
    [
        ("esp32.wake_on_ext0(machine.Pin(33), esp32.WAKEUP_ALL_LOW)", 33, 0, 2),
        ("machine.Pin(33).irq(trigger=machine.Pin.WAKE_LOW, wake=machine.DEEPSLEEP)", 33, 0, 2),
        ("esp32.wake_on_ext1((machine.Pin(27), machine.Pin(32)), esp32.WAKEUP_ANY_HIGH)", 32, 1, 3),
    ],
)
def test_a_pin_wakes_from_deep_sleep(tmp_path: Path, arm: str, pin: int, level: int, reason: int) -> None:
    program = REPORT + f"import esp32\nif machine.reset_cause() == 1:\n  {arm}\n  machine.deepsleep()"
    with Bench(tmp_path, flash_content({"main.py": program})) as bench:
        bench.chip.set_pin(pin, 1 - level)
        bench.chip.power_on()
        bench.until(lambda: bench.chip.state()["status"] == "asleep")
        bench.chip.set_pin(pin, level)
        bench.sees(f"cause 4 wake {reason}")


def test_light_sleep_goes_on_where_it_was(bench: Bench) -> None:
    bench.run("import machine, esp32\nx = 5\nesp32.wake_on_ext0(machine.Pin(33), 0)")
    bench.chip.set_pin(33, 1)
    bench.chip.write(b"machine.lightsleep(60000); print(x, machine.wake_reason())\x04")
    bench.until(lambda: bench.chip.state()["status"] == "asleep")
    bench.chip.set_pin(33, 0)
    bench.sees("5 2\r\n")


def test_nvs_of_the_program_is_in_the_flash_and_outlives_power(tmp_path: Path) -> None:
    program = (
        "import esp32\nn = esp32.NVS('ansim')\n"
        "try: boots = n.get_i32('boot')\nexcept OSError as e: boots = 0; print(e)\n"
        "n.set_i32('boot', boots + 1); n.set_blob('token', b'secret' * 100); n.commit()\n"
        "b = bytearray(1024); print('boots', boots, n.get_blob('token', b), b[:12])"
    )
    with Bench(tmp_path, flash_content({"main.py": program})) as bench:
        bench.chip.power_on()
        bench.sees("(-4354, 'ESP_ERR_NVS_NOT_FOUND')\r\nboots 0 600 bytearray(b'secretsecret')")
        bench.chip.power_on()
        bench.sees("boots 1 600")
        assert b"secret" * 100 in bench.flash.read_bytes()[0x9000:0xF000]


def test_a_file_that_was_written_is_there_after_the_power_was_cut(tmp_path: Path) -> None:
    program = "import os\nprint(os.listdir())\nf = open('note', 'w'); f.write('kept'); f.close()\n"
    program += "print('written')\nwhile True: pass"
    with Bench(tmp_path, flash_content({"main.py": program})) as bench:
        bench.chip.power_on()
        bench.sees("written")
        bench.chip.halt()
        bench.chip.power_on()
        bench.sees("['main.py', 'note']")


def test_a_chip_whose_process_dies_starts_again(tmp_path: Path) -> None:
    program = REPORT + "if machine.reset_cause() == 1:\n  import uctypes\n  uctypes.bytearray_at(8, 4)[0] = 1"
    with Bench(tmp_path, flash_content({"main.py": program})) as bench:
        bench.chip.power_on()
        assert b"abort() was called" in bench.sees("cause 2")
