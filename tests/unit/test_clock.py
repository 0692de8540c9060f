from ansim_fw.hal import clock

WRAP = 1 << 30


class ChipTicks:
    """time.ticks_* as on a 32-bit chip: ticks wrap at 2^30, and differences are right across the wrap."""

    def __init__(self, now):
        self.now = now

    def ticks_ms(self):
        return self.now % WRAP

    def ticks_diff(self, later, earlier):
        return (later - earlier + WRAP // 2) % WRAP - WRAP // 2


def elapsed(start, steps):
    """Let time pass in steps (ms) from ticks start and return what the clock told."""
    ticks = ChipTicks(start)
    kept = clock.time
    clock.time = ticks
    try:
        made = clock.Clock()
        told = []
        for step in steps:
            ticks.now += step
            told.append(made.elapsed_ms())
        return told
    finally:
        clock.time = kept


def test_elapsed_time_is_right_across_the_wrap_of_the_ticks():
    steps = [10, 10, 0, 15, 3000, 10]
    for start in (0, WRAP - 5, WRAP - 15, WRAP - 20, WRAP - 3001):
        assert elapsed(start, steps) == steps


def test_a_month_of_ticks_adds_up():
    steps = [60000] * (60 * 24 * 30)
    assert sum(elapsed(WRAP - 1000, steps)) == sum(steps)
