"""The time in which presses of a device's button are tests: kept open from here, second by second."""

import contextlib
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from ansim.client import Console, Deadline
from ansim.errors import AnsimError, DeviceError

# The device's clock wraps here.
_LAST_MS = 0x3FFFFFFF
# The device counts from each request: unplugged, or with nobody here any more, its button calls for help after this.
_OPEN_S = 5
_RENEW_S = 1.0
_ANSWER_S = 2.0
_CLOSE_TRIES = 3


class NoTest(Exception):
    """The device raised an alarm that is no test; said: of what kind."""


class PressWindow:
    """Opens the window when it is first waited in, and closes it at its end, as a context manager.

    Attributes:
        is_open: the device agreed, a moment ago.
        refusal: why not; None: it agreed when it was asked last.
        tests: the (boot, seq) of test alarms that were raised; acknowledged: those that the receiver has; each with the
            device's time, in ms.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._asked_s = 0.0
        self._ends = False
        self.is_open = False
        self.refusal: DeviceError | None = None
        self.tests: dict[tuple[int, int], int] = {}
        self.acknowledged: dict[tuple[int, int], int] = {}

    def __enter__(self) -> "PressWindow":
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        # If the port is gone, the device closes it by itself.
        with contextlib.suppress(AnsimError):
            self.close()

    def until(self, done: Callable[[], bool], deadline: Deadline) -> bool:
        """Keep the window open until done, or until deadline; tell whether it is done.

        Raises:
            NoTest: somebody called for help meanwhile, or the device found a fall.
        """
        while True:
            self._renew()
            if done():
                return True
            for said in self._console.announcements(Deadline(min(_RENEW_S, deadline.remaining_s))):
                self._take(said)
                if done():
                    return True
            if deadline.expired:
                return False

    def close(self) -> None:
        """Let the next press call for help, from now on.

        Raises:
            DeviceError: the device gave no answer; its own time was over before the last one was missing.
        """
        if self._ends:
            return
        for tries_left in reversed(range(_CLOSE_TRIES)):
            try:
                self._console.request("trigger", {"press": 0}, timeout_s=_ANSWER_S)
            except DeviceError:
                if not tries_left:
                    raise
            else:
                break
        self.is_open = False
        self._ends = True

    def took_ms(self, test: tuple[int, int]) -> int:
        """Return how long the receiver's acknowledgement of a test took."""
        return (self.acknowledged[test] - self.tests[test]) & _LAST_MS

    def pressed_after(self, test: tuple[int, int], least_ms: int) -> bool:
        """Tell whether a press followed the acknowledgement of a test, by so much or more."""
        later = (ms - self.acknowledged[test] for ms in self.tests.values())
        return any(least_ms <= ms & _LAST_MS < _LAST_MS // 2 for ms in later)

    def drain(self, deadline: Deadline) -> None:
        """Wait until each test that was raised is acknowledged; the window is not kept open."""
        said = self._console.announcements(deadline)
        while self.tests.keys() - self.acknowledged.keys() and (each := next(said, None)):
            self._take(each)

    def _renew(self) -> None:
        if self._ends or (self.is_open and time.monotonic() - self._asked_s < _RENEW_S):
            return
        try:
            self._console.request("trigger", {"press": _OPEN_S}, timeout_s=_ANSWER_S)
        except DeviceError as error:
            # It may be held down, or busy: what is open stays so for its time.
            self.is_open = self.is_open and time.monotonic() - self._asked_s < _OPEN_S
            self.refusal = error
        else:
            self._asked_s = time.monotonic()
            self.is_open, self.refusal = True, None

    def _take(self, said: dict[str, Any]) -> None:
        boot, seq, ms = said.get("boot"), said.get("seq"), said.get("ms")
        if said["event"] == "prealarm" or (said["event"] == "raised" and said.get("kind") != "test"):
            raise NoTest(str(said.get("kind"))[:24])
        if not (isinstance(boot, int) and isinstance(seq, int) and isinstance(ms, int)):
            return
        if said["event"] == "raised":
            self.tests[boot, seq] = ms
        elif said["event"] == "acknowledged" and (boot, seq) in self.tests:
            self.acknowledged.setdefault((boot, seq), ms)
