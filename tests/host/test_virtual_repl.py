"""The REPL over the serial line as a client meets it that reads slowly, sends too much, or goes away in the middle."""

import time
from collections.abc import Iterator

import pytest
import serial
from peer_kit import PATIENCE_S, lasting_board

from ansim.virtual import VirtualBoard

WINDOW = 128


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualBoard]:
    with lasting_board(tmp_path_factory.mktemp("repl"), {}) as made:
        yield made


@pytest.fixture
def line(board: VirtualBoard) -> Iterator[serial.Serial]:
    """The board's terminal, in the raw REPL."""
    with serial.Serial(board.terminal, 115200, timeout=PATIENCE_S) as opened:
        enter_raw(opened)
        yield opened


def enter_raw(line: serial.Serial) -> None:
    line.write(b"\r\x03\x03\r\x01")
    sees(line, b"raw REPL; CTRL-B to exit\r\n>")


def sees(line: serial.Serial, text: bytes) -> bytes:
    seen: bytes = line.read_until(text)
    assert seen.endswith(text), seen[-500:]
    return seen[: -len(text)]


def begin_paste(line: serial.Serial) -> None:
    line.write(b"\x05A\x01")
    assert sees(line, b"R\x01" + WINDOW.to_bytes(2, "little")) == b""


def runs(line: serial.Serial, program: bytes = b"print('alive')") -> bytes:
    line.write(program + b"\x04")
    sees(line, b"OK")
    return sees(line, b"\x04\x04>")


def test_no_more_is_asked_for_than_was_sent_a_window_at_a_time(line: serial.Serial) -> None:
    program = b"print('" + b"y" * (10 * WINDOW) + b"')"
    begin_paste(line)
    sent = WINDOW
    assert line.read(1) == b"\x01", "a client may send two windows at first"
    while sent < len(program):
        line.write(program[sent - WINDOW : sent])
        assert line.read(1) == b"\x01"
        sent += WINDOW
    line.write(program[sent - WINDOW :] + b"\x04")
    assert b"y" * (10 * WINDOW) in sees(line, b"\x04\x04>")


def test_a_client_that_never_waits_for_the_window_loses_bytes_but_not_the_board(
    line: serial.Serial, board: VirtualBoard
) -> None:
    begin_paste(line)
    line.write(b"x = '" + b"z" * 200_000)
    line.write(b"'\x04")
    line.write(b"\x03\x03")
    deadline = time.monotonic() + PATIENCE_S
    while True:
        line.reset_input_buffer()
        line.write(b"\x03\x04\x03\r\x01")
        line.timeout = 1
        if line.read_until(b"raw REPL; CTRL-B to exit\r\n>").endswith(b">"):
            break
        assert time.monotonic() < deadline, "the board is not to be had any more"
    line.timeout = PATIENCE_S
    line.reset_input_buffer()
    line.write(b"\r\x02")
    sees(line, b">>> ")
    enter_raw(line)
    assert runs(line) == b"alive\r\n"
    assert board.control.status()["state"] == "running"


def test_a_slow_reader_gets_all_that_is_printed(line: serial.Serial) -> None:
    line.write(b"for n in range(3000): print(n, 'w' * 50)\x04")
    sees(line, b"OK")
    seen = bytearray()
    while not seen.endswith(b"\x04\x04>"):
        # Small reads with work in between: the chip is ahead of its reader all the time.
        chunk = line.read(min(97, line.in_waiting or 1))
        assert chunk
        seen += chunk
    assert seen.splitlines()[:-1] == [f"{n} {'w' * 50}".encode() for n in range(3000)]


def test_raw_paste_is_broken_off_by_ctrl_c(line: serial.Serial) -> None:
    begin_paste(line)
    line.write(b"half a progr\x03")
    sees(line, b"\x04")
    sees(line, b">")
    assert runs(line) == b"alive\r\n"


def test_a_program_that_came_by_raw_paste_is_interrupted(line: serial.Serial) -> None:
    begin_paste(line)
    line.write(b"print('on')\nwhile True: pass\n\x04")
    sees(line, b"on\r\n")
    line.write(b"\x03")
    assert b"KeyboardInterrupt" in sees(line, b"\x04>")
    assert runs(line) == b"alive\r\n"


def test_a_program_that_came_by_raw_paste_may_take_ctrl_c_for_data(line: serial.Serial) -> None:
    begin_paste(line)
    taking = b"import micropython, sys\nmicropython.kbd_intr(-1)\nprint('on')\nprint(sys.stdin.buffer.read(3))\n"
    line.write(taking + b"micropython.kbd_intr(3)\x04")
    sees(line, b"on\r\n")
    line.write(b"a\x03b")
    assert sees(line, b"\x04\x04>") == b"b'a\\x03b'\r\n"
    line.write(b"\x04")
    sees(line, b"raw REPL; CTRL-B to exit\r\n>")
    assert runs(line) == b"alive\r\n"


def test_whoever_goes_away_in_the_middle_of_a_paste_leaves_a_board_for_the_next(board: VirtualBoard) -> None:
    with serial.Serial(board.terminal, 115200, timeout=PATIENCE_S) as first:
        enter_raw(first)
        begin_paste(first)
        first.write(b"print('never")
    deadline = time.monotonic() + PATIENCE_S
    while board.control.status()["tool_connected"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with serial.Serial(board.terminal, 115200, timeout=PATIENCE_S) as second:
        enter_raw(second)
        assert runs(second) == b"alive\r\n"
