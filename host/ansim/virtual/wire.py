"""What passes between a virtual chip's MicroPython process and the board, besides the UART.

Board to chip: a small file of inputs (pin levels, edge counters, ADC, Wi-Fi, RTC) that the chip reads in place, one
byte on a pipe ("bell") when a pin changed, and one reply for each request. Chip to board: frames on one pipe, so that
their order is kept; those from RPC_FIRST on get a reply. The other side of this file is runtime/_link.py.
"""

import mmap
import struct
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

PINS = 40
UNDRIVEN = 2

# Frames are written whole: with their header they stay under PIPE_BUF.
PAYLOAD_BYTES = 4000
_HEADER = struct.Struct("<BBHi")

_LEVELS, _RISES, _FALLS = 0, 64, 128
_WIFI_STATUS, _RSSI, _ADC = 192, 194, 256
_CLOCK = _ADC + 4 * PINS
INPUT_BYTES = _CLOCK + 8


class Op(IntEnum):
    """What a chip tells or asks; the meaning of argument and payload is beside each."""

    PIN_OUT = 1  # argument: pin | level << 8
    PIN_MODE = 2  # argument: pin | mode << 8 | pull << 16
    PWM = 3  # argument: pin | duty (16 bit) << 8; payload: frequency in Hz, 4 bytes; 0 Hz: off
    WDT_ARM = 4  # argument: timeout in ms
    WDT_FEED = 5
    RESET = 6
    SOFT_RESET = 7
    MAIN = 8  # main.py is about to start
    LISTENING = 9  # programs run from now on, so that Ctrl-C may interrupt
    COUNTS = 10  # payload: what was counted inside since the process started, 4 bytes each; see runs.INSIDE
    PIN_HOLD = 11  # argument: pin | hold << 8
    DEEP_HOLD = 12  # argument: whether held digital pads stay held in deep sleep

    BOOT = 32  # reply: JSON of what the chip has to know to start
    RESOLVE = 33  # argument: port; payload: host; reply status: loopback port, or a negative error
    I2C_WRITE = 34  # argument: address; payload: bytes
    I2C_READ = 35  # argument: address | length << 8; reply: bytes
    WIFI = 36  # payload and reply: JSON
    NVS = 37  # argument: one of NvsOp; payload: namespace, NUL, key, NUL, value
    RTC_READ = 38  # reply: RTC memory
    RTC_WRITE = 39  # payload: RTC memory
    CLOCK = 40  # argument unused; payload: 8 bytes, microseconds since 2000 less the chip's time
    SLEEP = 41  # payload: JSON; the chip is put to sleep and not answered (deep) or told its wake reason (light)
    FLASH_PROGRAM = 42  # argument: address; payload: bytes
    FLASH_ERASE = 43  # argument: address of the sector


RPC_FIRST = Op.BOOT


class NvsOp(IntEnum):
    """Operations on NVS; set and get carry the value as it is stored."""

    GET_I32 = 0
    SET_I32 = 1
    GET_BLOB = 2
    SET_BLOB = 3
    ERASE = 4
    OPEN = 5


@dataclass(frozen=True)
class Frame:
    """One frame from the chip."""

    op: Op
    sequence: int
    argument: int
    payload: bytes


class BrokenFrame(Exception):
    """The chip's process wrote something that is no frame."""


class FrameReader:
    """Cuts the pipe's bytes into frames; holds at most one incomplete frame."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that data completes.

        Raises:
            BrokenFrame: an unknown op or an impossible length.
        """
        self._buffer += data
        frames: list[Frame] = []
        while len(self._buffer) >= _HEADER.size:
            op, sequence, length, argument = _HEADER.unpack_from(self._buffer)
            if length > PAYLOAD_BYTES or op not in Op.__members__.values():
                raise BrokenFrame(f"op {op}, length {length}")
            end = _HEADER.size + length
            if len(self._buffer) < end:
                break
            frames.append(Frame(Op(op), sequence, argument, bytes(self._buffer[_HEADER.size : end])))
            del self._buffer[:end]
        return frames


def reply(sequence: int, status: int, payload: bytes = b"") -> bytes:
    """Return a reply frame. All have one length, so that the chip reads each with one system call.

    Args:
        sequence: the request's.
        status: at least 0, or a negative errno.
        payload: at most PAYLOAD_BYTES.
    """
    return _HEADER.pack(0, sequence, len(payload), status) + payload.ljust(PAYLOAD_BYTES, b"\0")


class Inputs:
    """The file through which a chip sees its pins, ADC, radio and RTC. All lasts over resets: the world drives it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(INPUT_BYTES))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), INPUT_BYTES)
        self._map[_LEVELS : _LEVELS + PINS] = bytes([UNDRIVEN]) * PINS

    def close(self) -> None:
        self._map.close()
        self.path.unlink(missing_ok=True)

    def level(self, pin: int) -> int:
        """Return 0, 1 or UNDRIVEN."""
        return self._map[_LEVELS + pin]

    def drive(self, pin: int, level: int, before: int, after: int) -> bool:
        """Set a pin's level, or UNDRIVEN; count the edge if there is one. Return whether there is one.

        Args:
            before, after: 0 or 1, the level that the chip has seen until now, and the one that it sees from now on.
        """
        # Level first: a chip that sees the edge's count must see the level that it led to.
        self._map[_LEVELS + pin] = level
        if after == before:
            return False
        counter = (_RISES if after else _FALLS) + pin
        self._map[counter] = (self._map[counter] + 1) & 0xFF
        return True

    def set_microvolts(self, pin: int, microvolts: int) -> None:
        start = _ADC + 4 * pin
        self._map[start : start + 4] = microvolts.to_bytes(4, "little")

    def set_wifi(self, status: int, rssi_dbm: int) -> None:
        self._map[_RSSI] = rssi_dbm & 0xFF
        self._map[_WIFI_STATUS : _WIFI_STATUS + 2] = status.to_bytes(2, "little")

    def set_clock_us(self, offset_us: int) -> None:
        """Say what to add to the chip's time to have that of its RTC; of 56 bits."""
        self._map[_CLOCK : _CLOCK + 8] = offset_us.to_bytes(8, "little", signed=True)
