"""The floor of a line: which board is in which socket, what is done to it, and what a person has to do next.

Pure: the sockets that are there and what workers tell go in with the time, rows and notices come out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from ansim.line.told import ALREADY, PULLED, SPARE, Ask, Asking, Doing, Known, Passed, Said, Trouble

# Behind a USB that is the chip's own, a socket is empty for a moment whenever the chip starts anew or sleeps.
GONE_S = 2.0
# A port can be opened only after the system has given it its permissions.
SETTLE_S = 0.5
# Pulled out in the middle, a socket is empty a moment before or after its worker has noticed.
PULLED_S = 2.0

# What a step is worth of a board's whole way, in percent: where it begins and where it ends.
_WAY = {
    "building": (0, 1),
    "connecting": (1, 3),
    "comparing": (3, 8),
    "writing": (8, 75),
    "starting": (75, 80),
    "proof": (80, 99),
    "label": (99, 100),
}


class State(StrEnum):
    """What a socket's row is in; the last five are verdicts, and stay until the next board is plugged in."""

    EMPTY = "empty"
    WAITING = "waiting"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    PULLED = "pulled"
    ALREADY = "already"
    SPARE = "spare"


class Event(StrEnum):
    """What a notice is of."""

    PLUGGED = "plugged"
    STARTED = "started"
    STEP = "step"
    ASKED = "asked"
    MISSED = "missed"
    PASSED = "passed"
    FAILED = "failed"
    PULLED = "pulled"
    ALREADY = "already"
    SPARE = "spare"
    # The board went on in another socket; if work goes on here still, it is to be cancelled.
    MOVED = "moved"
    UNPLUGGED = "unplugged"


# What a board seems to suffer from that was pulled out just then; what to do is put it in again, in any case.
_CUT_SHORT = frozenset(("port", "silent", "device", "input"))
_TROUBLES = {
    ALREADY: (State.ALREADY, Event.ALREADY),
    SPARE: (State.SPARE, Event.SPARE),
    PULLED: (State.PULLED, Event.PULLED),
}


@dataclass(frozen=True)
class Socket:
    """A place that a board can be plugged into, while one is.

    Args:
        key: the same whatever is plugged in there: where on the USB it is, or a virtual board's name.
        port: what open_port takes just now.
        mac: of the chip, where the port itself tells it: the USB is the chip's own then. Empty: a bridge.
    """

    key: str
    port: str
    mac: str = ""


@dataclass(frozen=True)
class Row:
    """One socket, and the board that is in it or was in it last.

    Args:
        number: counts the sockets in the order in which they were first used.
        there: a board is plugged in.
        at_s: when state began, or (EMPTY, a verdict that is no longer there) when the board went.
        step, part: see Doing; percent: of the board's whole way, never less than before.
        ask: what hands have to do; None: nothing.
        left: the socket was empty while its board was worked on: what is there now may be another one.
        moved: the board went on in another socket; its work here is being ended.
        mac, device: as far as they are known.
    """

    number: int
    socket: Socket
    state: State
    at_s: float
    there: bool = True
    gone_s: float | None = None
    step: str = ""
    part: str = ""
    percent: int = 0
    ask: Ask | None = None
    left: bool = False
    moved: bool = False
    mac: str = ""
    device: str = ""
    passed: Passed | None = None
    trouble: Trouble | None = None
    seconds: float = 0.0

    @property
    def missing(self) -> bool:
        """It was taken out while it is worked on."""
        return self.state is State.RUNNING and not self.there

    @property
    def over(self) -> bool:
        return self.state not in (State.EMPTY, State.WAITING, State.RUNNING)


@dataclass(frozen=True)
class Notice:
    """Something happened; row is as it was right after."""

    event: Event
    row: Row


@dataclass(frozen=True)
class Board:
    """What became of a board in the end, however many turns it took."""

    row: Row
    turns: int


class Floor:
    """All sockets of a line.

    Args:
        limit: boards that are worked on at once.
        name: of the manifest; empty: there is none.
        total: its places; None: there is no manifest, and the line has no end of its own.
        done: the devices that were made ready before, by MAC; with a manifest, those that have its places.
        once: the line ends when each board that it saw has come to its end.
    """

    def __init__(
        self,
        limit: int,
        *,
        name: str = "",
        total: int | None = None,
        done: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> None:
        self.name = name
        self.total = total
        self.ready = len(done or {})
        self.stopping = False
        self._limit = limit
        self.once = once
        self._settle_s = 0.0 if once else SETTLE_S
        self._rows: dict[str, Row] = {}
        self._boards: dict[str, Board] = {}
        self._done = dict(done or {})

    @property
    def rows(self) -> list[Row]:
        """All rows, by number."""
        return list(self._rows.values())

    @property
    def boards(self) -> list[Board]:
        """The boards that came to an end, the last one last; one whose chip never said its MAC counts each time."""
        return list(self._boards.values())

    @property
    def tally(self) -> tuple[int, int]:
        """How many boards passed, and how many came to another end."""
        passed = sum(board.row.state is State.PASSED for board in self._boards.values())
        return passed, len(self._boards) - passed

    @property
    def done(self) -> Mapping[str, str]:
        """The devices that are ready, by MAC."""
        return self._done

    @property
    def running(self) -> list[Row]:
        return [row for row in self.rows if row.state is State.RUNNING]

    @property
    def waiting(self) -> list[Row]:
        return [row for row in self.rows if row.state is State.WAITING]

    @property
    def complete(self) -> bool:
        """Each place of the manifest has a board that is ready."""
        return self.total is not None and self.ready >= self.total

    @property
    def over(self) -> bool:
        """Nothing is worked on, and nothing will be."""
        idle = self.once and bool(self._rows) and not self.waiting
        return not self.running and (self.stopping or self.complete or idle)

    def see(self, sockets: Iterable[Socket], now_s: float) -> list[Notice]:
        """Take which sockets have a board now."""
        seen = {socket.key: socket for socket in sockets}
        notices: list[Notice] = []
        for key in [*self._rows, *(key for key in seen if key not in self._rows)]:
            notices += self._there(seen[key], now_s) if key in seen else self._not_there(key, now_s)
        return notices

    def begin(self, now_s: float) -> list[Notice]:
        """Return a STARTED for each board whose work is to be begun now.

        A chip that tells its MAC on the USB is followed to another socket by the worker that it has already.
        """
        if self.stopping or self.complete:
            return []
        notices = []
        for row in sorted(self.waiting, key=lambda row: row.at_s):
            busy = {other.mac for other in self.running if other.mac}
            if row.mac in self._done:
                notices.append(self._already(row))
            elif len(self.running) < self._limit and row.mac not in busy and now_s - row.at_s >= self._settle_s:
                notices.append(self._put(replace(row, state=State.RUNNING, at_s=now_s), Event.STARTED))
        return notices

    def said(self, key: str, said: Said, now_s: float) -> list[Notice]:
        """Take what the worker at socket key tells."""
        row = self._rows[key]
        if row.state is not State.RUNNING:
            return []
        if isinstance(said, Known):
            return self._known(row, said.mac, now_s)
        if isinstance(said, Asking):
            return [self._put(replace(row, ask=said.what, step="proof"), Event.ASKED)]
        return self._doing(row, said)

    def passed(self, key: str, passed: Passed, now_s: float) -> list[Notice]:
        """Take that the board at socket key is ready."""
        row = replace(self._rows[key], mac=passed.mac, device=passed.device, passed=passed, percent=100)
        self._done[passed.mac] = passed.device
        # Workers count at the same time, and the one that counted first may be heard last.
        self.ready = max(self.ready, passed.ready or 0, len(self._done))
        return [self._ended(row, State.PASSED, Event.PASSED, now_s)]

    def failed(self, key: str, trouble: Trouble, now_s: float) -> list[Notice]:
        """Take that the board at socket key is not ready."""
        row = self._rows[key]
        if row.moved:
            left = self._put(_left(row, now_s), Event.UNPLUGGED)
            return [left, self._plugged(row.number, row.socket, now_s)] if row.there else [left]
        if row.left and trouble.kind in _CUT_SHORT:
            trouble = replace(trouble, kind=PULLED)
        state, event = _TROUBLES.get(trouble.kind, (State.FAILED, Event.FAILED))
        row = replace(row, device=trouble.device or row.device, trouble=trouble)
        ended = self._ended(row, state, event, now_s)
        if row.left and row.there:
            return [ended, self._plugged(row.number, row.socket, now_s)]
        return [ended]

    def stop(self) -> None:
        """Begin nothing any more; what is begun is ended in order."""
        self.stopping = True

    def _there(self, socket: Socket, now_s: float) -> list[Notice]:
        row = self._rows.get(socket.key)
        if row is None:
            return [self._plugged(len(self._rows) + 1, socket, now_s)]
        if row.state is State.RUNNING or (row.there and socket.mac == row.socket.mac):
            # A board that is worked on may go and come back; its worker finds it by its MAC.
            self._rows[socket.key] = replace(row, socket=socket, there=True, gone_s=None)
            return []
        return [self._plugged(row.number, socket, now_s)]

    def _plugged(self, number: int, socket: Socket, now_s: float) -> Notice:
        row = Row(number, socket, State.WAITING, now_s, mac=socket.mac)
        return self._already(row) if row.mac in self._done else self._put(row, Event.PLUGGED)

    def _already(self, row: Row) -> Notice:
        device = self._done[row.mac]
        trouble = Trouble(ALREADY, f"the board is {device}, and is done", device=device)
        return self._put(replace(row, state=State.ALREADY, device=device, trouble=trouble), Event.ALREADY)

    def _not_there(self, key: str, now_s: float) -> list[Notice]:
        row = self._rows[key]
        if not row.there:
            return []
        gone_s = now_s if row.gone_s is None else row.gone_s
        self._rows[key] = row = replace(row, gone_s=gone_s)
        if now_s - gone_s < self._patience_s(row):
            return []
        return [self._gone(row, now_s)]

    def _patience_s(self, row: Row) -> float:
        """How long a socket may be empty before the board counts as taken out."""
        return GONE_S if row.socket.mac else 0.0

    def _gone(self, row: Row, now_s: float) -> Notice:
        row = replace(row, there=False, gone_s=None)
        if row.state is State.RUNNING:
            return self._put(replace(row, left=True), Event.MISSED)
        if row.state is State.WAITING:
            return self._put(replace(row, state=State.EMPTY), Event.UNPLUGGED)
        if row.trouble and row.trouble.kind in _CUT_SHORT and now_s - row.at_s <= PULLED_S:
            pulled = replace(row, state=State.PULLED, trouble=replace(row.trouble, kind=PULLED))
            self._count(pulled, again=True)
            return self._put(pulled, Event.PULLED)
        return self._put(row, Event.UNPLUGGED)

    def _known(self, row: Row, mac: str, now_s: float) -> list[Notice]:
        """The board in row has said who it is: what was begun with it in a socket that is empty now is over."""
        self._rows[row.socket.key] = replace(row, mac=mac)
        notices = []
        for other in self.rows:
            if other.mac != mac:
                continue
            if other.state is State.RUNNING and other.left and not other.moved:
                notices.append(self._put(replace(other, moved=True), Event.MOVED))
            elif other.state in (State.PULLED, State.FAILED) and not other.there:
                notices.append(self._put(_left(other, now_s), Event.MOVED))
        return notices

    def _doing(self, row: Row, said: Doing) -> list[Notice]:
        begin, end = _WAY.get(said.step, (row.percent, row.percent))
        percent = begin + (end - begin) * said.done // max(said.total, 1)
        percent = max(row.percent, percent)
        new = replace(row, step=said.step, part=said.part, percent=percent, ask=None)
        return [] if new == row else [self._put(new, Event.STEP)]

    def _ended(self, row: Row, state: State, event: Event, now_s: float) -> Notice:
        row = replace(row, state=state, ask=None, seconds=now_s - row.at_s, at_s=now_s)
        self._count(row)
        return self._put(row, event)

    def _count(self, row: Row, again: bool = False) -> None:
        """Note what became of the board in row; again: it is known already that it came to an end."""
        if row.state in (State.ALREADY, State.SPARE):
            return
        name = row.mac or f"{row.number} {row.at_s}"
        before = self._boards.pop(name, None)
        if row.state is State.PULLED and not row.mac:
            # Nothing was done to it, and nobody knows of it.
            return
        self._boards[name] = Board(row, (before.turns if before else 0) + (not again))

    def _put(self, row: Row, event: Event) -> Notice:
        self._rows[row.socket.key] = row
        return Notice(event, row)


def _left(row: Row, now_s: float) -> Row:
    """Return row without the board that was there."""
    return Row(row.number, row.socket, State.EMPTY, now_s, there=False)
