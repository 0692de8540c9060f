"""What every part on the I2C bus is to the chip."""

from typing import Protocol


class Part(Protocol):
    """A part at one address. A transaction is one write or one read, between start and stop."""

    def write(self, data: bytes) -> None: ...

    def read(self, length: int) -> bytes: ...


class RegisterPart:
    """A part with byte registers: the first byte of a write says where, the rest goes there and on.

    Args:
        registers: number of registers; addresses wrap there.
        values: register to its value after power-on; 0 elsewhere.
        writable: registers that a write changes; the rest ignores writes.
    """

    def __init__(self, registers: int, values: dict[int, int], writable: frozenset[int]) -> None:
        self._registers = bytearray(registers)
        for register, value in values.items():
            self._registers[register] = value
        self._writable = writable
        self._at = 0

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

    def _load(self, register: int) -> int:
        return self._registers[register]

    def _store(self, register: int, value: int) -> None:
        if register in self._writable:
            self._registers[register] = value

    def _advance(self) -> None:
        self._at = (self._at + 1) % len(self._registers)
