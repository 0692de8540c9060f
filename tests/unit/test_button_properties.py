"""Properties of the button: whatever the contact does and however the loop is held up."""

from hypothesis import example, given
from hypothesis import strategies as st

from ansim_fw.core.button import (
    DEBOUNCE_MS,
    HOLD,
    HOLD_MS,
    LET_GO_MS,
    LONG,
    PRESS,
    RELEASE,
    STUCK,
    STUCK_MS,
    Button,
)

samples = st.tuples(st.integers(1, 200), st.booleans(), st.booleans())


@given(st.lists(samples, max_size=300))
def test_presses_and_releases_take_turns(played: list[tuple[int, bool, bool]]) -> None:
    button = Button()
    down = False
    for elapsed_ms, level, edge in played:
        told = button.step(elapsed_ms, level, edge)
        if told == PRESS | RELEASE:
            assert not down
        elif told & PRESS:
            assert not down
            down = True
        elif told & RELEASE:
            assert down
            down = False
        assert button.down == down


@given(st.lists(st.booleans(), max_size=200), st.integers(1, 10))
def test_a_button_held_for_twice_the_debounce_time_is_always_noticed(chatter: list[bool], tick_ms: int) -> None:
    button = Button()
    told = [button.step(tick_ms, level, False) for level in chatter]
    told += [button.step(tick_ms, True, False) for _ in range(2 * DEBOUNCE_MS // tick_ms + 2)]
    assert button.down
    assert any(one & PRESS for one in told)


@example([1, 10, 90, 21], 1, 100)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=60), st.integers(1, 1000), st.integers(100, 2000))
def test_a_press_of_100_ms_is_one_press_however_the_loop_is_held_up(gaps: list[int], begins: int, held: int) -> None:
    button = Button()
    now = presses = 0
    for gap in [*gaps, *[10] * 500]:
        before, now = now, now + gap
        edge = before < begins <= now
        presses += bool(button.step(gap, begins <= now < begins + held, edge) & PRESS)
    assert presses == 1


fingers = st.tuples(st.integers(50, 3000), st.integers(50, HOLD_MS - 2 * DEBOUNCE_MS))


@given(st.lists(fingers, min_size=1, max_size=6), st.lists(st.integers(1, 6000), max_size=60))
def test_presses_that_are_no_holds_are_never_told_as_one(pressed: list[tuple[int, int]], gaps: list[int]) -> None:
    spans = []
    now = 0
    for up_ms, down_ms in pressed:
        spans.append((now + up_ms, now + up_ms + down_ms))
        now += up_ms + down_ms
    button = Button()
    now = 0
    for gap in [*gaps, *[10] * 500]:
        before, now = now, now + gap
        down = any(begin <= now < end for begin, end in spans)
        edge = any(before < begin <= now for begin, _ in spans)
        assert not button.step(gap, down, edge) & HOLD


long_and_short = st.sampled_from(
    [100, HOLD_MS - 100, HOLD_MS + 100, 6000, LET_GO_MS - 100, LET_GO_MS, LET_GO_MS + 1, 20000]
)


@example([(30, 2900), (30, 6000)], [30, 3940])
@given(
    st.lists(st.tuples(st.integers(30, 4000), long_and_short), min_size=1, max_size=4),
    st.lists(st.one_of(st.just(10), st.integers(1, 60), st.integers(1, 12000)), max_size=400),
)
def test_only_a_press_of_more_than_3_and_less_than_10_s_is_ever_let_go_in_time(
    pressed: list[tuple[int, int]], gaps: list[int]
) -> None:
    spans = []
    now = 0
    for up_ms, down_ms in pressed:
        spans.append((now + up_ms, now + up_ms + down_ms))
        now += up_ms + down_ms
    button = Button()
    was_long = False
    begun = now = 0
    for gap in [*gaps, *[10] * 500]:
        before, now = now, now + gap
        down = any(begin <= now < end for begin, end in spans)
        told = button.step(gap, down, any(before < begin <= now for begin, _ in spans))
        if told & PRESS:
            begun, was_long = now, False
        was_long = was_long or bool(told & LONG)
        if told & RELEASE and button.held_ms >= HOLD_MS and not was_long:
            # The press that was seen to begin by then.
            lasted_ms = next(end - begin for begin, end in spans if begin <= begun < end)
            assert HOLD_MS - 2 * DEBOUNCE_MS <= lasted_ms < LET_GO_MS


@given(st.integers(HOLD_MS + 100, LET_GO_MS - 100), st.integers(1, 20))
def test_a_press_of_3_to_10_s_that_is_watched_is_always_let_go_in_time(down_ms: int, tick_ms: int) -> None:
    button = Button()
    told = [button.step(tick_ms, True, at == 0) for at in range(down_ms // tick_ms)]
    assert sum(bool(one & HOLD) for one in told) == 1
    told += [button.step(tick_ms, False, False) for _ in range(DEBOUNCE_MS)]
    assert told.count(RELEASE) == 1 and not any(one & LONG for one in told)


@given(st.lists(st.integers(1, 5), max_size=100))
def test_a_contact_makes_at_most_one_press_in_twice_the_debounce_time(bounces: list[int]) -> None:
    button = Button()
    samples = [number % 2 == 0 for number, ticks in enumerate(bounces) for _ in range(ticks)]
    presses = sum(bool(button.step(10, level, False) & PRESS) for level in samples)
    assert presses <= len(samples) * 10 // (2 * DEBOUNCE_MS) + 1


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=200))
def test_a_hold_and_a_stuck_button_are_told_once_a_press_each_in_its_time(gaps: list[int]) -> None:
    button = Button()
    button.step(10, True, True)
    button.step(10, True, False)
    assert button.down
    held_ms = 0
    told = []
    for gap in gaps:
        one = button.step(gap, True, False)
        held_ms += gap
        assert bool(one & HOLD) == (held_ms - gap < HOLD_MS <= held_ms)
        assert bool(one & STUCK) == (held_ms - gap < STUCK_MS <= held_ms)
        # It counts from the first sample that was down.
        assert bool(one & LONG) == (held_ms - gap + DEBOUNCE_MS < LET_GO_MS <= held_ms + DEBOUNCE_MS)
        told.append(one)
    assert sum(bool(one & HOLD) for one in told) == (held_ms >= HOLD_MS)


@given(st.lists(samples, max_size=60))
def test_nothing_is_told_before_the_time_that_it_names(played: list[tuple[int, bool, bool]]) -> None:
    button = Button()
    level = False
    for elapsed_ms, level, edge in played:  # noqa: B007  the last level stays
        button.step(elapsed_ms, level, edge)
    idle_ms = button.idle_ms()
    if level == button.down and idle_ms > 10:
        assert button.step(min(idle_ms, 10**6) - 1, level, False) == 0
