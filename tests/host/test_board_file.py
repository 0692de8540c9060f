"""Board files that are made."""

from dataclasses import replace
from pathlib import Path

import pytest

from ansim.board_file import stand_in_for, write_board
from ansim.boards import board_names, load_board


@pytest.mark.parametrize("name", board_names())
def test_what_is_written_is_read_as_it_was(name: str, tmp_path: Path) -> None:
    board = load_board(name)
    assert load_board(str(write_board(board, tmp_path))) == board


def test_a_title_may_be_any_text(tmp_path: Path) -> None:
    board = load_board("virtual")
    odd = replace(board, board=replace(board.board, title='Grüße "\\" \U0001f6ce #\n'))
    assert load_board(str(write_board(odd, tmp_path))) == odd


@pytest.mark.parametrize("name", board_names())
def test_this_machine_can_stand_in_for_every_board(name: str, tmp_path: Path) -> None:
    board = load_board(name)
    stand_in = load_board(str(write_board(stand_in_for(board, "stand_in"), tmp_path)))
    assert stand_in.micropython.stand_in and stand_in.board.native_arch == "x64"
    assert (stand_in.chip, stand_in.pins, stand_in.sensor, stand_in.wake) == (
        board.chip,
        board.pins,
        board.sensor,
        board.wake,
    )
