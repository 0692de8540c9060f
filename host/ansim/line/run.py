"""Runs a line: what the sockets and the workers tell goes to the floor, what it decides goes to workers and face."""

import contextlib
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

from ansim.line.faces import Face
from ansim.line.floor import Event, Floor, Notice, Row, Socket
from ansim.line.trouble import trouble_of
from ansim.workers import Ended, Said, Workers

_TICK_S = 0.1
_LOOK_S = 0.25
_TRACEBACKS = 20

# Returns the sockets that have a board now.
Look = Callable[[], Sequence[Socket]]
# Starts the work on the board in a row.
Start = Callable[[Row], None]


# A terminal that is closed and a station that is shut down don't wait for boards.
_AT_ONCE = (signal.SIGTERM, signal.SIGHUP)


class _Ending:
    """Counts how often Ctrl-C was pressed; what ends programs otherwise counts as twice."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.count += 2 if number in _AT_ONCE else 1


@contextlib.contextmanager
def _ending() -> Iterator[_Ending]:
    pressed = _Ending()
    before = {number: signal.signal(number, pressed) for number in (signal.SIGINT, *_AT_ONCE)}
    try:
        yield pressed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Line:
    """A line while it runs.

    Args:
        look: asked for the sockets several times a second.
        begin: called with a row whose board is to be worked on: it starts a task called by the key of row's socket.
        patient: the first Ctrl-C lets the boards on their way come to their end; else it interrupts them.

    Attributes:
        tracebacks: of the last boards that failed, for --debug.
    """

    def __init__(
        self, floor: Floor, look: Look, workers: Workers, begin: Start, face: Face, *, patient: bool = True
    ) -> None:
        self._floor = floor
        self._look = look
        self._workers = workers
        self._begin = begin
        self._face = face
        self._patience = 1 if patient else 0
        self._looked_s = float("-inf")
        self.tracebacks: deque[str] = deque(maxlen=_TRACEBACKS)

    def run(self) -> None:
        """Run until the floor is over."""
        with _ending() as pressed:
            while not self._floor.over:
                self._turn()
                self._heed(pressed.count)
            self._face.show(self._floor, time.monotonic())

    def _turn(self) -> None:
        notices = self._hear()
        now_s = time.monotonic()
        if now_s - self._looked_s >= _LOOK_S:
            self._looked_s = now_s
            notices += self._floor.see(self._look(), now_s)
        for notice in [*notices, *self._floor.begin(now_s)]:
            self._act(notice)
        self._face.show(self._floor, now_s)

    def _hear(self) -> list[Notice]:
        notices: list[Notice] = []
        for heard in self._workers.poll(_TICK_S):
            notices += self._taken(heard, time.monotonic())
        return notices

    def _taken(self, heard: Said | Ended, now_s: float) -> list[Notice]:
        if isinstance(heard, Said):
            return self._floor.said(heard.key, heard.what, now_s)
        if heard.error:
            self.tracebacks.extend(getattr(heard.error, "__notes__", ()))
            return self._floor.failed(heard.key, trouble_of(heard.error), now_s)
        return self._floor.passed(heard.key, heard.result, now_s)

    def _act(self, notice: Notice) -> None:
        if notice.event is Event.STARTED:
            self._begin(notice.row)
        if notice.event is Event.MOVED:
            self._workers.cancel(notice.row.socket.key)
        self._face.tell(notice)

    def _heed(self, pressed: int) -> None:
        if pressed:
            self._floor.stop()
        if pressed > self._patience:
            for key in self._workers.running:
                self._workers.cancel(key)
