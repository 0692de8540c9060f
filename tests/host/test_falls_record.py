"""Recordings from a device on the bench: what it sends becomes a set that others read, or is refused."""

import base64
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ansim.errors import BadInput, DeviceError
from ansim.falls import record
from ansim.falls.record import Capture, Label
from ansim.falls.recordings import Recording, load

WALK = Label("S01", "D01", False, "young", 30)
FALL = Label("S01", "F05", True, "young", 30)
BATCH = 16


def batch(values: Sequence[int], at: int, ms: int, **more: object) -> dict[str, object]:
    """Return an announcement of x, y, z values."""
    data = base64.b64encode(struct.pack(f"<{len(values)}h", *values)).decode()
    return {"event": "samples", "at": at, "lost": False, "data": data, "ms": ms, **more}


def captured(seconds: int = 4, rate_hz: float = 50.0) -> Capture:
    """A capture of so many seconds, in which sample i is (i, -i, 1000)."""
    taken = Capture(50.0)
    for at in range(0, round(seconds * rate_hz), BATCH):
        values = [value for i in range(at, at + BATCH) for value in (i, -i, 1000)]
        taken.take(batch(values, at, round((at + BATCH) * 1000 / rate_hz)))
    return taken


def test_a_recording_is_added_to_a_set_and_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    for label in (WALK, WALK, FALL):
        others = record.existing(path)
        record.add(path, record.recording(captured(), label, others), others)
    found = load(path)
    assert [(each.name, each.trial, each.is_fall) for each in found] == [
        ("D01_S01_R01", 1, False),
        ("D01_S01_R02", 2, False),
        ("F05_S01_R01", 1, True),
    ]
    assert found[0].acc[17].tolist() == [17, -17, 1000]
    assert (found[0].fs, found[0].age, found[0].group) == (50.0, 30, "young")
    assert list(tmp_path.iterdir()) == [path]


def test_what_can_not_be_written_leaves_the_set_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    made = record.recording(captured(), WALK, [])
    record.add(path, made, [])
    before = path.read_bytes()
    broken = Recording(**{**vars(made), "acc": np.zeros((4, 2), dtype=np.int16)})
    with pytest.raises(ValueError, match="dimension"):
        record.add(path, broken, [made])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_part_that_is_slower_than_it_says_is_recorded_at_its_own_rate() -> None:
    assert record.recording(captured(20, 47.0), WALK, []).fs == pytest.approx(47.0, rel=0.01)
    assert record.recording(captured(20, 50.3), WALK, []).fs == 50.0


@pytest.mark.parametrize("counts", [(16, 16, 16, 2), (32, 16, 17, 16, 16, 3), (50,)])
def test_a_recording_that_ends_in_the_middle_of_a_batch_has_the_part_s_rate(counts: Sequence[int]) -> None:
    taken = Capture(50.0)
    for number, count in enumerate(counts):
        taken.take(batch([0, 0, 1000] * count, len(taken), 325 * (number + 1)))
    assert record.recording(taken, WALK, []).fs == 50.0


@pytest.mark.parametrize(
    "said",
    [
        {"at": 64, "lost": True},  # the device says so
        {"at": 80},  # a batch is missing
        {"at": 48},  # a batch came twice
    ],
)
def test_lost_samples_are_told_and_nothing_is_kept(said: dict[str, object]) -> None:
    taken = Capture(50.0)
    for at in range(0, 64, BATCH):
        taken.take(batch([0, 0, 1000] * BATCH, at, 20 * at))
    taken.take(batch([0, 0, 1000] * BATCH, ms=1300, **{"at": 64, **said}))  # type: ignore[arg-type]
    assert taken.gaps_s == [pytest.approx(1.28)]
    with pytest.raises(DeviceError, match=r"lost \(after 1\.3 s\)"):
        record.recording(taken, WALK, [])


@pytest.mark.parametrize("data", ["AAA=", "!!!!", "AAAA", "A" * 4096, None])
def test_samples_that_are_none_are_refused(data: object) -> None:
    said = batch([0, 0, 1000], 0, 0) | {"data": data}
    with pytest.raises(DeviceError, match="can't be read"):
        Capture(50.0).take(said)


def test_a_device_that_sent_nothing_has_recorded_nothing() -> None:
    with pytest.raises(DeviceError, match="sent no samples"):
        record.recording(Capture(50.0), WALK, [])


def test_a_file_that_can_be_no_set_is_refused_before_anything_is_recorded(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="can't be a set"):
        record.existing(tmp_path / "mine.csv")
    with pytest.raises(BadInput, match="no folder"):
        record.existing(tmp_path / "nowhere" / "mine.npz")
    (tmp_path / "other.npz").write_text("no set")
    with pytest.raises(BadInput, match=r"other\.npz"):
        record.existing(tmp_path / "other.npz")
