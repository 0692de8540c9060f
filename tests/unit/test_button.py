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


def play(button, samples, tick_ms=10):
    """Feed samples (1: down) and return what the button told, without the silences."""
    told = [button.step(tick_ms, sample == 1, False) for sample in samples]
    return [one for one in told if one]


def held(down_ms):
    """Return a button that is down for so long, every moment of it seen."""
    button = Button()
    play(button, [1] * (down_ms // 10))
    return button


def test_a_press_is_told_once_it_is_longer_than_bounce():
    assert play(Button(), [1, 1, 1, 1, 0, 0, 0]) == [PRESS, RELEASE]


def test_a_glitch_of_one_sample_is_not_a_press():
    assert play(Button(), [0, 1, 0, 0, 1, 0, 0]) == []


def test_bounce_at_both_ends_is_one_press():
    assert play(Button(), [1, 0, 1, 1, 1, 1, 0, 1, 0, 0, 0]) == [PRESS, RELEASE]


def test_a_press_between_two_samples_counts_when_nobody_looked_for_long():
    assert Button().step(DEBOUNCE_MS + 1, False, True) == PRESS | RELEASE


def test_a_press_of_which_one_sample_was_seen_counts_when_nobody_looked_for_long():
    button = Button()
    assert button.step(10, True, True) == 0
    assert button.step(DEBOUNCE_MS + 1, False, False) == PRESS | RELEASE


def test_a_press_that_began_while_nobody_looked_counts_when_it_ends_at_once():
    button = Button()
    assert button.step(DEBOUNCE_MS + 1, True, True) == PRESS
    assert [button.step(10, False, False) for _ in range(3)] == [0, RELEASE, 0]


def test_an_edge_between_two_samples_close_together_is_a_glitch():
    assert Button().step(DEBOUNCE_MS, False, True) == 0


def test_a_hold_is_told_once():
    assert play(Button(), [1] * (HOLD_MS // 10 + 50)) == [PRESS, HOLD]


def test_a_stuck_button_is_told_once():
    assert play(Button(), [1] * (STUCK_MS // 10 + 500)) == [PRESS, HOLD, LONG, STUCK]


def test_a_loop_that_was_held_up_still_tells_a_hold():
    button = Button()
    play(button, [1, 1, 1])
    assert button.step(STUCK_MS + 1, True, False) == HOLD | LONG | STUCK


def test_a_button_that_was_let_go_while_the_loop_was_held_up_was_not_held():
    button = Button()
    play(button, [1, 1, 1])
    assert [button.step(HOLD_MS, False, False), button.step(10, False, False)] == [0, RELEASE]


def test_a_press_that_followed_another_while_the_loop_was_held_up_is_told_as_a_second_one():
    button = Button()
    play(button, [1, 1, 1])
    assert button.step(HOLD_MS, True, True) == RELEASE | LONG
    assert play(button, [1, 1]) == [PRESS]


def test_a_button_that_is_let_go_in_time_is_no_long_one_and_one_that_is_not_is():
    assert play(held(LET_GO_MS - 3 * DEBOUNCE_MS), [0] * 10) == [RELEASE]
    assert play(held(LET_GO_MS - DEBOUNCE_MS), [1] * 5 + [0] * 5) == [LONG, RELEASE]


def test_time_that_nobody_saw_counts_against_a_let_go():
    # Let go at once, or after 7 s: nobody knows.
    button = held(HOLD_MS + 1000)
    assert button.step(LET_GO_MS - HOLD_MS, False, False) == LONG
    assert play(button, [0, 0]) == [RELEASE]


def test_a_button_that_was_let_go_in_time_for_certain_is_no_long_one_though_nobody_saw_when():
    button = held(HOLD_MS + 1000)
    assert button.step(5000, False, False) == 0
    assert play(button, [0, 0]) == [RELEASE]


def test_a_press_that_may_have_begun_long_before_it_was_seen_is_a_long_one_at_once():
    assert Button().step(LET_GO_MS, True, True) == PRESS | LONG
    button = held(1000)
    assert button.step(LET_GO_MS, True, True) == LONG | RELEASE
    assert play(button, [1]) == [PRESS | LONG]


def test_a_button_that_bounces_as_it_is_let_go_is_no_long_one():
    assert held(HOLD_MS + 1000).step(50, False, True) == RELEASE


def test_a_button_that_may_have_been_pressed_again_while_nobody_looked_is_a_long_one():
    assert held(HOLD_MS + 1000).step(50, True, True) == RELEASE | LONG
    assert held(HOLD_MS + 1000).step(1000, False, True) == RELEASE | LONG


def test_a_press_that_nobody_saw_is_no_hold_however_long_the_one_before_was():
    button = held(HOLD_MS + 1000)
    play(button, [0] * 10)
    assert button.step(1000, False, True) == PRESS | RELEASE
    assert button.held_ms == 0
