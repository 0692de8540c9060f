"""The chip's terminal gives tools the bytes that an ESP32 gives them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ansim.virtual.heap import FREE_HEAP_BYTES
from ansim.virtual.repl import BINARY_MARK, RAW_BANNER, RAW_MARK, Output
from chip_kit import Bench, flash_content

FILES = {"boot.py": "print('boot')", "main.py": "print('main')"}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path, flash_content(FILES)) as made:
        made.chip.power_on()
        made.sees(">>> ")
        yield made


def test_ctrl_d_in_the_raw_repl_runs_boot_py_only_and_comes_back_raw(bench: Bench) -> None:
    bench.raw_repl()
    bench.chip.write(b"\x04")
    assert bench.sees(b"raw REPL; CTRL-B to exit\r\n>") == b"OK\r\nMPY: soft reboot\r\nboot\r\n"
    assert bench.run("import machine; print(machine.reset_cause() == machine.SOFT_RESET)") == "True\n"


def test_ctrl_d_at_the_prompt_runs_boot_py_and_main_py(bench: Bench) -> None:
    bench.chip.write(b"\x04")
    assert bench.sees(b"MicroPython ") == b"\r\nMPY: soft reboot\r\nboot\r\nmain\r\n"


def test_leaving_the_raw_repl_makes_the_next_soft_reset_a_full_one(bench: Bench) -> None:
    bench.raw_repl()
    bench.chip.write(b"\x02")
    bench.sees(">>> ")
    bench.chip.write(b"\x04")
    bench.sees("main\r\n")


def test_soft_reset_in_a_program_starts_over(tmp_path: Path) -> None:
    program = (
        "import machine\nprint('cause', machine.reset_cause())\nif machine.reset_cause() != 5: machine.soft_reset()"
    )
    with Bench(tmp_path, flash_content({"main.py": program})) as bench:
        bench.chip.power_on()
        bench.sees("cause 1\r\nMPY: soft reboot\r\ncause 5\r\n")


def test_ctrl_c_interrupts_a_busy_program_even_twice(bench: Bench) -> None:
    bench.raw_repl()
    bench.chip.write(b"print(7)\nwhile True: pass\x04")
    bench.sees("7\r\n")
    bench.chip.write(b"\r\x03\x03")
    bench.sees("KeyboardInterrupt")
    bench.sees(b"\x04>")
    assert bench.run("print(1)") == "1\n"


def test_ctrl_c_at_the_prompt_keeps_what_a_pasted_program_made(bench: Bench) -> None:
    bench.raw_repl()
    bench.chip.write(b"\x05A\x01")
    bench.sees(b"R\x01\x80\x00\x01")
    bench.chip.write(b"import micropython\nmicropython.kbd_intr(-1)\nkept = 7\nmicropython.kbd_intr(3)\n\x04")
    bench.sees(b"\x04\x04>")
    bench.chip.write(b"\x03")
    assert bench.run("print(kept)") == "7\n"


def test_one_program_after_another_is_interrupted_however_quickly_they_follow(bench: Bench) -> None:
    bench.raw_repl()
    for _ in range(10):
        bench.chip.write(b"print(7)\nwhile True: pass\x04")
        bench.sees("7\r\n")
        bench.chip.write(b"\x03")
        bench.sees("KeyboardInterrupt")
        bench.sees(b"\x04>")


def test_without_kbd_intr_ctrl_c_is_a_byte_like_others(tmp_path: Path) -> None:
    program = (
        "import micropython, sys\nmicropython.kbd_intr(-1)\nprint('ready')\n"
        "print(sys.stdin.buffer.read(4))\nmicropython.kbd_intr(3)\nprint('again')\nwhile True: pass"
    )
    with Bench(tmp_path, flash_content({"main.py": program})) as bench:
        bench.chip.power_on()
        bench.sees("ready\r\n")
        bench.chip.write(b"a\x03\x03b")
        bench.sees("b'a\\x03\\x03b'\r\nagain\r\n")
        bench.chip.write(b"\x03")
        bench.sees("KeyboardInterrupt")


def test_print_ends_lines_with_cr_lf_and_the_binary_stream_changes_nothing(bench: Bench) -> None:
    bench.raw_repl()
    program = (
        "import sys; print('a'); sys.stdout.write('b\\n'); sys.stdout.buffer.write(bytes(range(32)) + b'\\n\\r\\n')"
    )
    bench.chip.write(program.encode() + b"\x04")
    bench.sees(b"OKa\r\nb\r\n" + bytes(range(32)) + b"\n\r\n\x04\x04>")


def test_the_binary_stream_takes_a_length_and_an_offset_as_mpremote_gives_them(bench: Bench) -> None:
    bench.raw_repl()
    assert bench.run(
        "import sys; b = sys.stdout.buffer; n = b.write(b'abcd', 2), b.write(b'abcd', 1, 2); print(n)"
    ) == ("abbc(2, 2)\n")


def test_binary_output_is_not_held_back_whatever_its_last_byte(bench: Bench) -> None:
    bench.raw_repl()
    for last in range(256):
        bench.chip.write(f"import sys; sys.stdout.buffer.write(bytes([65, {last}])); sys.stdin.read(1)\x04".encode())
        bench.sees(b"OKA" + bytes([last]))
        bench.chip.write(b"x")
        bench.sees(b"\x04\x04>")


def test_raw_paste_takes_a_program_in_windows(bench: Bench) -> None:
    bench.raw_repl()
    bench.chip.write(b"\x05A\x01")
    bench.sees(b"R\x01\x80\x00\x01")
    program = b"print(len('" + b"x" * 1000 + b"'))"
    for start in range(0, len(program), 128):
        bench.chip.write(program[start : start + 128])
        if start + 128 <= len(program):
            bench.sees(b"\x01")
    bench.chip.write(b"\x04")
    bench.sees(b"\x041000\r\n\x04\x04>")


def test_ten_megabytes_of_noise_neither_block_nor_fill_the_board(tmp_path: Path) -> None:
    program = "import micropython, time\nmicropython.kbd_intr(-1)\nprint('busy')\ntime.sleep(60)"
    with Bench(tmp_path, flash_content({"main.py": program})) as bench:
        bench.chip.power_on()
        bench.sees("busy")
        for _ in range(1000):
            bench.chip.write(bytes(range(256)) * 40)
        lost = bench.chip.state()["rx_dropped"]
        assert isinstance(lost, int) and lost > 9_900_000


def test_what_a_host_has_and_a_chip_has_not_is_out_of_reach(bench: Bench) -> None:
    bench.raw_repl()
    probe = (
        "import os, uos, vfs, sys, time, utime, machine, umachine\n"
        "print([hasattr(os, n) for n in ('system', 'getenv')], hasattr(vfs, 'VfsPosix'), uos is os, utime is time)\n"
        "print(sys.path, os.listdir('/'), os.uname().sysname, umachine is machine)\n"
        "try: open('/etc/passwd')\nexcept OSError as error: print(error.errno)"
    )
    seen = bench.run(probe)
    assert seen.splitlines() == [
        "[False, False] False True True",
        "['', '.frozen', '/lib'] ['boot.py', 'main.py'] esp32 True",
        "2",
    ]


def test_the_heap_is_that_of_an_esp32_at_the_prompt(bench: Bench) -> None:
    bench.raw_repl()
    free = int(bench.run("import gc; gc.collect(); print(gc.mem_free())"))
    assert abs(free - FREE_HEAP_BYTES) < 1024


def test_a_mark_cut_anywhere_is_still_a_mark() -> None:
    text = (
        b"boot\n" + RAW_MARK + b"MicroPython >>> " + RAW_BANNER + BINARY_MARK + (3).to_bytes(4, "little") + b"\n\n\n\n"
    )
    for cut in range(len(text)):
        output = Output()
        output.process_starts(raw=True)
        assert output.feed(text[:cut]) + output.feed(text[cut:]) == b"boot\r\n" + RAW_BANNER + b"\n\n\n\r\n"
