"""Runs a command that ends when its parent does: ``python child_guard.py LOCK_FD COMMAND...`` with a pipe as stdin.

The parent keeps the pipe's other end; when it closes it, or dies in any way (SIGKILL too), the command is ended.
SIGTERM and SIGHUP are handed on to it, and so is the descriptor LOCK_FD: a lock on that lasts as long as it runs.
Started with -I -S; it may import the standard library only.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import types

_PATIENCE_S = 10


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.terminate()
    try:
        child.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        child.kill()


def _end_with_parent(child: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(OSError):
        os.read(sys.stdin.fileno(), 1)
    _end(child)


def main() -> int:
    lock, command = int(sys.argv[1]), sys.argv[2:]
    # Before there is a command: a signal then must not end the guard alone.
    started: list[subprocess.Popen[bytes]] = []

    def hand_on(number: int, _frame: types.FrameType | None) -> None:
        for each in started:
            each.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, hand_on)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(lock,))
    started.append(child)
    threading.Thread(target=_end_with_parent, args=(child,), daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main())
