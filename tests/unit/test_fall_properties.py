"""Whatever comes, in whatever batches: the detector decides the same, and bears it."""

from array import array

import fall_kit
from hypothesis import given, settings
from hypothesis import strategies as st

from ansim_fw.core.fall import features, screen, window
from ansim_fw.core.fall.detector import DECIDED, FALL, SUSPECT, Detector

sizes = st.lists(st.integers(1, 160), min_size=1, max_size=12)
pieces = st.lists(
    st.one_of(
        st.tuples(st.just("rest"), st.sampled_from([0, 45, 90])),
        st.tuples(st.just("walk"), st.integers(100, 1200)),
        st.tuples(st.just("fall"), st.integers(1500, 12000)),
        st.tuples(st.just("jump"), st.integers(1500, 9000)),
        st.tuples(st.just("sit_down"), st.integers(1500, 4000)),
    ),
    min_size=1,
    max_size=6,
)


def life(story: list[tuple[str, int]], turn: tuple[int, int, int] = (0, 0, 0)) -> "array[int]":
    movement = fall_kit.Movement().rest(1)
    for what, value in story:
        if what == "rest":
            movement.rest(4, value)
        elif what == "walk":
            movement.walk(2, value)
        else:
            getattr(movement, what)(value)
    return movement.as_array(turn)


@settings(max_examples=40)
@given(pieces, sizes, st.sampled_from([0, -32000]))
def test_batches_do_not_matter(story: list[tuple[str, int]], batches: list[int], suspect: int) -> None:
    model = fall_kit.model(suspect=suspect)
    samples = life(story)
    alone = fall_kit.play(Detector(model), samples, (1,))
    told = fall_kit.play(Detector(model), samples, tuple(batches))
    position = 0
    for at, bits in told:
        expected = 0
        for sample, one in alone:
            expected |= one if position < sample <= at else 0
        assert bits == expected
        position = at
    assert not [sample for sample, _ in alone if sample > position]


@settings(max_examples=40)
@given(pieces)
def test_a_window_is_judged_once_and_a_fall_was_suspected_before(story: list[tuple[str, int]]) -> None:
    suspected = 0
    last = -features.AFTER
    for at, bits in fall_kit.play(Detector(fall_kit.model()), life(story), (1,)):
        if bits & DECIDED:
            assert at - last >= features.AFTER
            last = at
        suspected += 1 if bits & SUSPECT else 0
        if bits & FALL:
            assert suspected > 0
            suspected = 0


@settings(max_examples=40)
@given(st.binary(min_size=6, max_size=2400), sizes)
def test_any_samples_are_borne(data: bytes, batches: list[int]) -> None:
    samples = array("h", data[: len(data) // 6 * 6])
    detector = Detector(fall_kit.model(suspect=-32000, certain=32000))
    fall_kit.play(detector, samples, tuple(batches))
    assert detector.features == bytes(detector.features)


@given(st.lists(st.integers(-32768, 32767), min_size=3, max_size=3))
def test_a_samples_strength_and_length_agree_and_are_small_ints(sample: list[int]) -> None:
    ring = array("h", sample * screen.RING)
    strength = screen.strength(ring, 0)
    out = array("H", [0])
    window.lengths(ring, 0, 1, 0, out)
    assert 0 <= strength < 1 << 30
    if max(map(abs, sample)) < 16384:
        assert abs(out[0] * out[0] // 4 - strength) <= out[0] + 2
