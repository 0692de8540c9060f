"""The chip's esp32 module: NVS, partitions, wake sources."""

import _link
import machine
import vfs
from micropython import const

WAKEUP_ALL_LOW = False
WAKEUP_ANY_HIGH = True
HEAP_DATA = const(4)
HEAP_EXEC = const(1)

_BLOCK = const(4096)
_ERASED = b"\xff" * _BLOCK
# What one request to the board carries: a part of a block.
_PIECE = const(2048)
_NVS_ERRORS = {
    0x1102: "ESP_ERR_NVS_NOT_FOUND",
    0x1105: "ESP_ERR_NVS_NOT_ENOUGH_SPACE",
    0x1106: "ESP_ERR_NVS_INVALID_NAME",
    0x1109: "ESP_ERR_NVS_KEY_TOO_LONG",
    0x110C: "ESP_ERR_NVS_INVALID_LENGTH",
    0x110E: "ESP_ERR_NVS_VALUE_TOO_LONG",
}

# As in _link, without its attribute lookups: a start reads the flash thousands of times.
_FLASH_READS = const(5)
_FLASH_READ_BYTES = const(6)
_counts = _link.counts

_partitions = ()


def _begin(partitions, ext):
    """Without ext: a chip that pins wake by wake_on_gpio() alone."""
    global _partitions
    _partitions = [tuple(entry) for entry in partitions]
    if not ext:
        for name in ("wake_on_ext0", "wake_on_ext1", "raw_temperature"):
            del globals()[name]


class NVS:
    """One namespace. Every set is durable when it returns; commit() is there because ESP-IDF asks for it."""

    def __init__(self, namespace):
        self._name = namespace.encode() + b"\0"
        self._ask(5, "", b"")

    def _ask(self, op, key, value=b""):
        if len(value) + len(self._name) + len(key) + 1 > _link.PAYLOAD:
            _fail(0x110E)
        status = _link.ask(_link.NVS, op, self._name + key.encode() + b"\0" + value)
        if status < 0:
            _fail(-status)
        return status

    def get_i32(self, key):
        self._ask(0, key)
        value = int.from_bytes(_link.answered(), "little")
        return value - 0x100000000 if value & 0x80000000 else value

    def set_i32(self, key, value):
        self._ask(1, key, (value & 0xFFFFFFFF).to_bytes(4, "little"))

    def get_blob(self, key, buffer):
        self._ask(2, key)
        found = _link.answered()
        if len(found) > len(buffer):
            _fail(0x110C)
        buffer[: len(found)] = found
        return len(found)

    def set_blob(self, key, value):
        self._ask(3, key, bytes(value))

    def erase_key(self, key):
        self._ask(4, key)

    def commit(self):
        pass


def _fail(code):
    raise OSError(-code, _NVS_ERRORS.get(code, "ESP_FAIL"))


class Partition:
    """A partition as a block device of 4096-byte blocks."""

    BOOT = 0
    RUNNING = 1
    TYPE_APP = 0
    TYPE_DATA = 1

    def __init__(self, id):
        for entry in _partitions:
            if entry[0] == id or (id in (0, 1) and entry[1] == 0):
                self._entry = entry
                self._offset = entry[3]
                self._blocks = entry[4] // _BLOCK
                return
        raise OSError(2)

    @staticmethod
    def find(type=0, subtype=0xFF, label=None, block_size=_BLOCK):
        return [
            Partition(entry[0])
            for entry in _partitions
            if entry[1] == type and subtype in (0xFF, entry[2]) and label in (None, entry[0])
        ]

    def info(self):
        label, kind, subtype, offset, size = self._entry
        return (kind, subtype, offset, size, label, False)

    def readblocks(self, block, buffer, offset=0):
        _link.run_timers()
        _link.flash.seek(self._at(block, offset, len(buffer)))
        _link.flash.readinto(buffer)
        _counts[_FLASH_READS] += 1
        _counts[_FLASH_READ_BYTES] += len(buffer)

    def writeblocks(self, block, buffer, offset=None):
        if offset is None:
            for erased in range(block, block + len(buffer) // _BLOCK):
                self.ioctl(6, erased)
            offset = 0
        at = self._at(block, offset, len(buffer))
        if len(buffer) <= _PIECE:
            _program(at, buffer)
            return
        view = memoryview(buffer)
        for start in range(0, len(buffer), _PIECE):
            _program(at + start, view[start : start + _PIECE])

    def _at(self, block, offset, length):
        """Return the address in the flash of what is all in this partition."""
        at = block * _BLOCK + offset
        if at < 0 or at + length > self._blocks * _BLOCK:
            raise OSError(22)
        return self._offset + at

    def ioctl(self, op, argument):
        if op == 4:
            return self._blocks
        if op == 5:
            return _BLOCK
        if op == 6:
            _link.check(_link.ask(_link.FLASH_ERASE, self._at(argument, 0, _BLOCK)))
        return 0


def _program(at, data):
    _link.check(_link.ask(_link.FLASH_PROGRAM, at, data))


def _mount():
    """Mount the flash's filesystem in place of the host's, as _boot.py and inisetup.py do."""
    vfs.umount("/")
    found = Partition.find(Partition.TYPE_DATA, label="vfs")
    if not found:
        return
    device = found[0]
    try:
        vfs.mount(device, "/")
    except OSError:
        _set_up(device)


def _set_up(device):
    first = bytearray(_BLOCK)
    device.readblocks(0, first)
    if first != _ERASED:
        _corrupted()
    print("Performing initial setup")
    vfs.VfsLfs2.mkfs(device)
    vfs.mount(device, "/")
    with open("boot.py", "w") as file:
        file.write("# This file is executed on every boot (including wake-boot from deepsleep)\n")


def _corrupted():
    import time

    import micropython

    micropython.kbd_intr(3)
    while True:
        print(
            "The filesystem appears to be corrupted. If you had important data there, you\n"
            "may want to make a flash snapshot to try to recover it. Otherwise, perform\n"
            "factory reprogramming of MicroPython firmware (completely erase flash, followed\n"
            "by firmware programming).\n"
        )
        time.sleep(3)


def wake_on_ext0(pin=None, level=False):
    machine._set_ext0(pin, 1 if level else 0, machine.SLEEP | machine.DEEPSLEEP)


def wake_on_ext1(pins=None, level=False):
    machine._set_ext1(pins, 1 if level else 0)


def wake_on_gpio(pins=None, level=None):
    machine._set_gpio(pins, level)


def gpio_deep_sleep_hold(enable):
    _link.tell(_link.DEEP_HOLD, 1 if enable else 0)


def raw_temperature():
    # Degrees Fahrenheit, as the ESP32's sensor gives them: a room.
    return 128


def idf_heap_info(capabilities):
    return []
