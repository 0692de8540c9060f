"""Thousands of sleeps and wakes at random, with presses at every moment, falls, dead networks, and crashes."""

from fuzz import Dice
from sleeper_kit import ASLEEP, Pendant

from ansim_fw.core.event import ALARM, CANCEL, HEARTBEAT

MINUTE_MS = 60000
CYCLES = 1200
NETWORKS = ("", "", "", "wifi_absent", "broker_unreachable", "broker_refused")


class Life:
    """A pendant's life that is drawn, and what must hold in it.

    Attributes:
        presses: how many there were; sleeps: how often it slept.
    """

    def __init__(self, seed, crashes):
        self.dice = Dice(seed)
        self.crashes = crashes
        self.one = Pendant(heartbeat_min=(1, 15, 60)[seed % 3], spread_s=(0, 30)[seed % 2])
        self.presses = self.sos = self.falls = 0
        # The numbers that come next, of events and of heartbeats, and the last heartbeat.
        self.boot = self.seq = 0
        self.beat = None
        self.sleeps = 0
        self.one.start()

    def go(self, cycles):
        doings = (self.wait, self.wait, self.bump, self.press, self.press_late, self.fall, self.change, self.crash)
        for _ in range(cycles):
            doings[self.dice.below(len(doings))]()
            self.check()
            self.one.live(self.dice.below(20 * MINUTE_MS))
            self.check()
        self.end()

    def wait(self):
        self.one.live(self.dice.below(2 * 60 * MINUTE_MS))

    def bump(self):
        self.one.bump()

    def press(self):
        self.let_alarms_end()
        # Anywhere in a sleep, a contact, or what comes after it.
        self.one.live(self.dice.below(4000))
        self.presses += 1
        self.one.press(40 + self.dice.below(600))

    def press_late(self):
        self.let_alarms_end()
        self.one.live(self.dice.below(61 * MINUTE_MS))
        self.presses += 1
        self.one.press_while_falling_asleep()

    def fall(self):
        self.let_alarms_end()
        self.falls += 1
        self.one.fall()

    def change(self):
        self.one.network = NETWORKS[self.dice.below(len(NETWORKS))]
        self.one.answers = self.dice.below(4) > 0
        self.one.inputs.battery_mv = 3550 + self.dice.below(600)
        self.one.inputs.sensor_fault = ("", "", "sensor_bus")[self.dice.below(3)]
        self.one.inputs.supply = self.dice.below(6) == 0
        # The clock was set, or goes wrong.
        self.one.rtc_ms += (0, 0, 0, -20000, 300000)[self.dice.below(5)]

    def crash(self):
        if self.crashes and self.dice.below(4) == 0:
            self.one.crash()

    def let_alarms_end(self):
        """A press while one may be cancelled, or a fall nobody has heard of, is another story."""
        self.one.network = ""
        self.one.answers = True
        self.one.live(3 * MINUTE_MS)
        assert not [made for made in self.one.journal.values() if made.type in (ALARM, CANCEL)]

    def check(self):
        one = self.one
        for made in one.stored:
            if made.boot != self.boot:
                assert made.boot > self.boot
                self.boot, self.seq = made.boot, 0
            # No number twice, and no hole.
            assert made.seq == self.seq and made.type != CANCEL
            self.seq += 1
            self.sos += made.kind == "sos"
        for _, sent, _ in one.sent:
            # Sent again, it is the same one.
            if sent.type == HEARTBEAT and sent is not self.beat:
                assert self.beat is None or (sent.boot, sent.seq) > (self.beat.boot, self.beat.seq)
                self.beat = sent
        self.sleeps += len(one.naps)
        for begin_ms, until_ms, _ in one.naps:
            assert 0 <= until_ms - begin_ms <= 24 * 60 * MINUTE_MS
        one.forget()

    def end(self):
        one = self.one
        one.network, one.answers = "", True
        one.inputs.supply = False
        one.inputs.battery_mv = 4000
        one.inputs.sensor_fault = ""
        for _ in range(14):
            one.live(60 * MINUTE_MS)
            self.check()
        first = self.beat.seq
        for _ in range(24):
            one.live(60 * MINUTE_MS)
            self.check()
        assert abs(self.beat.seq - first - 24 * 60 // one.settings["heartbeat_min"]) <= 1
        assert one.journal == {}
        assert one.state == ASLEEP
        assert self.sos == self.presses


def test_no_press_is_missed_and_nothing_is_lost_in_thousands_of_cycles():
    sleeps = 0
    for seed in range(6):
        life = Life(seed, False)
        life.go(CYCLES // 6)
        assert life.presses > 20 and life.one.boot == 1
        sleeps += life.sleeps
    assert sleeps > 4000


def test_crashes_that_take_the_rtc_memory_lose_nothing_that_was_stored_and_repeat_no_id():
    for seed in range(6):
        life = Life(100 + seed, True)
        life.go(CYCLES // 6)
        assert life.one.boot > 3
