"""A chip starts what is in its flash and nothing else, and says why when it does not."""

import hashlib
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from process_kit import children, next_line, runs

from ansim.virtual.bootloader import Bootloader, NotBootable, Reset
from ansim.virtual.flash import Flash
from chip_kit import Bench, flash_content

GREETING = b"rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"


def test_main_py_from_the_filesystem_in_flash_runs_at_power_on(tmp_path: Path) -> None:
    with Bench(tmp_path, flash_content({"main.py": "import sys; print('hello from', sys.platform)"})) as bench:
        bench.chip.power_on()
        assert bench.sees("hello from esp32\r\n").endswith(GREETING)


def test_boot_py_runs_before_main_py_and_main_py_not_after_a_broken_boot_py(tmp_path: Path) -> None:
    files = {"boot.py": "print('boot'); nonsense", "main.py": "print('main')"}
    with Bench(tmp_path, flash_content(files)) as bench:
        bench.chip.power_on()
        seen = bench.sees(">>> ")
        assert b"boot\r\n" in seen and b"NameError" in seen
        assert b"main\r\n" not in seen


def test_an_erased_filesystem_is_made_new_once(tmp_path: Path) -> None:
    with Bench(tmp_path, flash_content()) as bench:
        bench.chip.power_on()
        bench.sees("Performing initial setup\r\n")
        bench.sees(">>> ")
        bench.chip.reset()
        assert b"initial setup" not in bench.sees(">>> ")


def test_a_damaged_filesystem_is_left_alone(tmp_path: Path) -> None:
    flash = flash_content({})
    flash[0x200000:0x202000] = bytes(0x2000)
    with Bench(tmp_path, flash) as bench:
        bench.chip.power_on()
        bench.sees("The filesystem appears to be corrupted")
        assert bench.flash.read_bytes()[0x200000:0x202000] == bytes(0x2000)


def damaged(at: int, value: int) -> bytearray:
    flash = flash_content({})
    flash[at] ^= value
    return flash


def empty_app() -> bytearray:
    """A flash whose only app partition is at its end and has no bytes."""
    flash = flash_content({})
    flash[0x8044:0x804C] = struct.pack("<II", len(flash), 0)
    flash[0x8090:0x80A0] = hashlib.md5(flash[0x8000:0x8080]).digest()
    return flash


@pytest.mark.parametrize(
    ("flash", "said"),
    [
        (b"\xff" * (4 << 20), "invalid header: 0xffffffff"),
        (damaged(0x1030, 0x01), "Checksum failed"),
        (damaged(0x8004, 0x10), "Incorrect MD5"),
        (damaged(0x8000, 0xFF), "partition 0 invalid magic number"),
        (damaged(0x10000, 0xFF), "invalid magic byte (nothing flashed here?)"),
        (damaged(0x10030, 0x01), "Checksum failed"),
        (damaged(0x10017, 0x80), "is not a whole image for this chip"),
        (empty_app(), "invalid magic byte (nothing flashed here?)"),
    ],
)
def test_a_broken_flash_does_not_start_and_says_why(tmp_path: Path, flash: bytes, said: str) -> None:
    with Bench(tmp_path, flash) as bench:
        bench.chip.power_on()
        bench.sees(said)
        assert bench.chip.state()["status"] == "not_bootable"


def test_an_image_whose_hash_is_wrong_is_refused(tmp_path: Path) -> None:
    flash = flash_content({})
    # The stand-in's segment is followed by its checksum, at a multiple of 16, and the SHA-256.
    end = bytes(flash[0x10000:0x20000]).rstrip(b"\xff")
    flash[0x10000 + len(end) - 1] ^= 0x55
    path = tmp_path / "flash"
    path.write_bytes(flash)
    opened = Flash(path, len(flash))
    with pytest.raises(NotBootable, match="Image hash failed"):
        Bootloader(opened).check()
    opened.close()


def test_an_image_for_another_chip_is_refused(tmp_path: Path) -> None:
    flash = flash_content({})
    path = tmp_path / "flash"
    path.write_bytes(flash)
    opened = Flash(path, len(flash))
    with pytest.raises(NotBootable):
        Bootloader(opened, chip="esp32s2").check()
    opened.close()


def test_the_partitions_come_from_the_table_in_flash(tmp_path: Path) -> None:
    path = tmp_path / "flash"
    path.write_bytes(flash_content({}))
    opened = Flash(path, 4 << 20)
    found = {entry.label: (entry.offset, entry.size) for entry in Bootloader(opened).check()}
    assert found["vfs"] == (0x200000, 0x200000)
    assert found["nvs"] == (0x9000, 0x6000)
    opened.close()


def test_reset_causes_are_those_of_the_esp32_port() -> None:
    causes = {reset.name: reset.cause for reset in Reset}
    assert causes["POWER_ON"] == causes["EN"] == 1
    assert causes["SOFTWARE"] == causes["CRASH"] == 2
    assert (causes["WATCHDOG"], causes["DEEP_SLEEP"], causes["SOFT"]) == (3, 4, 5)


def test_halt_leaves_no_process_and_is_idempotent(tmp_path: Path) -> None:
    before = set(children(os.getpid()))
    with Bench(tmp_path, flash_content({"main.py": "while True: pass"})) as bench:
        bench.chip.power_on()
        bench.until(lambda: bench.told("main"))
        assert set(children(os.getpid())) - before
        bench.chip.halt()
        bench.chip.halt()
        assert bench.chip.state()["status"] == "off"
        assert set(children(os.getpid())) <= before


def test_the_chip_ends_with_the_process_that_holds_the_board(tmp_path: Path) -> None:
    (tmp_path / "flash.bin").write_bytes(flash_content({"main.py": "while True: pass"}))
    program = (
        "import sys, time; from pathlib import Path; from ansim.virtual.chip import Chip;"
        " from ansim.virtual.clock import Clock\n"
        "chip = Chip(Path(sys.argv[1]) / 'chip', Path(sys.argv[1]) / 'flash.bin', bytes(6), lambda _: None,"
        " lambda kind, _: kind == 'main' and print('up', flush=True), lambda: None, Clock())\n"
        "chip.power_on(); time.sleep(60)"
    )
    board = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert next_line(board) == "up\n"
    (chip,) = children(board.pid)
    board.kill()
    board.communicate()
    deadline = time.monotonic() + 10
    while runs(chip):
        assert time.monotonic() < deadline, "the chip outlived its board"
        time.sleep(0.01)
