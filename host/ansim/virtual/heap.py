"""How much memory a program on the chip has."""

# What an ESP32 with the official build has free at the REPL (gc.mem_free()), and what the runtime needs besides.
FREE_HEAP_BYTES = 164 * 1024
RUNTIME_HEAP_BYTES = 82712
# With less the modules that stand for the chip's own, which are in its ROM, can't be loaded.
MAX_LESS_KB = 100


class Heap:
    """The heap of the next program that starts.

    Attributes:
        less_kb: how much of it is taken away, 0 to MAX_LESS_KB.
    """

    def __init__(self) -> None:
        self.less_kb = 0

    @property
    def size_bytes(self) -> int:
        return FREE_HEAP_BYTES + RUNTIME_HEAP_BYTES - self.less_kb * 1024
