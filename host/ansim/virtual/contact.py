"""The contact of a board's button, closed and opened at moments of the chip's time that are microseconds apart."""

import contextlib
import threading
import time
from collections.abc import Sequence

from ansim.virtual.board import DevBoard
from ansim.virtual.schedule import Act

# What is farther away is left to the chip's schedule, which has whole milliseconds and may skip sleep.
_NEAR_MS = 20


class Contact:
    """Bounces, once at a time.

    Its thread sleeps from edge to edge, as exactly as this machine does: edges come late, but never in another order.
    """

    def __init__(self, board: DevBoard) -> None:
        self._board = board
        self._bounces = False

    def bounce(self, edges_us: Sequence[int], over: Act | None = None) -> bool:
        """Close and open the contact in turn; return False if it is closed already, or bounces.

        Args:
            edges_us: ascending moments from now, an even number of them, in the chip's time.
            over: called when it is open again, from any thread.
        """
        if self._bounces or self._board.button_down:
            return False
        self._bounces = True
        # The chip's thread skips no sleep between this and the first edge.
        self._board.chip.later(0, lambda: self._start(edges_us, over))
        return True

    def _start(self, edges_us: Sequence[int], over: Act | None) -> None:
        self._board.chip.hold_time(True)
        begun_us = self._board.clock.now_us()
        moments_us = [begun_us + edge for edge in edges_us]
        threading.Thread(target=self._run, args=(moments_us, over), name="contact", daemon=True).start()

    def _run(self, moments_us: Sequence[int], over: Act | None) -> None:
        with contextlib.suppress(RuntimeError):  # the chip may end meanwhile
            for number, moment_us in enumerate(moments_us):
                self._wait_until(moment_us)
                self._board.set_button(number % 2 == 0)
            self._bounces = False
            self._board.chip.hold_time(False)
            if over is not None:
                over()

    def _wait_until(self, moment_us: int) -> None:
        left_ms = (moment_us - self._board.clock.now_us()) / 1000
        if left_ms > 2 * _NEAR_MS:
            self._wait_far(int(left_ms) - _NEAR_MS)
        time.sleep(max(0, self._board.clock.real_s((moment_us - self._board.clock.now_us()) / 1000)))

    def _wait_far(self, ms: int) -> None:
        """Wait while the chip may skip its sleep."""
        chip, reached = self._board.chip, threading.Event()

        def reach() -> None:
            chip.hold_time(True)
            reached.set()

        chip.later(ms, reach)
        chip.hold_time(False)
        reached.wait()
