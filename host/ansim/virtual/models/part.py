"""What every part on the I2C bus is to the chip."""

from collections.abc import Mapping
from typing import Protocol


class BusError(Exception):
    """A transaction that failed.

    Attributes:
        code: the errno that the chip's program gets: ENODEV when nothing acknowledged.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Part(Protocol):
    """A part at one address. A transaction is one write or one read, between start and stop.

    Both raise BusError when the part does not answer, or the bus was disturbed.
    """

    def write(self, data: bytes) -> None: ...

    def read(self, length: int) -> bytes: ...


class RegisterPart:
    """A part with byte registers: the first byte of a write says where, the rest goes there and on.

    Args:
        registers: number of registers; addresses wrap there.
        values: register to its value after a reset; 0 elsewhere.
        writable: registers that a write changes; the rest ignores writes.
    """

    def __init__(self, registers: int, values: Mapping[int, int], writable: frozenset[int]) -> None:
        self._registers = bytearray(registers)
        self._after_reset = values
        self._writable = writable
        self._at = 0
        self._reset_registers()

    def write(self, data: bytes) -> None:
        if not data:
            return
        self._at = data[0] % len(self._registers)
        for value in data[1:]:
            self._store(self._at, value)
            self._advance()

    def read(self, length: int) -> bytes:
        found = bytearray()
        for _ in range(length):
            found.append(self._load(self._at))
            self._advance()
        return bytes(found)

    def _reset_registers(self) -> None:
        self._registers[:] = bytes(len(self._registers))
        for register, value in self._after_reset.items():
            self._registers[register] = value

    def _load(self, register: int) -> int:
        return self._registers[register]

    def _store(self, register: int, value: int) -> None:
        if register in self._writable:
            self._registers[register] = value

    def _advance(self) -> None:
        self._at = (self._at + 1) % len(self._registers)
