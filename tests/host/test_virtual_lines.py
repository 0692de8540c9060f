"""DTR and RTS act on EN and IO0 as on a devkit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansim.virtual.lines import RISE_MS, Lines, Strap

NEITHER, DTR, RTS, BOTH = (False, False), (True, False), (False, True), (True, True)


def play(lines: Lines, *steps: tuple[bool, bool], apart_ms: int = 50, start_ms: int = 0) -> list[Strap]:
    """Set the lines one after the other, ticking in between, and return what happened to the chip."""
    happened = []
    for index, (dtr, rts) in enumerate(steps):
        now_ms = start_ms + index * apart_ms
        happened += [lines.tick(now_ms), lines.set(dtr, rts, now_ms)]
    return [strap for strap in happened if strap]


@pytest.mark.parametrize("order", [(DTR, BOTH), (BOTH,)])
def test_opening_a_port_does_not_reset_the_chip(order: tuple[tuple[bool, bool], ...]) -> None:
    assert play(Lines(), *order, BOTH, NEITHER) == []


def test_rts_alone_holds_the_chip_in_reset() -> None:
    lines = Lines()
    assert play(lines, RTS) == [Strap.RESET]
    assert lines.held_in_reset
    assert lines.tick(10_000_000) is None


def test_a_hard_reset_runs_what_is_in_flash() -> None:
    assert play(Lines(), NEITHER, RTS, RTS, NEITHER) == [Strap.RESET, Strap.RUN]


@pytest.mark.parametrize("apart_ms", [1, 50, 51, 200])
def test_esptools_classic_reset_enters_download_mode_line_by_line(apart_ms: int) -> None:
    # DTR off, RTS on, (DTR again), wait, DTR on, RTS off, (DTR again), DTR off
    steps = (DTR, BOTH, RTS, RTS, RTS, BOTH, DTR, DTR, NEITHER)
    assert play(Lines(), *steps, apart_ms=apart_ms) == [Strap.RESET, Strap.DOWNLOAD]


def test_esptools_tight_reset_enters_download_mode_at_once() -> None:
    assert play(Lines(), NEITHER, BOTH, RTS, DTR, NEITHER) == [Strap.RESET, Strap.DOWNLOAD]


def test_letting_go_into_both_lines_starts_the_chip_after_the_capacitor_has_charged() -> None:
    lines = Lines()
    play(lines, RTS, BOTH, start_ms=1000)
    assert lines.rises_at_ms == 1050 + RISE_MS
    assert lines.tick(1050 + RISE_MS - 1) is None
    assert lines.tick(1050 + RISE_MS) is Strap.RUN
    assert lines.rises_at_ms is None
    assert lines.tick(1050 + 2 * RISE_MS) is None


def test_going_back_into_reset_while_en_rises_is_one_reset() -> None:
    lines = Lines()
    assert play(lines, RTS, BOTH, RTS, BOTH, RTS) == [Strap.RESET]
    assert lines.held_in_reset


def test_a_tool_that_goes_away_in_reset_lets_the_chip_run() -> None:
    assert play(Lines(), BOTH, RTS, NEITHER) == [Strap.RESET, Strap.RUN]


def test_io0_low_without_a_reset_changes_nothing() -> None:
    lines = Lines()
    assert play(lines, DTR, NEITHER, DTR) == []
    assert lines.io0_low


STEPS = st.lists(st.tuples(st.sampled_from([NEITHER, DTR, RTS, BOTH]), st.integers(0, 2 * RISE_MS)), max_size=30)


@given(steps=STEPS)
def test_every_reset_ends_in_one_start_whatever_a_tool_does(steps: list[tuple[tuple[bool, bool], int]]) -> None:
    lines, now_ms, happened = Lines(), 0, []
    for (dtr, rts), pause_ms in steps:
        happened += [lines.set(dtr, rts, now_ms)]
        now_ms += pause_ms
        happened += [lines.tick(now_ms)]
    happened += [lines.set(*NEITHER, now_ms)]
    seen = [strap for strap in happened if strap]
    assert seen[::2] == [Strap.RESET] * (len(seen) // 2)
    assert Strap.RESET not in seen[1::2]
    assert not lines.held_in_reset
    if not any(lines_set == DTR for lines_set, _ in steps):
        assert Strap.DOWNLOAD not in seen
