"""A virtual chip on the bench: a flash with a program in it, and what the chip puts out."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from littlefs import LittleFS

from ansim.boards import Board, Sensor, load_board
from ansim.stand_in import stand_in_image
from ansim.virtual.chip import Chip
from ansim.virtual.clock import Clock

MAC = bytes.fromhex("02a15e000001")
FLASH_BYTES = 4 << 20
NVS, FACTORY, VFS = (0x9000, 0x6000), (0x10000, 0x1F0000), (0x200000, 0x200000)
PATIENCE_S = 20


def filesystem(files: Mapping[str, str]) -> bytes:
    fs = LittleFS(
        block_size=4096, block_count=VFS[1] // 4096, read_size=32, prog_size=32, lookahead_size=32, disk_version=0x20000
    )
    for name, text in files.items():
        with fs.open(name, "wb") as file:
            file.write(text.encode())
    return bytes(fs.context.buffer)


def flash_content(files: Mapping[str, str] | None = None, board: Board | None = None) -> bytearray:
    """Return a whole flash that boots on a board; with no files the filesystem is erased."""
    flash = bytearray(b"\xff" * FLASH_BYTES)
    board = board or load_board("virtual")
    for offset, data in stand_in_image(board).segments(board):
        flash[offset : offset + len(data)] = data
    if files is not None:
        flash[VFS[0] : VFS[0] + VFS[1]] = filesystem(files)
    return flash


class Bench:
    """A chip in a folder, its output and its log; a context manager, so that no process stays behind."""

    def __init__(
        self,
        folder: Path,
        flash: bytes,
        speed: int = 1,
        sensor: Sensor | None = None,
        skips_sleep: bool = False,
        chip: str = "esp32",
    ) -> None:
        path = folder / "flash.bin"
        path.write_bytes(flash)
        self.flash = path
        self.output = b""
        self.power_losses = 0
        self.events: list[tuple[str, dict[str, object]]] = []
        self.chip = Chip(
            folder / "chip",
            path,
            MAC,
            self._take,
            lambda *event: self.events.append(event),
            self._lose_power,
            Clock(speed, skips_sleep),
            sensor or load_board("virtual").sensor,
            chip,
        )

    def _take(self, data: bytes) -> None:
        self.output += data

    def _lose_power(self) -> None:
        self.power_losses += 1

    def until(self, condition: Callable[[], Any], what: str = "condition") -> Any:
        """Wait until condition() is true and return it."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what} in {PATIENCE_S} s; output so far: {self.output[-2000:]!r}")
            time.sleep(0.005)
        return found

    def sees(self, text: bytes | str) -> bytes:
        """Wait for text in the output; return what came before it and take both away."""
        wanted = text.encode() if isinstance(text, str) else text
        self.until(lambda: wanted in self.output, repr(wanted))
        before, _, self.output = self.output.partition(wanted)
        return before

    def raw_repl(self) -> None:
        """Interrupt what runs and enter the raw REPL, as mpremote does."""
        self.chip.write(b"\r\x03")
        self.sees(b">>> ")
        self.chip.write(b"\r\x01")
        self.sees(b"raw REPL; CTRL-B to exit\r\n>")

    def run(self, program: str) -> str:
        """Run a program in the raw REPL and return what it printed; its failure is this test's."""
        self.chip.write(program.encode() + b"\x04")
        self.sees(b"OK")
        printed = self.sees(b"\x04")
        error = self.sees(b"\x04>")
        assert not error, error.decode()
        return printed.decode().replace("\r\n", "\n")

    def told(self, kind: str) -> list[dict[str, object]]:
        """Return what the chip's log said of one kind."""
        return [details for seen, details in self.events if seen == kind]

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        self.chip.close()
