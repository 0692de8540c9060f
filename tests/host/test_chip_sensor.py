"""The motion sensor as a program on the chip meets it: I2C, the interrupt pin, waking from sleep."""

from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansim.boards import Sensor
from ansim.virtual.models import Fault
from chip_kit import Bench, flash_content

# LIS2DW12 at 50 Hz, +-16 g, FIFO streaming; a change of 1 g between two samples drives INT1 until its source is read.
SET_UP = (
    "from machine import *\nimport time\nbus = I2C(0, scl=Pin(22), sda=Pin(21))\n"
    "for register, value in ((0x21, 0x44), (0x25, 0x30), (0x2E, 0xC0), (0x20, 0x44), (0x22, 0x10), (0x34, 2)):\n"
    "  bus.writeto_mem(0x19, register, bytes((value,)))\n"
    "time.sleep_ms(60)\n"
    "bus.writeto_mem(0x19, 0x23, b'\\x20'); bus.writeto_mem(0x19, 0x3F, b'\\x20')\n"
)
READ = (
    "def read():\n  out = bytearray(6 * (bus.readfrom_mem(0x19, 0x2F, 1)[0] & 63))\n"
    "  bus.readfrom_mem_into(0x19, 0x28, out)\n"
    "  return [int.from_bytes(out[i:i + 2], 'little') * 16000 >> 15 for i in range(4, len(out), 6)]\n"
)
IMPACT = array("h", [0, 0, 1000] * 5 + [0, 0, 5000] + [0, 0, 1000] * 5)
INTERRUPT = 34


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A chip in the raw REPL, its sensor set up and without noise."""
    with Bench(tmp_path, flash_content({})) as made:
        made.chip.power_on()
        made.chip.change_sensor(None, 0.0, None)
        made.sees(">>> ")
        made.raw_repl()
        made.run(SET_UP + READ)
        yield made


@pytest.mark.parametrize(
    ("part", "address"), [("adxl345", 0x53), ("bma400", 0x14), ("lis2dw12", 0x19), ("mpu6886", 0x68)]
)
def test_the_part_of_the_board_file_is_on_the_bus(tmp_path: Path, part: str, address: int) -> None:
    sensor = Sensor(part, bus=0, sda=21, scl=22, address=address)
    with Bench(tmp_path, flash_content({}), sensor=sensor) as bench:
        bench.chip.power_on()
        bench.sees(">>> ")
        bench.raw_repl()
        assert bench.run("from machine import *\nprint(I2C(0).scan())") == f"[{address}]\n"


def test_an_impact_runs_a_handler_and_its_history_is_in_the_fifo(bench: Bench) -> None:
    bench.run("hits = []\npin = Pin(34, Pin.IN)\npin.irq(lambda p: hits.append(p()), Pin.IRQ_RISING)")
    assert bench.run("print(pin())") == "0\n"
    bench.chip.play(IMPACT, 50.0, False)
    bench.until(lambda: {"pin": INTERRUPT, "value": 1} in bench.told("interrupt"))
    assert bench.run("print(pin(), hits)") == "1 [1]\n"
    assert bench.run("print(max(read()) // 100, bus.readfrom_mem(0x19, 0x38, 1)[0], pin())") == "50 9 0\n"


@pytest.mark.parametrize("arm", ["esp32.wake_on_ext0(Pin(34), 1)", "esp32.wake_on_ext1((Pin(34),), 1)"])
def test_an_impact_wakes_the_chip_from_deep_sleep(tmp_path: Path, arm: str) -> None:
    program = (
        f"import machine, esp32\nif machine.reset_cause() == machine.DEEPSLEEP_RESET:\n"
        f"  bus = machine.I2C(0)\n  out = bus.readfrom_mem(0x19, 0x38, 1)\n"
        f"  print('woken', machine.wake_reason(), out, bus.readfrom_mem(0x19, 0x2F, 1)[0] & 63 > 0)\n"
        f"else:\n  {SET_UP.strip().replace(chr(10), chr(10) + '  ')}\n  {arm}\n  machine.deepsleep()\n"
    )
    with Bench(tmp_path, flash_content({"main.py": program})) as bench:
        bench.chip.power_on()
        bench.until(lambda: bench.chip.state()["status"] == "asleep")
        bench.chip.play(IMPACT, 50.0, False)
        bench.sees(f"woken {2 if 'ext0' in arm else 3} b'\\t' True")


def test_an_impact_wakes_the_chip_from_light_sleep(bench: Bench) -> None:
    bench.run("import esp32\nesp32.wake_on_ext0(Pin(34), 1)")
    bench.chip.write(b"lightsleep(60000); print('woken', Pin(34, Pin.IN)())\x04")
    bench.until(lambda: bench.chip.state()["status"] == "asleep")
    bench.chip.play(IMPACT, 50.0, False)
    bench.sees("woken 1")


def test_the_reset_button_leaves_the_sensor_as_it_is_and_power_does_not(bench: Bench) -> None:
    for again, control in ((bench.chip.reset, "b'D'"), (bench.chip.power_on, "b'\\x00'")):
        bench.output = b""
        again()
        bench.sees(">>> ")
        bench.raw_repl()
        assert bench.run("from machine import *\nprint(I2C(0).readfrom_mem(0x19, 0x20, 1))") == f"{control}\n"


def test_without_power_the_sensor_is_dead_and_its_wire_low(bench: Bench) -> None:
    bench.chip.play(IMPACT, 50.0, False)
    bench.until(lambda: {"pin": INTERRUPT, "value": 1} in bench.told("interrupt"))
    bench.chip.power_off()
    assert bench.told("interrupt")[-1] == {"pin": INTERRUPT, "value": 0}
    assert bench.chip.state()["status"] == "off"


def test_a_silent_sensor_is_enodev_and_a_disturbed_bus_etimedout(bench: Bench) -> None:
    attempt = "try: bus.readfrom_mem(0x19, 0x0F, 1)\nexcept OSError as e: seen.add(e.errno)\n"
    bench.chip.change_sensor(Fault.SILENT, None, None)
    bench.run(f"seen = set()\n{attempt}")
    bench.chip.change_sensor(Fault.BUS_ERRORS, None, None)
    bench.run(f"for _ in range(200):\n  {attempt.replace(chr(10), chr(10) + '  ')}")
    assert bench.run("print(sorted(seen))") == "[19, 110]\n"
    bench.chip.change_sensor(Fault.NONE, None, None)
    assert bench.run("print(bus.readfrom_mem(0x19, 0x0F, 1))") == "b'D'\n"


def test_a_posture_is_what_it_reads(bench: Bench) -> None:
    bench.chip.hold((0.0, 0.0, -1000.0))
    bench.run("read()")
    bench.run("z = []\nwhile not z:\n  time.sleep_ms(50); z = read()")
    assert abs(int(bench.run("print(z[-1])")) - (32_000 - 1000)) < 3, "two's complement"


def test_watchers_are_told_of_motion_and_of_its_end(tmp_path: Path) -> None:
    with Bench(tmp_path, flash_content({}), speed=10) as bench:
        bench.chip.play(array("h", [0, 0, 1000] * 50), 50.0, False)
        assert bench.chip.motion()["of_ms"] == 1000
        bench.until(lambda: {"state": "ended"} in bench.told("motion"))
        assert bench.chip.motion() == {"playing": False, "repeat": False, "at_ms": 1000, "of_ms": 1000}
        bench.chip.hold((0.0, 0.0, 1000.0))
        assert [event["state"] for event in bench.told("motion")] == ["playing", "ended", "still"]
