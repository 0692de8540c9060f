"""On duty: gather -> step -> act -> feed the watchdog -> wait for the next thing to do."""

import gc
import select

from micropython import const

from ansim_fw.core import device, indicator, message
from ansim_fw.hal import console_port
from ansim_fw.hal.link import STATE_NAMES

# A press is debounced from samples this far apart; what comes over a wire ends the wait sooner.
TICK_MS = const(10)

# Battery, signal and heap change slowly.
_SLOW_MS = const(30000)

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
    """

    def __init__(
        self,
        core: device.Device,
        button: "pins.ButtonPin",
        outputs: "pins.Outputs",
        gauge: "power.BatteryGauge",
        journal: "journal.Journal",
        settings: "settings.Settings",
        identity: "settings.Identity",
        link: "link.Link",
        watchdog: "watchdog.Watchdog",
        poller: "select.poll",
    ) -> None:
        self.device = core
        self.button = button
        self.settings = settings
        self.identity = identity
        self.link = link
        self.inputs = device.Inputs()
        self.heap_boot = 0
        self._outputs = outputs
        self._gauge = gauge
        self._journal = journal
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
        self._up_ms = 0
        self._leave = False
        self._announcements: list[dict[str, object]] = []
        self._acts = (
            self._store,
            self._send,
            self._forget,
            self._show,
            self._connect,
            self._reconnect,
            self._save,
            self._tell,
        )

    def run(self) -> None:
        """Be on duty until somebody at the console breaks in."""
        self.announce("armed")
        self._read_slow_inputs()
        gc.collect()
        self.heap_boot = gc.mem_free()
        while not self._leave:
            try:
                self.cycle()
                self._journal.mend()
            except Exception as error:
                # Whatever it was, the button must go on working. The watchdog was not fed: if it stays, it resets.
                self._stumble(error)
        self._go_off_duty()

    def cycle(self) -> None:
        """Go round once: healthy, it feeds the watchdog. Allocates nothing when there is no news."""
        elapsed_ms = self._clock.elapsed_ms()
        # The start is not the loop: it counts from the second time.
        if self._up_ms and elapsed_ms > self.inputs.loop_ms:
            self.inputs.loop_ms = elapsed_ms
        self._up_ms = (self._up_ms + elapsed_ms) & _LAST_MS
        self._gather(elapsed_ms)
        try:
            actions = self.device.step(elapsed_ms, self.inputs)
        finally:
            self._clear_inputs()
        news = bool(actions)
        # Each is taken out first: if one fails, it is gone and the others are carried out in the next cycle.
        while actions:
            action = actions.pop(0)
            self._acts[action[0]](action)
        if self._indicator.pattern >= 0:
            self._outputs.set(self._indicator.step(elapsed_ms))
        self._poll_link(elapsed_ms)
        self._poll_console(elapsed_ms)
        self._watchdog.feed()
        # What was stored is to be sent: no wait, and nothing that can wait, after news.
        if news:
            return
        if self._announcements:
            self._console.write(self._announcements.pop(0))
            return
        for _ in self._poller.ipoll(TICK_MS):
            pass

    def announce(self, what: str, about: "dict[str, object] | None" = None) -> None:
        """Tell the console that something happened, as soon as nothing more urgent is to be done."""
        told: dict[str, object] = {"event": what, "ms": self._up_ms}
        if about is not None:
            told.update(about)
        if len(self._announcements) >= _MAX_ANNOUNCEMENTS:
            self._announcements.pop(0)
        self._announcements.append(told)

    def _stumble(self, error: Exception) -> None:
        gc.collect()
        try:
            self.announce("error", {"error": type(error).__name__})
        except MemoryError:
            # On duty all the same: the button is watched, and presses are kept until there is memory again.
            pass

    def _go_off_duty(self) -> None:
        self._outputs.set(0)
        self.link.close("")
        self.announce("off_duty")
        for told in self._announcements:
            self._console.write(told)
        self._watchdog.leave_for_bench()

    # Gather

    def _gather(self, elapsed_ms: int) -> None:
        inputs = self.inputs
        self._slow_ms += elapsed_ms
        if self._slow_ms >= _SLOW_MS:
            self._slow_ms = 0
            self._read_slow_inputs()
        inputs.link = self.link.status()
        inputs.link_fault = self.link.fault
        if self.link.commands:
            inputs.commands.extend(self.link.commands)
            self.link.commands.clear()
        # Last: whatever fails before, no press is taken and not given on. A press between the two is still down.
        inputs.button_edge = self.button.take_edge()
        inputs.button_down = self.button.is_down()

    def _read_slow_inputs(self) -> None:
        self.inputs.battery_mv = self._gauge.read_mv()
        self.inputs.rssi_dbm = self.link.wifi.rssi_dbm()
        self.inputs.heap_free = gc.mem_free()

    def _clear_inputs(self) -> None:
        if self.inputs.stored:
            self.inputs.stored.clear()
        if self.inputs.commands:
            self.inputs.commands.clear()

    # Act: one method an action, in the order of the numbers in core/device.py

    def _store(self, action: "tuple[Any, ...]") -> None:
        durable = False
        try:
            durable = self._journal.store(action[1])
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
        self._journal.forget(action[1])

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
        else:
            self.announce(action[1], {"boot": about.boot, "seq": about.seq, "kind": about.kind})

    # Link and console

    def _poll_link(self, elapsed_ms: int) -> None:
        self.link.poll(elapsed_ms)
        if self.link.changed:
            self.link.changed = False
            self.inputs.rssi_dbm = self.link.wifi.rssi_dbm()
            self.announce("link", {"state": STATE_NAMES[self.link.state], "fault": self.link.fault})

    def _poll_console(self, elapsed_ms: int) -> None:
        self._console.pass_time(elapsed_ms)
        for _ in range(console_port.BYTES_PER_CYCLE):
            if not self._input_waits():
                return
            told = self._console.read()
            if told == console_port.BREAK and self._may_leave():
                self._leave = True
                return
            if told == console_port.TEXT or told == console_port.TOO_LONG:
                self._answer(told)

    def _answer(self, told: int) -> None:
        # Loaded when somebody asks: a device at home is never asked, and needs the memory.
        from ansim_fw import requests

        if told == console_port.TOO_LONG:
            self._console.write(requests.refusal(None, "a request is at most 200 bytes"))
        else:
            self._console.write(requests.answer(self._console.reader.text(), self))

    def _input_waits(self) -> bool:
        for _ in self._console_ready.ipoll(0):
            return True
        return False

    def _may_leave(self) -> bool:
        """A device that somebody relies on is left only by who holds it in the hand: safe mode, by its button."""
        return self.device.safe or not self.identity.complete


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ansim_fw.core import journal
    from ansim_fw.hal import link, pins, power, settings, watchdog
