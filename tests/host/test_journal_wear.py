"""What an alarm may cost the flash, counted on LittleFS: a bounded number of operations, whatever waits beside it."""

from pathlib import Path

import pytest
from journal_figures import MOST_ERASES, MOST_MEAN_ERASES, MOST_PROGRAMS, History, live, write_image

from ansim.image import ROOM, ROOM_BYTES


@pytest.mark.parametrize(("waiting", "alarms"), [(0, 4000), (63, 1500)])
def test_storing_and_forgetting_an_alarm_takes_a_bounded_number_of_flash_operations(waiting: int, alarms: int) -> None:
    (wear,) = live(History(alarms, waiting, restart_every=400))
    assert wear.failed == 0
    assert wear.worst_store.programs + wear.worst_forget.programs <= MOST_PROGRAMS
    assert wear.worst_store.erases + wear.worst_forget.erases <= MOST_ERASES
    assert 0 < wear.store.erases + wear.forget.erases <= MOST_MEAN_ERASES


def test_an_append_file_would_wear_the_flash_far_more() -> None:
    ours, peer = live(History(500), History(500, keeper="append"))
    assert peer.store.erases + peer.forget.erases > 10 * (ours.store.erases + ours.forget.erases)


def test_all_that_can_wait_finds_room_in_a_filesystem_that_a_stranger_filled(tmp_path: Path) -> None:
    kept, bare = tmp_path / "kept", tmp_path / "bare"
    write_image(kept, {ROOM: b"\xff" * ROOM_BYTES})
    write_image(bare, {"main.py": b""})
    with_room, without = live(History(600, 63, "full", kept), History(1, 63, "full", bare))
    assert with_room.failed == 0
    assert without.failed > 0, "the filesystem was not full, so nothing is shown"
