"""The virtual board's chip: runs what is in flash, from reset to reset, as MicroPython processes one after another."""

import contextlib
import errno
import json
import os
import queue
import selectors
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from ansim.virtual import wire
from ansim.virtual.air import Air
from ansim.virtual.bootloader import Bootloader, NotBootable, Partition, Reset
from ansim.virtual.chip_flash import ChipFlash, PowerCut
from ansim.virtual.nvs_flash import NvsFlash
from ansim.virtual.process import Process
from ansim.virtual.repl import ENTER_RAW, Output
from ansim.virtual.services import NONSENSE, Answer, Services
from ansim.virtual.sleep import EXT0, EXT1, TIMER, Sleep
from ansim.virtual.wire import Frame, Op

# What an ESP32 with the official build has free at the REPL (gc.mem_free()), and what the runtime needs besides.
FREE_HEAP_BYTES = 164 * 1024
RUNTIME_HEAP_BYTES = 68800

_SOFT_REBOOT = b"MPY: soft reboot\r\n"
_WATCHDOG_TEXT = (
    b"E (0) task_wdt: Task watchdog got triggered. The following tasks/users did not reset the watchdog in time:\r\n"
    b"E (0) task_wdt:  - mp_task (CPU 1)\r\nE (0) task_wdt: Aborting.\r\n\r\nRebooting...\r\n"
)
# A chip that crashes at once after each start must not keep this machine busy.
_CRASH_PAUSE_MS = 500
_LONGEST_WAIT_S = 3600.0
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
        log: gets (kind, details) of what is seen from outside: "pin", "pwm", "wifi", "reset", "sleep", "main", "cut".
        power_lost: called from the chip's thread after the power went in a flash operation that was chosen for it.

    Attributes:
        services: the parts on the I2C bus and the other things that belong to the board.
        ticks_at_start_ms: what time.ticks_ms() is at the next hard reset; near 2^30 to test the wrap.
    """

    def __init__(self, folder: Path, flash: Path, mac: bytes, emit: Emit, log: Log, power_lost: PowerLost) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._flash = ChipFlash(flash, flash.stat().st_size)
        self._mac = mac
        self._emit = emit
        self._log = log
        self._power_lost = power_lost
        self.ticks_at_start_ms = 0
        self._air = Air()
        self._air.changed = lambda: self._call(self._air_changed)
        self._inputs = wire.Inputs(folder / "inputs")
        self.services = Services(self._air, self._flash, mac, _now_ms, self._answer_later)
        self._bootloader = Bootloader(self._flash)
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
        self._clock_us = 0
        self._watchdog_ms = 0
        self._watchdog_due_ms: int | None = None
        self._restart_due_ms: int | None = None
        self._sleep: Sleep | None = None
        self._wifi_told = 0
        self._pins: dict[int, dict[str, int]] = {}
        self._told: dict[Op, Callable[[Frame], None]] = {
            Op.PIN_OUT: self._pin_out,
            Op.PIN_MODE: self._pin_mode,
            Op.PWM: self._pwm,
            Op.WDT_ARM: self._arm,
            Op.WDT_FEED: self._feed,
            Op.RESET: lambda _: self._hard_reset(Reset.SOFTWARE),
            Op.SOFT_RESET: lambda _: self._soft_reset(),
            Op.MAIN: lambda _: self._log("main", {"after_ms": _now_ms() - self._started_ms}),
            Op.SLEEP: self._go_to_sleep,
        }
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

    # What the world does to the chip

    def power_on(self) -> None:
        """Cold start: RTC memory and time are lost."""
        self._call(lambda: self._power_up(Reset.POWER_ON))

    def reset(self) -> None:
        """EN went low and high again: as power_on, for an ESP32 can't tell them apart."""
        self._call(lambda: self._power_up(Reset.EN))

    def halt(self) -> None:
        """Power off, or held in reset: nothing runs any more when this returns."""
        self._call(self._halt)

    def cut_power_at(self, operation: int, done_percent: int) -> None:
        """Lose power in the operation-th flash operation from now, 1 the next, with done_percent of it done.

        The chip writes nothing and sends nothing after it. If it is halted before that, it is forgotten.
        """
        self._call(lambda: self._flash.cut_power_at(operation, done_percent))

    def flash_figures(self) -> dict[str, int]:
        """Return what the chip did to its flash since the board was started; see ChipFlash.figures."""
        return self._flash.figures()

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
        """Drive an input from outside to 0 or 1. It stays so until driven again, over resets, too."""
        with self._lock:
            if self._inputs.drive(pin, level, self._seen_level(pin)) and self._process is not None:
                self._process.ring()
        self._call(self._check_wake_pins, wait=False)

    def set_adc(self, pin: int, microvolts: int) -> None:
        self._inputs.set_microvolts(pin, microvolts)

    @property
    def air(self) -> Air:
        return self._air

    def state(self) -> dict[str, object]:
        """Return what is seen from outside: status, boots, reset cause, pins, watchdog, Wi-Fi."""
        return {
            "status": self._status,
            "boots": self._boots,
            "reset_cause": self._cause.label,
            "pins": {number: dict(seen) for number, seen in sorted(self._pins.items())},
            "wifi": self.services.station.status,
            "watchdog_ms": self._watchdog_ms,
            "rx_dropped": self._rx_dropped,
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
        for key, _ in self._selector.select(self._timeout_s()):
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

    def _timeout_s(self) -> float | None:
        sleep_due_ms = self._sleep.due_ms if self._sleep else None
        due = [self._watchdog_due_ms, self._restart_due_ms, sleep_due_ms, self.services.station.due_ms]
        known = [moment for moment in due if moment is not None]
        return min(max(0, min(known) - _now_ms()) / 1000, _LONGEST_WAIT_S) if known else None

    def _do_due(self) -> None:
        now_ms = _now_ms()
        if self._watchdog_due_ms is not None and now_ms >= self._watchdog_due_ms:
            self._bite()
        if self._restart_due_ms is not None and now_ms >= self._restart_due_ms:
            self._hard_reset(Reset.CRASH)
        if self._sleep is not None and self._sleep.due_ms is not None and now_ms >= self._sleep.due_ms:
            self._wake_up(TIMER)
        self.services.station.tick(now_ms)
        self._tell_wifi()

    # Resets

    def _power_up(self, cause: Reset) -> None:
        self._stop()
        self.services.power_on()
        self._clock_us = 0
        self._hard_reset(cause)

    def _hard_reset(self, cause: Reset, wake: int = 0) -> None:
        """Everything but RTC memory and its clock starts anew."""
        self._clock_us += (_now_ms() - self._started_ms) * 1000 if self._boots else 0
        if cause in (Reset.POWER_ON, Reset.EN):
            self._clock_us = 0
        self._stop()
        self._started_ms = _now_ms()
        self._cause, self._wake = cause, wake
        self._boots += 1
        self._log("reset", {"cause": cause.label})
        self._emit(cause.banner())
        try:
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
        self._emit(_SOFT_REBOOT)
        self._start(raw=raw, main=main)

    def _start(self, raw: bool, main: bool) -> None:
        self._given = {"raw": raw, "main": main}
        self._frames = wire.FrameReader()
        self._output.process_starts(raw)
        heap_bytes = FREE_HEAP_BYTES + RUNTIME_HEAP_BYTES
        process = Process(self._folder, self._flash.path, self._inputs.path, heap_bytes)
        if raw:
            process.write(ENTER_RAW)
        for fd in (process.uart, process.frames):
            self._selector.register(fd, selectors.EVENT_READ, process)
        with self._lock:
            self._process = process
        self._status = "running"

    def _halt(self) -> None:
        self._stop()
        self._flash.forget_cut()

    def _stop(self) -> None:
        """Nothing runs any more, and the radio is off."""
        self._air.forget()
        self._end_process()
        self.services.station.reset()
        self._tell_wifi()
        self._status = "off"
        self._sleep = None
        self._watchdog_due_ms = self._restart_due_ms = None
        self._watchdog_ms = 0
        self._pins.clear()

    def _lose_power(self, cut: PowerCut) -> None:
        """The chip waits for what it asked for, so this ends it exactly there."""
        self._stop()
        self._log("cut", vars(cut))
        self._power_lost()

    def _end_process(self) -> None:
        """Kill the process, if there is one, and pass on the last it wrote."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        for fd in (process.uart, process.frames):
            self._selector.unregister(fd)
        self._show(process.kill())

    def _bite(self) -> None:
        """The watchdog was not fed."""
        self._end_process()
        self._emit(_WATCHDOG_TEXT)
        self._hard_reset(Reset.WATCHDOG)

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
        self._restart_due_ms = _now_ms() + _CRASH_PAUSE_MS

    def _take(self, frame: Frame, process: Process) -> None:
        told = self._told.get(frame.op)
        if told is not None:
            told(frame)
        elif frame.op == Op.LISTENING:
            process.listening = True
        elif frame.op == Op.BOOT:
            process.reply(frame.sequence, 0, self._boot_facts())
        else:
            self._answer(frame, process)

    def _arm(self, frame: Frame) -> None:
        self._watchdog_ms = frame.argument
        self._feed(frame)

    def _feed(self, _: Frame) -> None:
        if self._watchdog_ms:
            self._watchdog_due_ms = _now_ms() + self._watchdog_ms

    def _boot_facts(self) -> bytes:
        facts = {
            **self._given,
            "mac": self._mac.hex(),
            "cause": self._cause.cause,
            "wake": self._wake,
            "zero_ms": self._started_ms,
            "ticks_ms": self.ticks_at_start_ms,
            "clock_us": self._clock_us + self.services.clock_offset_us,
            "partitions": [[p.label, p.type, p.subtype, p.offset, p.size] for p in self._partitions],
        }
        return json.dumps(facts).encode()

    # Pins

    def _pin_out(self, frame: Frame) -> None:
        pin, level = frame.argument & 0xFF, frame.argument >> 8
        seen = self._pins.setdefault(pin, {})
        if seen.get("out") != level:
            seen["out"] = level
            self._log("pin", {"pin": pin, "value": level})

    def _pin_mode(self, frame: Frame) -> None:
        seen = self._pins.setdefault(frame.argument & 0xFF, {})
        seen["mode"] = frame.argument >> 8 & 0xFF
        seen["pull"] = frame.argument >> 16 & 0xFF

    def _pwm(self, frame: Frame) -> None:
        pin, duty = frame.argument & 0xFF, frame.argument >> 8 & 0xFFFF
        frequency_hz = int.from_bytes(frame.payload, "little")
        self._pins.setdefault(pin, {}).update(duty_u16=duty, freq_hz=frequency_hz)
        self._log("pwm", {"pin": pin, "duty_u16": duty, "freq_hz": frequency_hz})

    def _seen_level(self, pin: int) -> int:
        """Return what the chip reads at an input now."""
        level = self._inputs.level(pin)
        if level != wire.UNDRIVEN:
            return level
        return 1 if self._pins.get(pin, {}).get("pull", 0) & 2 else 0

    # Requests

    def _answer(self, frame: Frame, process: Process) -> None:
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
        self.services.station.air_changed(_now_ms())
        self._tell_wifi()

    def _tell_wifi(self) -> None:
        """Let the chip see its station's status, and let its connections move or not."""
        station = self.services.station
        self._inputs.set_wifi(station.status, self._air.rssi_dbm)
        self._air.carry(station.carries)
        if station.status != self._wifi_told:
            self._wifi_told = station.status
            self._log("wifi", {"status": station.status})

    # Sleep

    def _go_to_sleep(self, frame: Frame) -> None:
        try:
            sleep = Sleep.parse(frame, _now_ms())
        except NONSENSE:
            self._reply_if(self._process, frame, (-errno.EINVAL, b""))
            return
        # MicroPython's Wi-Fi does not live through either sleep.
        self._air.forget()
        self.services.station.reset()
        self._tell_wifi()
        if sleep.deep:
            self._end_process()
            self._watchdog_due_ms = None
        self._status = "asleep"
        self._sleep = sleep
        self._log("sleep", {"deep": sleep.deep})
        self._check_wake_pins()

    def _check_wake_pins(self) -> None:
        if self._sleep is None:
            return
        if self._sleep.ext0_wakes(self._seen_level):
            self._wake_up(EXT0)
        elif self._sleep.ext1_wakes(self._seen_level):
            self._wake_up(EXT1)

    def _wake_up(self, reason: int) -> None:
        sleep, self._sleep = self._sleep, None
        assert sleep is not None
        if sleep.deep:
            self._hard_reset(Reset.DEEP_SLEEP, reason)
        elif self._process is not None:
            self._status = "running"
            self._process.reply(sleep.sequence, 0, json.dumps({"wake": reason}).encode())


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
