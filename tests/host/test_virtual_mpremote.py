"""The real mpremote works on a virtual board as on a devkit."""

import os
import pty
import random
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from quick_tools import tool_command

from ansim.virtual import VirtualBoard, stop_board

Start = Callable[..., VirtualBoard]
DEADLINE_S = 30


@pytest.fixture
def board(start_booting_board: Start) -> VirtualBoard:
    return start_booting_board({"greeting.py": "text = 'hello from flash'\n"})


def mpremote(board: VirtualBoard, *arguments: object, port: str = "") -> str:
    return said_by(tool_command("mpremote", "connect", port or board.url, *arguments))


def said_by(command: list[str]) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_mpremote_as_it_is_installed_gets_to_the_board(board: VirtualBoard) -> None:
    command = [sys.executable, "-m", "mpremote", "connect", board.url, "exec", "import greeting; print(greeting.text)"]
    assert said_by(command).strip() == "hello from flash"


def test_exec_and_run_print_what_the_board_prints(board: VirtualBoard, tmp_path: Path) -> None:
    assert mpremote(board, "exec", "import greeting; print(greeting.text)").strip() == "hello from flash"
    script = tmp_path / "script.py"
    script.write_text("for n in range(3):\n    print('line', n)\n")
    assert mpremote(board, "run", script).split() == ["line", "0", "line", "1", "line", "2"]


def test_files_go_there_and_back_and_outlive_reset_and_power(
    board: VirtualBoard, start_virtual_board: Start, tmp_path: Path
) -> None:
    data = random.Random(3).randbytes(5_000)
    (tmp_path / "data.bin").write_bytes(data)
    mpremote(board, "fs", "cp", tmp_path / "data.bin", ":data.bin")
    assert "5000 data.bin" in mpremote(board, "fs", "ls")
    board.control.reset()
    board.control.power(False)
    board.control.power(True)
    stop_board(board)
    again = start_virtual_board(board.name)
    mpremote(again, "fs", "cp", ":data.bin", tmp_path / "back.bin")
    assert (tmp_path / "back.bin").read_bytes() == data
    mpremote(again, "fs", "rm", ":data.bin")
    assert "data.bin" not in mpremote(again, "fs", "ls")


def test_a_mounted_folder_of_this_machine_is_imported_from(board: VirtualBoard, tmp_path: Path) -> None:
    (tmp_path / "local.py").write_text("print('imported from this machine')\n")
    assert "imported from this machine" in mpremote(board, "mount", tmp_path, "exec", "import local")


def test_a_soft_reset_forgets_and_answers_again(board: VirtualBoard) -> None:
    mpremote(board, "exec", "kept = 1")
    assert "1" in mpremote(board, "resume", "exec", "print(kept)")
    said = mpremote(board, "soft-reset", "resume", "exec", "print('kept' in globals())")
    assert said.strip().endswith("False")


def test_the_terminal_is_another_door_to_the_same_line(board: VirtualBoard, tmp_path: Path) -> None:
    data = random.Random(4).randbytes(5_000)
    (tmp_path / "data.bin").write_bytes(data)
    mpremote(board, "fs", "cp", tmp_path / "data.bin", ":data.bin", port=board.terminal)
    mpremote(board, "fs", "cp", ":data.bin", tmp_path / "back.bin")
    mpremote(board, "fs", "cp", ":data.bin", tmp_path / "again.bin", port=board.terminal)
    assert (tmp_path / "back.bin").read_bytes() == (tmp_path / "again.bin").read_bytes() == data


def test_the_line_is_busy_while_the_terminal_is_open(board: VirtualBoard) -> None:
    tool = os.open(board.terminal, os.O_RDWR | os.O_NOCTTY)
    wait_for_tool(board, True)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", board.port))
    os.close(tool)
    wait_for_tool(board, False)
    assert "2" in mpremote(board, "exec", "print(1 + 1)")


def test_what_one_tool_left_unread_is_not_for_the_next_one(board: VirtualBoard) -> None:
    tool = os.open(board.terminal, os.O_RDWR | os.O_NOCTTY)
    wait_for_tool(board, True)
    os.write(tool, b"\r\x03print('old' * 30000)\r")
    read_until(tool, b"oldold")
    os.close(tool)
    wait_for_tool(board, False)
    mpremote(board, "exec", "pass")  # so the chip has printed all
    tool = os.open(board.terminal, os.O_RDWR | os.O_NOCTTY)
    wait_for_tool(board, True)
    os.write(tool, b"'n' + 'ew'\r")
    assert b"old" not in read_until(tool, b"'new'")
    os.close(tool)


def wait_for_tool(board: VirtualBoard, connected: bool) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while board.control.status()["tool_connected"] != connected:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_repl_is_typed_into(board: VirtualBoard) -> None:
    keyboard, terminal = pty.openpty()
    command = [sys.executable, "-m", "mpremote", "connect", board.terminal, "repl"]
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True)
    os.close(terminal)
    try:
        read_until(keyboard, b"Connected to MicroPython")
        os.write(keyboard, b"\r")
        read_until(keyboard, b">>> ")
        os.write(keyboard, b"6 * 7\r")
        read_until(keyboard, b"42")
        os.write(keyboard, b"\x04")
        read_until(keyboard, b"MPY: soft reboot")
        os.write(keyboard, b"\x1d")
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(keyboard)


def read_until(terminal: int, wanted: bytes) -> bytes:
    seen, deadline = b"", time.monotonic() + DEADLINE_S
    while wanted not in seen:
        assert select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0], seen
        seen += os.read(terminal, 4096)
    return seen


def test_what_esptool_wrote_boots_after_its_reset(
    virtual_board: VirtualBoard, start_booting_board: Start, esptool: Callable[..., str], tmp_path: Path
) -> None:
    flashed = start_booting_board({"main.py": "print('main runs')\n"}, "donor").flash_file
    image = tmp_path / "image.bin"
    image.write_bytes(flashed.read_bytes())
    with virtual_board.control.watch(timeout_s=DEADLINE_S) as events:
        esptool(virtual_board, "-b", 921600, "write-flash", 0, image)
        assert any(seen.event == "main" for seen in events), "main.py was not started"
    assert mpremote(virtual_board, "exec", "print('main.py' in __import__('os').listdir())").strip() == "True"
