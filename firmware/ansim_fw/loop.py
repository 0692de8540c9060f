"""On duty: gather -> step -> act -> feed the watchdog -> wait for the next thing to do."""

import gc
import select
import sys

from micropython import const

from ansim_fw.core import device, indicator, message
from ansim_fw.hal import console_port, modules
from ansim_fw.hal.link import STATE_NAMES

# A press is debounced from samples this far apart; what comes over a wire ends the wait sooner.
TICK_MS = const(10)

# Battery, signal and heap change slowly.
_SLOW_MS = const(10000)

_GARBAGE_BYTES = const(4096)

# After a sleep the sensor, which goes on by itself, has to wait for so long, if the radio is on: the contact first.
_CONTACT_MS = const(5000)

# To sleep, and to open the sensor for want of memory, one after the other.
_MOST_TRIES = const(3)

# A sleep in which nobody would notice a fall is no longer.
_DEAF_MS = const(600000)

# What falls are told by gives its memory to a connection that has none, for so long.
_ROOM_MS = const(20000)

# So often there was no memory since there was a connection: a new start finds some, and alarms that wait are on flash.
_MOST_STARVED = const(4)
# As in Link.
_UP = const(6)

# Packages of which nobody else uses anything.
_OF_MOTION = ("ansim_fw.core.fall", "ansim_fw.drivers")

# Announcements wait while there is something to do: at 115200 baud each takes about 10 ms of a blocked loop.
_MAX_ANNOUNCEMENTS = const(32)

# What announcements tell as time stays a small int, which allocates nothing: it wraps after 12.4 days.
_LAST_MS = const(0x3FFFFFFF)


class Duty:
    """The device at work.

    Args:
        core: the device's logic, with its journal restored.
        button, outputs, gauge, journal, settings, identity, watchdog: the hardware, see hal.
        link: the way to the receiver.
        poller: select.poll with the link's socket in it.

    Attributes:
        sleeper: core, if this device sleeps.
        announcements: what is still to be written; leave: somebody broke in.
        trial: of a Wi-Fi network, while there is one; nonce: of the console's challenge, until it is answered.
        motion: the wearer's movements, None on a board without a motion sensor, and before open_motion, which makes it;
            reopen_motion makes another one later.
        placement: the setting `fall`.
        wait_ms: so long open_motion waits for the contact yet.
    """

    def __init__(
        self,
        core: device.Device,
        button: "button.ButtonPin",
        outputs: "pins.Outputs",
        gauge: "power.BatteryGauge",
        supply: "supply.SupplyPin",
        journal: "journal.Journal",
        settings: "settings.Settings",
        identity: "settings.Identity",
        link: "link.Link",
        watchdog: "watchdog.Watchdog",
        poller: "select.poll",
    ) -> None:
        self.device = core
        self.sleeper: "Sleeper | None" = None
        self.button = button
        self.settings = settings
        self.identity = identity
        self.link = link
        self.outputs = outputs
        self.motion: "motion.Motion | None" = None
        self.open_motion: "Callable[[], motion.Motion] | None" = None
        self.reopen_motion: "Callable[[], motion.Motion] | None" = None
        self.placement = 0
        self.inputs = device.Inputs()
        self.heap_boot = 0
        self._gauge = gauge
        self._supply = supply
        self.journal = journal
        self._watchdog = watchdog
        self._poller = poller
        self._console = console_port.ConsolePort()
        self._poller.register(self._console.stream, select.POLLIN)
        self._console_ready = select.poll()
        self._console_ready.register(self._console.stream, select.POLLIN)
        # What was pressed while the device started came in one long step, in which nobody looked.
        self._clock = button.clock
        self._indicator = indicator.Indicator()
        self._slow_ms = 0
        self._tries = 0
        self._openings = 0
        self._starved = 0
        self.wait_ms = _CONTACT_MS
        self._up_ms = 0
        self.leave = False
        self.trial: "networks.Trial | None" = None
        self.nonce = b""
        self.announcements: list[dict[str, object]] = []

    def run(self) -> None:
        """Be on duty until somebody at the console breaks in."""
        self.announce("armed")
        self._read_slow_inputs()
        gc.collect()
        self.heap_boot = gc.mem_free()
        while not self.leave:
            try:
                self.cycle()
                self.journal.mend()
            except Exception as error:
                # Whatever it was, the button must go on working. The watchdog was not fed: if it stays, it resets.
                self._stumble(error)
        self._go_off_duty()

    def cycle(self) -> None:
        """Go round once: healthy, it feeds the watchdog. Allocates nothing when there is no news."""
        self._gather()
        # Right after the button was looked at: whatever happens to it between two looks has the time between them.
        elapsed_ms = self._clock.elapsed_ms()
        # The start is not the loop: it counts from the second time.
        if self._up_ms and elapsed_ms > self.inputs.loop_ms:
            self.inputs.loop_ms = elapsed_ms
        self._up_ms = (self._up_ms + elapsed_ms) & _LAST_MS
        self._slow_ms += elapsed_ms
        self.wait_ms = max(self.wait_ms - elapsed_ms, 0)
        try:
            actions = self.device.step(elapsed_ms, self.inputs)
        finally:
            self._clear_inputs()
        news = bool(actions)
        # Each is taken out first: if one fails, it is gone and the others are carried out in the next cycle.
        while actions:
            action = actions.pop(0)
            self._ACTS[action[0]](self, action)
        if self._indicator.pattern >= 0:
            self.outputs.set(self._indicator.step(elapsed_ms))
        self._poll_link(elapsed_ms)
        self._poll_console(elapsed_ms)
        if self.motion is not None:
            self._poll_motion(self.motion, elapsed_ms)
        if self.sleeper is not None and not news and not self.announcements:
            # Before the watchdog is fed: one that can't sleep is started anew.
            self._sleep(self.sleeper)
        if self.open_motion is not None and not news and (not self.inputs.radio or self.wait_ms == 0):
            self.begin_motion()
        self._feed_watchdog()
        # What was stored is to be sent: no wait, and nothing that can wait, after news.
        if news:
            return
        if self.announcements:
            self._console.write(self.announcements.pop(0))
            return
        for _ in self._poller.ipoll(TICK_MS):
            pass

    def _feed_watchdog(self) -> None:
        # What is in memory alone would be lost: it goes out first, however long that takes.
        if self._starved < _MOST_STARVED or self.device.outbox.in_memory_alone():
            self._watchdog.feed()

    def announce(self, what: str, about: "dict[str, object] | None" = None) -> None:
        """Tell the console that something happened, as soon as nothing more urgent is to be done."""
        told: dict[str, object] = {"event": what, "ms": self._up_ms}
        if about is not None:
            told.update(about)
        if len(self.announcements) >= _MAX_ANNOUNCEMENTS:
            self.announcements.pop(0)
        self.announcements.append(told)

    def tell_all(self) -> None:
        """Write what is announced, now: what comes next may be the end."""
        for told in self.announcements:
            self._console.write(told)
        self.announcements.clear()

    def begin_motion(self) -> None:
        """Watch the wearer's movements from now on."""
        self._openings += 1
        # What is loaded now stays: side by side, with little garbage between.
        gc.collect()
        gc.threshold(_GARBAGE_BYTES)
        try:
            self.motion = self.open_motion()  # type: ignore[misc]  # it is called when there is one
            self._openings = 0
        except MemoryError:
            # The connection has it: again when that is over, or when it lasts.
            self.wait_ms = _ROOM_MS
            if self._openings >= _MOST_TRIES:
                self.inputs.sensor_fault = "fall_model"
        except Exception:
            # Whatever is wrong with sensor or model, the device must go on and its button work.
            self._openings = _MOST_TRIES
            self.inputs.sensor_fault = "sensor_absent"
        if self.motion is not None or self._openings >= _MOST_TRIES:
            self.open_motion = None
        gc.threshold(-1)
        gc.collect()

    def make_room(self) -> None:
        """Give the memory back that motion takes: who calls needs it more. The sensor goes on by itself."""
        if self.motion is None and self.open_motion in (None, self.reopen_motion):
            return
        if self.motion is not None and self.motion.busy and not self.device.outbox.urgent():
            return
        # First: whatever fails for want of memory, it comes back. What waits to be opened holds a detector, too.
        self._openings = 0
        self.open_motion = self.reopen_motion
        self.wait_ms = _ROOM_MS
        self.motion = None
        for name in list(sys.modules):
            if name == "ansim_fw.motion" or name.rpartition(".")[0] in _OF_MOTION:
                modules.drop(name)
        gc.collect()

    def _sleep(self, sleeper: "Sleeper") -> None:
        """Sleep, if nothing else is to be done."""
        inputs = self.inputs
        # What this cycle has brought: a command comes once, and an impact is to be judged.
        self._take_commands()
        busy = self._is_motion_busy()
        inputs.motion_busy = False
        ms = sleeper.sleep_ms(inputs)
        if ms and busy and inputs.radio:
            # The sensor is loaded, or waited for, without it.
            self.link.off()
            inputs.radio = False
        elif ms and not busy:
            self.link.off()
            self._tries += 1
            if self._tries > _MOST_TRIES:
                self._forget_and_sleep(ms)
            # What the connection and the detector leave behind makes room for what is loaded now.
            watched = self._watched()
            self.make_room()
            gc.collect()
            from ansim_fw import suspend

            suspend.fall_asleep(self, sleeper, ms, watched)
            self._tries = 0

    def _watched(self) -> "tuple[int, int, int, bool, int] | None":
        """Return impact_mg, wake_mg, quiet_ms, whether the sensor's pin is wired, and what its FIFO holds, in samples.

        None: nobody listens to it.
        """
        motion = self.motion
        if motion is None or not motion.listens:
            return None
        model = motion.detector.model
        return model.impact_mg, model.wake_mg, motion.quiet_ms, motion.wired, motion.driver.HISTORY_SAMPLES

    def _forget_and_sleep(self, ms: int) -> None:
        """Sleep with no memory of what was, but for its button deaf: a device that can't keep it starts anew soon."""
        from ansim_fw.board_data import BOARD
        from ansim_fw.hal import rtc, sleep

        rtc.save(b"")
        sleep.arm(BOARD, True, False, False)
        if not self.button.is_down() and not self.button.has_edge():
            sleep.deep(BOARD, min(ms, _DEAF_MS))

    def _stumble(self, error: Exception) -> None:
        gc.collect()
        try:
            if isinstance(error, MemoryError):
                self._starved += 1
                self.make_room()
            self.announce("error", {"error": type(error).__name__})
        except Exception:
            # On duty all the same: the button is watched, and presses are kept until there is memory again.
            pass

    def _go_off_duty(self) -> None:
        self.outputs.set(0)
        self.link.close("")
        self.announce("off_duty")
        self.tell_all()
        self._watchdog.leave_for_bench()

    # Gather

    def _gather(self) -> None:
        inputs = self.inputs
        if self._slow_ms >= _SLOW_MS:
            self._slow_ms = 0
            self._read_slow_inputs()
        inputs.link = self.link.status()
        inputs.link_fault = self.link.fault
        inputs.radio = self.link.radio_on()
        inputs.supply = self._supply.is_fed()
        inputs.console = self._console.attended
        inputs.motion_busy = self._is_motion_busy()
        self._take_commands()
        # Last: whatever fails before, no press is taken and not given on. A press between the two is still down.
        inputs.button_edge = self.button.take_edge()
        inputs.button_down = self.button.is_down()

    def _is_motion_busy(self) -> bool:
        return self.motion.busy if self.motion is not None else self.open_motion is not None

    def _take_commands(self) -> None:
        if self.link.commands:
            self.inputs.commands.extend(self.link.commands)
            self.link.commands.clear()

    def _read_slow_inputs(self) -> None:
        self.inputs.battery_mv = self._gauge.read_mv()
        self.inputs.rssi_dbm = self.link.wifi.rssi_dbm()
        self.inputs.heap_free = gc.mem_free()

    def _clear_inputs(self) -> None:
        if self.inputs.stored:
            self.inputs.stored.clear()
        if self.inputs.commands:
            self.inputs.commands.clear()
        self.inputs.fall = False

    # Act: one method an action, in the order of the numbers in core/device.py

    def _store(self, action: "tuple[Any, ...]") -> None:
        durable = False
        try:
            try:
                durable = self.journal.store(action[1])
            except MemoryError:
                self.make_room()
                durable = self.journal.store(action[1])
        finally:
            # Whatever went wrong, out of memory included: it goes out now, and a fault tells that it is not durable.
            self.inputs.stored.append((action[1], durable))

    def _send(self, action: "tuple[Any, ...]") -> None:
        entry = action[1]
        payload = message.encode_event(entry.event, entry.age_ms, entry.attempts)
        if self.link.publish(payload):
            self._tell((device.ANNOUNCE, "sent", entry.event))
        else:
            self.device.outbox.put_off(entry)

    def _forget(self, action: "tuple[Any, ...]") -> None:
        self.journal.forget(action[1])

    def _show(self, action: "tuple[Any, ...]") -> None:
        self._indicator.show(action[1])
        self.announce("shown", {"pattern": indicator.NAMES[action[1]]})

    def _connect(self, _action: "tuple[Any, ...]") -> None:
        self.link.connect()

    def _reconnect(self, _action: "tuple[Any, ...]") -> None:
        self.link.close("link_lost")

    def _save(self, action: "tuple[Any, ...]") -> None:
        try:
            self.settings.save(action[1], action[2])
        except OSError:
            self.announce("error", {"error": "a setting could not be kept"})

    def _tell(self, action: "tuple[Any, ...]") -> None:
        about = action[2]
        if about is None:
            self.announce(action[1])
            return
        told = {"boot": about.boot, "seq": about.seq, "kind": about.kind}
        if about.of is not None:
            told["of"] = about.of
        self.announce(action[1], told)

    # Not of the object, where each of them would take memory.
    _ACTS = (_store, _send, _forget, _show, _connect, _reconnect, _save, _tell)

    # Link, console and motion sensor

    def _poll_link(self, elapsed_ms: int) -> None:
        self.link.poll(elapsed_ms)
        if self.link.state == _UP:
            self._starved = 0
        if self.link.changed:
            self.link.changed = False
            self.inputs.rssi_dbm = self.link.wifi.rssi_dbm()
            self.announce("link", {"state": STATE_NAMES[self.link.state], "fault": self.link.fault})
        if self.trial is not None:
            self.trial.step(elapsed_ms)

    def _poll_console(self, elapsed_ms: int) -> None:
        self._console.pass_time(elapsed_ms)
        for _ in range(console_port.BYTES_PER_CYCLE):
            if not self._input_waits():
                return
            told = self._console.read()
            if told == console_port.BREAK and self.may_leave():
                self.leave = True
                return
            if told != console_port.NOTHING and told != console_port.BREAK:
                from ansim_fw import answers

                answers.serve(self, self._console, told)

    def _poll_motion(self, watched: "motion.Motion", elapsed_ms: int) -> None:
        try:
            fired = watched.poll(elapsed_ms)
        except Exception as error:
            # Whatever is wrong with it, it is not the loop: the watchdog is fed, and a fault tells of it in the end.
            watched.stumbled()
            self._stumble(error)
            fired = 0
        self.inputs.sensor_fault = watched.fault
        if fired:
            if fired & watched.FALL:
                self.inputs.fall = True
            for bit, stage in watched.STAGES:
                if fired & bit:
                    self.announce("fall_stage", {"stage": stage})

    def _input_waits(self) -> bool:
        for _ in self._console_ready.ipoll(0):
            return True
        return False

    def may_leave(self) -> bool:
        """A device that somebody relies on is left only by who holds it in the hand: safe mode, by its button."""
        return self.device.safe or not self.identity.complete


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ansim_fw import motion, networks
    from ansim_fw.core import journal
    from ansim_fw.core.sleeper import Sleeper
    from ansim_fw.hal import button, link, pins, power, settings, supply, watchdog
