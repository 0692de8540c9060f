"""What goes on through a deep sleep: the RTC's memory and its clock."""

import time

from machine import RTC


def load() -> bytes:
    """Return what was saved last. It survives more than deep sleep, so whoever takes it has to know why it started.

    In official builds it is not cleared by the watchdog, a soft reset or machine.reset() (ports/esp32/machine_rtc.c:
    RTC_NOINIT_ATTR unless a board sets MICROPY_HW_RTC_MEM_INIT_ALWAYS), and is rubbish of length 0 after power-on.
    """
    data: bytes = RTC().memory()
    return data


def save(data: bytes) -> None:
    """Keep at most 2048 bytes."""
    RTC().memory(data)


def now_ms() -> int:
    """Return milliseconds since a moment that only a loss of power, or whoever sets the clock, changes."""
    return time.time_ns() // 1000000
