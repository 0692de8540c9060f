"""The virtual board: an ESP32 devkit without hardware, described in docs/virtual-board.md."""

from ansim.virtual.clock import MAX_SPEED
from ansim.virtual.control import ControlClient, Seen
from ansim.virtual.running import (
    DEFAULT_NAME,
    VirtualBoard,
    find_board,
    running_boards,
    start_board,
    stop_board,
)

__all__ = [
    "DEFAULT_NAME",
    "MAX_SPEED",
    "ControlClient",
    "Seen",
    "VirtualBoard",
    "find_board",
    "running_boards",
    "start_board",
    "stop_board",
]
