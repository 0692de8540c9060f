"""A pendant's life in virtual time: core, RTC memory and clock, wake module, journal, network and receiver.

Runs on MicroPython too.
"""

from binascii import crc32

from ansim_fw.core import device, event, kept, ledger, link_watch, message
from ansim_fw.core.sleeper import Sleeper

TICK_MS = 10
JOIN_MS = 1500
OPEN_MS = 100
ACK_MS = 150
# From a wake until the button is armed, and until the device is on duty.
ARMED_MS = 400
START_MS = 300
BUMP_MS = 60
# From the radio's first current until a weak cell has broken down.
BROWNOUT_MS = 300
CURVE = ((4200, 100), (3800, 40), (3700, 15), (3600, 5), (3300, 0))
SETTINGS = {"heartbeat_min": 60, "cancel_s": 30, "spread_s": 30, "prealarm_s": 30, "fall": 1}

OFF, AWAKE, ASLEEP = 0, 1, 2


class Pendant:
    """One device.

    Attributes:
        now_ms: true time; rtc_ms: what its clock is ahead of that.
        network: why it can't be reached, empty: it can; answers: there is a receiver.
        stored: every event that was stored; journal: what waits there, by id; sent: (now_ms, entry's event, attempt).
        naps: (from, until, reason) of every deep sleep; connects: when it connected.
        flash_works: its journal takes what it is given; weak: its cell breaks down under the radio; forgets: its RTC
            memory does not outlast a sleep; starts: when it started without one.
    """

    def __init__(self, **settings):
        self.now_ms = 0
        self.rtc_ms = 1700000000000
        self.network = ""
        self.answers = True
        self.settings = dict(SETTINGS)
        self.settings.update(settings)
        self.inputs = device.Inputs()
        self.inputs.battery_mv = 3900
        self.boot = 0
        self.told = 0
        self.met = 0
        self.weak = False
        self.forgets = False
        self.flash_works = True
        self.starts = []
        self.memory = b""
        self.core = None
        self.state = OFF
        self.journal = {}
        self.stored = []
        self.sent = []
        self.naps = []
        self.connects = []
        self.shown = []
        self.bumps = 0
        self.asked_ms = 0
        self._link_left_ms = 0
        self._acks = []
        self._fell_asleep_ms = 0

    # Starts

    def start(self, reset="power_on"):
        """Start cold: the RTC memory is lost or not to be trusted."""
        self.now_ms += ARMED_MS + START_MS
        self.memory = b""
        self.boot += 1
        self.starts.append(self.now_ms)
        self._begin(Sleeper(self.boot, self.settings, 77, "0.1.0", reset, CURVE, True, self.told))
        self.core.ledger.woke(ledger.COLD)
        self.core.spare(self.boot - self.met)
        for each in self.waiting():
            self.core.restore(each)
        if reset == "watchdog":
            self.core.report("watchdog")

    def waiting(self):
        return [self.journal[event_id] for event_id in sorted(self.journal)]

    def _begin(self, core):
        self.core = core
        self.state = AWAKE
        self.inputs.link = link_watch.DOWN
        self.inputs.link_fault = ""
        self.inputs.radio = False
        self.inputs.stored.clear()
        self.inputs.commands.clear()
        self.inputs.button_edge = False
        self._acks.clear()
        self._link_left_ms = 0

    def crash(self):
        """A restart that forgets all but flash; what it was doing is undone."""
        self.state = OFF
        self.core = None
        self.start("watchdog")

    def _wake(self, reason, pressed):
        if self.forgets:
            self.start("deep_sleep")
            self.inputs.button_edge = pressed
            self.pass_ms(START_MS)
            return
        kept_ = kept.unpack(self.memory, crc32)
        assert kept_ is not None
        slept_ms = kept_.woke(self.now_ms + self.rtc_ms, reason)
        self.naps.append((self._fell_asleep_ms, self.now_ms, reason))
        assert slept_ms >= 0
        if reason == ledger.MOTION:
            self._bump(kept_)
            return
        if reason == ledger.TIMER:
            assert kept_.left_ms() <= self.asked_ms // 10
        self.memory = b""
        settings = kept_.settings()
        core = Sleeper(kept_.boot, settings, 77, "0.1.0", kept_.reset, CURVE, True)
        core.resume(kept_, pressed)
        if kept_.waiting:
            for each in self.waiting():
                core.restore(each)
        else:
            assert not self.journal
        self._begin(core)
        self.pass_ms(START_MS)

    def _bump(self, kept_):
        """The wake module looks, finds nothing and goes back to sleep."""
        self.bumps += 1
        self.now_ms += BUMP_MS
        kept_.pass_time(ledger.CPU, BUMP_MS)
        self._nap(kept_, max(kept_.left_ms(), 1))

    # Sleep

    def fall_asleep(self):
        """As the loop does when it may sleep: radio off, keep, timer; a press that comes now counts."""
        asked_ms = self.core.sleep_ms(self.inputs)
        assert asked_ms > 0
        if not self.weak:
            assert not [one for one in self.journal.values() if one.type in (event.ALARM, event.CANCEL)]
        kept_ = kept.Kept()
        self.core.keep(kept_)
        assert kept_.waiting == len(self.journal)
        self._nap(kept_, asked_ms)

    def _nap(self, kept_, asked_ms):
        self.core = None
        self.state = ASLEEP
        self.asked_ms = asked_ms
        self._fell_asleep_ms = self.now_ms
        kept_.sleeps(self.now_ms + self.rtc_ms, asked_ms)
        self.memory = kept.pack(kept_, crc32)
        assert len(self.memory) == kept.SIZE <= 512

    # Time

    def live(self, duration_ms):
        """Let time pass, asleep and awake, with nothing new from outside."""
        end_ms = self.now_ms + duration_ms
        while self.now_ms < end_ms:
            if self.state == ASLEEP:
                due_ms = self._fell_asleep_ms + self.asked_ms
                if due_ms > end_ms:
                    self.now_ms = end_ms
                    return
                self.now_ms = max(due_ms, self.now_ms)
                self._wake(ledger.TIMER, False)
            else:
                self._go_on(end_ms)

    def _go_on(self, end_ms):
        news = self.step(0)
        if not news and self.core.sleep_ms(self.inputs):
            self.fall_asleep()
            return
        idle_ms = TICK_MS if news else max(self.core.idle_ms(self.inputs), TICK_MS)
        for left_ms in [self._link_left_ms] + [at_ms - self.now_ms for at_ms, _ in self._acks]:
            if left_ms > 0:
                idle_ms = min(idle_ms, left_ms)
        self.pass_ms(max(min(idle_ms, end_ms - self.now_ms), 1))

    def pass_ms(self, elapsed_ms):
        if self.weak and self.inputs.radio and not self.inputs.supply:
            self.now_ms += BROWNOUT_MS
            self.start()
            return
        self.now_ms += elapsed_ms
        self._move_link(elapsed_ms)
        for at_ms, payload in self._acks:
            if at_ms <= self.now_ms and self.inputs.link == link_watch.UP:
                self.inputs.commands.append(message.decode_command(payload))
        self._acks = [one for one in self._acks if one[0] > self.now_ms]
        self.step(elapsed_ms)

    def _move_link(self, elapsed_ms):
        inputs = self.inputs
        if inputs.link == link_watch.UP and self.network:
            inputs.link, inputs.link_fault = link_watch.DOWN, "link_lost"
        if self._link_left_ms <= 0:
            return
        self._link_left_ms -= elapsed_ms
        if self._link_left_ms > 0:
            return
        if self.network:
            inputs.link, inputs.link_fault = link_watch.DOWN, self.network
        elif inputs.link == link_watch.BUSY:
            inputs.link = link_watch.OPEN
            self._link_left_ms = OPEN_MS
        else:
            inputs.link, inputs.link_fault = link_watch.UP, ""

    def step(self, elapsed_ms):
        """One cycle; tell whether there was news."""
        actions = self.core.step(elapsed_ms, self.inputs)
        self.inputs.stored.clear()
        self.inputs.commands.clear()
        self.inputs.button_edge = self.inputs.fall = False
        news = bool(actions)
        while actions:
            self._act(actions.pop(0))
        return news

    def _act(self, action):
        what = action[0]
        if what == device.STORE:
            made = action[1]
            assert (made.boot, made.seq) not in self.journal
            if self.flash_works:
                self.stored.append(made)
                self.journal[(made.boot, made.seq)] = made
            self.inputs.stored.append((made, self.flash_works))
        elif what == device.SEND:
            self._send(action[1])
        elif what == device.FORGET:
            self.journal.pop((action[1].boot, action[1].seq), None)
        elif what == device.SHOW:
            self.shown.append(action[1])
        elif what == device.CONNECT:
            assert self.inputs.link == link_watch.DOWN
            self.connects.append(self.now_ms)
            self.inputs.link = link_watch.BUSY
            self.inputs.radio = True
            self._link_left_ms = JOIN_MS
        elif what == device.SAVE and action[1] == "told":
            self.told = action[2]
        elif what == device.SAVE and action[1] == "met":
            self.met = action[2]

    def _send(self, entry):
        payload = message.encode_event(entry.event, entry.age_ms, entry.attempts)
        assert len(payload) <= message.MAX_BYTES
        self.sent.append((self.now_ms, entry.event, entry.age_ms))
        if self.answers:
            self._acks.append((self.now_ms + ACK_MS, message.ack(entry.event.boot, entry.event.seq)))

    # What happens to it

    def press(self, held_ms=120):
        """A finger presses, and lets go: awake, asleep, or while it wakes."""
        if self.state == ASLEEP:
            # Awake, but its button is not armed before it is up again, as likely as not.
            self.now_ms += ARMED_MS
            self.inputs.button_down = held_ms > ARMED_MS
            self._wake(ledger.BUTTON, True)
            self.run_ticks(max(held_ms - ARMED_MS, 0))
        else:
            self.inputs.button_down = self.inputs.button_edge = True
            self.run_ticks(held_ms)
        self.inputs.button_down = False
        self.run_ticks(50)

    def press_while_falling_asleep(self):
        """The last look at the edge, after keep(), finds a press: it wakes at once."""
        if self.state == AWAKE and self.core.sleep_ms(self.inputs):
            self.fall_asleep()
        self.press()

    def bump(self):
        if self.state == ASLEEP:
            self._wake(ledger.MOTION, False)

    def fall(self):
        """The wake module has told a fall, or the app while it is awake."""
        if self.state == ASLEEP:
            self.inputs.fall = True
            self._wake(ledger.OTHER, False)
        else:
            self.inputs.fall = True
            self.run_ticks(TICK_MS)

    def run_ticks(self, duration_ms):
        for _ in range(-(-duration_ms // TICK_MS)):
            self.pass_ms(TICK_MS)

    def forget(self):
        """Clear what was noted: it need not fit the memory."""
        for noted in (self.stored, self.sent, self.naps, self.connects, self.shown, self.starts):
            noted.clear()
