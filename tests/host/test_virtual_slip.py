"""SLIP frames survive any bytes, any cutting, and noise; memory stays bounded."""

from hypothesis import given
from hypothesis import strategies as st

from ansim.virtual import slip

FRAMES = st.lists(st.binary(min_size=1, max_size=200), max_size=8)


@given(frames=FRAMES, cuts=st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_frames_arrive_whole_however_the_stream_is_cut(frames: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(slip.encode, frames))
    deframer, arrived, start = slip.Deframer(1000), [], 0
    while start < len(stream):
        size = cuts[start % len(cuts)]
        arrived += deframer.feed(stream[start : start + size])
        start += size
    assert arrived == frames


@given(frames=FRAMES)
def test_only_frame_ends_hold_the_end_byte(frames: list[bytes]) -> None:
    for frame in frames:
        assert slip.encode(frame)[1:-1].count(slip.END) == 0


def test_noise_before_the_first_frame_is_skipped() -> None:
    assert slip.Deframer(100).feed(b"boot noise" + slip.encode(b"hello")) == [b"hello"]


def test_a_wrong_escape_drops_its_frame_only() -> None:
    assert slip.Deframer(100).feed(b"\xc0a\xdbb\xc0" + slip.encode(b"good")) == [b"good"]


def test_a_frame_that_is_too_long_is_dropped_and_the_next_one_arrives() -> None:
    deframer = slip.Deframer(100)
    for _ in range(50):
        assert deframer.feed(slip.END + b"x" * 90 if _ == 0 else b"x" * 90) == []
    assert deframer.feed(b"x" + slip.END) == []
    assert deframer.feed(slip.encode(b"next")) == [b"next"]
