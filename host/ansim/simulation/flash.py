"""A device's flash in memory: shelves of the journal and the boot counter, cut, torn, rotted or refusing at will."""

import errno
from collections.abc import Callable

from ansim.simulation.timeline import Timeline
from ansim_fw.core import config


class PowerCut(BaseException):  # noqa: N818  it is no error: nothing on the device may catch it
    """The power goes at this very moment; says where in the program that is."""


class Fuse:
    """Cuts the power at the n-th point from now: an action of the loop, or an operation on flash.

    Attributes:
        torn: how much of the operation on flash that it hits is done; any number, folded to the operation's size.
    """

    def __init__(self) -> None:
        self.torn = 0
        self._left = 0

    def arm(self, points: int, torn: int) -> None:
        self._left = points
        self.torn = torn

    def disarm(self) -> None:
        self._left = 0

    def burns(self) -> bool:
        """Pass one point; tell whether the power goes here."""
        if self._left == 0:
            return False
        self._left -= 1
        return self._left == 0

    def point(self, where: str) -> None:
        """Pass a point at which nothing can be half done.

        Raises:
            PowerCut: the power goes here.
        """
        if self.burns():
            raise PowerCut(where)


class MemoryShelf:
    """One shelf of core.journal.Journal. Harsher than LittleFS, whose commits are whole or not there.

    Args:
        label: a or b.
        on_write: called with the name of each file that was written whole.

    Attributes:
        files: name to content; spoiled: names whose content is not what was written.
        refuses_until_ms: until then every operation fails, as that of a flash that is worn out.
    """

    def __init__(self, label: str, fuse: Fuse, timeline: Timeline, on_write: Callable[[str], None]) -> None:
        self.label = label
        self.files: dict[str, bytes] = {}
        self.spoiled: set[str] = set()
        self.refuses_until_ms = 0
        self._timeline = timeline
        self._fuse = fuse
        self._on_write = on_write

    def names(self) -> list[str]:
        self._check()
        return list(self.files)

    def read(self, name: str) -> bytes:
        self._check()
        if name not in self.files:
            raise OSError(errno.ENOENT)
        return self.files[name]

    def write(self, name: str, data: bytes) -> None:
        self._check()
        if self._fuse.burns():
            self._tear(name, bytes(data))
            raise PowerCut("write " + self.label)
        self._put(name, bytes(data))

    def remove(self, name: str) -> None:
        self._check()
        cut = self._fuse.burns()
        if name not in self.files:
            raise OSError(errno.ENOENT)
        if not cut or self._fuse.torn % 2:
            del self.files[name]
            self.spoiled.discard(name)
        if cut:
            raise PowerCut("remove " + self.label)

    def rot(self, name: str, bit: int) -> None:
        """Turn one bit of a file over; bit is folded to its size."""
        data = bytearray(self.files[name])
        if data:
            bit %= 8 * len(data)
            data[bit // 8] ^= 1 << bit % 8
            self.files[name] = bytes(data)
            self.spoiled ^= {name}

    def intact(self, name: str) -> bool:
        return name in self.files and name not in self.spoiled

    @property
    def refuses(self) -> bool:
        return self._timeline.now_ms < self.refuses_until_ms

    def _check(self) -> None:
        if self.refuses:
            raise OSError(errno.EIO)

    def _put(self, name: str, data: bytes) -> None:
        self.files[name] = data
        self.spoiled.discard(name)
        self._on_write(name)

    def _tear(self, name: str, data: bytes) -> None:
        """Nothing of it is there, or an empty file, or all of it, as LittleFS does; or its first bytes."""
        torn = self._fuse.torn
        done = torn // 2 % (len(data) + 1) if torn % 2 else (-1, 0, len(data))[torn // 2 % 3]
        if done == len(data):
            self._put(name, data)
        elif done >= 0:
            self.files[name] = data[:done]
            self.spoiled.add(name)


class MemoryNvs:
    """What hal.settings keeps in NVS: the boot counter and the settings. A write that is torn is the old or the new."""

    def __init__(self, first_boot: int, fuse: Fuse) -> None:
        self.boot = first_boot
        self.values = {name: config.default(name) for name in config.LIMITS}
        self.told = 0
        self._fuse = fuse

    def next_boot(self) -> tuple[int, bool]:
        """As hal.settings.Settings.next_boot."""
        boot = self.boot + 1
        self._write_boot(boot)
        return boot, True

    def save(self, name: str, value: int) -> None:
        cut = self._fuse.burns()
        if not cut or self._fuse.torn % 2:
            self._keep(name, value)
        if cut:
            raise PowerCut("write setting")

    def _keep(self, name: str, value: int) -> None:
        if name == "told":
            self.told = value
        else:
            self.values[name] = config.check(name, value)

    def _write_boot(self, boot: int) -> None:
        cut = self._fuse.burns()
        if not cut or self._fuse.torn % 2:
            self.boot = boot
        if cut:
            raise PowerCut("write boot counter")
