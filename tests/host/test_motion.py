"""What acceleration the wearer of a virtual board gives, and how recordings get into it."""

from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansim.errors import BadInput
from ansim.virtual.motion import AT_REST, Motion, Recording, read_samples
from ansim.virtual.motion_file import load_motion

RAMP = array("h", [0, 0, 0, 100, -100, 1000, 200, -200, 2000])


def playing(rate_hz: float = 50.0, repeat: bool = False, start_ms: float = 1000.0) -> Motion:
    motion = Motion()
    motion.play(Recording(RAMP, rate_hz, repeat, start_ms))
    return motion


def test_a_wearer_is_at_rest_until_told_otherwise() -> None:
    motion = Motion()
    assert motion.at(5.0) == AT_REST == (0, 0, 1000)
    motion.hold((0, 1000, 0))
    assert motion.at(5.0) == (0, 1000, 0)
    assert motion.progress(5.0) == {"playing": False, "repeat": False, "at_ms": 0, "of_ms": 0}


def test_a_recording_gives_its_samples_at_their_moments_and_straight_lines_between() -> None:
    motion = playing()
    assert [motion.at(moment) for moment in (0, 1000, 1020, 1040)] == [
        (0, 0, 0),
        (0, 0, 0),
        (100, -100, 1000),
        (200, -200, 2000),
    ]
    assert motion.at(1025) == (125, -125, 1250)


def test_when_it_is_over_its_last_sample_is_held() -> None:
    motion = playing()
    assert motion.end_ms == 1060
    assert motion.at(1059) == motion.at(10**9) == (200, -200, 2000)


def test_repeated_it_starts_again_a_period_after_its_last_sample_and_has_no_end() -> None:
    motion = playing(repeat=True)
    assert motion.end_ms is None
    assert motion.at(1060) == (0, 0, 0)
    assert motion.at(1050) == (100, -100, 1000), "on the way back to the first sample"
    assert motion.at(1000 + 60 * 1_000_000 + 20) == (100, -100, 1000)


def test_progress_is_in_the_recording_s_own_time() -> None:
    motion = playing()
    assert motion.progress(1030) == {"playing": True, "repeat": False, "at_ms": 30, "of_ms": 60}
    assert motion.progress(5000) == {"playing": False, "repeat": False, "at_ms": 60, "of_ms": 60}
    assert playing(repeat=True).progress(1000 + 60 * 7 + 5)["at_ms"] == 5


@given(st.floats(0.1, 10_000), st.integers(0, 10**6), st.floats(0, 10**9))
def test_each_sample_is_found_exactly_at_its_moment_whatever_the_rate(rate_hz: float, at: int, start_ms: float) -> None:
    motion = Motion()
    motion.play(Recording(RAMP, rate_hz, True, start_ms))
    wanted = RAMP[3 * (at % 3)]
    assert abs(motion.at(start_ms + at * (1000 / rate_hz))[0] - wanted) < 1


@given(st.floats(0, 100_000))
def test_a_boundary_is_the_next_sample_s_moment(after_ms: float) -> None:
    motion = playing(rate_hz=47.0)
    boundary_ms = motion.boundary(1000 + after_ms)
    assert -0.001 <= boundary_ms - (1000 + after_ms) <= 1000 / 47 + 0.001
    position = (boundary_ms - 1000) * 47 / 1000
    assert abs(position - round(position)) < 1e-5


def test_samples_are_little_endian_triples() -> None:
    assert list(read_samples(b"\x01\x00\xff\xff\xe8\x03")) == [1, -1, 1000]
    for damaged in (b"", b"12345", b"1234567"):
        with pytest.raises(ValueError, match="no whole number of samples"):
            read_samples(damaged)


def test_more_than_a_day_at_200_hz_is_refused() -> None:
    with pytest.raises(ValueError, match="a day at 200 Hz"):
        read_samples(bytes(6 * (24 * 3600 * 200 + 1)))


def test_files_of_a_user(tmp_path: Path) -> None:
    (tmp_path / "walk.s16").write_bytes(RAMP.tobytes())
    (tmp_path / "names.csv").write_text("x,y,z\n1,-2,3.6\n4,5,-32768\n")
    (tmp_path / "plain.csv").write_text("1, -2, 4\n\n")
    assert load_motion(tmp_path / "walk.s16") == RAMP
    assert list(load_motion(tmp_path / "names.csv")) == [1, -2, 4, 4, 5, -32768]
    assert list(load_motion(tmp_path / "plain.csv")) == [1, -2, 4]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("walk.npz", b"PK", "no recording that can be played"),
        ("walk.bin", b"12345", "5 bytes are no whole number of samples"),
        ("empty.csv", b"x,y,z\n", "it holds no samples"),
        ("two.csv", b"1,2,3\n4,5\n", "line 2 is '4,5'"),
        ("far.csv", b"1,2,3\n4,5,40000\n", "line 2 is '4,5,40000'"),
        ("nan.csv", b"1,2,3\n4,nan,6\n", "line 2 is '4,nan,6'"),
        ("binary.csv", b"1,2,3\n\xff\xfe\n", "no recording"),
        ("zero.csv", b"1,2,3\n\0,\0,\0\n", "no recording"),
    ],
)
def test_a_file_that_is_no_recording_is_told_with_the_line(
    tmp_path: Path, name: str, content: bytes, complaint: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=complaint):
        load_motion(tmp_path / name)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"walk\.csv can't be read: No such file"):
        load_motion(tmp_path / "walk.csv")
