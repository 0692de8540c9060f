"""CPython's stand-in for what ``ansim_fw.core`` takes from MicroPython: names that its compiler knows."""

import builtins
from collections.abc import Callable
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., object])


def const(value: int) -> int:
    """Return value: MicroPython's compiler folds it, CPython has nothing to fold."""
    return value


def viper(function: _Function) -> _Function:
    """Return function: MicroPython makes machine code of it, CPython runs it as it is."""
    return function


class ptr8:
    """Reads and writes a buffer as viper's pointer of this name does: unsigned bytes."""

    _FORMAT = "B"
    _MASK = 0xFF

    def __init__(self, buffer: Any) -> None:
        self._view = memoryview(buffer).cast("B").cast(self._FORMAT)  # type: ignore[call-overload]  # any format

    def __getitem__(self, index: int) -> int:
        return int(self._view[index])

    def __setitem__(self, index: int, value: int) -> None:
        self._view[index] = value & self._MASK


class ptr16(ptr8):
    """Reads and writes a buffer as viper's pointer of this name does: unsigned halfwords."""

    _FORMAT = "H"
    _MASK = 0xFFFF


# Viper's functions use them without an import, as MicroPython has none for them.
builtins.ptr8 = ptr8  # type: ignore[attr-defined]
builtins.ptr16 = ptr16  # type: ignore[attr-defined]
