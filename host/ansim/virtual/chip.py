"""The virtual board's chip: runs what is in flash, from reset to reset, as MicroPython processes one after another."""

import contextlib
import errno
import json
import os
import queue
import selectors
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from ansim.boards import Sensor
from ansim.virtual import wire
from ansim.virtual.air import Air
from ansim.virtual.bootloader import Bootloader, NotBootable, Partition, Reset
from ansim.virtual.chip_flash import ChipFlash, PowerCut
from ansim.virtual.clock import Clock
from ansim.virtual.heap import Heap
from ansim.virtual.lateness import Lateness
from ansim.virtual.models import Fault
from ansim.virtual.motion import Samples, Vector
from ansim.virtual.nvs_flash import NvsFlash
from ansim.virtual.pads import Pads
from ansim.virtual.process import Process
from ansim.virtual.profiles import profile, rtc_mask
from ansim.virtual.repl import ENTER_RAW, Output
from ansim.virtual.rtc_clock import RtcClock
from ansim.virtual.runs import Runs, State
from ansim.virtual.schedule import Act, Moment, Schedule
from ansim.virtual.sensor_slot import SensorSlot
from ansim.virtual.services import NONSENSE, Answer, Services
from ansim.virtual.sleep import GPIO, TIMER, Sleep
from ansim.virtual.task_watchdog import TaskWatchdog
from ansim.virtual.wire import Frame, Op

_SOFT_REBOOT = b"MPY: soft reboot\r\n"
_WATCHDOG_TEXT = (
    b"E (0) task_wdt: Task watchdog got triggered. The following tasks/users did not reset the watchdog in time:\r\n"
    b"E (0) task_wdt:  - mp_task (CPU 1)\r\nE (0) task_wdt: Aborting.\r\n\r\nRebooting...\r\n"
)
_BROWNOUT_TEXT = b"\r\nE BOD: Brownout detector was triggered\r\n\r\n"
# A chip that crashes at once after each start must not keep this machine busy; this machine's time.
_CRASH_PAUSE_MS = 500
_LONGEST_WAIT_S = 3600.0
# After so many jumps in a row it is looked whether somebody calls.
_JUMPS = 100
# At which frames a run's counts are remembered, the first time.
_MARKS = {Op.MAIN: "main", Op.WDT_ARM: "watchdog", Op.FLASH_PROGRAM: "program"}
_INTERRUPTED = (-2, 1)  # ended by the interrupt for Ctrl-C: it came between programs, or twice

Emit = Callable[[bytes], None]
Log = Callable[[str, dict[str, object]], None]
PowerLost = Callable[[], None]


class Chip:
    """Runs what is in flash: one MicroPython process, from reset to reset.

    Its methods may be called from any thread, also from emit and log. Processes are watched by one thread of its own.

    Args:
        folder: where its files go.
        flash: the flash file.
        mac: six bytes.
        emit: gets what the chip puts on its UART TX; called from the chip's thread, must not block.
        log: gets (kind, details) of what is seen from outside: "pin", "pwm", "wifi", "reset", "sleep", "main", "cut",
            "late", "motion", "interrupt", "ran".
        power_lost: called from the chip's thread after the power went in a flash operation that was chosen for it.
        clock: the time that the chip measures.
        sensor: the motion sensor on its I2C bus; None: there is none.
        chip: esptool's name of the chip, one of chips.STAND_IN_CHIPS.

    Attributes:
        heap: the memory of programs that start from now on.
        services: the parts on the I2C bus and the other things that belong to the board.
        ticks_at_start_ms: what time.ticks_ms() is at the next hard reset; near 2^30 to test the wrap.
    """

    def __init__(
        self,
        folder: Path,
        flash: Path,
        mac: bytes,
        emit: Emit,
        log: Log,
        power_lost: PowerLost,
        clock: Clock,
        sensor: Sensor | None = None,
        chip: str = "esp32",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._flash = ChipFlash(flash, flash.stat().st_size)
        self._mac = mac
        self._emit = emit
        self._log = log
        self._power_lost = power_lost
        self._clock = clock
        self.ticks_at_start_ms = 0
        self._air = Air()
        self._air.changed = lambda: self._call(self._air_changed)
        self._inputs = wire.Inputs(folder / "inputs")
        self._rtc = RtcClock(clock, self._inputs)
        self.heap = Heap()
        self._sensor = SensorSlot(sensor, clock, self._sensor_pin, log)
        self.services = Services(self._air, self._flash, mac, clock, self._rtc, self._answer_later, self._sensor.parts)
        self._profile = profile(chip)
        self._pads = Pads(rtc_mask(chip), log)
        self._taken_mask = self._woken_mask = 0
        self._weak = False
        self._bootloader = Bootloader(self._flash, chip)
        self._process: Process | None = None
        self._frames = wire.FrameReader()
        self._output = Output()
        self._partitions: list[Partition] = []
        self._status = "off"
        self._cause = Reset.POWER_ON
        self._wake = 0
        self._boots = 0
        self._rx_dropped = 0
        self._started_ms = 0
        self._watchdog = TaskWatchdog()
        self._lateness = Lateness()
        self._runs = Runs(clock, (self._flash.counts, self._air.traffic.figures))
        self._air.traffic.heard = self._runs.mark
        self._sensor_due_ms: float | None = None
        self._restart_due_ms: int | None = None
        self._sleep: Sleep | None = None
        self._schedule = Schedule()
        self._time_held = 0
        self._wifi_told = 0
        self._told = self._tellers()
        self._lock = threading.RLock()
        self._calls: queue.SimpleQueue[tuple[Callable[[], None], Future[None]]] = queue.SimpleQueue()
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        for fd in (self._wake_read, self._wake_write):
            os.set_blocking(fd, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._calling = threading.Lock()
        self._running = True
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="chip", daemon=True)
        self._thread.start()

    def _tellers(self) -> dict[Op, Callable[[Frame], None]]:
        """Return what takes each kind of frame that is not answered at once."""
        return {
            Op.PIN_OUT: self._pads.out,
            Op.PIN_MODE: self._pads.mode,
            Op.PIN_HOLD: self._pads.hold,
            Op.DEEP_HOLD: self._pads.deep_hold,
            Op.PWM: self._pads.pwm,
            Op.WDT_ARM: lambda frame: self._watchdog.arm(frame.argument, self._clock.now_ms()),
            Op.WDT_FEED: lambda _: self._watchdog.feed(self._clock.now_ms()),
            Op.RESET: lambda _: self._hard_reset(Reset.SOFTWARE),
            Op.SOFT_RESET: lambda _: self._soft_reset(),
            Op.MAIN: self._main,
            Op.COUNTS: self._runs.told,
            Op.SLEEP: self._go_to_sleep,
        }

    # What the world does to the chip

    def power_on(self) -> None:
        """Cold start: RTC memory and time are lost."""
        self._call(lambda: self._power_up(Reset.POWER_ON))

    def reset(self) -> None:
        """EN went low and high again: as power_on, for an ESP32 can't tell them apart."""
        self._call(lambda: self._power_up(Reset.EN))

    def power_off(self) -> None:
        """The chip and its sensor have no power any more when this returns."""
        self._call(self._power_down)

    def halt(self) -> None:
        """Held in reset: nothing runs any more when this returns; the sensor goes on."""
        self._call(self._halt)

    def cut_power_at(self, operation: int, done_percent: int) -> None:
        """Lose power in the operation-th flash operation from now, 1 the next, with done_percent of it done.

        The chip writes nothing and sends nothing after it. If it is halted before that, it is forgotten.
        """
        self._call(lambda: self._flash.cut_power_at(operation, done_percent))

    def later(self, after_ms: int, act: Act, moment: Moment | None = None) -> None:
        """Have act done by the chip's thread after_ms from now, or from the next such moment, in the chip's time.

        It must not wait for another thread that may call the chip. Resets and power cuts do not make it forgotten.
        """

        def add() -> None:
            if moment is None:
                self._schedule.add(self._clock.now_ms() + after_ms, act)
            else:
                self._schedule.add_on(moment, after_ms, act)

        self._call(add)

    def hold_time(self, hold: bool) -> None:
        """Skip no sleep until this is taken back, as often as it was asked for."""

        def change() -> None:
            self._time_held += 1 if hold else -1

        self._call(change, wait=False)

    def flash_figures(self) -> dict[str, int]:
        """Return what the chip did to its flash since the board was started; see ChipFlash.figures."""
        return self._flash.figures()

    def run_figures(self) -> dict[str, object]:
        """Return what the chip did, and its last connections; see Runs.figures and Traffic.recent."""
        found: dict[str, object] = {}
        self._call(lambda: found.update(self._runs.figures()))
        return {**found, "connections": self._air.traffic.recent()}

    def close(self) -> None:
        """Halt for good, and give everything back."""
        with contextlib.suppress(RuntimeError):  # it may have ended by itself
            self.halt()
        self._running = False
        self._ring()
        self._thread.join(5)
        self._air.close()
        self._inputs.close()
        self._flash.close()
        self._selector.close()
        for fd in (self._wake_read, self._wake_write):
            os.close(fd)

    def write(self, data: bytes) -> None:
        """Bytes to UART RX; what the chip does not take in time is lost (see Process.write)."""
        with self._lock:
            if self._process is not None:
                self._rx_dropped += self._process.write(data)

    def set_pin(self, pin: int, level: int) -> None:
        """Drive an input from outside to 0 or 1, or let it go: wire.UNDRIVEN. It stays so, over resets, too."""
        with self._lock:
            before = self._seen_level(pin)
            if self._inputs.drive(pin, level, before, self._as_seen(pin, level)) and self._process is not None:
                self._process.ring()
        self._call(self._check_wake_pins, wait=False)

    def set_adc(self, pin: int, microvolts: int) -> None:
        self._inputs.set_microvolts(pin, microvolts)

    def weaken(self, weak: bool) -> None:
        """Say whether its supply gives way as soon as the radio is on, which is a brownout."""

        def change() -> None:
            self._weak = weak

        self._call(change)

    def play(self, samples: Samples, rate_hz: float, repeat: bool) -> None:
        """Move the motion sensor as a recording says; see motion.Recording."""
        self._call(lambda: self._sensor.play(samples, rate_hz, repeat))

    def hold(self, posture_mg: Vector) -> None:
        """Keep the motion sensor still, with this acceleration in mg."""
        self._call(lambda: self._sensor.hold(posture_mg))

    def change_sensor(self, fault: Fault | None, noise_mg: float | None, offset_mg: Vector | None) -> None:
        """Change what is wrong with the motion sensor; None: leave it as it is."""
        self._call(lambda: self._sensor.change(fault, noise_mg, offset_mg))

    def jump_clock(self, by_ms: int) -> None:
        """Let the real-time clock jump forward or back; ticks don't."""
        self._call(lambda: self._rtc.jump(by_ms))

    def motion(self) -> dict[str, object]:
        """Return what the wearer does; see motion.Motion.progress."""
        return self._sensor.motion()

    @property
    def air(self) -> Air:
        return self._air

    def state(self) -> dict[str, object]:
        """Return what is seen from outside: status, boots, reset cause, pins, watchdog, Wi-Fi, late rounds."""
        return {
            "status": self._status,
            "boots": self._boots,
            "reset_cause": self._cause.label,
            "pins": self._pads.state(),
            "wifi": self.services.station.status,
            "watchdog_ms": self._watchdog.timeout_ms,
            "rx_dropped": self._rx_dropped,
            "late": self._lateness.count,
        }

    # The chip's thread

    def _call(self, work: Callable[[], None], wait: bool = True) -> None:
        """Have work done in the chip's thread."""
        if threading.current_thread() is self._thread:
            work()
            return
        done: Future[None] = Future()
        with self._calling:
            if self._ended:
                raise RuntimeError("this chip has ended")
            self._calls.put((work, done))
            self._ring()
        if wait:
            done.result()

    def _ring(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"\0")

    def _run(self) -> None:
        try:
            while self._running:
                self._turn()
        finally:
            self._status = "ended"
            self._end_process()
            with self._calling:
                self._ended = True
            # Nobody is left to do them: whoever waits must not wait for ever.
            while not self._calls.empty():
                self._calls.get()[1].set_exception(RuntimeError("this chip has ended"))

    def _turn(self) -> None:
        skips_on = self._skip_sleep()
        for key, _ in self._selector.select(0 if skips_on else self._timeout_s()):
            if key.fd == self._wake_read:
                os.read(self._wake_read, 4096)
            elif self._process is not None and key.data is self._process:
                self._read(key.fd, self._process)
        self._do_calls()
        self._do_due()

    def _do_calls(self) -> None:
        while not self._calls.empty():
            work, done = self._calls.get()
            try:
                work()
            except Exception as error:
                done.set_exception(error)
                raise
            done.set_result(None)

    def _skip_sleep(self) -> bool:
        """Jump from one thing that happens while the chip sleeps to the next; tell whether there may be more."""
        for _ in range(_JUMPS):
            if not self._clock.skips_sleep or self._sleep is None or self._time_held or not self._calls.empty():
                return False
            due_ms = self._due_ms
            if due_ms is None:
                return False
            self._clock.skip_to(due_ms)
            self._do_due()
        return True

    @property
    def _due_ms(self) -> float | None:
        """When the next thing happens by itself, or None."""
        sleep_due_ms = self._sleep.due_ms if self._sleep else None
        station_ms, sensor_ms = self.services.station.due_ms, self._sensor.due_ms
        due = (self._watchdog.due_ms, self._restart_due_ms, sleep_due_ms, station_ms, sensor_ms, self._schedule.due_ms)
        return min((moment for moment in due if moment is not None), default=None)

    def _timeout_s(self) -> float | None:
        due_ms = self._due_ms
        if due_ms is None:
            return None
        return min(self._clock.real_s(max(0, due_ms - self._clock.now_ms())), _LONGEST_WAIT_S)

    def _do_due(self) -> None:
        now_ms = self._clock.now_ms()
        while act := self._schedule.next_due(now_ms):
            act()
        if self._watchdog.due_ms is not None and now_ms >= self._watchdog.due_ms:
            self._bite()
        if self._restart_due_ms is not None and now_ms >= self._restart_due_ms:
            self._hard_reset(Reset.CRASH)
        if self._sleep is not None and self._sleep.due_ms is not None and now_ms >= self._sleep.due_ms:
            self._wake_up(TIMER)
        if self._weak and self._process is not None and self.services.station.active:
            self._brown_out()
        self.services.station.tick(now_ms)
        self._tell_wifi()
        self._sensor_due_ms = self._sensor.due_ms
        self._sensor.tick()

    # Resets

    def _power_up(self, cause: Reset) -> None:
        self._stop()
        self.services.power_on()
        self._pads.lose_power()
        if cause is Reset.POWER_ON:  # the reset line goes to the chip only
            self._sensor.power_on()
        self._hard_reset(cause)

    def _hard_reset(self, cause: Reset, wake: int = 0) -> None:
        """Everything but RTC memory and its clock starts anew."""
        # What ending the program takes is in the chip's time, too.
        self._started_ms = self._clock.now_ms()
        if cause in (Reset.POWER_ON, Reset.EN):
            self._rtc.begin()
        self._end_run(cause.label)
        self._stop()
        self._runs.be(State.CPU)
        self._cause, self._wake = cause, wake
        if cause is not Reset.DEEP_SLEEP:
            self._taken_mask = self._woken_mask = 0
        self._runs.begin(cause.label, wake, [pin for pin in range(wire.PINS) if self._woken_mask >> pin & 1])
        self._boots += 1
        self._log("reset", {"cause": cause.label})
        self._emit(cause.banner())
        try:
            if cause is not Reset.DEEP_SLEEP:
                self._partitions = self._bootloader.check()
        except NotBootable as problem:
            self._status = "not_bootable"
            self._emit(str(problem).encode())
            return
        try:
            self._open_nvs()
        except PowerCut as cut:
            self._lose_power(cut)
            return
        self._start(raw=False, main=True)

    def _open_nvs(self) -> None:
        found = next((entry for entry in self._partitions if (entry.type, entry.subtype) == (1, 2)), None)
        self.services.nvs = NvsFlash(self._flash, found.offset, found.size) if found else None

    def _soft_reset(self, main: bool = True) -> None:
        raw = self._output.raw
        self._end_process()
        self._cause = Reset.SOFT
        self._end_run(Reset.SOFT.label)
        self._runs.begin(Reset.SOFT.label, self._wake)
        self._emit(_SOFT_REBOOT)
        self._start(raw=raw, main=main)

    def _start(self, raw: bool, main: bool) -> None:
        self._given = {"raw": raw, "main": main}
        self._frames = wire.FrameReader()
        self._output.process_starts(raw)
        self._runs.process_starts()
        process = Process(self._folder, self._flash.path, self._inputs.path, self.heap.size_bytes)
        if raw:
            process.write(ENTER_RAW)
        for fd in (process.uart, process.frames):
            self._selector.register(fd, selectors.EVENT_READ, process)
        with self._lock:
            self._process = process
        self._status = "running"
        self._count_time()

    def _end_run(self, how: str) -> None:
        if (ran := self._runs.end(how)) is not None:
            self._log("ran", ran)

    def _count_time(self) -> None:
        """Tell the counters what time is spent in from now on."""
        if self._sleep is not None:
            self._runs.be(State.DEEP if self._sleep.deep else State.LIGHT)
        elif self._status == "off":
            self._runs.be(State.OFF)
        else:
            self._count_radio()

    def _count_radio(self) -> None:
        station = self.services.station
        if station.active:
            self._runs.mark("radio")
        if station.connected:
            self._runs.mark("joined")
        self._runs.be(State.RADIO if station.active else State.CPU)

    def _halt(self) -> None:
        self._end_run("off")
        self._stop()
        self._flash.forget_cut()

    def _power_down(self) -> None:
        self._halt()
        self._pads.lose_power()
        self._sensor.power_off()

    def _stop(self) -> None:
        """Nothing runs any more, and the radio is off."""
        self._air.forget()
        self._end_process()
        self.services.station.reset()
        self._tell_wifi()
        self._status = "off"
        self._sleep = None
        self._restart_due_ms = None
        self._watchdog.stop()
        self._pads.reset()
        self._count_time()

    def _lose_power(self, cut: PowerCut) -> None:
        """The chip waits for what it asked for, so this ends it exactly there."""
        self._end_run("cut")
        self._stop()
        self._pads.lose_power()
        self._log("cut", vars(cut))
        self._power_lost()

    def _end_process(self) -> None:
        """Kill the process, if there is one, and pass on the last it wrote."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        self._lateness.forget()
        for fd in (process.uart, process.frames):
            self._selector.unregister(fd)
        self._show(process.kill())

    def _bite(self) -> None:
        """The watchdog was not fed."""
        self._end_process()
        self._emit(_WATCHDOG_TEXT)
        self._hard_reset(Reset.WATCHDOG)

    def _brown_out(self) -> None:
        """The radio took more than the supply gives."""
        self._end_process()
        self._emit(_BROWNOUT_TEXT)
        self._hard_reset(Reset.BROWNOUT)

    # What the process does

    def _read(self, fd: int, process: Process) -> None:
        if fd == process.uart:
            self._show(process.read_uart())
            return
        data = os.read(fd, 65536)
        if not data:
            self._process_ended(process)
            return
        try:
            frames = self._frames.feed(data)
        except wire.BrokenFrame:
            self._crash()
            return
        for frame in frames:
            if self._process is process:
                self._take(frame, process)

    def _show(self, data: bytes) -> None:
        seen = self._output.feed(data)
        if seen:
            self._emit(seen)

    def _process_ended(self, process: Process) -> None:
        with self._lock:
            self._process = None
        for fd in (process.uart, process.frames):
            self._selector.unregister(fd)
        status, last = process.wait()
        self._show(last)
        if status == 0 or status in _INTERRUPTED:
            self._soft_reset(main=status == 0)
        else:
            self._crash(status)

    def _crash(self, status: int = 0) -> None:
        self._end_process()
        self._emit(
            f"\r\nabort() was called: the virtual chip's process ended with {status}\r\n\r\nRebooting...\r\n".encode()
        )
        self._status = "crashed"
        self._restart_due_ms = self._clock.now_ms() + _CRASH_PAUSE_MS * self._clock.speed

    def _take(self, frame: Frame, process: Process) -> None:
        if frame.op in _MARKS:
            self._runs.mark(_MARKS[frame.op])
        told = self._told.get(frame.op)
        if told is not None:
            told(frame)
        elif frame.op == Op.LISTENING:
            process.listening = True
        elif frame.op == Op.BOOT:
            process.reply(frame.sequence, 0, self._boot_facts())
        else:
            if frame.op == Op.I2C_READ:
                self._hear_sensor()
            self._answer(frame, process)

    def _main(self, _: Frame) -> None:
        self._log("main", {"after_ms": self._clock.now_ms() - self._started_ms})

    def _boot_facts(self) -> bytes:
        facts = {
            **self._given,
            "mac": self._mac.hex(),
            "cause": self._cause.cause,
            "wake": self._wake,
            "speed": self._clock.speed,
            "ahead_us": self._clock.ahead_us,
            "chip": self._profile,
            "taken": self._taken_mask,
            "woken": self._woken_mask,
            "zero_ms": self._started_ms,
            "ticks_ms": self.ticks_at_start_ms,
            "partitions": [[p.label, p.type, p.subtype, p.offset, p.size] for p in self._partitions],
        }
        return json.dumps(facts).encode()

    # Pins

    def _sensor_pin(self, pin: int, level: int) -> None:
        if level:
            # This thread may itself be behind what the sensor does.
            now_ms = self._clock.now_ms()
            self._lateness.called(now_ms if self._sensor_due_ms is None else min(self._sensor_due_ms, now_ms))
        self.set_pin(pin, level)

    def _hear_sensor(self) -> None:
        late_ms = self._lateness.read(self._clock.now_ms())
        if late_ms:
            self._log("late", {"after_ms": late_ms})

    def _seen_level(self, pin: int) -> int:
        """Return what the chip reads at an input now."""
        return self._as_seen(pin, self._inputs.level(pin))

    def _as_seen(self, pin: int, level: int) -> int:
        return level if level != wire.UNDRIVEN else int(self._pads.pulled_up(pin))

    # Requests

    def _answer(self, frame: Frame, process: Process) -> None:
        self._runs.asked(frame)
        try:
            answer = self.services.answer(frame)
        except PowerCut as cut:
            self._lose_power(cut)
            return
        # A chip that has its answer must see the status that goes with it.
        self._tell_wifi()
        if answer is not None:
            process.reply(frame.sequence, *answer)

    def _answer_later(self, frame: Frame, work: Callable[[], Answer]) -> None:
        process = self._process

        def run() -> None:
            answer = work()
            with contextlib.suppress(RuntimeError):  # the chip may have ended meanwhile
                self._call(lambda: self._reply_if(process, frame, answer), wait=False)

        threading.Thread(target=run, name="resolve", daemon=True).start()

    def _reply_if(self, process: Process | None, frame: Frame, answer: Answer) -> None:
        """Answer, unless that process is gone."""
        if process is not None and process is self._process:
            process.reply(frame.sequence, *answer)

    # Wi-Fi

    def _air_changed(self) -> None:
        self.services.station.air_changed(self._clock.now_ms())
        self._tell_wifi()

    def _tell_wifi(self) -> None:
        """Let the chip see its station's status, and let its connections move or not."""
        station = self.services.station
        self._inputs.set_wifi(station.status, self._air.rssi_dbm)
        self._air.carry(station.carries)
        self._count_time()
        if station.status != self._wifi_told:
            self._wifi_told = station.status
            self._log("wifi", {"status": station.status})

    # Sleep

    def _go_to_sleep(self, frame: Frame) -> None:
        process = self._process
        try:
            sleep = Sleep.parse(frame, self._clock.now_ms())
        except NONSENSE:
            self._reply_if(process, frame, (-errno.EINVAL, b""))
            return
        self._reach(Moment.SLEEP)
        if self._process is not process:
            return
        # MicroPython's Wi-Fi does not live through either sleep.
        self._air.forget()
        self.services.station.reset()
        self._tell_wifi()
        if sleep.deep:
            self._end_process()
            self._pads.sleep_deeply()
        self._watchdog.stand_still(self._clock.now_ms())
        self._end_run("deep_sleep" if sleep.deep else "light_sleep")
        self._status = "asleep"
        self._sleep = sleep
        self._count_time()
        self._log("sleep", {"deep": sleep.deep})
        self._check_wake_pins()
        if self._sleep is sleep:
            self._reach(Moment.ASLEEP)

    def _check_wake_pins(self) -> None:
        reason = self._sleep.woken_by(self._seen_level) if self._sleep is not None else 0
        if reason:
            self._wake_up(reason)

    def _wake_up(self, reason: int) -> None:
        sleep, self._sleep = self._sleep, None
        assert sleep is not None
        boots = self._boots
        self._reach(Moment.WAKE)
        if self._boots != boots or self._status != "asleep":
            return
        if sleep.deep:
            self._taken_mask = sleep.taken
            self._woken_mask = sleep.gpio.any_at(self._seen_level) if reason == GPIO else 0
            self._hard_reset(Reset.DEEP_SLEEP, reason)
        elif self._process is not None:
            self._status = "running"
            self._runs.begin("light_sleep", reason)
            self._count_time()
            self._watchdog.go_on(self._clock.now_ms())
            told = {"wake": reason, "ahead_us": self._clock.ahead_us, "taken": sleep.taken}
            self._process.reply(sleep.sequence, 0, json.dumps(told).encode())

    def _reach(self, moment: Moment) -> None:
        for act in self._schedule.reached(moment, self._clock.now_ms()):
            act()
