from ansim_fw.core.allowance import MOST, REFILL_MS, WELL, Allowance


def spent():
    one = Allowance()
    for _ in range(MOST):
        assert one.take()
    assert not one.take()
    return one


def test_nobody_presses_so_much_that_a_press_does_not_count():
    one = Allowance()
    # Every minute, for a month.
    for _ in range(30 * 24 * 60):
        one.pass_time(60000)
        assert one.take()
    assert not one.spent


def test_a_button_that_chatters_raises_two_alarms_a_minute_in_the_long_run():
    one = spent()
    taken = 0
    for _ in range(3600 * 25):
        one.pass_time(40)
        taken += one.take()
    assert taken == 2 * 60


def test_it_is_well_again_when_it_stays_within_what_it_is_given():
    one = spent()
    assert not one.pass_time(WELL * REFILL_MS - 1)
    assert one.spent
    assert one.idle_ms() == 1
    assert one.pass_time(1)
    assert not one.spent
    assert not one.pass_time(WELL * REFILL_MS)


def test_time_in_one_jump_is_time_in_many():
    first, second = spent(), spent()
    first.pass_time(7 * REFILL_MS + 11)
    for _ in range(7 * REFILL_MS + 11):
        second.pass_time(1)
    assert [first.take() for _ in range(9)] == [second.take() for _ in range(9)]
