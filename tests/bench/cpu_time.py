"""CPU time of processes, as Linux tells it in /proc."""

import os
import time
from pathlib import Path

_SERVER = b"multiprocessing.forkserver"


def tool_cpu_s() -> float:
    """Seconds of CPU of this process and of its fork server, with all workers that have ended."""
    return time.process_time() + sum(_cpu_s(pid) for pid in _children(os.getpid()) if _SERVER in _command(pid))


def tree_cpu_s(pid: int) -> float:
    """Seconds of CPU of a process, its children, and theirs."""
    return _cpu_s(pid) + sum(tree_cpu_s(child) for child in _children(pid))


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _cpu_s(pid: int) -> float:
    """utime, stime, and both again of its children that have ended: proc(5), fields 14 to 17 of stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")
