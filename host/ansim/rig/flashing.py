"""Getting the rig's program onto a rig."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansim.boards import load_board
from ansim.errors import BadInput, DeviceError
from ansim.flasher import BACK_S, Flasher, FlashReport, Progress, Task
from ansim.home import Home
from ansim.image import filesystem_image
from ansim.micropython_source import image_for
from ansim.payload import Part, packed
from ansim.rig.client import RigConsole
from ansim.rig.program import program
from ansim.rig.rig_file import RigFile
from ansim.serial_link import OpenPort, PortGone
from ansim.waiting_events import waiting_events

_START_S = 30.0


def flash_rig(
    file: RigFile, home: Home, on_progress: Progress, micropython: Path | None = None
) -> tuple[FlashReport, dict[str, Any]]:
    """Put MicroPython and the program on the rig, and wait until it runs; return what was written and its ``info``.

    Args:
        micropython: MicroPython's image; fetched if left out.

    Raises:
        BadInput: a file can't be used, or what is on the port is a device with events that wait.
        PortError, DeviceError: it went wrong on the way; the next run takes it up from there.
    """
    board = load_board(file.rig.board)
    on_progress("building", 0, 1)
    image, made, vfs = image_for(board, home, micropython), program(), board.partitions.vfs
    segments = [(vfs.offset + offset, data) for offset, data in filesystem_image(made.files, vfs.size)]
    payloads = [packed(Part("MicroPython", image.segments(board))), packed(Part("rig", segments))]
    with OpenPort(file.rig.port, home) as port:
        task = Task(payloads, inspect=_device_check(file, vfs.offset, vfs.size))
        report = Flasher(port, board, on_progress).run(task)
        on_progress("starting", 0, 1)
        return report, _started(port, report.mac, made.build)


def _device_check(file: RigFile, offset: int, size: int) -> Callable[[Callable[[int, int], bytes]], None]:
    """Stop before a device is made a rig while events wait in it: the ports may be mixed up."""

    def check(read_flash: Callable[[int, int], bytes]) -> None:
        try:
            waiting = waiting_events(lambda at, count: read_flash(offset + at, count), size).events
        except DeviceError:
            return  # no filesystem of a device
        if waiting:
            raise BadInput(
                f"on {file.rig.port} is no rig but a device, which holds {waiting} events that nobody has acknowledged",
                "Are rig.port and device.port the wrong way round?",
            )

    return check


def _started(port: OpenPort, mac: str, build: str) -> dict[str, Any]:
    try:
        info = RigConsole(port.link, port.name).request("info", timeout_s=_START_S, repeat=True)
    except PortGone:  # a chip with USB of its own, which comes back under another name
        port.find_again(mac, BACK_S)
        info = RigConsole(port.link, port.name).request("info", timeout_s=_START_S, repeat=True)
    if info.get("build") != build:
        raise DeviceError(
            f"the rig on {port.name} runs another program than was written: '{str(info.get('build'))[:40]}'",
            "Flash it again; if that repeats, its flash chip is failing.",
        )
    return info
