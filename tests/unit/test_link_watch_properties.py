"""When a device connects, whatever its link does: soon with an alarm, spread without, and never twice at once."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ansim_fw.core import link_watch
from ansim_fw.core.link_watch import BUSY, DOWN, UP, LinkWatch
from ansim_fw.core.retry import Jitter

TICK_MS = 10
REFUSALS = ("wifi_refused", "tls_refused", "broker_refused")
REASONS = (*REFUSALS, "broker_unreachable", "name_unknown")


class LinkWatchMachine(RuleBasedStateMachine):
    """Keeps what happened since the last attempt, and since the link was lost."""

    @initialize(seed=st.integers(0, 2**30), spread_s=st.sampled_from([0, 1, 30, 300]))
    def begin(self, seed: int, spread_s: int) -> None:
        self.spread_ms = spread_s * 1000
        self.watch = LinkWatch(Jitter(seed), self.spread_ms)
        self.link = DOWN
        self.urgent = False
        self.reason = ""
        # Since the attempt before; None: there was none, or the link was well since.
        self.since_ms: int | None = None
        # In how much of it the link was down and an alarm waited, without a pause.
        self.urgent_ms = 0
        self.calm_all_along = True
        self.down_ms = 0
        self.told: set[str] = set()

    @rule(link=st.sampled_from([DOWN, BUSY, UP]))
    def link_changes(self, link: int) -> None:
        if link == UP and self.link != UP:
            self.step(0)
            self.link = link
            self.step(0)
            assert self.watch.restored() == bool(self.told)
            self.told.clear()
        self.link = link

    @rule(urgent=st.booleans())
    def an_alarm_comes_or_goes(self, urgent: bool) -> None:
        self.urgent = urgent
        self.urgent_ms = 0

    @rule(reason=st.sampled_from(("", *REASONS)))
    def it_fails_because(self, reason: str) -> None:
        self.reason = reason

    @rule(ticks=st.integers(1, 200))
    def time_passes(self, ticks: int) -> None:
        for _ in range(ticks):
            self.step(TICK_MS)

    @rule(jumps=st.integers(1, 8))
    def time_jumps_to_what_is_due(self, jumps: int) -> None:
        # What it says holds for inputs that it has seen.
        self.step(0)
        for _ in range(jumps):
            idle_ms = self.watch.idle_ms(self.link, self.urgent, self.reason)
            if TICK_MS < idle_ms <= 600_000:
                assert not self.step(idle_ms - TICK_MS)
            self.step(TICK_MS)

    @rule(up_ticks=st.integers(1, 30))
    def a_connection_is_short_and_an_alarm_comes_meanwhile(self, up_ticks: int) -> None:
        self.link_changes(UP)
        self.an_alarm_comes_or_goes(True)
        self.time_passes(up_ticks)
        self.link_changes(DOWN)
        self.time_passes(link_watch.URGENT_LIMIT_MS // TICK_MS + 1)

    def step(self, elapsed_ms: int) -> bool:
        told = self.watch.step(elapsed_ms, self.link, self.urgent)
        self.pass_time(elapsed_ms)
        if told:
            self.check_attempt()
        elif self.link == DOWN and self.urgent:
            # An alarm waits for the next attempt no longer than this, and for its first not at all.
            assert self.since_ms is not None and self.urgent_ms < link_watch.URGENT_LIMIT_MS
        if self.link != UP:
            self.check_fault()
        return told

    def pass_time(self, elapsed_ms: int) -> None:
        self.down_ms = 0 if self.link == UP else self.down_ms + elapsed_ms
        self.urgent_ms = self.urgent_ms + elapsed_ms if self.link == DOWN and self.urgent else 0
        if self.urgent or self.link == UP:
            self.calm_all_along = False
        if self.since_ms is not None:
            self.since_ms += elapsed_ms

    def check_attempt(self) -> None:
        assert self.link == DOWN
        if self.since_ms is not None and self.calm_all_along:
            assert self.since_ms >= self.spread_ms
        self.since_ms = self.urgent_ms = 0
        self.calm_all_along = not self.urgent

    def check_fault(self) -> None:
        told = self.watch.fault(self.reason)
        due = self.reason in REFUSALS or self.down_ms >= link_watch.GRACE_MS + 2 * self.spread_ms
        assert told == (bool(self.reason) and self.reason not in self.told and due)
        if told:
            self.told.add(self.reason)

    @rule(
        elapsed=st.lists(st.integers(1, 20_000), min_size=1, max_size=60),
        heard_every=st.sampled_from([0, 3, 10]),
    )
    def a_connection_on_which_alarms_get_no_answer(self, elapsed: list[int], heard_every: int) -> None:
        """Is made anew after 15 s, then 30 s, ... and at the most 4 min of silence."""
        self.watch.heard()
        # The time before the alarm waited does not count.
        assert not self.watch.silent(10**6, True)
        silent_ms, patience_ms = 0, link_watch.FIRST_SILENCE_MS
        for number, elapsed_ms in enumerate(elapsed, 1):
            silent_ms += elapsed_ms
            anew = self.watch.silent(elapsed_ms, True)
            assert anew == (silent_ms >= patience_ms)
            if anew:
                silent_ms, patience_ms = 0, min(2 * patience_ms, link_watch.LONGEST_SILENCE_MS)
            if heard_every and number % heard_every == 0:
                self.watch.heard()
                silent_ms, patience_ms = 0, link_watch.FIRST_SILENCE_MS
        assert not self.watch.silent(10**6, False)

    @invariant()
    def what_is_due_is_due_in_time(self) -> None:
        if hasattr(self, "watch"):
            assert self.watch.idle_ms(self.link, self.urgent, self.reason) >= 0


TestLinkWatch = LinkWatchMachine.TestCase
TestLinkWatch.settings = settings(max_examples=80, stateful_step_count=30)
