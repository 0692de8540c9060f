"""One board flashed and provisioned over a line paced to its baud rate, against the usual way with the usual tools."""

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from quick_tools import tool_command

from ansim import flash_job
from ansim.boards import load_board
from ansim.flash_job import Job, Outcome
from ansim.image import ROOM, Firmware, build_firmware
from ansim.sandbox import Sandbox
from ansim.stand_in import stand_in_image
from ansim.virtual import VirtualBoard
from figure import Figure

BAUD = 921600
BOARD = "virtual"
_BITS_PER_BYTE = 10


def measure() -> list[Figure]:
    board = load_board(BOARD)
    with tempfile.TemporaryDirectory() as folder, Sandbox(Path(folder)) as sandbox:
        firmware = build_firmware(board, sandbox.home)
        job = Job(sandbox.home, sandbox.start_board("ours", paced=True).url, BOARD, baud=BAUD)
        first = flash_job.flash(job, lambda *_: None)
        ours_s, again = timed(lambda: flash_job.flash(job, lambda *_: None))
        usual_board = sandbox.start_board("usual", paced=True)
        usual_s = usual_way(usual_board, firmware, Path(folder), stand_in_image(board).segments(board))
    return [
        *wire_figures(first),
        Figure("one board flashed and provisioned", round(first.report.seconds, 1), "s", peer=f"{usual_s:.1f} s"),
        Figure(
            "the usual way takes so many times longer",
            round(usual_s / first.report.seconds, 1),
            "x",
            bound=3,
            at_least=True,
            peer="esptool write-flash + mpremote cp",
        ),
        Figure("the same board again: bytes written", sum(again.report.written.values()), "bytes"),
        Figure("the same board again, ready", round(ours_s, 1), "s"),
    ]


def wire_figures(outcome: Outcome) -> list[Figure]:
    report = outcome.report
    overhead = report.wire_bytes - report.compressed_bytes
    return [
        Figure("bytes flashed", sum(report.written.values()), "bytes"),
        Figure("compressed payload", report.compressed_bytes, "bytes"),
        Figure("bytes up the wire", report.wire_bytes, "bytes"),
        Figure("beside the payload: stub, commands, framing", overhead, "bytes"),
        Figure("wire time of the bytes up", round(report.wire_bytes * _BITS_PER_BYTE / BAUD, 2), "s"),
    ]


def usual_way(board: VirtualBoard, firmware: Firmware, folder: Path, segments: list[tuple[int, bytes]]) -> float:
    """Return how long esptool and mpremote take for the same files but the journal's room, in seconds."""
    image = folder / "micropython.bin"
    offset = segments[0][0]
    end = max(start + len(data) for start, data in segments)
    content = bytearray(b"\xff" * (end - offset))
    for start, data in segments:
        content[start - offset : start - offset + len(data)] = data
    image.write_bytes(content)
    files = folder / "files"
    for name, data in firmware.files.items():
        if name == ROOM:
            continue
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_bytes(data)
    (files / "config.json").write_text("{}" + " " * 1500)
    seconds, _ = timed(lambda: run_usual_tools(board.url, image, offset, files))
    return seconds


def run_usual_tools(port: str, image: Path, offset: int, files: Path) -> None:
    tool("esptool", "--port", port, "--baud", str(BAUD), "write-flash", hex(offset), str(image))
    names = sorted(path.name for path in files.iterdir())
    tool("mpremote", "connect", port, "fs", "cp", "-r", *[str(files / name) for name in names], ":")


def tool(module: str, *arguments: str) -> None:
    # Over the same port as ours: pyserial's own RFC 2217, which no USB port has, would cost them many seconds more.
    subprocess.run(tool_command(module, *arguments), capture_output=True, timeout=300, check=True)


def timed(work: Callable[[], object]) -> tuple[float, object]:
    started = time.monotonic()
    result = work()
    return time.monotonic() - started, result
