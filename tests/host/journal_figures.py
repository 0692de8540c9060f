"""What storing and forgetting alarms costs a flash, as journal_wear.py counts it on MicroPython."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ansim.image import BLOCK_BYTES, filesystem_image

HERE = Path(__file__).parent
FIRMWARE = HERE.parents[1] / "firmware"
# Enough for a journal with all that can wait, and quick.
SMALL_BLOCKS = 64
_LIFE_S = 600

# What one alarm, stored and forgotten, may take: with up to 63 others waiting, at the worst and in the mean.
MOST_PROGRAMS = 72
MOST_ERASES = 8
MOST_MEAN_ERASES = 0.35


@dataclass(frozen=True)
class Cost:
    """Of one action: programs, erases, and bytes programmed."""

    programs: float
    erases: float
    bytes: float


@dataclass(frozen=True)
class Wear:
    """What a history of alarms did to a flash.

    Args:
        store, forget: one alarm's, mean; worst_store, worst_forget: the most of each that one action took.
        failed: actions that did not work.
        blocks_before, most_blocks: blocks of the filesystem in use before, and the most of them later.
        erases: of each block.
    """

    store: Cost
    forget: Cost
    worst_store: Cost
    worst_forget: Cost
    failed: int
    blocks_before: int
    most_blocks: int
    erases: list[int]


@dataclass(frozen=True)
class History:
    """A history to live through; journal_wear.py says what each member means."""

    alarms: int
    waiting: int = 0
    keeper: str = "shelves"
    image: Path | None = None
    blocks: int = SMALL_BLOCKS
    restart_every: int = 0


def write_image(path: Path, files: Mapping[str, bytes], blocks: int = SMALL_BLOCKS) -> None:
    """Write the filesystem of a device with these files, whole, for a history to begin with."""
    image = bytearray(b"\xff" * blocks * BLOCK_BYTES)
    for offset, data in filesystem_image(files, len(image)):
        image[offset : offset + len(data)] = data
    path.write_bytes(image)


def live(*histories: History) -> list[Wear]:
    """Live through histories, all at the same time.

    Raises:
        RuntimeError: one did not end well; has what it printed.
        subprocess.TimeoutExpired: one does not end.
    """
    processes = [_start(history) for history in histories]
    try:
        return [_end(process) for process in processes]
    finally:
        for process in processes:
            process.kill()


def _start(history: History) -> "subprocess.Popen[str]":
    micropython = Path(sys.executable).parent / "micropython"
    command = [micropython, "-X", "heapsize=64m", HERE / "journal_wear.py", FIRMWARE, history.keeper]
    command += [history.image or "-", history.blocks, history.alarms, history.waiting, history.restart_every]
    arguments = [str(one) for one in command]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _end(process: "subprocess.Popen[str]") -> Wear:
    output, _ = process.communicate(timeout=_LIFE_S)
    if process.returncode:
        raise RuntimeError(output)
    told = json.loads(output.splitlines()[-1])
    store, forget = told.pop("store"), told.pop("forget")
    return Wear(
        Cost(*store["mean"]),
        Cost(*forget["mean"]),
        Cost(*store["worst"]),
        Cost(*forget["worst"]),
        store["failed"] + forget["failed"],
        **told,
    )
