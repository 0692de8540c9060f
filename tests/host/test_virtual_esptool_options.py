"""What people ask of esptool besides writing: parts of the flash, rates, ways in and out, mistakes, broken writes."""

import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from peer_kit import lasting_board
from quick_tools import tool_command

from ansim.boards import load_board
from ansim.stand_in import stand_in_image
from ansim.virtual import VirtualBoard

Esptool = Callable[..., str]
AT = 0x300000


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualBoard]:
    with lasting_board(tmp_path_factory.mktemp("options"), {}) as made:
        yield made


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.bin"
    path.write_bytes(random.Random(9).randbytes(40_003))
    return path


def flash(board: VirtualBoard, address: int, size: int) -> bytes:
    return board.flash_file.read_bytes()[address : address + size]


def app() -> bytes:
    """A program for an ESP32, such as the app of an image is."""
    virtual = load_board("virtual")
    return stand_in_image(virtual).segments(virtual)[1][1]


def test_chip_and_flash_are_found_out_without_being_named(board: VirtualBoard, esptool: Esptool) -> None:
    said = esptool(board, "flash-id")
    assert "ESP32-D0WD-V3" in said
    assert f"MAC:                {board.mac}" in said
    assert "Detected flash size: 4MB" in said
    assert "esp32" in esptool(board, "--chip", "esp32", "get-security-info", fails=True).lower()


@pytest.mark.parametrize("baud", [115200, 921600, 2000000])
def test_data_is_the_same_at_any_rate(board: VirtualBoard, esptool: Esptool, data: Path, baud: int) -> None:
    said = esptool(board, "--baud", baud, "write-flash", AT, data)
    assert ("Changing baud rate" in said) == (baud != 115200)
    assert flash(board, AT, 40_003) == data.read_bytes()


@pytest.mark.parametrize(("address", "size"), [(0x8001, 0xBFD), (0, 0x40000)])
def test_a_part_of_the_flash_is_read_byte_for_byte(
    board: VirtualBoard, esptool: Esptool, tmp_path: Path, address: int, size: int
) -> None:
    esptool(board, "--baud", 921600, "read-flash", address, size, tmp_path / "read.bin")
    assert (tmp_path / "read.bin").read_bytes() == flash(board, address, size)


def test_a_file_that_is_not_what_is_in_flash_does_not_verify(board: VirtualBoard, esptool: Esptool, data: Path) -> None:
    esptool(board, "write-flash", AT, data)
    assert "digest matched" in esptool(board, "verify-flash", AT, data)
    data.write_bytes(b"x" + data.read_bytes()[1:])
    assert "Verification failed" in esptool(board, "verify-flash", AT, data, fails=True)


def test_several_files_go_in_one_session_and_all_else_is_left(
    board: VirtualBoard, esptool: Esptool, data: Path
) -> None:
    before = board.flash_file.read_bytes()
    esptool(board, "write-flash", AT, data, AT + 0x20000, data)
    after = board.flash_file.read_bytes()
    assert after[AT : AT + 40_003] == after[AT + 0x20000 : AT + 0x20000 + 40_003] == data.read_bytes()
    assert after[:AT] == before[:AT]
    assert after[AT + 0x40000 :] == before[AT + 0x40000 :]


def test_erase_all_leaves_what_was_written_only(board: VirtualBoard, esptool: Esptool, data: Path) -> None:
    kept = board.flash_file.read_bytes()
    esptool(board, "write-flash", "--erase-all", AT, data)
    assert flash(board, 0, AT) == b"\xff" * AT
    esptool(board, "--baud", 921600, "write-flash", 0, put(data.with_name("kept.bin"), kept))
    assert board.flash_file.read_bytes() == kept


def test_erasing_takes_whole_sectors_and_stays_in_the_flash(board: VirtualBoard, esptool: Esptool, data: Path) -> None:
    esptool(board, "write-flash", AT, data)
    for address, size in ((AT + 1, 0x1000), (AT, 0x1001)):
        assert "4096" in esptool(board, "erase-region", address, size, fails=True)
    esptool(board, "erase-region", 0x3FF000, 0x2000, fails=True)
    assert flash(board, AT, 40_003) == data.read_bytes()


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("stub", [(), ("--no-stub",)], ids=["stub", "rom"])
def test_what_does_not_fit_or_is_to_be_encrypted_is_refused_and_nothing_is_written(
    board: VirtualBoard, esptool: Esptool, data: Path, stub: tuple[str, ...]
) -> None:
    before = board.flash_file.read_bytes()
    esptool(board, *stub, "write-flash", "0x3ff000", data, fails=True)
    esptool(board, *stub, "write-flash", "--encrypt", AT, data, fails=True)
    assert board.flash_file.read_bytes() == before


def test_an_image_is_described_without_a_board(board: VirtualBoard, esptool: Esptool, tmp_path: Path) -> None:
    said = esptool(board, "image-info", put(tmp_path / "app.bin", app()))
    assert "ESP32" in said
    assert "(valid)" in said
    assert "invalid" in esptool(board, "image-info", put(tmp_path / "bad.bin", app()[:-40] + bytes(40))).lower()


def test_a_tool_leaves_the_chip_in_the_loader_and_the_next_one_finds_it_there(
    board: VirtualBoard, esptool: Esptool
) -> None:
    assert "Staying in bootloader" in esptool(board, "--after", "no-reset", "read-mac")
    assert board.mac in esptool(board, "--before", "no-reset", "--after", "no-reset-stub", "read-mac")
    assert "Stub flasher is already running" in esptool(
        board, "--before", "no-reset", "--after", "no-reset", "read-mac"
    )
    esptool(board, "read-mac")
    assert board.control.status()["state"] == "running"


def test_without_a_way_into_the_loader_esptool_says_so(board: VirtualBoard, esptool: Esptool) -> None:
    board.control.reset()
    said = esptool(board, "--before", "no-reset", "--connect-attempts", 1, "read-mac", fails=True)
    assert "Failed to connect" in said


def test_a_write_that_was_broken_off_is_simply_made_again(board: VirtualBoard, esptool: Esptool, data: Path) -> None:
    large = put(data.with_name("large.bin"), random.Random(10).randbytes(600_000))
    before = board.control.stats()["to_chip_bytes"]
    writing = subprocess.Popen(
        tool_command("esptool", "--port", board.url, "write-flash", AT, large), stdout=subprocess.DEVNULL
    )
    try:
        while writing.poll() is None and board.control.stats()["to_chip_bytes"] < before + 300_000:
            pass
        assert writing.poll() is None, "it was over before it was broken off"
    finally:
        writing.kill()
        writing.wait()
    assert flash(board, AT, 600_000) != large.read_bytes()
    esptool(board, "--baud", 921600, "write-flash", AT, large)
    assert flash(board, AT, 600_000) == large.read_bytes()


def test_registers_are_read_and_flash_status_is_known(board: VirtualBoard, esptool: Esptool) -> None:
    words = board.mac.split(":")
    assert "".join(words[2:]) in esptool(board, "read-mem", "0x3ff5a004")
    assert "Flash memory status: 0x" in esptool(board, "read-flash-status")
