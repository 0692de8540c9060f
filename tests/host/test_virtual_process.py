"""Virtual boards as processes: several at once, found again, gone without a trace."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest
from click.testing import CliRunner
from process_kit import next_line

from ansim.cli import cli
from ansim.errors import AnsimError, BadInput, DeviceError
from ansim.home import Home
from ansim.virtual import VirtualBoard, find_board, running_boards, start_board, stop_board

Start = Callable[..., VirtualBoard]
DEADLINE_S = 20


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def living() -> dict[int, int]:
    """Process ids, each with its parent's; zombies are left out."""
    listed = subprocess.run(["ps", "-eo", "stat=,pid=,ppid="], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in listed.splitlines())
    return {int(pid): int(parent) for state, pid, parent in rows if not state.startswith("Z")}


def children(pid: int) -> list[int]:
    return [child for child, parent in living().items() if parent == pid]


def ansim(*arguments: str, typed: str = "") -> str:
    """Run the command line; return what it prints, raise what it raises."""
    result = CliRunner().invoke(cli, ["virtual", *arguments], input=typed, standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.output


def test_several_boards_run_at_once_each_with_its_own_mac(start_virtual_board: Start, home: Home) -> None:
    boards = [start_virtual_board(name) for name in ("hall", "kitchen")]
    assert len({board.mac for board in boards}) == len({board.port for board in boards}) == 2
    assert {board.mac[:3] for board in boards} == {"02:"}
    assert running_boards(home) == boards
    with pytest.raises(BadInput, match="several virtual boards are running: hall, kitchen"):
        find_board(home)


def test_a_missing_board_is_told_with_those_that_run_and_the_way_to_start_it(
    start_virtual_board: Start, home: Home
) -> None:
    start_virtual_board("hall")
    with pytest.raises(BadInput, match="no virtual board 'attic' is running; running: hall") as caught:
        find_board(home, "attic")
    assert caught.value.hint == "Start it with: ansim virtual start attic"


def test_the_same_board_does_not_start_twice(start_virtual_board: Start) -> None:
    board = start_virtual_board("hall")
    with pytest.raises(BadInput, match="'hall' is running already, at rfc2217://127.0.0.1:"):
        start_virtual_board("hall")
    assert board.control.status()["state"] == "running"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_board_leaves_no_child_and_starts_again(
    start_booting_board: Start, start_virtual_board: Start, home: Home, number: int
) -> None:
    board = start_booting_board({"main.py": "while True:\n    pass\n"}, "hall")
    wait_until(lambda: children(board.pid), "the chip does not run")
    left = {board.pid, *children(board.pid)}
    os.kill(board.pid, number)
    wait_until(lambda: not left & living().keys(), "a process of the killed board is left")
    assert running_boards(home) == []
    again = start_virtual_board("hall")
    assert again.mac == board.mac


def test_a_board_below_nohup_leaves_no_child_either(start_booting_board: Start) -> None:
    kept = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        board = start_booting_board({"main.py": "while True:\n    pass\n"}, "hall")
    finally:
        signal.signal(signal.SIGHUP, kept)
    wait_until(lambda: children(board.pid), "the chip does not run")
    left = {board.pid, *children(board.pid)}
    os.kill(board.pid, signal.SIGKILL)
    wait_until(lambda: not left & living().keys(), "a process of the killed board is left")


def test_a_stopped_board_is_gone_and_stopping_it_again_is_harmless(start_virtual_board: Start, home: Home) -> None:
    board = start_virtual_board("hall")
    stop_board(board)
    assert running_boards(home) == []
    assert board.pid not in living()
    assert not (board.folder / "running.json").exists()
    assert "Traceback" not in board.log_file.read_text()
    replacement = start_virtual_board("hall")
    stop_board(board)
    assert replacement.control.status()["state"] == "running"


def test_a_board_ends_with_the_process_that_wanted_it(home: Home) -> None:
    starter = (
        "from ansim.home import Home; from ansim.virtual import start_board; import os, signal; "
        "start_board(Home.default(), 'hall', with_parent=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", starter], check=False, timeout=60)
    wait_until(lambda: running_boards(home) == [], "the board outlived its parent")


def test_a_process_that_dies_at_its_start_is_told_with_its_log(
    start_virtual_board: Start, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "nonsense")  # python ends at once
    with pytest.raises(DeviceError, match="'hall' did not start") as caught:
        start_virtual_board("hall")
    log = home.virtual / "hall" / "log.txt"
    assert str(log) in caught.value.hint
    assert "PYTHONHASHSEED" in log.read_text()


def test_a_folder_whose_files_are_damaged_is_not_taken_for_a_running_board(
    start_virtual_board: Start, home: Home
) -> None:
    hall = start_virtual_board("hall")
    shutil.copytree(hall.folder, home.virtual / "attic")
    (home.virtual / "attic" / "lock").write_text("nonsense")
    with (home.virtual / "attic" / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert running_boards(home) == [hall]


@pytest.mark.parametrize("name", ["", "../x", "A", "a" * 25, "-x", "a b"])
def test_a_name_that_is_no_folder_name_is_refused(home: Home, name: str) -> None:
    with pytest.raises(BadInput, match="can't be a virtual board's name"):
        start_board(home, name)


def test_a_port_in_use_is_refused_by_number(start_virtual_board: Start) -> None:
    first = start_virtual_board("hall")
    for connect in (False, True):
        with socket.socket() as tool:
            if connect:
                tool.connect(("127.0.0.1", first.port))
                wait_until(lambda: first.control.status()["tool_connected"], "the tool is not noticed")
            with pytest.raises(BadInput, match=f"TCP port {first.port} can't be used"):
                start_virtual_board("kitchen", port=first.port)


def test_a_damaged_mac_or_flash_is_named_with_its_file(start_virtual_board: Start, home: Home) -> None:
    folder = home.virtual / "hall"
    folder.mkdir()
    (folder / "mac").write_text("nonsense")
    with pytest.raises(BadInput, match="mac does not hold a MAC"):
        start_virtual_board("hall")
    (folder / "mac").unlink()
    (folder / "flash.bin").write_bytes(b"short")
    with pytest.raises(BadInput, match="flash.bin holds 5 bytes, but the board has 4194304"):
        start_virtual_board("hall")


@pytest.mark.usefixtures("home")
def test_the_command_line_starts_shows_uses_and_stops_a_board() -> None:
    started = json.loads(ansim("start", "hall", "--json"))
    try:
        assert started["url"].startswith("rfc2217://127.0.0.1:")
        assert [board["name"] for board in json.loads(ansim("list", "--json"))] == ["hall"]
        assert started["url"] in ansim("list")
        assert "pressed for 1 ms" in ansim("press", "--hold-ms", "1")
        assert "network home in reach" in ansim("wifi", "network", "home", "--open")
        assert "network home in reach" in ansim("wifi", "network", "home", typed="a passphrase\n")
        assert "signal at -80 dBm" in ansim("wifi", "rssi", "-80")
        for arguments in (["wifi", "off"], ["wifi", "on"], ["battery", "3500"], ["reset"], ["power", "off"]):
            assert json.loads(ansim(*arguments, "--json"))["ok"]
        assert json.loads(ansim("status", "--json"))["state"] == "off"
    finally:
        assert "stopped: hall" in ansim("stop", "--all")
    with pytest.raises(AnsimError, match="no virtual board 'virtual' is running; running: none"):
        ansim("press")


def test_a_fixed_port_can_be_had_again_at_once(start_virtual_board: Start) -> None:
    first = start_virtual_board("hall")
    with socket.create_connection(("127.0.0.1", first.port)):
        wait_until(lambda: first.control.status()["tool_connected"], "the tool is not noticed")
        stop_board(first)
    assert start_virtual_board("hall", port=first.port).port == first.port


def test_watch_prints_what_happens_as_it_happens(start_virtual_board: Start) -> None:
    board = start_virtual_board("hall")
    command = [sys.executable, "-c", "from ansim.cli import main; main()", "virtual", "watch", "hall", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        presses = threading.Thread(target=press_until, args=(board, watching))
        presses.start()
        seen = json.loads(next_line(watching))
        watching.terminate()
        presses.join()
    assert (seen["event"], seen["down"]) in [("button", True), ("button", False)]


def press_until(board: VirtualBoard, watching: "subprocess.Popen[str]") -> None:
    while watching.poll() is None:
        board.control.press(hold_ms=10)


def test_every_command_explains_itself() -> None:
    assert "Examples:" in ansim("--help")
    for name in ("start", "stop", "list", "status", "press", "battery", "reset", "power", "watch", "wifi"):
        assert "--json" in ansim(name, "--help") or name == "wifi"
