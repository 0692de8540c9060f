"""A box of boards: one with an image of the official size against the usual way, then many at once."""

import subprocess
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from cpu_time import tool_cpu_s, tree_cpu_s
from line_image import write_image
from line_task import flash_one
from quick_tools import tool_command

from ansim import credentials, flash_job
from ansim.boards import Board, load_board
from ansim.errors import AnsimError
from ansim.flash_job import Job, Outcome, Prepared
from ansim.fleet import Fleet, WifiNetwork
from ansim.home import Home
from ansim.image import ROOM, build_firmware
from ansim.registry import Registry
from ansim.virtual import VirtualBoard, start_board, stop_board
from ansim.workers import Ended, Workers
from figure import Figure

BOARD = "virtual"
BAUD = 921600
# At this pace 32 virtual boards leave one of two cores free.
BOX_BAUD = 460800
BOX = 32
_BITS_PER_BYTE = 10
_PATIENCE_S = 600


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        home, board = _fleet(Path(folder)), load_board(BOARD)
        image = write_image(Path(folder) / "micropython.bin", board)
        prepared = flash_job.prepare(home, BOARD, image)
        return [*_one(home, board, image, prepared), *_many(home, prepared)]


def _fleet(folder: Path) -> Home:
    """A fleet whose broker nobody has started: the boards are flashed and provisioned, and find no Wi-Fi."""
    home = Home(folder)
    fleet = Fleet(site="bench").with_network(WifiNetwork("bench", "a passphrase"))
    credentials.make(home, fleet.host)
    fleet.save_wifi(home)
    fleet.save(home)
    return home


def _one(home: Home, board: Board, image: Path, prepared: Prepared) -> list[Figure]:
    ours = start_board(home, "ours", paced=True, with_parent=True)
    job = Job(home, ours.url, BOARD, baud=BAUD)
    first, first_s = _timed(lambda: flash_job.flash(job, lambda *_: None, prepared))
    again, again_s = _timed(lambda: flash_job.flash(job, lambda *_: None, prepared))
    _, identity_s = _timed(lambda: flash_job.provision(job, lambda *_: None))
    stop_board(ours)
    usual_s = _usual_way(home, board, image)
    report = first.report
    # Pieces compress a little worse than the whole, which is what the bound is about.
    payload = (
        report.compressed_bytes + _in_one_piece(prepared) - sum(each.compressed_size for each in prepared.payloads)
    )
    wire_s = report.wire_bytes * _BITS_PER_BYTE / BAUD
    usual = f"{usual_s:.1f} s: esptool write-flash, mpremote cp, config"
    return [
        Figure("image of MicroPython", image.stat().st_size, "bytes"),
        Figure("image, files and identity, compressed", payload, "bytes"),
        Figure("bytes up the wire, of those", round(report.wire_bytes / payload, 3), "x", bound=1.03),
        Figure("esptool sessions", report.sessions, "", bound=1),
        Figure(f"session, of its wire time at {BAUD} baud", round(report.seconds / wire_s, 3), "x", bound=1.15),
        Figure("one board, flashed, provisioned and answering", round(first_s, 1), "s", peer=usual),
        Figure("the usual way takes so many times longer", round(usual_s / first_s, 1), "x", bound=3, at_least=True),
        Figure("identity alone, until the board answers", round(identity_s, 1), "s", bound=3),
        Figure("the same board again, all but its identity is there", round(again_s, 1), "s"),
        Figure("written then beside the identity: the folders of the journal", _written(again), "bytes"),
    ]


def _timed(work: Callable[[], Outcome]) -> tuple[Outcome, float]:
    started = time.monotonic()
    outcome = work()
    return outcome, time.monotonic() - started


def _in_one_piece(prepared: Prepared) -> int:
    """How many bytes zlib makes of what was prepared, if nothing is cut but where the flash between is left out."""
    runs: list[bytes] = []
    end = 0
    for piece in (piece for payload in prepared.payloads for piece in payload.pieces):
        if piece.offset == end:
            runs[-1] += piece.content
        else:
            runs.append(piece.content)
        end = piece.offset + piece.size
    return sum(len(zlib.compress(run, 9)) for run in runs)


def _written(outcome: Outcome) -> int:
    return sum(size for name, size in outcome.report.written.items() if name != "identity")


def _usual_way(home: Home, board: Board, image: Path) -> float:
    """Return how long the usual tools take for the same image and files but the journal's room, in seconds."""
    files = image.parent / "files"
    files.mkdir()
    for name, data in build_firmware(board, home).files.items():
        if name != ROOM:
            (files / name).write_bytes(data)
    config = image.parent / "config.json"
    config.write_text("{}" + " " * 1500)
    usual = start_board(home, "usual", paced=True, with_parent=True)
    offset = hex(board.micropython.image_offset)
    started = time.monotonic()
    _tool("esptool", "--port", usual.url, "--baud", str(BAUD), "write-flash", offset, str(image))
    _tool("mpremote", "connect", usual.url, "fs", "cp", *map(str, sorted(files.iterdir())), ":")
    _tool("mpremote", "connect", usual.url, "fs", "cp", str(config), ":")
    seconds = time.monotonic() - started
    stop_board(usual)
    return seconds


def _tool(module: str, *arguments: str) -> None:
    # Over the same port as ours: pyserial's own RFC 2217, which no USB port has, would cost them many seconds more.
    subprocess.run(tool_command(module, *arguments), capture_output=True, timeout=300, check=True)


def _many(home: Home, prepared: Prepared) -> list[Figure]:
    boards = [start_board(home, f"b{number}", paced=True, with_parent=True) for number in range(BOX + 1)]
    try:
        with Workers() as workers:
            alone_s, alone_cpu_s, _ = _box(workers, home, boards[:1], prepared)
            before_s = sum(tree_cpu_s(board.pid) for board in boards)
            box_s, box_cpu_s, failures = _box(workers, home, boards[1:], prepared)
            boards_cpu_s = sum(tree_cpu_s(board.pid) for board in boards) - before_s
        with Registry.open(home.database_url) as registry:
            registry.verify()
            known = len({device.mac for device in registry.devices()} & {board.mac for board in boards})
    finally:
        for board in boards:
            stop_board(board)
    return [
        Figure(f"one port alone at {BOX_BAUD} baud", round(alone_s, 1), "s"),
        Figure(f"{BOX} ports at once at {BOX_BAUD} baud", round(box_s, 1), "s"),
        Figure("of the time of one alone", round(box_s / alone_s, 2), "x", bound=1.3),
        Figure("cores that the virtual boards took meanwhile", round(boards_cpu_s / box_s, 2), "", bound=1),
        Figure("CPU of the tool for the first board", round(alone_cpu_s, 2), "s"),
        Figure("CPU of the tool a board after the first", round(box_cpu_s / BOX, 3), "s", bound=0.3),
        Figure("boards that failed", len(failures), "", bound=0, peer="; ".join(sorted(set(failures)))),
        Figure("boards that the verified registry does not know", len(boards) - known, "", bound=0),
    ]


def _box(
    workers: Workers, home: Home, boards: Sequence[VirtualBoard], prepared: Prepared
) -> tuple[float, float, list[str]]:
    """Flash boards at once; return the seconds that it took, the tool's CPU time, and what went wrong."""
    started, cpu_s = time.monotonic(), tool_cpu_s()
    for board in boards:
        workers.start(board.name, flash_one, Job(home, board.url, BOARD, baud=BOX_BAUD), prepared)
    ends: list[AnsimError | None] = []
    while workers.running and time.monotonic() < started + _PATIENCE_S:
        ends += [heard.error for heard in workers.poll(1) if isinstance(heard, Ended)]
    failures = [error.message for error in ends if error] + ["not done in time"] * len(workers.running)
    return time.monotonic() - started, tool_cpu_s() - cpu_s, failures
