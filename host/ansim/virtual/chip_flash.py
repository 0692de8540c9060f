"""The flash as the running chip has it: every operation counted, and the power cut in the middle of a chosen one."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ansim.virtual.flash import SECTOR_BYTES, Flash


@dataclass(eq=False)
class PowerCut(Exception):
    """The power went in the middle of an operation.

    Attributes:
        kind: "program" or "erase".
        address, size: what the operation was to change.
        done: how many bytes of it, from its start, were changed.
    """

    kind: str
    address: int
    size: int
    done: int


@dataclass(frozen=True)
class _Cut:
    """The operation in which the power goes, counted from the first, and how much of it is done before."""

    operation: int
    done_percent: int

    def bytes_of(self, size: int) -> int:
        """Return how many of size bytes are done: between 0 and 100 per cent at least one, and never all."""
        if self.done_percent in (0, 100):
            return size * self.done_percent // 100
        return min(max(1, size * self.done_percent // 100), size - 1)


class ChipFlash(Flash):
    """A flash that counts what the chip does to it; one write, or one sector erased, is one operation.

    What tools write in download mode goes through a Flash of its own and is not counted.
    """

    def __init__(self, path: Path, size: int) -> None:
        super().__init__(path, size)
        self._operations = 0
        self._programs = 0
        self._programmed_bytes = 0
        self._erases: Counter[int] = Counter()
        self._cut: _Cut | None = None

    def cut_power_at(self, operation: int, done_percent: int) -> None:
        """Raise PowerCut in the operation-th operation from now, 1 the next, when done_percent of it are done."""
        self._cut = _Cut(self._operations + operation, done_percent)

    def forget_cut(self) -> None:
        """Let the operation that was chosen pass as any other."""
        self._cut = None

    def figures(self) -> dict[str, int]:
        """Return what was done since this object was made; ``most_worn_erases``: of the sector erased most often."""
        return {
            "operations": self._operations,
            "programs": self._programs,
            "programmed_bytes": self._programmed_bytes,
            "erases": self._erases.total(),
            "most_worn_erases": max(self._erases.values(), default=0),
        }

    def counts(self) -> dict[str, int]:
        """Return what runs count of ``figures``."""
        found = self.figures()
        return {name: found[name] for name in ("programs", "programmed_bytes", "erases")}

    def program(self, address: int, data: bytes) -> None:
        """Clear bits, as Flash does.

        Raises:
            FlashRangeError: data does not fit there.
            PowerCut: in this operation the power went.
        """
        self._check(address, len(data))
        self._programs += 1
        done = self._reach(len(data))
        self._programmed_bytes += done
        super().program(address, data[:done])
        self._end("program", address, len(data), done)

    def erase(self, address: int, size: int) -> None:
        """Set sectors to 0xFF, as Flash does, one after the other.

        Raises:
            FlashRangeError: the range is not in the flash.
            PowerCut: in this operation the power went.
        """
        self._check(address, size)
        for sector in range(address // SECTOR_BYTES, -(-(address + size) // SECTOR_BYTES)):
            self._erases[sector] += 1
            done = self._reach(SECTOR_BYTES)
            self._write(sector * SECTOR_BYTES, b"\xff" * done)
            self._end("erase", sector * SECTOR_BYTES, SECTOR_BYTES, done)

    def _due(self) -> bool:
        return self._cut is not None and self._operations >= self._cut.operation

    def _reach(self, size: int) -> int:
        """Count an operation on size bytes; return how many of them get done."""
        self._operations += 1
        return self._cut.bytes_of(size) if self._cut is not None and self._due() else size

    def _end(self, kind: str, address: int, size: int, done: int) -> None:
        if self._due():
            self._cut = None
            raise PowerCut(kind, address, size, done)
