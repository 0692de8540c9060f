"""What tests read of a process that they started, up to a limit: one that says nothing fails its test, and no more."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PATIENCE_S = 60
# What the fixture start_command gives.
StartCommand = Callable[..., "subprocess.Popen[str]"]


@contextmanager
def in_time(process: "subprocess.Popen[Any]") -> Iterator[None]:
    """Kill process if the block takes PATIENCE_S: what is being read of it then ends."""
    killing = threading.Timer(PATIENCE_S, process.kill)
    killing.start()
    try:
        yield
    finally:
        killing.cancel()


def next_line(process: "subprocess.Popen[str]", stream: str = "stdout") -> str:
    """Return the next line that process says; empty when it has ended."""
    with in_time(process):
        line: str = getattr(process, stream).readline()
    return line


def runs(pid: int) -> bool:
    """Whether a process runs; one that has ended may wait as a zombie for someone to ask how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that run."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread may end meanwhile
            found += [int(child) for child in task.read_text().split()]
    return [child for child in found if runs(child)]
