"""A contact that bounces: edges in their order and at their moments, which a program sees as they are."""

import time
from collections.abc import Callable, Sequence

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from test_virtual_control import converse, hello

from ansim.cli import cli
from ansim.errors import DeviceError
from ansim.virtual import Seen, VirtualBoard
from ansim.virtual.bounce import MAX_EDGES, bouncing_press
from ansim.virtual.control import ControlClient

DEADLINE_S = 20
EDGES_US = [0, 300, 900, 2500, 2600, 80_000, 80_700, 81_000]
# Counts how often its button was closed, and says so in a PWM's frequency.
COUNTER = (
    "from machine import PWM, Pin\nimport time\nseen, out = [0], PWM(Pin(25), freq=1)\n"
    "def fall(_): seen[0] += 1\n"
    "button = Pin(33, Pin.IN, Pin.PULL_UP)\nbutton.irq(fall, Pin.IRQ_FALLING)\ntold = 0\n"
    "while True:\n  time.sleep_ms(5)\n  if seen[0] != told: told = seen[0]; out.freq(told)"
)


def edges(events: Sequence[Seen]) -> list[Seen]:
    return [seen for seen in events if seen.event == "button"]


def bounced(control: ControlClient, edges_us: Sequence[int]) -> tuple[int, list[Seen]]:
    """Return when the press was begun, in the chip's time, and the contact's changes."""
    with control.watch(timeout_s=DEADLINE_S) as events:
        control.later().bounce(edges_us)
        # The first edge may be late, as any other.
        begun_ms = next(seen.chip_ms for seen in events if seen.event == "stimulus")
        found: list[Seen] = []
        while len(edges(found)) < len(edges_us):
            found.append(next(events))
    return begun_ms, edges(found)


def test_the_contact_closes_and_opens_in_turn_and_never_too_early(virtual_board: VirtualBoard) -> None:
    begun_ms, seen = bounced(virtual_board.control, EDGES_US)
    assert [each.details["down"] for each in seen] == [True, False] * (len(EDGES_US) // 2)
    for each, at_us in zip(seen, EDGES_US, strict=True):
        assert each.chip_ms - begun_ms >= at_us // 1000 - 1
    assert virtual_board.control.status()["button_down"] is False


def test_a_program_sees_each_time_that_it_closes(start_booting_board: Callable[..., VirtualBoard]) -> None:
    board = start_booting_board({"main.py": COUNTER})
    with board.control.watch(timeout_s=DEADLINE_S) as events:
        next(seen for seen in events if seen.event == "pwm")
        board.control.bounce(EDGES_US)
        assert any(seen.event == "pwm" and seen.details["freq_hz"] == len(EDGES_US) // 2 for seen in events)


def test_a_long_press_costs_no_more_than_the_sleep_that_is_skipped(
    start_booting_board: Callable[..., VirtualBoard],
) -> None:
    board = start_booting_board({"main.py": "import machine\nmachine.deepsleep(3600000)"}, skip_sleep=True)
    began = time.monotonic()
    begun_ms, seen = bounced(board.control, [0, 400, 700, 590_000_000])
    assert seen[3].chip_ms - begun_ms >= 590_000 - 1
    assert time.monotonic() - began < 300, "the chip slept, so nobody waited for ten minutes"


def test_a_button_that_is_down_or_bounces_cannot_be_pressed_by_another_bounce(virtual_board: VirtualBoard) -> None:
    control = virtual_board.control
    control.button(True)
    with pytest.raises(DeviceError, match="held down already"):
        control.bounce(EDGES_US)
    control.button(False)
    with control.watch(timeout_s=DEADLINE_S) as events:
        control.later(after_ms=1).bounce([0, 500_000, 60_000_000, 60_000_001])
        for down in (True, False):
            assert next(seen for seen in events if seen.event == "button").details == {"down": down}
        with pytest.raises(DeviceError, match="held down already"):
            control.bounce(EDGES_US)


@pytest.mark.parametrize("edges_us", [[], [0], [400, 0]], ids=str)
def test_edges_that_are_no_press_are_refused(virtual_board: VirtualBoard, edges_us: Sequence[int]) -> None:
    with pytest.raises(DeviceError, match="edges_us"):
        virtual_board.control.bounce(edges_us)


def test_a_board_that_is_stopped_while_it_bounces_stops(start_virtual_board: Callable[..., VirtualBoard]) -> None:
    board = start_virtual_board()
    board.control.later().bounce([0, 590_000_000])
    # The fixture stops it; what is left to show is that it listens.
    assert board.control.status()["state"] == "running"


WRONG_REQUESTS = {
    b'{"cmd":"bounce"}': f"edges_us must be a list of 2 to {MAX_EDGES} numbers",
    b'{"cmd":"bounce","edges_us":[0,1,2]}': "an even number of them",
    b'{"cmd":"bounce","edges_us":[0,"1"]}': "edges_us must be whole numbers",
    b'{"cmd":"bounce","edges_us":[0,true]}': "edges_us must be whole numbers",
    b'{"cmd":"bounce","edges_us":[5,5]}': "each greater than the one before",
    b'{"cmd":"bounce","edges_us":[-1,5]}': "from 0 to 600000000",
    b'{"cmd":"bounce","edges_us":[0,600000001]}': "from 0 to 600000000",
    b'{"cmd":"bounce","edges_us":[' + b",".join(b"%d" % at for at in range(MAX_EDGES + 2)) + b"]}": "2 to 200 numbers",
}


def test_what_is_no_press_is_refused(virtual_board: VirtualBoard) -> None:
    _, *refused = converse(virtual_board, hello(virtual_board), *WRONG_REQUESTS)
    for answer, (request, complaint) in zip(refused, WRONG_REQUESTS.items(), strict=True):
        assert not answer["ok"], request
        assert complaint in answer["error"]


@given(st.integers(), st.integers(101, 500_000), st.integers(1, 100))
def test_a_bouncing_press_is_one_press_that_any_board_takes(seed: int, hold_ms: int, bounce_ms: int) -> None:
    found = bouncing_press(seed, hold_ms, bounce_ms)
    assert found == bouncing_press(seed, hold_ms, bounce_ms)
    assert found[0] == 0
    assert len(found) % 2 == 0
    assert 2 <= len(found) <= MAX_EDGES
    assert all(a < b for a, b in zip(found, found[1:], strict=False))
    quiet = [at for at in found if bounce_ms * 1000 < at < hold_ms * 1000]
    assert not quiet, "between its ends the contact is closed"
    assert sum(at < hold_ms * 1000 for at in found) % 2 == 1


def test_the_command_line_bounces(virtual_board: VirtualBoard) -> None:
    done = CliRunner().invoke(cli, ["virtual", "bounce", "--seed", "7", "--hold-ms", "200"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("virtual: button pressed for 200 ms, with ")
    assert virtual_board.control.status()["button_down"] is False
