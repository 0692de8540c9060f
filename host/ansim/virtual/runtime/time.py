"""The chip's time module: ticks that wrap at 2^30, the year 2000 as epoch, sleeping that lets interrupts run."""

import _link
import utime
from micropython import const

_MASK = const(0x3FFFFFFF)
_HALF = const(0x20000000)
_EPOCH_S = const(946684800)
_UNSIGNED = (1 << 64) - 1

# Ticks at this moment of _link's clock were 0; in ms and in us.
_zero_ms = 0
_zero_us = 0


def _begin(zero_ms, ticks_ms):
    """zero_ms: when the chip started, on _link's clock; ticks_ms: what its ticks were then."""
    global _zero_ms, _zero_us
    _zero_ms = zero_ms - ticks_ms
    _zero_us = zero_ms * 1000 - ticks_ms * 1000


def ticks_ms():
    return (_link.now_ms() - _zero_ms) & _MASK


def ticks_us():
    return (_link.now_us() - _zero_us) & _MASK


ticks_cpu = ticks_us


def ticks_add(ticks, delta):
    return (ticks + delta) & _MASK


def ticks_diff(end, start):
    return ((end - start + _HALF) & _MASK) - _HALF


def sleep_ms(ms):
    _link.wait(ms)


def sleep(seconds):
    _link.wait(int(seconds * 1000))


def sleep_us(us):
    _link.sleep_us(us)


def time_ns():
    # The clock may jump at any moment, the chip's time with its sleep only.
    return (_link.now_us() + _link.clock_offset_us()) * 1000


def time():
    return time_ns() // 1000000000


def gmtime(seconds=None):
    return utime.gmtime((time() if seconds is None else seconds) + _EPOCH_S)


localtime = gmtime


def mktime(when):
    # The port's own takes the host's time zone; the chip has none.
    year, month = when[0], when[1]
    if month <= 2:
        year -= 1
        month += 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + when[2] - 1
    return ((days - 730425) * 24 + when[3]) * 3600 + when[4] * 60 + when[5]


def _set(when, microseconds):
    offset_us = mktime(when) * 1000000 + microseconds - _link.now_us()
    _link.check(_link.ask(_link.CLOCK, 0, (offset_us & _UNSIGNED).to_bytes(8, "little")))
