"""Stands in for Espressif's QEMU where it is not: takes its command, and bridges its TCP port to a virtual board.

It checks nothing of QEMU itself. Like that, it listens on the socket that it is handed, starts the chip when somebody
has connected, serves one connection after another, and keeps the flash in the file that it is told of.
"""

import contextlib
import os
import re
import select
import signal
import socket
import sys
import tempfile
import tty
from pathlib import Path

from ansim.boards import load_board
from ansim.home import Home
from ansim.image import build_firmware, filesystem_image
from ansim.stand_in import stand_in_image
from ansim.virtual import VirtualBoard, start_board, stop_board

MACHINES = "Supported machines are:\nesp32                Espressif ESP32 machine\nsim                  sim machine\n"


def main() -> None:
    arguments = sys.argv[1:]
    if arguments == ["-machine", "help"]:
        print(MACHINES)
        return
    _check(arguments)
    chardev = arguments[arguments.index("-chardev") + 1]
    handed = re.fullmatch(r"socket,id=uart0,fd=(\d+),server=on,wait=on", chardev)
    assert handed, chardev
    # Ended by its guard, it takes its folder with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    _serve(socket.socket(fileno=int(handed[1])))


def _check(arguments: list[str]) -> None:
    assert arguments[arguments.index("-machine") + 1] == "esp32"
    assert arguments[arguments.index("-drive") + 1] == "file=flash.bin,if=mtd,format=raw"
    assert Path("flash.bin").stat().st_size == 4 << 20


def _serve(listener: socket.socket) -> None:
    with tempfile.TemporaryDirectory() as folder:
        connection, _ = listener.accept()
        board = _start(Home(Path(folder)))
        try:
            while True:
                _bridge(connection, board.terminal)
                connection, _ = listener.accept()
        finally:
            stop_board(board)


def _start(home: Home) -> VirtualBoard:
    """Start a board with its own build of the firmware: the flash file's is for another processor."""
    file = load_board("virtual")
    folder = home.virtual / "virtual"
    folder.mkdir()
    flash = bytearray(b"\xff" * file.flash_bytes)
    vfs = file.partitions.vfs
    segments = stand_in_image(file).segments(file)
    files = build_firmware(file, home).files
    segments += [(vfs.offset + at, data) for at, data in filesystem_image(files, vfs.size)]
    for at, data in segments:
        flash[at : at + len(data)] = data
    (folder / "flash.bin").write_bytes(flash)
    return start_board(home, with_parent=True)


def _bridge(connection: socket.socket, terminal: str) -> None:
    """Carry bytes both ways until the connection's other end is gone."""
    line = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(line)
    with connection, contextlib.suppress(ConnectionError):
        # Something that is heard, as the ROM's first words are; the board spoke before the terminal was open.
        connection.sendall(b"ets Jul 29 2019 12:21:46\r\n")
        while _carry(connection, line):
            pass
    os.close(line)


def _carry(connection: socket.socket, line: int) -> bool:
    """Carry what has come; return False when the connection has ended."""
    ready, _, _ = select.select([connection, line], [], [])
    if line in ready:
        connection.sendall(os.read(line, 4096))
    if connection in ready:
        data = connection.recv(4096)
        os.write(line, data)
        return bool(data)
    return True


if __name__ == "__main__":
    main()
