"""Flashing a virtual board with the real esptool: what is written, what is skipped, and what if it is cut short."""

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from ansim.boards import load_board
from ansim.errors import BadInput, DeviceError, PortError
from ansim.flasher import Flasher, FlashReport, Progress, Task
from ansim.home import Home
from ansim.payload import Part, packed
from ansim.serial_link import OpenPort, open_port
from ansim.virtual import VirtualBoard

BOARD = load_board("virtual")
StartBoard = Callable[..., VirtualBoard]


def some_bytes(size: int, seed: int = 1) -> bytes:
    """Bytes that compress to about half, as programs do."""
    return bytes(random.Random(seed).choices(range(16), k=size))


PARTS = [
    Part("program", [(0x1000, some_bytes(20_000)), (0x10000, some_bytes(60_000, 2))]),
    Part("files", [(0x200000, some_bytes(8192, 3)), (0x2F8000, some_bytes(40_960, 4))]),
]


def flash(home: Home, parts: list[Part], on_progress: Progress = lambda *_: None, **options: Any) -> FlashReport:
    board = options.pop("board", BOARD)
    with OpenPort("virtual", home) as port:
        return Flasher(port, board, on_progress).run(Task([packed(part) for part in parts], **options))


def in_flash(board: VirtualBoard, parts: list[Part]) -> bool:
    content = board.flash_file.read_bytes()
    return all(content[offset : offset + len(data)] == data for part in parts for offset, data in part.segments)


def test_what_is_written_is_in_flash_and_nothing_else_is_touched(virtual_board: VirtualBoard, home: Home) -> None:
    report = flash(home, PARTS)
    assert in_flash(virtual_board, PARTS)
    assert virtual_board.flash_file.read_bytes()[0x9000:0xF000] == b"\xff" * 0x6000
    assert report.written == {"program": 80_000, "files": 49_152}
    assert (report.chip, report.mac) == ("ESP32", virtual_board.mac)


def test_a_second_run_writes_nothing_and_a_change_only_its_own_segment(virtual_board: VirtualBoard, home: Home) -> None:
    flash(home, PARTS)
    again = flash(home, PARTS)
    assert again.written == {"program": 0, "files": 0}
    assert again.unchanged == {"program": 80_000, "files": 49_152}
    changed = [PARTS[0], Part("files", [PARTS[1].segments[0], (0x2F8000, some_bytes(40_960, 5))])]
    assert flash(home, changed).written == {"program": 0, "files": 40_960}
    assert in_flash(virtual_board, changed)


class _LateAnswer:
    """Holds back what comes from the chip, once, for half a second after the ROM was told to start a program."""

    def __init__(self, link: Any) -> None:
        self._read, self._write, self._link = link.read, link.write, link
        self.until: float | None = None
        link.read, link.write = self.read, self.write

    def write(self, data: bytes) -> int:
        if self.until is None and data.startswith(b"\xc0\x00\x06"):
            self.until = time.monotonic() + 0.5
        sent: int = self._write(data)
        return sent

    def read(self, size: int = 1) -> bytes:
        left_s = (self.until or 0) - time.monotonic()
        if left_s > 0:
            # As a port does that has nothing to give.
            time.sleep(min(left_s, self._link.timeout or left_s))
            return b""
        got: bytes = self._read(size)
        return got


def test_an_answer_that_esptool_did_not_wait_for_is_no_failure(virtual_board: VirtualBoard, home: Home) -> None:
    with OpenPort("virtual", home) as port:
        late = _LateAnswer(port.link)
        Flasher(port, BOARD, lambda *_: None).run(Task([packed(part) for part in PARTS]))
    assert late.until is not None
    assert in_flash(virtual_board, PARTS)


def test_the_wire_carries_the_compressed_bytes_and_little_more(virtual_board: VirtualBoard, home: Home) -> None:
    report = flash(home, [Part("program", [(0x10000, some_bytes(1_000_000))])])
    assert report.wire_bytes <= 1.03 * report.compressed_bytes
    assert report.wire_bytes == pytest.approx(virtual_board.control.stats()["to_chip_bytes"], rel=0.01)


def test_the_identity_is_made_for_the_mac_and_written_in_the_same_session(
    virtual_board: VirtualBoard, home: Home
) -> None:
    seen = []

    def identity(mac: str) -> list[Part]:
        seen.append(mac)
        return [Part("identity", [(0x9000, some_bytes(0x6000, 6))])]

    report = flash(home, PARTS, parts_for_mac=identity)
    assert seen == [virtual_board.mac]
    assert report.written["identity"] == 0x6000
    assert virtual_board.control.stats()["clients"] == 1


@pytest.mark.usefixtures("virtual_board")
def test_an_inspection_sees_the_old_flash_and_can_stop_before_anything_is_written(home: Home) -> None:
    flash(home, PARTS)

    def inspect(read_flash: Callable[[int, int], bytes]) -> None:
        assert read_flash(0x200000, 1024) == PARTS[1].segments[0][1][:1024]
        raise BadInput("stop")

    def identity(_: str) -> list[Part]:
        raise AssertionError("no identity is issued")

    with pytest.raises(BadInput, match="stop"):
        flash(home, [Part("other", [(0x1000, bytes(4096))])], inspect=inspect, parts_for_mac=identity)
    assert flash(home, PARTS).written == {"program": 0, "files": 0}


@pytest.mark.usefixtures("virtual_board")
def test_progress_ends_at_all_bytes_and_never_runs_back(home: Home) -> None:
    steps: list[tuple[str, int, int]] = []
    flash(home, PARTS, lambda *step: steps.append(step))
    written = [done for what, done, _ in steps if what.startswith("writing")]
    assert written == sorted(written)
    assert steps[-1] == ("writing files", 129_152, 129_152)
    assert {what for what, _, _ in steps} == {"connecting", "comparing", "writing program", "writing files"}


def test_another_chip_than_the_boards_is_named_and_nothing_is_written(
    start_virtual_board: StartBoard, home: Home
) -> None:
    board = start_virtual_board(chip="esp32c3")
    with pytest.raises(BadInput, match="has an ESP32-C3, but the board virtual has an ESP32") as caught:
        flash(home, PARTS)
    assert "esp32c3_devkit" in caught.value.hint
    assert set(board.flash_file.read_bytes()) == {0xFF}


def test_a_flash_smaller_than_the_boards_is_refused(virtual_board: VirtualBoard, home: Home) -> None:
    with pytest.raises(BadInput, match="4 MiB of flash, but the board m5stickc_plus2 has 8"):
        flash(home, PARTS, board=load_board("m5stickc_plus2"))
    assert set(virtual_board.flash_file.read_bytes()) == {0xFF}


def test_a_port_without_a_chip_says_what_to_check(virtual_board: VirtualBoard, home: Home) -> None:
    virtual_board.control.power(False)
    with pytest.raises(DeviceError, match="no ESP32 answers on virtual") as caught:
        flash(home, PARTS)
    assert "BOOT" in caught.value.hint


@pytest.mark.usefixtures("virtual_board")
def test_a_busy_port_is_named(home: Home) -> None:
    with open_port("virtual", home), pytest.raises(PortError, match="virtual is busy"):
        flash(home, PARTS)
