"""The sensor's judge, whatever comes in whatever pieces."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from ansim_fw.core.sensor_watch import LOOK_MS, SensorWatch

KINDS = ("sensor_absent", "sensor_wrong", "sensor_bus", "sensor_silent", "sensor_stuck", "sensor_saturated")
MINUTE_MS = 60_000
axes = st.sampled_from([-32768, -8000, -1, 0, 1, 300, 1000, 7799, 7800, 8000, 32767])


@given(st.lists(st.tuples(axes, axes, axes), max_size=60), st.lists(st.integers(1, 32), max_size=60), st.booleans())
def test_it_does_not_matter_in_which_pieces_samples_come(
    samples: list[tuple[int, int, int]], sizes: list[int], closely: bool
) -> None:
    whole, pieces = SensorWatch(), SensorWatch()
    whole.take(array("h", [axis for sample in samples for axis in sample]), len(samples), False)
    rest = list(samples)
    for size in [*sizes, len(rest)]:
        piece, rest = rest[:size], rest[size:]
        pieces.take(array("h", [axis for sample in piece for axis in sample]), len(piece), False)
    assert whole.wants_closer_look() == pieces.wants_closer_look()
    assert whole.judge(closely) == pieces.judge(closely)


@given(st.lists(st.sampled_from(["", "", *KINDS]), max_size=40))
def test_whatever_was_seen_a_lasting_fault_is_told_within_a_minute_and_so_is_its_end(seen: list[str]) -> None:
    watch = SensorWatch()
    for each in seen:
        watch.looked(each)
        assert watch.fault in ("", *KINDS)
    for problem in ("sensor_stuck", ""):
        # It may begin just after a look.
        at_ms = LOOK_MS
        while bool(watch.fault) != bool(problem):
            at_ms += watch.looked(problem)
            assert at_ms < MINUTE_MS
