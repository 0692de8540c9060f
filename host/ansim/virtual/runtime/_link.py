"""The wire to the board's process: the other side of host/ansim/virtual/wire.py.

The chip sees its pins in `inputs`, brought up to date by poll(). poll() is also where interrupt handlers and timers
run: from Pin.value(), time.sleep*(), select.poll, machine.idle() and WDT.feed(). A handler never runs inside another.
Nothing here allocates once the chip runs, but for what answers carry.
"""

import json
import sys
from array import array

import uselect
import utime
from micropython import const

PIN_OUT = const(1)
PIN_MODE = const(2)
PWM = const(3)
WDT_ARM = const(4)
WDT_FEED = const(5)
RESET = const(6)
SOFT_RESET = const(7)
MAIN = const(8)
LISTENING = const(9)
COUNTS = const(10)
PIN_HOLD = const(11)
DEEP_HOLD = const(12)
BOOT = const(32)
RESOLVE = const(33)
I2C_WRITE = const(34)
I2C_READ = const(35)
WIFI = const(36)
NVS = const(37)
RTC_READ = const(38)
RTC_WRITE = const(39)
CLOCK = const(40)
SLEEP = const(41)
FLASH_PROGRAM = const(42)
FLASH_ERASE = const(43)

RISES = const(64)
FALLS = const(128)
WIFI_STATUS = const(192)
RSSI = const(194)
ADC = const(256)
_CLOCK = const(416)
_INPUT_BYTES = const(424)

# What is counted inside the chip, as places in `counts`.
OPENS = const(2)
STATS = const(3)
IMPORTS = const(4)
FLASH_READS = const(5)
FLASH_READ_BYTES = const(6)

_HEADER = const(8)
PAYLOAD = const(4000)

inputs = bytearray(_INPUT_BYTES)
answer = bytearray(_HEADER + PAYLOAD)
_out = bytearray(_HEADER + PAYLOAD)
_event = bytearray(_HEADER)
_rung = bytearray(1)
# A whole frame: its header, and what was counted since this process started. Whoever counts adds to a place of it; the
# board is told before the next frame.
counts = array("I", (COUNTS | 5 * 4 << 16, 0, 0, 0, 0, 0, 0))
_told = 0
_sequence = 0

flash = None
bell = None
_frames = None
_replies = None
_inputs_file = None
_waiter = None

# The chip's time, which may run faster than the host's and jump; see run_at().
now_ms = utime.ticks_ms
now_us = utime.ticks_us
_speed = 1
_ahead_us = 0

# Pins with a handler, and running timers: objects with a method _poll().
watched = []
# Timers among them: on a chip these run between any two bytecodes, so whatever takes long here looks at them.
timers = []
_busy = False
_masked = False


def open_fds(fds):
    """Take the file descriptors that the board gave: frames, replies, bell, inputs, flash."""
    global _frames, _replies, bell, _inputs_file, flash, _waiter
    _frames = open(fds[0], "wb")
    _replies = open(fds[1], "rb")
    bell = open(fds[2], "rb")
    _inputs_file = open(fds[3], "rb")
    flash = open(fds[4], "rb")
    _waiter = uselect.poll()
    _waiter.register(bell, uselect.POLLIN)
    # The first wait allocates what all later ones use.
    for _ in _waiter.ipoll(0):
        pass
    poll()


def run_at(speed, ahead_us):
    """Let the chip's time run so many times faster than the host's, and be so far ahead of it."""
    global _speed
    _speed = speed
    jump_to(ahead_us)


def jump_to(ahead_us):
    """Let the chip's time be so far ahead from now on: what it slept was skipped."""
    global now_ms, now_us, _ahead_us
    _ahead_us = ahead_us
    if _speed != 1 or ahead_us:
        now_ms = _fast_ms
        now_us = _fast_us


def _fast_ms():
    return (utime.ticks_us() * _speed + _ahead_us) // 1000


def _fast_us():
    return utime.ticks_us() * _speed + _ahead_us


def _pack(buffer, op, length, argument):
    buffer[0] = op
    buffer[1] = _sequence
    buffer[2] = length & 0xFF
    buffer[3] = length >> 8
    buffer[4] = argument & 0xFF
    buffer[5] = (argument >> 8) & 0xFF
    buffer[6] = (argument >> 16) & 0xFF
    buffer[7] = (argument >> 24) & 0xFF


def _tell_counts():
    global _told
    # Bytes are read by reads.
    events = counts[OPENS] + counts[STATS] + counts[IMPORTS] + counts[FLASH_READS]
    if events != _told:
        _told = events
        _frames.write(counts)


def tell(op, argument=0):
    """Tell the board something; no answer."""
    _tell_counts()
    _pack(_event, op, 0, argument)
    _frames.write(_event)


def tell_bytes(op, argument, payload):
    """Tell the board something with a payload; no answer."""
    _tell_counts()
    length = _load(payload)
    _pack(_out, op, length, argument)
    _frames.write(_out, _HEADER + length)


def _load(payload, at=0):
    length = len(payload)
    if at + length > PAYLOAD:
        raise ValueError("too long")
    for i in range(length):
        _out[_HEADER + at + i] = payload[i]
    return at + length


def ask_at(op, argument, first, payload=b""):
    """Ask the board, with a byte before the payload; see ask(). Allocates nothing."""
    _out[_HEADER] = first
    return _ask(op, argument, _load(payload, 1))


def ask(op, argument=0, payload=b""):
    """Ask the board; return the answer's status. The answer's payload is in `answer`, see answered().

    An answer that was left behind when Ctrl-C interrupted its request is passed over.
    """
    return _ask(op, argument, _load(payload))


def _ask(op, argument, length):
    global _sequence
    _tell_counts()
    _sequence = (_sequence + 1) & 0xFF
    _pack(_out, op, length, argument)
    _frames.write(_out, _HEADER + length)
    while True:
        _replies.readinto(answer)
        if answer[1] == _sequence:
            break
    status = answer[4] | answer[5] << 8 | answer[6] << 16
    # Errors are small negative numbers: keep to small ints, which cost nothing.
    return status - 0x1000000 if answer[7] else status


def answered():
    """Return the payload of the last answer, as bytes."""
    return bytes(memoryview(answer)[_HEADER : _HEADER + (answer[2] | answer[3] << 8)])


def answer_into(buffer):
    """Copy the last answer's payload into buffer, which has its length. Allocates nothing."""
    for i in range(len(buffer)):
        buffer[i] = answer[_HEADER + i]


def ask_json(op, request):
    """Ask with a JSON object; return the answer's.

    Raises:
        OSError: the board refused.
    """
    status = ask(op, 0, json.dumps(request).encode())
    if status < 0:
        raise OSError(-status)
    return json.loads(answered())


def check(status):
    """Return status; raise OSError if it is an error."""
    if status < 0:
        raise OSError(-status)
    return status


def refresh():
    """Bring `inputs` up to date."""
    _inputs_file.seek(0)
    _inputs_file.readinto(inputs)


def clock_offset_us():
    """Return what to add to now_us() to have the microseconds since 2000 of the RTC, of 56 bits. Allocates nothing."""
    refresh()
    offset_us = 0
    for i in range(7):
        offset_us |= inputs[_CLOCK + i] << 8 * i
    return offset_us - (1 << 56) if offset_us >> 55 else offset_us


def poll():
    """Bring `inputs` up to date and run what is due."""
    global _busy
    _tell_counts()
    refresh()
    if _busy or _masked:
        return
    for item in watched:
        if item._pending():
            _busy = True
            try:
                item._run()
            finally:
                _busy = False


def run_timers():
    """Run the timers that are due, if any is used."""
    if timers:
        poll()


def mask(state):
    """Hold interrupts back, or let them through again; return whether they were held back before."""
    global _masked
    before = _masked
    _masked = state
    if before and not state:
        poll()
    return before


def call(handler, argument):
    """Call an interrupt handler as the scheduler does: an exception is printed and goes no further."""
    try:
        handler(argument)
    except Exception as error:
        sys.print_exception(error)


def poll_ms(wait_ms):
    """Return how long the host may be waited for, to wait wait_ms, or less if a timer is due before."""
    for item in watched:
        due_ms = item._due_ms()
        if 0 <= due_ms < wait_ms:
            wait_ms = due_ms
    return wait_ms if _speed == 1 else _host_ms(wait_ms)


def _host_ms(wait_ms):
    """Return wait_ms on the host's clock; what is shorter than it can poll for is slept here."""
    host_us = wait_ms * 1000 // _speed
    if 0 < host_us < 1000:
        utime.sleep_us(host_us)
    return host_us // 1000


def sleep_us(us):
    """Sleep without looking at anything."""
    utime.sleep_us(us // _speed)


def drain_bell():
    """Take one ring; what rang is seen by poll()."""
    bell.readinto(_rung)


def wait(wait_ms):
    """Sleep, but run handlers and timers at their moment."""
    poll()
    start = now_ms()
    left_ms = wait_ms
    while left_ms > 0:
        for _ in _waiter.ipoll(poll_ms(left_ms)):
            drain_bell()
        poll()
        left_ms = wait_ms - (now_ms() - start)


def stop():
    """Wait for the board to end this process."""
    while True:
        utime.sleep_ms(1000)
