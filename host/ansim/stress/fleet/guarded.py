"""Processes of a run that end with it, however it ends, and what they cost."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

import psutil

from ansim import child_guard

_END_S = 15
# What every process has of its own.
STDERR = 2


@contextlib.contextmanager
def guarded(
    command: list[str], log: Path, environment: Mapping[str, str] | None = None, handed: int = STDERR
) -> "Iterator[subprocess.Popen[str]]":
    """Run a command, until the block ends or this process does, by SIGKILL too.

    Args:
        log: where it writes its complaints.
        environment: variables that it has besides ours.
        handed: a descriptor that it inherits under the same number.
    """
    guard = [sys.executable, "-I", "-S", child_guard.__file__, str(handed)]
    with log.open("ab") as complaints:
        process = subprocess.Popen(
            [*guard, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            pass_fds=(handed,),
            # Ctrl-C comes to us alone, and we end it in order.
            start_new_session=True,
            env={**os.environ, **(environment or {})},
            text=True,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: "subprocess.Popen[str]") -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def said(process: "subprocess.Popen[str]") -> IO[str]:
    """Return what a guarded process says."""
    assert process.stdout is not None
    return process.stdout


def below(word: str) -> list[psutil.Process]:
    """Return those processes below this one that have word as an argument, without their guards."""
    return [each for each in psutil.Process().children(recursive=True) if _is(each, word)]


def _is(process: psutil.Process, word: str) -> bool:
    try:
        line = process.cmdline()
    except psutil.Error:
        return False
    return word in line and child_guard.__file__ not in line


class Meter:
    """What groups of processes cost: their most memory, and their time of processor.

    A process that ends keeps what it had cost when it was last looked at.
    """

    def __init__(self, words: Mapping[str, str]) -> None:
        """words: for each group, an argument that its processes have."""
        self._words = words
        self.peak_bytes = dict.fromkeys(words, 0)
        self._cpu_s: dict[str, dict[psutil.Process, float]] = {name: {} for name in words}

    def look(self) -> None:
        """Look at all of them now."""
        for name, word in self._words.items():
            found = below(word)
            self.peak_bytes[name] = max(self.peak_bytes[name], sum(map(_resident_bytes, found)))
            self._cpu_s[name].update(_cpu_times_s(found))

    def cpu_s(self) -> dict[str, float]:
        """Return each group's seconds of processor so far."""
        return {name: sum(times.values()) for name, times in self._cpu_s.items()}


def _resident_bytes(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _cpu_times_s(processes: Iterable[psutil.Process]) -> dict[psutil.Process, float]:
    found = {}
    for each in processes:
        with contextlib.suppress(psutil.Error):
            times = each.cpu_times()
            found[each] = times.user + times.system
    return found
