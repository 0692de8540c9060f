"""The chip's machine module: pins, ADC, PWM, I2C, watchdog, RTC, timers, resets and sleep.

Constants, defaults and errors as in MicroPython's ports/esp32 (machine_*.c, modmachine.c of 1.27).
"""

import _link
import umachine
from micropython import const

time_pulse_us = umachine.time_pulse_us

PWRON_RESET = const(1)
HARD_RESET = const(2)
WDT_RESET = const(3)
DEEPSLEEP_RESET = const(4)
SOFT_RESET = const(5)

SLEEP = const(2)
DEEPSLEEP = const(4)

PIN_WAKE = const(2)
EXT0_WAKE = const(2)
EXT1_WAKE = const(3)
TIMER_WAKE = const(4)
TOUCHPAD_WAKE = const(5)
ULP_WAKE = const(6)

_PINS = const(40)
_UNDRIVEN = const(2)
# RTC_CNTL_GPIO_WAKEUP_REG of an ESP32-C3: the pins that ended a deep sleep.
_C3_WAKEUP = const(0x60008110)
_QUEUE = const(8)

_mac = b""
_cause = 0
_wake = 0
_mhz = 160
_pins = [None] * _PINS

# What the chip's pins can do: masks "usable", "input_only", "rtc" and "adc", and more; see profiles.py of the board.
_chip = None

# Wake sources: pin and level of ext0, mask and level of ext1 and of wake_on_gpio().
_ext0_pin = -1
_ext0_level = 0
_ext0_types = 0
_ext1_mask = 0
_ext1_level = 0
_gpio_mask = 0
_gpio_level = 0
# Pins that the RTC took to watch them: they read 0 until init() with a mode takes them back.
_taken_mask = 0
# Pins that ended a deep sleep by wake_on_gpio().
_woken_mask = 0


def _begin(mac, cause, wake, chip, taken_mask, woken_mask):
    global _mac, _cause, _wake, _chip, _taken_mask, _woken_mask
    _mac = mac
    _cause = cause
    _wake = wake
    _chip = chip
    _taken_mask = taken_mask
    _woken_mask = woken_mask


class Pin:
    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2
    WAKE_LOW = 4
    WAKE_HIGH = 5
    DRIVE_0 = 0
    DRIVE_1 = 1
    DRIVE_2 = 2
    DRIVE_3 = 3

    def __new__(cls, id, *args, **kwargs):
        if isinstance(id, Pin):
            return id
        if not isinstance(id, int) or not 0 <= id < _PINS or not _chip["usable"] >> id & 1:
            raise ValueError("invalid pin")
        pin = _pins[id]
        if pin is None:
            pin = _pins[id] = object.__new__(cls)
            pin._id = id
            pin._out = 0
            pin._mode = 1
            pin._pull = 0
            pin._handler = None
            pin._trigger = 0
            pin._rises = pin._falls = 0
        return pin

    def __init__(self, id, mode=None, pull=-1, *, value=None, drive=None, hold=None):
        if mode is not None or pull != -1 or value is not None or hold is not None:
            self.init(mode, pull, value=value, hold=hold)

    def init(self, mode=None, pull=-1, *, value=None, drive=None, hold=None):
        if value is not None:
            self._out = 1 if value else 0
        if mode is not None:
            if mode & 2 and _chip["input_only"] >> self._id & 1:
                raise ValueError("pin can only be input")
            self._mode = mode
            self._take_back()
        if pull != -1:
            self._pull = pull or 0
        _link.tell(_link.PIN_MODE, self._id | self._mode << 8 | self._pull << 16)
        if self._mode & 2:
            _link.tell(_link.PIN_OUT, self._id | self._out << 8)
        if hold is not None:
            _link.tell(_link.PIN_HOLD, self._id | (1 if hold else 0) << 8)

    def _take_back(self):
        """Take the pin from the RTC; what changed meanwhile is no edge."""
        global _taken_mask
        if _taken_mask >> self._id & 1:
            _taken_mask &= ~(1 << self._id)
            _link.refresh()
            self._awake(0)

    def value(self, x=None):
        if x is None:
            _link.poll()
            return self._level()
        self._out = 1 if x else 0
        if self._mode & 2:
            _link.tell(_link.PIN_OUT, self._id | self._out << 8)
        return None

    __call__ = value

    def _level(self):
        if self._mode == 3 or (self._mode == 7 and not self._out):
            return self._out
        if _taken_mask >> self._id & 1:
            return 0
        level = _link.inputs[self._id]
        if level != _UNDRIVEN:
            return level
        return 1 if self._pull & 2 else 0

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(1 - self._out)

    def irq(self, handler=None, trigger=3, wake=None):
        if wake is not None and trigger in (Pin.WAKE_LOW, Pin.WAKE_HIGH):
            if _ext0_pin not in (-1, self._id):
                raise ValueError("no resources")
            _set_ext0(self, 1 if trigger == Pin.WAKE_HIGH else 0, wake)
            return self
        if _ext0_pin == self._id:
            _set_ext0(None, 0, 0)
        self._handler = handler
        self._trigger = trigger
        _link.poll()
        self._rises = _link.inputs[_link.RISES + self._id]
        self._falls = _link.inputs[_link.FALLS + self._id]
        if self in _link.watched:
            _link.watched.remove(self)
        if handler is not None:
            _link.watched.append(self)
        return self

    def _awake(self, _slept_ms):
        """What happened while nobody watched, nobody is told of."""
        self._rises = _link.inputs[_link.RISES + self._id]
        self._falls = _link.inputs[_link.FALLS + self._id]

    def _pending(self):
        if _taken_mask >> self._id & 1:
            return False
        return (
            self._rises != _link.inputs[_link.RISES + self._id] or self._falls != _link.inputs[_link.FALLS + self._id]
        )

    def _run(self):
        rises = _link.inputs[_link.RISES + self._id]
        falls = _link.inputs[_link.FALLS + self._id]
        calls = 0
        if self._trigger & 1:
            calls += (rises - self._rises) & 0xFF
        if self._trigger & 2:
            calls += (falls - self._falls) & 0xFF
        self._rises = rises
        self._falls = falls
        # The scheduler's queue holds so many; a real chip loses the rest, too.
        for _ in range(min(calls, _QUEUE)):
            _link.call(self._handler, self)

    def _due_ms(self):
        return -1

    def __repr__(self):
        return "Pin(%d)" % self._id


class Signal:
    """A pin with its active level; as umachine.Signal, which takes only the pins of its own port."""

    def __init__(self, pin, *args, invert=False, **kwargs):
        self._pin = pin if isinstance(pin, Pin) else Pin(pin, *args, **kwargs)
        self._invert = 1 if invert else 0

    def value(self, x=None):
        if x is None:
            return self._pin.value() ^ self._invert
        self._pin.value((1 if x else 0) ^ self._invert)
        return None

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)


def _set_ext0(pin, level, types):
    global _ext0_pin, _ext0_level, _ext0_types
    if pin is None:
        _ext0_pin = -1
    else:
        _ext0_pin = _rtc_pin(pin)
    _ext0_level = level
    _ext0_types = types


def _set_ext1(pins, level):
    global _ext1_mask, _ext1_level
    if pins is not None:
        _ext1_mask = 0
        for pin in pins:
            _ext1_mask |= 1 << _rtc_pin(pin)
    _ext1_level = level


def _set_gpio(pins, level):
    global _gpio_mask, _gpio_level
    if pins is not None:
        _gpio_mask = 0
        for pin in pins:
            _gpio_mask |= 1 << Pin(pin)._id
    if level is not None:
        _gpio_level = 1 if level else 0


def _rtc_pin(pin):
    number = Pin(pin)._id
    if not _chip["rtc"] >> number & 1:
        raise ValueError("invalid pin")
    return number


class ADC:
    """Reads what the world puts on the pin, within the range of the attenuation."""

    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3
    WIDTH_9BIT = 9
    WIDTH_10BIT = 10
    WIDTH_11BIT = 11
    WIDTH_12BIT = 12

    def __init__(self, pin, *, atten=0):
        self._pin = Pin(pin)
        if not _chip["adc"] >> self._pin._id & 1:
            raise ValueError("invalid pin")
        self.atten(atten)

    def init(self, *, atten=0):
        self.atten(atten)

    def atten(self, atten):
        self._full_uv = _chip["full_uv"][atten]

    def width(self, width):
        pass

    def read_uv(self):
        _link.poll()
        at = _link.ADC + 4 * self._pin._id
        data = _link.inputs
        return min(data[at] | data[at + 1] << 8 | data[at + 2] << 16 | data[at + 3] << 24, self._full_uv)

    def read_u16(self):
        return self.read_uv() * 65535 // self._full_uv

    def read(self):
        return self.read_u16() >> 4


class PWM:
    def __init__(self, pin, freq=None, duty=None, duty_u16=None, duty_ns=None):
        self._pin = Pin(pin)
        if _chip["input_only"] >> self._pin._id & 1:
            raise ValueError("invalid pin")
        self._freq = 5000
        self._duty = 32768
        self.init(freq, duty, duty_u16, duty_ns)

    def init(self, freq=None, duty=None, duty_u16=None, duty_ns=None):
        if freq is not None:
            self._freq = freq
        if duty is not None:
            self._duty = duty << 6
        if duty_u16 is not None:
            self._duty = duty_u16
        if duty_ns is not None:
            self._duty = duty_ns * self._freq // 15259
        self._tell(self._freq)

    def _tell(self, hz):
        _link.tell_bytes(_link.PWM, self._pin._id | self._duty << 8, hz.to_bytes(4, "little"))

    def freq(self, hz=None):
        if hz is None:
            return self._freq
        self._freq = hz
        self._tell(hz)
        return None

    def duty(self, duty=None):
        if duty is None:
            return self._duty >> 6
        self.duty_u16(duty << 6)
        return None

    def duty_u16(self, duty=None):
        if duty is None:
            return self._duty
        self._duty = max(0, min(duty, 65535))
        self._tell(self._freq)
        return None

    def duty_ns(self, ns=None):
        if ns is None:
            return self._duty * 15259 // self._freq
        self.duty_u16(ns * self._freq // 15259)
        return None

    def deinit(self):
        self._tell(0)


class I2C:
    def __init__(self, id=0, *, scl=None, sda=None, freq=400000, timeout=50000):
        pass

    def scan(self):
        return [address for address in range(8, 0x78) if _link.ask(_link.I2C_WRITE, address) >= 0]

    def writeto(self, address, data, stop=True):
        _link.check(_link.ask(_link.I2C_WRITE, address, data))
        return len(data)

    def writevto(self, address, vector, stop=True):
        return self.writeto(address, b"".join(vector), stop)

    def readfrom_into(self, address, buffer, stop=True):
        _link.check(_link.ask(_link.I2C_READ, address | len(buffer) << 8))
        _link.answer_into(buffer)

    def readfrom(self, address, length, stop=True):
        buffer = bytearray(length)
        self.readfrom_into(address, buffer)
        return bytes(buffer)

    def _write_mem(self, address, register, data, addrsize):
        _link.run_timers()
        if addrsize == 8:
            status = _link.ask_at(_link.I2C_WRITE, address, register & 0xFF, data)
        else:
            status = _link.ask(_link.I2C_WRITE, address, register.to_bytes(addrsize // 8, "big") + data)
        _link.check(status)

    def readfrom_mem_into(self, address, register, buffer, *, addrsize=8):
        self._write_mem(address, register, b"", addrsize)
        self.readfrom_into(address, buffer)

    def readfrom_mem(self, address, register, length, *, addrsize=8):
        buffer = bytearray(length)
        self.readfrom_mem_into(address, register, buffer, addrsize=addrsize)
        return bytes(buffer)

    def writeto_mem(self, address, register, data, *, addrsize=8):
        self._write_mem(address, register, data, addrsize)


class SoftI2C(I2C):
    def __init__(self, scl, sda, *, freq=400000, timeout=50000):
        pass


class WDT:
    """The task watchdog. It can't be stopped; making it again sets the new timeout."""

    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        _link.tell(_link.WDT_ARM, min(timeout, 0x7FFFFFFF))

    def feed(self):
        _link.tell(_link.WDT_FEED)
        _link.poll()


class RTC:
    """The clock and the memory that outlive resets and deep sleep."""

    def memory(self, data=None):
        if data is None:
            _link.check(_link.ask(_link.RTC_READ))
            return _link.answered()
        if len(data) > 2048:
            raise ValueError("buffer too long")
        _link.check(_link.ask(_link.RTC_WRITE, 0, data))
        return None

    def datetime(self, when=None):
        import time

        if when is None:
            now = time.localtime()
            return (now[0], now[1], now[2], now[6], now[3], now[4], now[5], time.time_ns() // 1000 % 1000000)
        time._set((when[0], when[1], when[2], when[4], when[5], when[6], 0, 0), when[7])
        return None

    def init(self, when):
        self.datetime(when)


class Timer:
    """A virtual timer, run when the VM polls (see _link)."""

    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, id=-1, **kwargs):
        self._period_ms = 0
        if kwargs:
            self.init(**kwargs)

    def init(self, *, mode=1, freq=-1, period=-1, tick_hz=1000, callback=None):
        self.deinit()
        self._period_ms = max(1, int(1000 / freq) if freq > 0 else period * 1000 // tick_hz)
        self._periodic = mode == Timer.PERIODIC
        self._callback = callback
        self._next = _link.now_ms() + self._period_ms
        _link.watched.append(self)
        _link.timers.append(self)

    def deinit(self):
        if self in _link.timers:
            _link.watched.remove(self)
            _link.timers.remove(self)

    def value(self):
        return self._period_ms - max(0, self._due_ms())

    def _due_ms(self):
        return max(0, self._next - _link.now_ms())

    def _awake(self, slept_ms):
        """Its clock stood still in light sleep."""
        self._next += slept_ms

    def _pending(self):
        return _link.now_ms() >= self._next

    def _run(self):
        if self._periodic:
            self._next += self._period_ms
        else:
            self.deinit()
        if self._callback is not None:
            _link.call(self._callback, self)


def reset():
    _link.tell(_link.RESET)
    _link.stop()


def soft_reset():
    raise SystemExit


def reset_cause():
    return _cause


def wake_reason():
    return _wake


def unique_id():
    return _mac


def freq(hz=None):
    global _mhz
    if hz is None:
        return _mhz * 1000000
    if hz // 1000000 not in (20, 40, 80, 160, 240):
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    _mhz = hz // 1000000
    return None


def idle():
    _link.wait(1)


def disable_irq():
    return _link.mask(True)


def enable_irq(state):
    _link.mask(state)


def _sleep(kind, ms):
    """Sleep; without a time only a pin ends it."""
    if kind == DEEPSLEEP and _gpio_mask:
        if _chip["ext"]:
            raise ValueError("DEEPSLEEP with gpio pins not supported on this chip")
        if _gpio_mask & ~_chip["rtc"]:
            raise ValueError("wake-up pin not supported")
    ext0_mask = 1 << _ext0_pin if _ext0_pin >= 0 and _ext0_types & kind else 0
    request = {"deep": kind == DEEPSLEEP, "ms": ms}
    request["ext0"] = (ext0_mask, _ext0_level)
    request["ext1"] = (_ext1_mask, _ext1_level)
    request["gpio"] = (_gpio_mask, _gpio_level)
    return _link.ask_json(_link.SLEEP, request)


def lightsleep(ms=None):
    global _wake, _taken_mask
    start = _link.now_ms()
    woken = _sleep(SLEEP, ms)
    _wake = woken["wake"]
    _link.jump_to(woken["ahead_us"])
    _taken_mask |= woken["taken"]
    _link.refresh()
    for item in _link.watched:
        item._awake(_link.now_ms() - start)
    _link.poll()


sleep = lightsleep


def deepsleep(ms=None):
    _sleep(DEEPSLEEP, ms)
    _link.stop()


class _Registers:
    """Memory of the chip's peripherals: the one register that programs read is there, the rest is 0."""

    def __getitem__(self, address):
        return _woken_mask if address == _C3_WAKEUP and not _chip["ext"] else 0

    def __setitem__(self, address, value):
        pass


mem8 = mem16 = mem32 = _Registers()
