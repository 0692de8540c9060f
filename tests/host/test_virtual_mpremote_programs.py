"""What people run on a device with mpremote: programs that print much or for long, that hang, that are broken off."""

import hashlib
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from peer_kit import lasting_board, mpremote
from process_kit import next_line
from quick_tools import tool_command

from ansim.virtual import VirtualBoard

SPEED = 60


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualBoard]:
    with lasting_board(tmp_path_factory.mktemp("programs"), {"word.py": "WORD = 'found'\n"}, speed=SPEED) as made:
        yield made


def break_off(board: VirtualBoard, script: Path) -> None:
    """Run a script that prints a line, and kill mpremote once that has come."""
    command = tool_command("mpremote", "connect", board.terminal, "run", script)
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert next_line(running).strip() == "on"
    finally:
        running.kill()
        running.wait()


@pytest.mark.parametrize(
    "program",
    [
        "while True: pass",
        "import time\ntime.sleep(100000)",
        "import time\nwhile True: time.sleep_ms(1)",
        "import sys\nsys.stdin.read(1)",
        "import select, sys\npoll = select.poll()\npoll.register(sys.stdin, select.POLLOUT << 1)\npoll.poll(10000000)",
        "import machine\nmachine.lightsleep(100000000)",
        "import socket\ns = socket.socket()\nwhile True: print('.' * 100)",
    ],
    ids=["tight loop", "long sleep", "short sleeps", "reading", "polling", "light sleep", "printing"],
)
def test_a_running_program_is_interrupted_by_the_next_tool(board: VirtualBoard, tmp_path: Path, program: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"print('on')\n{program}\n")
    break_off(board, script)
    assert mpremote(board, "exec", "print('again')").strip() == "again"


def test_a_program_that_cleans_up_when_interrupted_does_so(board: VirtualBoard, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    cleaning = "finally:\n f = open('cleaned', 'w'); f.close()"
    script.write_text(f"import time\nprint('on')\ntry:\n while True: time.sleep(1)\n{cleaning}\n")
    break_off(board, script)
    assert "cleaned" in mpremote(board, "ls", "+", "rm", ":cleaned")


def test_main_py_in_an_endless_loop_is_left_and_runs_again_after_a_reset(board: VirtualBoard) -> None:
    loop = "import time\\nkept = 1\\nwhile True: time.sleep_ms(10)"
    mpremote(board, "exec", f"f = open('main.py', 'w'); f.write('{loop}'); f.close()")
    with board.control.watch(timeout_s=30) as events:
        mpremote(board, "reset")
        assert any(seen.event == "main" for seen in events)
    assert mpremote(board, "resume", "exec", "print(kept)").strip() == "1"
    assert mpremote(board, "exec", "print('kept' in globals())", "+", "rm", ":main.py").split()[0] == "False"


def test_a_script_of_minutes_is_followed_to_its_end(board: VirtualBoard, tmp_path: Path) -> None:
    script = tmp_path / "long.py"
    script.write_text("import time\nfor n in range(60):\n    print('minute', n / 10)\n    time.sleep(6)\n")
    said = mpremote(board, "run", script).splitlines()
    assert said == [f"minute {n / 10}" for n in range(60)]


def test_a_script_of_tens_of_kilobytes_is_run(board: VirtualBoard, tmp_path: Path) -> None:
    script = tmp_path / "large.py"
    lines = [f"total += {n}  # {'padding ' * 4}" for n in range(600)]
    script.write_text("total = 0\n" + "\n".join(lines) + "\nprint(total)\n")
    assert script.stat().st_size > 25_000
    assert mpremote(board, "run", script).strip() == str(sum(range(600)))


def test_large_output_comes_whole_and_in_order(board: VirtualBoard) -> None:
    said = mpremote(board, "exec", "for n in range(4000): print(n, 'x' * 40)")
    assert said.splitlines() == [f"{n} {'x' * 40}" for n in range(4000)]


def test_eval_and_exec_tell_values_and_errors(board: VirtualBoard) -> None:
    assert mpremote(board, "eval", "'안심 ' * 2 + str(1 << 70)").strip() == f"안심 안심 {1 << 70}"
    said = mpremote(board, "exec", "def f(): return absent\nf()", fails=True)
    assert "NameError" in said
    assert "line 1, in f" in said
    assert "SyntaxError" in mpremote(board, "exec", "1 +", fails=True)
    assert "MemoryError" in mpremote(board, "exec", "bytearray(1 << 22)", fails=True)
    assert mpremote(board, "exec", "import word; print(word.WORD)").strip() == "found"


def test_what_is_started_without_following_goes_on(board: VirtualBoard) -> None:
    mpremote(board, "exec", "--no-follow", "done = 0\nimport time\ntime.sleep(6)\ndone = 1")
    assert mpremote(board, "resume", "exec", "print('alive')", "+", "exec", "print(2)").split()[-1] == "2"


def test_resume_keeps_and_connecting_anew_forgets(board: VirtualBoard) -> None:
    mpremote(board, "exec", "kept = 'yes'")
    assert mpremote(board, "resume", "exec", "print(kept)").strip() == "yes"
    again = ("disconnect", "+", "connect", board.terminal, "resume", "exec", "print(kept)")
    assert mpremote(board, "resume", *again).strip() == "yes"
    assert mpremote(board, "exec", "print('kept' in globals())").strip() == "False"


def test_the_clock_is_set_and_told(board: VirtualBoard) -> None:
    mpremote(board, "rtc", "--set")
    year = int(mpremote(board, "rtc").strip("()\n ").split(",")[0])
    assert year >= 2026
    assert int(mpremote(board, "eval", "__import__('time').gmtime()[0]")) == year


def test_bytes_of_all_values_pass_both_ways_in_one_program(board: VirtualBoard, tmp_path: Path) -> None:
    data = random.Random(8).randbytes(3000)
    script = tmp_path / "bytes.py"
    script.write_text(
        f"data = {data!r}\nimport hashlib; print(hashlib.sha256(data).digest() == {hashlib.sha256(data).digest()!r})\n"
    )
    assert mpremote(board, "run", script).strip() == "True"
