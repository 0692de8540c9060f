"""The real esptool works on a virtual board as on a devkit."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ansim.virtual import VirtualBoard, stop_board

Esptool = Callable[..., str]
Start = Callable[..., VirtualBoard]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Half noise, half zeros, of an odd length: compresses, and spans erase blocks."""
    generator = random.Random(7)
    path = tmp_path / "image.bin"
    path.write_bytes(b"".join(generator.randbytes(700) + bytes(700) for _ in range(200))[:-3])
    return path


def flash_content(board: VirtualBoard, address: int, size: int) -> bytes:
    return board.flash_file.read_bytes()[address : address + size]


def test_esptool_as_it_is_installed_knows_the_board(virtual_board: VirtualBoard) -> None:
    command = [sys.executable, "-m", "esptool", "--port", virtual_board.url, "--no-stub", "read-mac"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    assert "Chip type:          ESP32-D0WD-V3 (revision v3.1)" in done.stdout
    assert "Crystal frequency:  40MHz" in done.stdout
    assert f"MAC:                {virtual_board.mac}" in done.stdout
    assert virtual_board.control.status()["state"] == "running"


def test_flash_id_and_chip_id_know_the_flash_and_the_mac(virtual_board: VirtualBoard, esptool: Esptool) -> None:
    said = esptool(virtual_board, "flash-id")
    assert "Detected flash size: 4MB" in said
    assert "WARNING" not in said.upper()
    assert f"MAC:                {virtual_board.mac}" in esptool(virtual_board, "chip-id")


@pytest.mark.parametrize("options", [(), ("--no-stub",)], ids=["stub", "rom"])
def test_written_flash_verifies_reads_back(
    virtual_board: VirtualBoard, esptool: Esptool, image: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    data = image.read_bytes()
    said = esptool(virtual_board, *options, "-b", 460800, "write-flash", "0x11000", image)
    assert "Hash of data verified." in said
    assert flash_content(virtual_board, 0x11000, len(data)) == data
    assert "digest matched" in esptool(virtual_board, *options, "verify-flash", "0x11000", image)
    size = 4096 if options else len(data)
    back = tmp_path / "back.bin"
    esptool(virtual_board, *options, "read-flash", "0x11000", size, back)
    assert back.read_bytes() == data[:size]


def test_uncompressed_writes_arrive_with_stub_and_rom(
    virtual_board: VirtualBoard, esptool: Esptool, image: Path
) -> None:
    small = image.with_name("small.bin")
    small.write_bytes(image.read_bytes()[:20_001])
    for address, options in ((0x10000, ()), (0x20000, ("--no-stub",))):
        esptool(virtual_board, *options, "write-flash", "--no-compress", address, small)
        assert flash_content(virtual_board, address, 20_001) == small.read_bytes()


def test_erasing_a_region_and_the_whole_flash(virtual_board: VirtualBoard, esptool: Esptool, image: Path) -> None:
    esptool(virtual_board, "write-flash", 0, image)
    esptool(virtual_board, "erase-region", "0x1000", "0x2000")
    content, data = flash_content(virtual_board, 0, 0x4000), image.read_bytes()
    assert content == data[:0x1000] + b"\xff" * 0x2000 + data[0x3000:0x4000]
    esptool(virtual_board, "erase-flash")
    assert flash_content(virtual_board, 0, 1 << 22) == b"\xff" * (1 << 22)


def test_what_is_in_flash_already_is_skipped_and_changes_are_written_alone(
    virtual_board: VirtualBoard, esptool: Esptool, image: Path
) -> None:
    changed = image.with_name("changed.bin")
    changed.write_bytes(b"changed" + image.read_bytes()[7:])
    esptool(virtual_board, "write-flash", "0x10000", image)
    before = virtual_board.control.stats()["to_chip_bytes"]
    assert "skipping write" in esptool(virtual_board, "write-flash", "--skip-flashed", "0x10000", image)
    assert virtual_board.control.stats()["to_chip_bytes"] - before < 20_000
    said = esptool(virtual_board, "write-flash", "--diff-with", image, "--", "0x10000", changed)
    assert "Reflashing 1 changed sector" in said
    assert flash_content(virtual_board, 0x10000, len(changed.read_bytes())) == changed.read_bytes()


def test_flash_written_in_one_life_of_the_board_is_there_in_the_next(
    start_virtual_board: Start, esptool: Esptool, image: Path
) -> None:
    first = start_virtual_board("lasting")
    esptool(first, "write-flash", "0x10000", image)
    stop_board(first)
    second = start_virtual_board("lasting")
    assert second.mac == first.mac
    esptool(second, "verify-flash", "0x10000", image)


def test_the_wrong_chip_is_told_apart(start_virtual_board: Start, esptool: Esptool, image: Path) -> None:
    board = start_virtual_board(chip="esp32c3")
    assert "ESP32-C3" in esptool(board, "chip-id")
    said = esptool(board, "--chip", "esp32", "write-flash", 0, image, fails=True)
    assert "This chip is ESP32-C3, not ESP32" in said
    assert flash_content(board, 0, 1 << 22) == b"\xff" * (1 << 22)
