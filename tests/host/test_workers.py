"""Workers: a process a task; what they say arrives, what dies takes nobody along, and nothing outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from process_kit import next_line, runs

from ansim.errors import DeviceError, Interrupted
from ansim.workers import Ended, Said, Workers

PATIENCE_S = 30


def count_to(say: Callable[[Any], None], last: int) -> int:
    for number in range(last):
        say(number)
    return last


def fail(_: Callable[[Any], None], error: Exception) -> None:
    raise error


def wait_for_ever(say: Callable[[Any], None], mark: Path | None = None) -> None:
    try:
        say(os.getpid())
        while True:
            signal.pause()
    finally:
        if mark:
            mark.write_text("in order")


def wait_without_listening(say: Callable[[Any], None]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wait_for_ever(say)


def drain(workers: Workers) -> list[Said | Ended]:
    """Everything until all have ended."""
    heard: list[Said | Ended] = []
    deadline = time.monotonic() + PATIENCE_S
    while workers.running:
        assert time.monotonic() < deadline
        heard += workers.poll(0.2)
    return heard


def first_said(workers: Workers) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for heard in workers.poll(0.2):
            assert isinstance(heard, Said)
            return heard.what
    raise AssertionError("nothing was said")


def test_what_a_task_says_and_its_result_come_in_order() -> None:
    with Workers() as workers:
        workers.start("a", count_to, 3)
        workers.start("b", count_to, 5)
        assert workers.running == {"a", "b"}
        heard = drain(workers)
    assert [each.what for each in heard if isinstance(each, Said) and each.key == "b"] == [0, 1, 2, 3, 4]
    assert heard.index(Said("a", 2)) < heard.index(Ended("a", 3, None))


@pytest.mark.parametrize("error", [DeviceError("it is broken", "mend it"), ValueError("may hold a secret")])
def test_an_error_arrives_with_its_hint_and_one_that_nobody_foresaw_without_its_text(error: Exception) -> None:
    with Workers() as workers:
        workers.start("a", fail, error)
        (ended,) = drain(workers)
    assert isinstance(ended, Ended)
    assert ended.error
    if isinstance(error, DeviceError):
        assert (type(ended.error), ended.error.message, ended.error.hint) == (DeviceError, "it is broken", "mend it")
    else:
        assert "ValueError" in ended.error.message
        assert "secret" not in ended.error.message + ended.error.hint
    # What --debug shows.
    assert "test_workers.py" in ended.error.__notes__[0]


def test_a_worker_that_is_killed_is_told_and_the_others_go_on() -> None:
    with Workers() as workers:
        workers.start("killed", wait_for_ever)
        os.kill(first_said(workers), signal.SIGKILL)
        workers.start("other", count_to, 2)
        ends = {each.key: each for each in drain(workers) if isinstance(each, Ended)}
        workers.start("killed", count_to, 1)
        assert drain(workers)[-1] == Ended("killed", 1, None)
    assert ends["killed"].error
    assert "SIGKILL" in ends["killed"].error.message
    assert ends["other"].result == 2


def test_a_cancelled_task_puts_things_in_order_and_ends_as_interrupted(tmp_path: Path) -> None:
    with Workers() as workers:
        workers.start("a", wait_for_ever, tmp_path / "mark")
        first_said(workers)
        workers.cancel("a")
        workers.cancel("a")
        (ended,) = drain(workers)
    assert isinstance(ended, Ended)
    assert isinstance(ended.error, Interrupted)
    assert (tmp_path / "mark").read_text() == "in order"


def test_a_task_that_ignores_its_cancellation_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansim.workers.PATIENCE_S", 0.2)
    with Workers() as workers:
        workers.start("a", wait_without_listening)
        pid = first_said(workers)
        workers.cancel("a")
        (ended,) = drain(workers)
    assert isinstance(ended, Ended)
    assert isinstance(ended.error, Interrupted)
    assert not runs(pid)


def test_at_the_end_of_the_context_nothing_runs_any_more() -> None:
    with Workers() as workers:
        workers.start("a", wait_for_ever)
        pid = first_said(workers)
    assert not runs(pid)


def test_workers_die_with_a_parent_that_is_killed_and_ctrl_c_is_the_parents() -> None:
    program = (
        "import signal, test_workers; from ansim.workers import Workers\n"
        "pressed = []; signal.signal(signal.SIGINT, lambda *_: pressed.append(1))\n"
        "workers = Workers(); workers.start('a', test_workers.wait_for_ever)\n"
        "print(test_workers.first_said(workers), flush=True)\n"
        "while True:\n"
        "    heard = workers.poll(0.1)\n"
        "    if pressed:\n"
        "        print('interrupted', heard + workers.poll(0.2), flush=True)\n"
        "        pressed.clear()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
        start_new_session=True,
    )
    pid = int(next_line(parent))
    os.killpg(parent.pid, signal.SIGINT)
    assert next_line(parent) == "interrupted []\n"
    assert runs(pid)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + PATIENCE_S
    while runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
