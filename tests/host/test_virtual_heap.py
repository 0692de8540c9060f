"""Memory that is taken away from a board's programs."""

import subprocess
from collections.abc import Callable

import pytest
from quick_tools import tool_command

from ansim.errors import DeviceError
from ansim.virtual import VirtualBoard
from ansim.virtual.heap import FREE_HEAP_BYTES, MAX_LESS_KB

# A larger heap has larger tables of its own.
NEAR_BYTES = 2048


def free_bytes(board: VirtualBoard) -> int:
    """Return what a person sees at the REPL; the tool starts the program anew."""
    command = tool_command("mpremote", "connect", board.url, "exec", "import gc; gc.collect(); print(gc.mem_free())")
    return int(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)


def test_less_heap_is_what_the_next_program_has_until_it_is_given_back(
    start_booting_board: Callable[..., VirtualBoard],
) -> None:
    board = start_booting_board({})
    assert abs(free_bytes(board) - FREE_HEAP_BYTES) < NEAR_BYTES
    board.control.heap(40)
    board.control.reset()
    assert abs(free_bytes(board) - (FREE_HEAP_BYTES - 40 * 1024)) < NEAR_BYTES
    board.control.power(False)
    board.control.power(True)
    assert abs(free_bytes(board) - (FREE_HEAP_BYTES - 40 * 1024)) < NEAR_BYTES, "the power has nothing to do with it"
    board.control.heap(0)
    assert abs(free_bytes(board) - FREE_HEAP_BYTES) < NEAR_BYTES


def test_with_the_least_heap_there_is_still_a_whole_chip(start_booting_board: Callable[..., VirtualBoard]) -> None:
    board = start_booting_board({})
    board.control.heap(MAX_LESS_KB)
    board.control.reset()
    assert abs(free_bytes(board) - (FREE_HEAP_BYTES - MAX_LESS_KB * 1024)) < NEAR_BYTES


def test_a_program_that_runs_keeps_the_heap_with_which_it_started(
    start_booting_board: Callable[..., VirtualBoard],
) -> None:
    program = "import gc, machine, time\npin = machine.Pin(25, machine.Pin.OUT)\nwhile True:\n  time.sleep_ms(10)\n"
    program += f"  gc.collect(); pin(gc.mem_free() > {FREE_HEAP_BYTES - 40 * 1024})"
    board = start_booting_board({"main.py": program})
    with board.control.watch(timeout_s=20) as events:
        board.control.heap(100)
        board.control.rssi(-70)
        board.control.reset()
        levels = []
        for seen in events:
            if seen.event == "reset":
                break
            levels += [seen.details["value"]] if seen.event == "pin" else []
        after = next(seen.details["value"] for seen in events if seen.event == "pin")
    assert 0 not in levels
    assert after == 0


@pytest.mark.parametrize("less_kb", [-1, MAX_LESS_KB + 1])
def test_what_no_program_could_start_with_is_refused(virtual_board: VirtualBoard, less_kb: int) -> None:
    with pytest.raises(DeviceError, match=f"less_kb must be a whole number from 0 to {MAX_LESS_KB}"):
        virtual_board.control.heap(less_kb)
