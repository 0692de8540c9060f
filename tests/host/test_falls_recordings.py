"""Sets of recordings: what is written is read, what is damaged is refused by name, other rates become the device's."""

import dataclasses
import io
import zipfile
from pathlib import Path
from typing import Any

import made_up_falls
import numpy as np
import pytest

from ansim.errors import BadInput
from ansim.falls import recordings
from ansim.falls.recordings import Recording, data_folder, find_set, load, save


def arrays_of(path: Path) -> dict[str, Any]:
    with np.load(path) as kept:
        return dict(kept)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.npz"
    save(path, made_up_falls.people(2, 1))
    return path


def same(one: Recording, other: Recording) -> bool:
    fields = [field.name for field in dataclasses.fields(Recording) if field.name != "acc"]
    told, read = ([repr(getattr(each, name)) for name in fields] for each in (one, other))
    return told == read and np.array_equal(one.acc, other.acc)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    made = [
        made_up_falls.recording("fällt", made_up_falls.fall(), is_fall=True),
        made_up_falls.recording("walks", made_up_falls.walk(), subject="P9", fs=100.0),
    ]
    save(tmp_path / "some.npz", made)
    assert all(same(*each) for each in zip(made, load(tmp_path / "some.npz"), strict=True))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("acc", np.zeros((10, 3), np.float64)),
        ("acc", np.zeros((10, 2), np.int16)),
        ("acc", np.zeros(30, np.int16)),
        ("offsets", np.array([0, 5])),
        ("offsets", np.array([[0, 5]])),
        ("offsets", np.array([], np.int64)),
        ("offsets", np.array([0.0, 5.0])),
        ("fs", np.full(6, 10.0)),
        ("fs", np.full(6, np.nan)),
        ("fs", np.full(5, 50.0)),
        ("subject", np.zeros(6)),
        ("name", np.array([b"bytes"] * 6)),
        ("name", np.array(["\x1b[31mred"] * 6)),
        ("activity", np.array(["D" * 101] * 6)),
        ("is_fall", np.ones(6)),
        ("age", np.full(6, 30.5)),
        ("fall_start_s", np.array(["?"] * 6)),
    ],
)
def test_an_array_that_is_not_of_the_layout_is_named(good: Path, name: str, value: Any) -> None:
    bad = good.with_name("bad.npz")
    np.savez(bad, **{**arrays_of(good), name: value})
    with pytest.raises(BadInput) as refused:
        load(bad)
    assert str(bad) in refused.value.message and f"'{name}'" in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize("offsets", [[0, 9, 5], [0, 5, 5], [1, 5], [-5, 0], [0, 2**62]])
def test_offsets_that_do_not_rise_to_the_samples_are_refused(good: Path, offsets: list[int]) -> None:
    whole = arrays_of(good)
    count = len(offsets) - 1
    cut = {name: values[:count] for name, values in whole.items() if name not in ("acc", "offsets")}
    np.savez(good, acc=whole["acc"], offsets=np.array(offsets), **cut)
    with pytest.raises(BadInput, match="'offsets' does not rise"):
        load(good)


@pytest.mark.parametrize("name", ["acc", "offsets", "fs", "fall_end_s"])
def test_a_missing_array_is_named(good: Path, name: str) -> None:
    np.savez(good, **{each: values for each, values in arrays_of(good).items() if each != name})
    with pytest.raises(BadInput, match=f"'{name}' is missing"):
        load(good)


def test_python_objects_are_never_unpickled(good: Path) -> None:
    np.savez(good, **{**arrays_of(good), "name": np.array([{}] * 6, object)}, allow_pickle=True)
    with pytest.raises(BadInput, match="'name' is damaged, or holds Python objects"):
        load(good)


def test_memory_is_bounded_by_the_header_before_it_is_taken(good: Path) -> None:
    header = io.BytesIO()
    claims: dict[str, Any] = {"descr": "<i2", "fortran_order": False, "shape": (1 << 40, 3)}
    np.lib.format.write_array_header_1_0(header, claims)
    kept = arrays_of(good)
    del kept["acc"]
    np.savez(good, **kept)
    with zipfile.ZipFile(good, "a") as archive:
        archive.writestr("acc.npy", header.getvalue())
    with pytest.raises(BadInput, match="'acc' is too large"):
        load(good)


@pytest.mark.parametrize("keep", [0, 1, 30, 200, -1, -30])
def test_a_file_that_was_cut_short_is_refused(good: Path, keep: int) -> None:
    good.write_bytes(good.read_bytes()[:keep])
    with pytest.raises(BadInput) as refused:
        load(good)
    assert str(good) in refused.value.message


def test_a_file_with_rotten_bytes_is_read_as_it_was_or_refused(good: Path) -> None:
    whole = good.read_bytes()
    made = load(good)
    for at in range(0, len(whole), 97):
        good.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            assert all(same(*each) for each in zip(made, load(good), strict=True))
        except BadInput as refused:
            assert str(good) in refused.message


def test_no_file_and_no_archive_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        load(tmp_path / "none.npz")
    assert "ANSIM_DATA" in refused.value.hint
    for content in (b"", b"not an archive at all", b"PK\x03\x04"):
        (tmp_path / "odd.npz").write_bytes(content)
        with pytest.raises(BadInput, match=r"odd\.npz"):
            load(tmp_path / "odd.npz")
    with pytest.raises(BadInput):
        load(tmp_path)


def test_sets_are_found_by_name_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIM_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    assert find_set(None, "wrist") == tmp_path / "weda_50hz.npz"
    (tmp_path / "mine.npz").touch()
    assert find_set(Path("mine.npz"), "waist") == tmp_path / "mine.npz"
    assert find_set(Path("elsewhere.npz"), "waist") == Path("elsewhere.npz")


def tone(frequency_hz: float, rate_hz: float) -> Recording:
    moments = np.arange(round(20 * rate_hz)) / rate_hz
    wave = 1000 * np.sin(2 * np.pi * frequency_hz * moments)
    return made_up_falls.recording("tone", np.stack([wave, -wave, 0 * wave], axis=1), fs=rate_hz)


def rms_mg(one: Recording) -> float:
    """Of the first axis, without its ends."""
    inner = one.acc[50:-50, 0].astype(np.float64)
    return float(np.sqrt((inner**2).mean()))


@pytest.mark.parametrize("rate_hz", [20, 25, 31.25, 48.7, 62.5, 100, 119.4, 200])
def test_a_slow_movement_is_the_same_at_any_rate(rate_hz: float) -> None:
    made = tone(2, rate_hz).at_rate(50)
    assert made.fs == 50
    assert made.duration_s == pytest.approx(20, abs=0.05)
    expected = tone(2, 50)
    inner = slice(50, 900)
    assert np.abs(made.acc[inner].astype(int) - expected.acc[inner]).max() < 40


@pytest.mark.parametrize("rate_hz", [100, 200])
def test_what_the_device_could_not_see_is_not_folded_into_what_it_sees(rate_hz: float) -> None:
    assert rms_mg(tone(35, rate_hz)) == pytest.approx(707, rel=0.02)
    assert rms_mg(tone(35, rate_hz).at_rate(50)) < 7


def test_the_device_s_own_rate_is_left_as_it_is() -> None:
    one = tone(2, 50)
    assert one.at_rate(recordings.DEVICE_RATE_HZ) is one


def test_full_scale_stays_full_scale() -> None:
    loud = made_up_falls.recording("loud", np.full((400, 3), 32767.0), fs=100)
    assert loud.at_rate(50).acc.min() > 32700
