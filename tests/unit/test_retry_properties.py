"""Properties of waits: bounded, never shorter than they must be, and different from device to device."""

from hypothesis import given
from hypothesis import strategies as st

from ansim_fw.core.retry import Jitter, wait_ms

SEEDS = st.integers(0, 2**32 - 1)


@given(st.integers(1, 1000), st.integers(1, 10**5), st.integers(1, 10**6), SEEDS)
def test_no_wait_passes_its_limit(attempt: int, first_ms: int, limit_ms: int, seed: int) -> None:
    assert 0 <= wait_ms(attempt, first_ms, limit_ms, Jitter(seed)) <= limit_ms


@given(st.integers(1, 1000), st.integers(1, 10**5), st.integers(1, 10**6), SEEDS)
def test_a_wait_is_at_least_what_has_grown_up_to_three_quarters_of_its_limit(
    attempt: int, first_ms: int, limit_ms: int, seed: int
) -> None:
    grown_ms = first_ms * 2 ** min(attempt - 1, 10)
    assert wait_ms(attempt, first_ms, limit_ms, Jitter(seed)) >= min(grown_ms, limit_ms * 3 // 4)


@given(SEEDS, st.integers(1, 2**30))
def test_the_jitter_stays_below_its_limit_and_its_state_a_small_int(seed: int, limit: int) -> None:
    jitter = Jitter(seed)
    for _ in range(20):
        assert 0 <= jitter.below(limit) < limit
        assert 0 < jitter.state < 2**30


@given(st.integers(0, 2**30 - 1000))
def test_a_thousand_devices_of_one_order_do_not_wait_alike(first: int) -> None:
    tenths = [0] * 10
    for number in range(1000):
        tenths[Jitter(first + number).below(10)] += 1
    assert min(tenths) >= 50 and max(tenths) <= 170
