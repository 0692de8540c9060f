"""A session that is disturbed, on a virtual board with esptool: noise, a lost port, a swap, a failing flash."""

import os
import random
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ansim.boards import load_board
from ansim.errors import DeviceError
from ansim.flasher import Flasher, FlashReport, Progress, Task
from ansim.home import Home
from ansim.payload import PIECE_BYTES, Part, packed
from ansim.serial_link import CONSOLE_BAUD, OpenPort, PortGone
from ansim.virtual import VirtualBoard, running_boards

BOARD = load_board("virtual")
CONTENT = random.Random(7).randbytes(2 * PIECE_BYTES + 70_000)
OFFSET = PIECE_BYTES
PAYLOAD = packed(Part("program", [(OFFSET, CONTENT)]))
StartBoard = Callable[..., VirtualBoard]


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Other moments in each run; a failure shows the seed."""
    seed = random.SystemRandom().randrange(10**6)
    request.node.user_properties.append(("seed", seed))
    print(f"seed {seed}")
    return random.Random(seed)


def flash(
    home: Home, on_progress: Progress = lambda *_: None, on_port: Callable[[OpenPort], object] = id, baud: int = 921600
) -> FlashReport:
    with OpenPort("virtual", home) as port:
        on_port(port)
        return Flasher(port, BOARD, on_progress).run(Task([PAYLOAD], baud=baud))


def holds(board: VirtualBoard) -> bool:
    return board.flash_file.read_bytes()[OFFSET : OFFSET + len(CONTENT)] == CONTENT


def pull(home: Home, board: VirtualBoard) -> None:
    """Unplug a board; it is gone when this returns."""
    os.kill(board.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while running_boards(home):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def at(share: float, act: Callable[[], object]) -> Progress:
    """Act once, as soon as such a share of what is to be written is."""
    acted = []

    def on_progress(what: str, done: int, total: int) -> None:
        if what.startswith("writing") and done >= share * total and not acted:
            acted.append(True)
            act()

    return on_progress


class Noise:
    """Turns a bit of each larger frame to the chip around, as long as the line is faster than it bears."""

    def __init__(self, chance: random.Random, quiet_baud: int) -> None:
        self.hits = 0
        self._chance = chance
        self._quiet_baud = quiet_baud

    def join(self, port: OpenPort) -> None:
        link, write = port.link, port.link.write

        def noisy(data: bytes) -> int:
            if link.baudrate > self._quiet_baud and len(data) > 1000:
                self.hits += 1
                at, bit = self._chance.randrange(100, len(data) - 100), 1 << self._chance.randrange(8)
                data = data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
            sent: int = write(data)
            return sent

        link.write = noisy


def test_noise_makes_the_session_slower_until_the_line_bears_it(
    virtual_board: VirtualBoard, home: Home, chance: random.Random
) -> None:
    noise = Noise(chance, 230400)
    report = flash(home, on_port=noise.join)
    assert noise.hits > 0
    assert (report.baud, report.sessions) == (230400, 3)
    assert holds(virtual_board)


@pytest.mark.usefixtures("virtual_board")
def test_a_line_that_bears_no_speed_is_told_as_such(home: Home, chance: random.Random) -> None:
    with pytest.raises(DeviceError, match="flashing the device on virtual failed") as caught:
        flash(home, on_port=Noise(chance, 0).join, baud=230400)
    assert "takes up what is on the device" in caught.value.hint


def test_a_board_that_comes_back_under_another_name_is_found_by_its_mac_and_goes_on(
    start_virtual_board: StartBoard, home: Home, chance: random.Random
) -> None:
    for _ in range(2):
        boards = [start_virtual_board()]
        boards[0].flash_file.write_bytes(b"\xff" * boards[0].flash_file.stat().st_size)

        def come_back(boards: list[VirtualBoard] = boards) -> None:
            pull(home, boards[0])
            boards.append(start_virtual_board())

        report = flash(home, at(chance.random(), come_back))
        assert boards[0].url != boards[1].url
        assert (report.mac, report.sessions) == (boards[0].mac, 2)
        assert holds(boards[1])
        pull(home, boards[1])


def test_another_board_in_the_same_place_is_not_written(start_virtual_board: StartBoard, home: Home) -> None:
    first = start_virtual_board()

    def swap() -> None:
        pull(home, first)
        (first.folder / "mac").unlink()
        first.flash_file.write_bytes(b"\xff" * first.flash_file.stat().st_size)
        start_virtual_board(port=first.port)

    with pytest.raises(DeviceError, match="another device is on virtual now"):
        flash(home, at(0.5, swap))
    assert set(first.flash_file.read_bytes()) == {0xFF}


def test_a_board_that_stays_away_is_told_and_the_next_run_takes_it_up(
    start_virtual_board: StartBoard, home: Home, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ansim.flasher.BACK_S", 0.5)
    for _ in range(2):
        unplug = partial(pull, home, start_virtual_board())
        with pytest.raises(PortGone, match="virtual went away and is not back"):
            flash(home, at(0.95 * chance.random(), unplug))
    board = start_virtual_board()
    report = flash(home)
    assert holds(board)
    assert report.written["program"] + report.unchanged["program"] == len(CONTENT)


def test_what_flash_lost_once_is_written_again_and_a_chip_that_keeps_nothing_is_named(
    virtual_board: VirtualBoard, home: Home
) -> None:
    def spoil() -> None:
        with virtual_board.flash_file.open("r+b") as flash_file:
            flash_file.seek(OFFSET)
            flash_file.write(bytes(900))

    in_the_first_piece = 0.5 * PIECE_BYTES / len(CONTENT)
    report = flash(home, at(in_the_first_piece, spoil))
    assert report.compressed_bytes == PAYLOAD.compressed_size + len(PAYLOAD.pieces[0].compressed)
    assert holds(virtual_board)

    def spoil_always(_what: str, done: int, _total: int) -> None:
        if done > PIECE_BYTES // 2:
            spoil()

    spoil()
    with pytest.raises(DeviceError, match=f"does not hold what was written at {OFFSET:#x}") as caught:
        flash(home, spoil_always)
    assert "put the board aside" in caught.value.hint


def test_a_fresh_board_is_compared_by_first_sectors_only(virtual_board: VirtualBoard, home: Home) -> None:
    asked: list[bytes] = []

    def listen(port: OpenPort) -> None:
        write = port.link.write
        port.link.write = lambda data: asked.append(data) or write(data)

    flash(home, on_port=listen)
    assert sizes_of_md5(asked)[:3] == [4096] * 3
    asked.clear()
    flash(home, on_port=listen)
    assert sizes_of_md5(asked) == [size for piece in PAYLOAD.pieces for size in (4096, piece.size)]
    assert holds(virtual_board)


def sizes_of_md5(frames: list[bytes]) -> list[int]:
    """The sizes in the requests for an MD5 (opcode 0x13), but the last of each piece that was written."""
    plain = [frame.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb") for frame in frames]
    return [int.from_bytes(frame[13:17], "little") for frame in plain if frame[1:3] == b"\x00\x13"]


def test_the_port_is_back_at_the_consoles_speed(virtual_board: VirtualBoard, home: Home) -> None:
    ports: list[Any] = []
    flash(home, on_port=ports.append)
    assert ports[0].link.baudrate == CONSOLE_BAUD
    deadline = time.monotonic() + 10
    while virtual_board.control.status()["state"] == "download":
        assert time.monotonic() < deadline
