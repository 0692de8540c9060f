"""CPython's stand-in for the one name that ``ansim_fw.core`` takes from MicroPython."""


def const(value: int) -> int:
    """Return value: MicroPython's compiler folds it, CPython has nothing to fold."""
    return value
