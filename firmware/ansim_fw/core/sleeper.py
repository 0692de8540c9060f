"""A device that sleeps: on line only for a reason, and between two reasons in deep sleep, with its memory in a Kept."""

from micropython import const

from ansim_fw.core import battery, event, ledger, link_watch, outbox, power
from ansim_fw.core.device import SAVE, STORE, Device, Inputs
from ansim_fw.core.event import Event
from ansim_fw.core.heartbeat import Heartbeat

# Safe mode is for somebody at the console; one that nobody uses ends with the next sleep after so long.
SAFE_MS = const(600000)
# The reset cause of a start that should have been a wake.
_FORGOT = "deep_sleep"


class Sleeper(Device):
    """A pendant. While a charger feeds it, or somebody is at its console, it is on line like any device.

    Attributes:
        ledger: what it spent its time on.
        errand: the contact for which nothing is urgent.
    """

    def __init__(
        self,
        boot: int,
        settings: "dict[str, int]",
        seed: int,
        firmware: str,
        reset: str,
        curve: "battery.Curve",
        provisioned: bool,
        told: int = 0,
    ) -> None:
        super().__init__(boot, settings, seed, firmware, reset, curve, provisioned, False, told)
        # Devices that start together are not heard together, and none waits for its turn awake. But one that in a sleep
        # forgot what it was goes on line at once: it may forget in the next one, too.
        self._forgot = reset == _FORGOT
        first_ms = 1 if self._forgot else 1 + self._jitter.below(self._watch.spread_ms + 1)
        self.heartbeat = Heartbeat(settings["heartbeat_min"], first_ms)
        self.ledger = ledger.Ledger()
        self.errand = power.Errand()
        self._tries = False
        self._safe_ms = 0
        # Cold starts without a contact, until the first step has drawn its conclusion: the radio rests for a while.
        self._starts = 0
        self._rests_radio = False
        self._unread = False
        self._woken: "Kept | None" = None

    def report(self, fault: str) -> None:
        # Whatever the journal kept to itself is looked for again after the next sleep.
        self._unread = self._unread or fault == "journal"
        super().report(fault)

    def restore(self, old: Event) -> None:
        for entry in self.outbox.entries:
            if entry.event.has_id(old.boot, old.seq):
                # Only one of the journal's shelves took it, so it was kept over the sleep, too.
                return
        super().restore(old)

    def spare(self, starts: int) -> None:
        """Take care of the cell: so many cold starts in a row, this one included, had no contact that came to its end.

        To be called before the first step. The radio rests then, for power.rest_before_radio_ms, unless it is on a
        charger or somebody is at its console. A new alarm ends the rest, but for that of a button that was down at the
        start: it may be stuck. The end of a sleep is no breakdown, whatever was forgotten in it.
        """
        if not self._forgot:
            self._starts = starts

    def step(self, elapsed_ms: int, inputs: Inputs) -> "list[tuple[Any, ...]]":
        if self._starts:
            self._begin_rest(inputs)
        # restore() is over.
        self._woken = None
        self.ledger.pass_time(ledger.RADIO if inputs.radio else ledger.CPU, elapsed_ms)
        if self.safe:
            self._safe_ms = min(self._safe_ms + elapsed_ms, SAFE_MS)
        return super().step(elapsed_ms, inputs)

    def idle_ms(self, inputs: Inputs) -> int:
        """Return how long the next step may be put off: nothing is due before, sleep included."""
        idle_ms = super().idle_ms(inputs)
        if not self._provisioned or idle_ms == 0:
            return idle_ms
        if self.safe and self._safe_ms < SAFE_MS:
            idle_ms = min(idle_ms, SAFE_MS - self._safe_ms)
        for each in self.alarms.current:
            if each.age_ms < self.alarms.cancel_ms:
                idle_ms = min(idle_ms, self.alarms.cancel_ms - each.age_ms)
        return min(idle_ms, self.errand.idle_ms(inputs.link, self._waits()))

    def _begin_rest(self, inputs: Inputs) -> None:
        starts, self._starts = self._starts, 0
        cell = self._supply.cell
        cell.step(0, inputs.battery_mv)
        rest_ms = power.rest_before_radio_ms(starts, cell.percent, self.outbox.urgent())
        if rest_ms and not (inputs.supply or inputs.console):
            self._rests_radio = True
            self.errand.rest(rest_ms)
            self.heartbeat.wait_ms = rest_ms

    # Sleep

    def sleep_ms(self, inputs: Inputs) -> int:
        """Return for how long it may sleep deeply from now; 0: it stays awake.

        To be asked after a step without actions. The radio is to be off then.
        """
        if inputs.supply or self._is_attended(inputs) or not self._provisioned or not self._rests(inputs):
            return 0
        due_ms = self._due_ms()
        return due_ms if due_ms >= power.SHORTEST_MS else 0

    def keep(self, kept: "Kept") -> None:
        """Put all that outlasts a deep sleep into kept, but what is not the core's."""
        if self._tries:
            self.ledger.count(ledger.FAILED_LINKS)
        kept.boot, kept.reset = self.boot, self._reset
        kept.seq, kept.beat_seq = self._seq, self._beat_seq
        kept.up_s, kept.up_ms = self.up_s, self._up_ms
        kept.retries = self.retries
        kept.jitter = self._jitter.state
        kept.app_ms, kept.passed_ms = self._due_ms(), 0
        kept.beat_ms, kept.beat_owed = self.heartbeat.wait_ms, int(self.heartbeat.owed)
        kept.heartbeat_min = self._chosen_min
        kept.cancel_s = self.alarms.cancel_ms // 1000
        kept.spread_s = self._watch.spread_ms // 1000
        kept.prealarm_s = self._prealarm_ms // 1000
        kept.journal_failed = int(self._journal_failed)
        kept.stuck = int(self._button.is_stuck)
        kept.rests_radio = int(self._rests_radio)
        kept.sensor_fault = self._sensor_fault
        kept.ledger = self.ledger
        # Needed once a wake, when little else is.
        from ansim_fw.core import keeping

        keeping.keep_events(kept, self.outbox, self.alarms)
        kept.waiting = max(kept.waiting, int(self._unread))
        keeping.keep_parts(kept, self.errand, self._allowance, self._supply, self._watch)

    def resume(self, kept: "Kept", pressed: bool) -> None:
        """Go on where keep() ended. Call before restore() and the first step.

        Args:
            pressed: the button was pressed since: that counts with the first step, whatever the button does by then.
        """
        from ansim_fw.core import keeping

        self._woken = kept
        self._seq, self._beat_seq = kept.seq, kept.beat_seq
        self.up_s, self._up_ms = kept.up_s, kept.up_ms
        self.retries = kept.retries
        self._jitter.state = kept.jitter
        self._journal_failed = kept.journal_failed == 1
        self._sensor_fault = kept.sensor_fault
        self.ledger = kept.ledger
        # A press that wakes is no safe mode.
        self._held_since_start = False
        self._button.resume(kept.stuck == 1, pressed)
        keeping.resume_alarms(kept, self.alarms)
        keeping.resume_parts(kept, self.errand, self._allowance, self._supply, self._watch)
        self._rests_radio = kept.rests_radio == 1
        if self._rests_radio:
            self.errand.rest(self.errand.again_ms)
        self.heartbeat.interval_min = self._supply.interval_min(self._chosen_min)
        self.heartbeat.wait_ms = kept.beat_ms - kept.passed_ms
        self.heartbeat.owed = kept.beat_owed == 1
        self._pass_time(kept.passed_ms)
        for each in keeping.untold(kept):
            # It may go out; the journal may take it by now.
            self.outbox.add(each, keeping.age_ms(kept, each), False)
            self.outbox.mark_stored(each, False)
            self._actions.append((STORE, each))

    def _due_ms(self) -> int:
        """Return after how long there is a reason to be awake: one is a reading of the cell that is in doubt."""
        return min(self.heartbeat.wait_ms, self.errand.again_ms or power.NEVER_MS, self._supply.idle_ms())

    def _is_attended(self, inputs: Inputs) -> bool:
        return self._supply.fed or inputs.console

    def _rests(self, inputs: Inputs) -> bool:
        """Tell whether nothing goes on: an alarm overrides every saving until it is acknowledged."""
        if self._actions or inputs.stored or inputs.commands or inputs.fall or inputs.motion_busy:
            return False
        if self._owed or self._fell or self._undecided or self._prealarm is not None:
            return False
        if self.errand.runs or not self._is_stored() or self.alarms.may_cancel(0) or self._note_ms > 0:
            return False
        if not self._rests_radio and (self.outbox.urgent() or self.alarms.raised_ms() >= 0):
            return False
        if self.safe and self._safe_ms < SAFE_MS:
            return False
        return self._button.rests() and inputs.sensor_fault == self._sensor_fault

    def _is_stored(self) -> bool:
        """Tell whether nothing is on its way to the journal, and nothing urgent in memory alone."""
        for entry in self.outbox.entries:
            if not entry.stored or (entry.stored == outbox.VOLATILE and entry.event.priority == 0):
                return False
        return True

    # On line for a reason

    def _is_urgent(self, inputs: Inputs) -> bool:
        # Awake, it waits for nothing, but for a cell that has broken down again and again.
        return not self._rests_radio and self._calls(inputs)

    def _calls(self, inputs: Inputs) -> bool:
        return super()._is_urgent(inputs) or (self.errand.runs and not self._is_attended(inputs))

    def _is_wanted(self, inputs: Inputs) -> bool:
        return self._is_attended(inputs) or self._is_urgent(inputs)

    def _waits(self) -> bool:
        """Tell whether something is to be sent, or not acknowledged."""
        if self.heartbeat.owed:
            return True
        for entry in self.outbox.entries:
            if not entry.held:
                return True
        return False

    def _watch_link(self, elapsed_ms: int, inputs: Inputs) -> None:
        is_due = self.heartbeat.wait_ms <= elapsed_ms
        if is_due or (self._rests_radio and self._is_attended(inputs)):
            self.errand.begin(1)
        up = inputs.link == link_watch.UP
        if up and not self._was_up:
            self._came_up()
        elif self._tries and inputs.link == link_watch.DOWN:
            self._tries = False
            self.ledger.count(ledger.FAILED_LINKS)
        if self.errand.step(elapsed_ms, inputs.link, is_due or self._waits()) == power.DONE:
            # The cell has carried a contact from end to end. Kept once: hal.settings writes no number that is there.
            self._actions.append((SAVE, "met", self.boot))
        # A rest ends with its first reason to be on line.
        self._rests_radio = self._rests_radio and not self.errand.runs
        super()._watch_link(elapsed_ms, inputs)

    def _came_up(self) -> None:
        self._tries = False
        self.ledger.count(ledger.LINKS)
        self.errand.begin(0)

    def _connect(self) -> None:
        self._tries = True
        self.errand.attempt()
        super()._connect()

    def _acknowledged(self, boot: int, seq: int) -> None:
        before = len(self.outbox.entries)
        super()._acknowledged(boot, seq)
        if len(self.outbox.entries) < before:
            # It goes on for as long as there is progress.
            self.errand.begin(0)

    def _raise(self, type: int, kind: str = "", of: "tuple[int, int] | None" = None) -> "Event | None":
        made = super()._raise(type, kind, of)
        if type in (event.ALARM, event.CANCEL) and (kind != "sos" or not self._held_since_start):
            self._rests_radio = False
        if self._was_up:
            self.errand.begin(0)
        elif type in (event.FAULT, event.RESTORE):
            self.errand.add_news()
        return made

    def _tell_supply(self, changed: int) -> None:
        super()._tell_supply(changed)
        if self._rests_radio:
            return
        is_last_gasp = changed & self._supply.told & battery.IS_CRITICAL
        self.errand.begin(power.LAST_GASPS if is_last_gasp else 1)

    # What it tells

    def _age_ms(self, old: Event) -> int:
        if self._woken is None:
            return -1
        from ansim_fw.core import keeping

        return keeping.age_ms(self._woken, old)

    def _health(self, inputs: Inputs) -> "dict[str, str | int]":
        health = super()._health(inputs)
        health.update(self.ledger.told())
        return health


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ansim_fw.core.kept import Kept
