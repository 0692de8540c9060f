"""The floor of a line: boards come and go, are pulled out too early, put back elsewhere, or were done before."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ansim.line.floor import GONE_S, SETTLE_S, Event, Floor, Notice, Row, Socket, State
from ansim.line.told import ALREADY, SPARE, Asking, Doing, Known, Passed, Trouble

MAC, OTHER = "24:6f:28:00:00:01", "24:6f:28:00:00:02"
BRIDGE = Socket("1-2.1", "/dev/ttyUSB0")
NEXT_TO_IT = Socket("1-2.2", "/dev/ttyUSB1")
PASSED = Passed("AN000001", MAC, "seoul-01", "pendant")
NO_PORT = Trouble("port", "/dev/ttyUSB0 went away", "", 3)
FAILS = Trouble("device", "it fails", "", 4)


class Bench:
    """A floor with its clock and what it noticed."""

    def __init__(
        self, limit: int = 8, total: int | None = None, done: dict[str, str] | None = None, *, once: bool = False
    ) -> None:
        self.floor = Floor(limit, name="box", total=total, done=done, once=once)
        self.now_s = 100.0
        self.noticed: list[Notice] = []

    def see(self, *sockets: Socket, after_s: float = 0.25) -> None:
        self.now_s += after_s
        self.noticed += self.floor.see(sockets, self.now_s)

    def settle(self, *sockets: Socket) -> None:
        """Let sockets be seen, and what is plugged in be begun."""
        self.see(*sockets)
        self.see(*sockets, after_s=SETTLE_S)
        self.noticed += self.floor.begin(self.now_s)

    def passed(self, socket: Socket, passed: Passed = PASSED) -> None:
        self.noticed += self.floor.passed(socket.key, passed, self.now_s)

    def failed(self, socket: Socket, trouble: Trouble) -> None:
        self.noticed += self.floor.failed(socket.key, trouble, self.now_s)

    def said(self, socket: Socket, said: Known | Doing | Asking) -> None:
        self.noticed += self.floor.said(socket.key, said, self.now_s)

    def row(self, socket: Socket) -> Row:
        return next(row for row in self.floor.rows if row.socket.key == socket.key)

    def taken(self) -> list[Event]:
        """What was noticed since this was last asked."""
        events, self.noticed = [notice.event for notice in self.noticed], []
        return events


def begun(*sockets: Socket) -> Bench:
    """A bench whose boards are being worked on."""
    bench = Bench()
    bench.settle(*sockets)
    bench.taken()
    return bench


def test_a_board_that_is_plugged_in_starts_by_itself_once_its_port_can_be_opened() -> None:
    bench = Bench()
    bench.see(BRIDGE)
    assert bench.floor.begin(bench.now_s) == []
    bench.settle(BRIDGE)
    assert bench.taken() == [Event.PLUGGED, Event.STARTED]
    assert bench.row(BRIDGE).number == 1


def test_a_board_that_is_done_is_not_begun_again_until_it_was_unplugged() -> None:
    bench = begun(BRIDGE)
    bench.passed(BRIDGE)
    for _ in range(9):
        bench.settle(BRIDGE)
    assert bench.taken() == [Event.PASSED]
    bench.see()
    bench.settle(BRIDGE)
    assert bench.taken() == [Event.UNPLUGGED, Event.PLUGGED, Event.STARTED]


def test_a_board_that_comes_back_is_told_that_it_is_done_and_counts_once() -> None:
    bench = begun(BRIDGE)
    bench.passed(BRIDGE)
    bench.see()
    bench.settle(NEXT_TO_IT)
    assert bench.floor.done == {MAC: "AN000001"}
    bench.said(NEXT_TO_IT, Known(MAC))
    bench.failed(NEXT_TO_IT, Trouble(ALREADY, "done", device="AN000001"))
    assert bench.row(NEXT_TO_IT).state is State.ALREADY
    assert bench.row(NEXT_TO_IT).device == "AN000001"
    assert bench.floor.tally == (1, 0)


def test_a_port_that_tells_its_mac_spares_a_done_board_even_the_reset() -> None:
    native = replace(BRIDGE, mac=MAC)
    bench = begun(native)
    bench.passed(native)
    bench.see()
    bench.see(after_s=GONE_S)
    bench.settle(native)
    assert bench.taken() == [Event.PASSED, Event.UNPLUGGED, Event.ALREADY]


def test_a_chip_with_a_usb_of_its_own_may_start_anew_and_sleep_without_being_taken_for_another() -> None:
    native = replace(BRIDGE, mac=MAC)
    bench = begun(native)
    bench.see()
    bench.see(replace(native, port="/dev/ttyACM7"))
    bench.passed(native)
    bench.see()
    bench.settle(native)
    assert bench.taken() == [Event.PASSED]
    assert bench.row(native).socket.port == native.port


def test_a_quick_hand_that_changes_boards_is_noticed_by_the_mac() -> None:
    native = replace(BRIDGE, mac=MAC)
    bench = begun(native)
    bench.passed(native)
    bench.settle(replace(native, mac=OTHER))
    assert bench.taken() == [Event.PASSED, Event.PLUGGED, Event.STARTED]


def test_a_board_that_is_pulled_too_early_is_missed_at_once_and_goes_on_at_another_socket() -> None:
    bench = begun(BRIDGE)
    bench.said(BRIDGE, Known(MAC))
    bench.see()
    assert bench.taken() == [Event.MISSED]
    assert bench.row(BRIDGE).missing
    bench.failed(BRIDGE, NO_PORT)
    assert bench.row(BRIDGE).state is State.PULLED
    bench.settle(NEXT_TO_IT)
    bench.said(NEXT_TO_IT, Known(MAC))
    assert bench.row(BRIDGE).state is State.EMPTY
    bench.passed(NEXT_TO_IT)
    assert bench.taken() == [Event.PULLED, Event.PLUGGED, Event.STARTED, Event.MOVED, Event.PASSED]
    assert bench.floor.tally == (1, 0)
    assert [board.turns for board in bench.floor.boards] == [2]


def test_work_that_still_waits_for_its_board_is_ended_when_that_goes_on_elsewhere() -> None:
    bench = begun(BRIDGE)
    bench.said(BRIDGE, Known(MAC))
    bench.see()
    bench.settle(NEXT_TO_IT)
    bench.said(NEXT_TO_IT, Known(MAC))
    assert bench.taken() == [Event.MISSED, Event.PLUGGED, Event.STARTED, Event.MOVED]
    bench.failed(BRIDGE, Trouble("stopped", "interrupted", "", 130))
    bench.passed(NEXT_TO_IT)
    assert bench.row(BRIDGE).state is State.EMPTY
    assert [board.row.state for board in bench.floor.boards] == [State.PASSED]


def test_a_chip_that_tells_its_mac_is_left_to_the_worker_that_it_has_already() -> None:
    native, moved = replace(BRIDGE, mac=MAC), replace(NEXT_TO_IT, mac=MAC)
    bench = begun(native)
    bench.settle(moved)
    assert bench.taken() == [Event.PLUGGED]
    bench.passed(native)
    bench.settle(moved)
    assert bench.row(moved).state is State.ALREADY
    assert Event.STARTED not in bench.taken()


@pytest.mark.parametrize("trouble", [NO_PORT, FAILS, Trouble("input", "no virtual board 'a' is running", "", 2)])
def test_it_is_the_same_if_the_worker_notices_first_whatever_it_takes_it_for(trouble: Trouble) -> None:
    bench = begun(BRIDGE)
    bench.failed(BRIDGE, trouble)
    bench.see()
    assert bench.row(BRIDGE).state is State.PULLED
    assert bench.taken() == [Event.FAILED, Event.PULLED]


def test_a_board_that_is_pulled_counts_as_unfinished_from_the_moment_when_its_chip_has_said_who_it_is() -> None:
    for said in (False, True):
        bench = begun(BRIDGE)
        if said:
            bench.said(BRIDGE, Known(MAC))
        bench.failed(BRIDGE, NO_PORT)
        bench.see()
        assert [board.turns for board in bench.floor.boards] == [1] * said


def test_a_failed_board_that_is_taken_out_later_was_not_pulled() -> None:
    bench = begun(BRIDGE)
    bench.failed(BRIDGE, NO_PORT)
    bench.see(BRIDGE, after_s=60)
    bench.see()
    assert bench.row(BRIDGE).state is State.FAILED


def test_a_board_that_comes_into_the_socket_of_one_that_was_pulled_is_begun_when_that_one_is_given_up() -> None:
    bench = begun(BRIDGE)
    bench.see()
    bench.see(BRIDGE)
    bench.failed(BRIDGE, NO_PORT)
    bench.settle(BRIDGE)
    assert bench.taken() == [Event.MISSED, Event.PULLED, Event.PLUGGED, Event.STARTED]


def test_a_board_that_is_put_back_in_time_goes_on_in_its_place() -> None:
    bench = begun(BRIDGE)
    bench.see()
    bench.see(BRIDGE)
    assert not bench.row(BRIDGE).missing
    bench.passed(BRIDGE)
    bench.settle(BRIDGE)
    assert bench.taken() == [Event.MISSED, Event.PASSED]


def test_a_board_that_is_taken_out_before_its_turn_is_no_failure() -> None:
    bench = Bench(limit=1)
    bench.settle(BRIDGE, NEXT_TO_IT)
    bench.see(BRIDGE)
    assert bench.row(NEXT_TO_IT).state is State.EMPTY
    assert bench.floor.boards == []


def test_a_failed_board_that_is_put_in_again_is_begun_again_and_may_pass() -> None:
    bench = begun(BRIDGE)
    bench.said(BRIDGE, Known(MAC))
    bench.failed(BRIDGE, FAILS)
    assert bench.floor.tally == (0, 1)
    bench.see()
    bench.settle(BRIDGE)
    bench.said(BRIDGE, Known(MAC))
    bench.passed(BRIDGE)
    assert bench.floor.tally == (1, 0)


def test_no_more_than_the_limit_are_worked_on_and_who_waits_longest_is_next() -> None:
    sockets = [Socket(f"1-2.{number}", f"/dev/ttyUSB{number}") for number in range(3)]
    bench = Bench(limit=1)
    for number in range(3):
        bench.see(*sockets[: number + 1])
    bench.settle(*sockets)
    assert [row.number for row in bench.floor.running] == [1]
    bench.failed(sockets[0], FAILS)
    bench.settle(*sockets)
    assert [row.number for row in bench.floor.running] == [2]


def test_the_bar_never_goes_back_and_a_step_is_told_once() -> None:
    bench = begun(BRIDGE)
    shown = []
    for step, done in (("connecting", 0), ("writing", 50), ("writing", 50), ("comparing", 0), ("writing", 100)):
        bench.said(BRIDGE, Doing(step, done, 100))
        shown.append(bench.row(BRIDGE).percent)
    assert shown == sorted(shown)
    assert bench.taken() == [Event.STEP] * 4


def test_hands_are_asked_for_until_the_test_goes_on() -> None:
    bench = begun(BRIDGE)
    bench.said(BRIDGE, Asking("press"))
    assert bench.row(BRIDGE).ask == "press"
    bench.said(BRIDGE, Doing("proof", 5, 8))
    assert bench.row(BRIDGE).ask is None
    assert bench.taken() == [Event.ASKED, Event.STEP]


def test_after_stop_nothing_is_begun_and_what_runs_comes_to_its_end() -> None:
    bench = begun(BRIDGE)
    bench.floor.stop()
    bench.settle(BRIDGE, NEXT_TO_IT)
    assert not bench.floor.over
    bench.passed(BRIDGE)
    assert bench.floor.over
    assert bench.row(NEXT_TO_IT).state is State.WAITING


def test_the_line_ends_when_each_place_of_the_manifest_has_a_board_that_is_ready() -> None:
    bench = Bench(total=2, done={OTHER: "AN000002"})
    bench.settle(BRIDGE)
    assert not bench.floor.over
    bench.passed(BRIDGE, replace(PASSED, ready=2))
    assert bench.floor.over


@pytest.mark.parametrize("heard_last", [1, None], ids=["counted first", "registry away"])
def test_a_count_that_is_late_or_missing_does_not_keep_a_line_from_its_end(heard_last: int | None) -> None:
    bench = Bench(total=2)
    bench.settle(BRIDGE, NEXT_TO_IT)
    bench.passed(NEXT_TO_IT, replace(PASSED, mac=OTHER, ready=2 if heard_last else None))
    bench.passed(BRIDGE, replace(PASSED, ready=heard_last))
    assert bench.floor.over


def test_a_board_for_which_there_is_no_place_is_no_failure() -> None:
    bench = begun(BRIDGE)
    bench.failed(BRIDGE, Trouble(SPARE, "no place is free"))
    assert bench.row(BRIDGE).state is State.SPARE
    assert bench.floor.boards == []


def test_named_ports_are_worked_on_once_and_that_is_all() -> None:
    bench = Bench(limit=1, once=True)
    bench.see(BRIDGE, NEXT_TO_IT)
    bench.noticed += bench.floor.begin(bench.now_s)
    bench.failed(BRIDGE, FAILS)
    assert not bench.floor.over
    bench.noticed += bench.floor.begin(bench.now_s)
    bench.passed(NEXT_TO_IT)
    assert bench.floor.over


class AnyHands(RuleBasedStateMachine):
    """Whatever is plugged, pulled and told in whatever order, some things hold."""

    @initialize(limit=st.integers(1, 3))
    def begin(self, limit: int) -> None:
        self.bench = Bench(limit)
        self.limit = limit
        self.plugged: dict[str, Socket] = {}
        self.running: set[str] = set()

    @rule(place=st.integers(0, 3), chip=st.integers(0, 4), native=st.booleans())
    def plug(self, place: int, chip: int, native: bool) -> None:
        key = f"1-{place}"
        mac = f"24:6f:28:00:00:{chip:02}" if native else ""
        if not mac or mac not in [socket.mac for socket in self.plugged.values()]:
            self.plugged[key] = Socket(key, f"/dev/ttyUSB{place}", mac)

    @rule(place=st.integers(0, 3))
    def pull(self, place: int) -> None:
        self.plugged.pop(f"1-{place}", None)

    @rule(after_s=st.sampled_from([0.1, 0.6, 3.0]))
    def look(self, after_s: float) -> None:
        self.bench.see(*self.plugged.values(), after_s=after_s)
        for notice in self.bench.floor.begin(self.bench.now_s):
            if notice.event is Event.STARTED:
                assert notice.row.socket.key not in self.running
                self.running.add(notice.row.socket.key)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), said=st.sampled_from([Asking("press"), Doing("writing", 1, 2), Known(MAC), Known(OTHER)]))
    def hear(self, data: st.DataObject, said: Known | Doing | Asking) -> None:
        key = data.draw(st.sampled_from(sorted(self.running)))
        self.bench.noticed += self.bench.floor.said(key, said, self.bench.now_s)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), end=st.sampled_from([PASSED, FAILS, NO_PORT, Trouble(ALREADY, "done", device="AN000001")]))
    def end(self, data: st.DataObject, end: Passed | Trouble) -> None:
        key = data.draw(st.sampled_from(sorted(self.running)))
        self.running.discard(key)
        if isinstance(end, Passed):
            self.bench.noticed += self.bench.floor.passed(key, end, self.bench.now_s)
        else:
            self.bench.noticed += self.bench.floor.failed(key, end, self.bench.now_s)

    @invariant()
    def what_runs_is_what_was_started(self) -> None:
        assert {row.socket.key for row in self.bench.floor.running} == self.running
        assert len(self.running) <= self.limit

    @invariant()
    def numbers_stay_and_no_board_is_counted_twice(self) -> None:
        rows = self.bench.floor.rows
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
        macs = [board.row.mac for board in self.bench.floor.boards if board.row.mac]
        assert len(set(macs)) == len(macs)

    @invariant()
    def a_board_is_never_left_lying_in_silence(self) -> None:
        """Each board that is plugged in waits, is worked on, or has a verdict once it has been looked at."""
        self.bench.see(*self.plugged.values(), after_s=0)
        for key in self.plugged:
            assert self.bench.row(self.plugged[key]).state is not State.EMPTY


TestAnyHands = AnyHands.TestCase
TestAnyHands.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(st.lists(st.sampled_from(["connecting", "comparing", "writing", "starting", "proof", "new"]), max_size=20))
def test_no_order_of_steps_moves_the_bar_back(steps: list[str]) -> None:
    bench = begun(BRIDGE)
    for step in steps:
        before = bench.row(BRIDGE).percent
        bench.said(BRIDGE, Doing(step, 1, 2))
        assert before <= bench.row(BRIDGE).percent <= 100
