"""A pendant on its cell, as whoever wears it, and whoever measures it, meets it."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import movements
from ansim.board_file import stand_in_for, write_board
from ansim.boards import load_board
from ansim.client import Deadline
from ansim.places.virtual import VirtualPlace
from ansim.sandbox import Sandbox
from ansim.virtual.control import Seen
from unit_under_test import PATIENCE_S, UnitUnderTest

# I2C addresses as in the data sheets.
_ADDRESSES = {"lis2dw12": 0x19, "bma400": 0x14}


def board_file(folder: Path, part: str, of: str = "virtual") -> str:
    """Write the file of a virtual board that stands in for a board, with this motion sensor, and return its path."""
    board = stand_in_for(load_board(of), f"{of[:7]}-{part}")
    assert board.sensor is not None
    sensor = replace(board.sensor, part=part, address=_ADDRESSES[part])
    return str(write_board(replace(board, sensor=sensor), folder))


class Pendant(UnitUnderTest):
    """A pendant, flashed and provisioned.

    Attributes:
        seen: all that its board did since it is watched; button: the pin of its button.
    """

    def __init__(self, sandbox: Sandbox, name: str, board: str, **how: Any) -> None:
        super().__init__(sandbox, VirtualPlace(sandbox, sandbox.start_board(name, board=board, **how), board))
        self.button = load_board(board).pins.button.gpio
        self.seen: list[Seen] = []
        self._changed = threading.Condition()
        self._watching: threading.Thread | None = None

    def prepare(self, heartbeat_min: int = 1440) -> None:
        """Flash, provision and set it, on its charger."""
        self.flash()
        self.write_identity(role="pendant", heartbeat_min=heartbeat_min)
        self.connect()
        self.until_connected()
        self.configure(cancel_s=0)
        watched = threading.Event()
        self._watching = threading.Thread(target=self._watch, args=(watched,))
        self._watching.start()
        assert watched.wait(PATIENCE_S), "nobody sees what its board does"

    def close(self) -> None:
        super().close()
        if self._watching is not None:
            self._watching.join()

    def start_on_its_cell(self) -> int:
        """Take it off its charger, switch it on, and return how much was seen before."""
        self.control.supply(False)
        self.control.button(False)
        self.control.power(False)
        before = len(self.seen)
        self.control.power(True)
        return before

    def begins_asleep(self) -> None:
        """Switch it on, on its cell, upright, and wait until it told of itself and sleeps deeply."""
        # What it said in the test before, and nobody read, is not taken for an answer.
        self.connect()
        self.control.still(movements.UPRIGHT)
        self.sleeps(self.start_on_its_cell())

    def sleeps(self, after: int) -> int:
        """Wait until it sleeps deeply, after so much was seen; return how much was seen then."""
        return self.sees("sleep", after, deep=True)

    def sees(self, event: str, after: int, **details: Any) -> int:
        """Wait for an event with these details, after so much was seen; return how much was seen with it."""
        return self.finds(event, after, **details)[0]

    def finds(self, event: str, after: int, **details: Any) -> tuple[int, Seen]:
        """As sees(), with the event."""

        def wanted(seen: Seen) -> bool:
            return seen.event == event and all(seen.details.get(name) == value for name, value in details.items())

        deadline = Deadline(PATIENCE_S)
        with self._changed:
            while True:
                for at in range(after, len(self.seen)):
                    if wanted(self.seen[at]):
                        return at + 1, self.seen[at]
                if deadline.expired:
                    break
                self._changed.wait(deadline.remaining_s)
            seen = f"{self.seen[after:][-20:]} after {self.seen[:after][-5:]}"
        raise AssertionError(f"no '{event}' {details} in {PATIENCE_S:g} s: {seen}; {self.control.status()}")

    def runs(self, after: int) -> list[dict[str, Any]]:
        """Return the figures of all runs of the chip that ended since so much was seen."""
        return [seen.details for seen in self.seen[after:] if seen.event == "ran"]

    def _watch(self, watched: threading.Event) -> None:
        with contextlib.suppress(Exception), self.control.watch() as happening:
            watched.set()
            for seen in happening:
                with self._changed:
                    self.seen.append(seen)
                    self._changed.notify_all()


@contextlib.contextmanager
def prepared(sandbox: Sandbox, name: str, board: str, heartbeat_min: int = 1440, **how: Any) -> Iterator[Pendant]:
    """A new pendant that is ready, on its charger."""
    made = Pendant(sandbox, name, board, **how)
    try:
        made.prepare(heartbeat_min)
        yield made
    finally:
        made.close()
