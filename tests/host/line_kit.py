"""A line that runs as a person starts it, with what it says as events."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from label_kit import printed, scanned

from ansim.home import Home

ANSIM = Path(sys.executable).with_name("ansim")
PATIENCE_S = 150

Event = dict[str, Any]


class LineRun:
    """A run of ``ansim line ... --json``; a context manager that ends it."""

    def __init__(self, home: Home, *arguments: object) -> None:
        command = [str(ANSIM), "line", "--board", "virtual", "--virtual", "--json", *map(str, arguments)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "ANSIM_HOME": str(home.path)},
        )
        self.events: list[Event] = []
        self._changed = threading.Condition()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def __enter__(self) -> "LineRun":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.kill()
        self.process.communicate()

    def wait_for(self, event: str, wanted: Callable[[Event], bool] = lambda _: True) -> Event:
        """Return the first such event, waiting for it."""
        deadline = time.monotonic() + PATIENCE_S
        with self._changed:
            while True:
                for told in self.events:
                    if told["event"] == event and wanted(told):
                        return told
                left_s = deadline - time.monotonic()
                assert left_s > 0 and self._changed.wait(left_s), f"no {event}: {self.events[-9:]}"

    def end(self) -> tuple[int, Event]:
        """Wait for the end; return the exit code and the summary."""
        code = self.process.wait(PATIENCE_S)
        self._reading.join(PATIENCE_S)
        return code, self.events[-1]

    def told(self, event: str) -> bool:
        """Tell whether such an event has come."""
        return any(told["event"] == event for told in list(self.events))

    def names(self, socket: int) -> list[str]:
        """Return what happened at a socket, without the steps."""
        return [told["event"] for told in self.events if told.get("socket") == socket and told["event"] != "step"]

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self._changed:
                self.events.append(json.loads(line))
                self._changed.notify_all()


def ansim_json(home: Home, *arguments: object, code: int = 0) -> dict[str, Any]:
    """Run a command, which must end with this exit code, and return what it tells."""
    done = subprocess.run(
        [str(ANSIM), *map(str, arguments), "--json"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "ANSIM_HOME": str(home.path)},
    )
    assert done.returncode == code, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@contextmanager
def on_a_terminal(
    home: Home, *arguments: object, **environment: str
) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """Run a command on a terminal of 80 x 24; yield our end of it, and the process."""
    ours, theirs = os.openpty()
    size = {"COLUMNS": "80", "LINES": "24", "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [str(ANSIM), *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, **size, **environment, "ANSIM_HOME": str(home.path)},
    )
    os.close(theirs)
    try:
        yield ours, process
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(terminal: int, wanted: str, said: bytearray) -> str:
    """Read from a terminal into said until wanted stands there; return all of said."""
    deadline = time.monotonic() + PATIENCE_S
    while wanted not in said.decode(errors="replace"):
        assert time.monotonic() < deadline, said.decode(errors="replace")[-2000:]
        with contextlib.suppress(BlockingIOError):
            said += os.read(terminal, 65536)
    return said.decode(errors="replace")


class PrinterOnPty:
    """A label printer: what is written to path is read as it comes."""

    def __init__(self) -> None:
        self._ours, theirs = os.openpty()
        tty.setraw(theirs)
        self._theirs = theirs
        self.path = os.ttyname(theirs)
        self._data = bytearray()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def labels(self, count: int) -> list[list[str]]:
        """Wait for so many labels, and return what a scanner reads on each that came."""
        deadline = time.monotonic() + PATIENCE_S
        while self._data.count(b"^XZ") < count:
            assert time.monotonic() < deadline, f"only {len(self._data)} bytes came"
            time.sleep(0.02)
        return [scanned(each) for each in printed(bytes(self._data), 203)]

    def close(self) -> None:
        os.close(self._theirs)
        self._reading.join(PATIENCE_S)
        os.close(self._ours)

    def _read(self) -> None:
        # Ends with an error when the last of those who write has closed it.
        with contextlib.suppress(OSError):
            while data := os.read(self._ours, 65536):
                self._data += data


@contextmanager
def label_printer() -> Iterator[PrinterOnPty]:
    printer = PrinterOnPty()
    try:
        yield printer
    finally:
        printer.close()
