"""The filesystem image: what a device finds when it boots."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from littlefs import UserContext

from ansim.boards import load_board
from ansim.errors import BadInput
from ansim.home import Home
from ansim.image import (
    BLOCK_BYTES,
    ROOM,
    ROOM_BYTES,
    SHELVES,
    Firmware,
    Segment,
    build_firmware,
    filesystem_image,
    mount,
)

VFS_BYTES = 0x200000

# Mounts the flash in argv[1] as ports/esp32 does.
MOUNT = """
import sys, vfs
class Flash:
    def __init__(self, path):
        self.data = bytearray(open(path, "rb").read())
    def readblocks(self, block, buf, off=0):
        start = block * 4096 + off
        buf[:] = self.data[start:start + len(buf)]
    def writeblocks(self, block, buf, off=0):
        start = block * 4096 + off
        self.data[start:start + len(buf)] = buf
    def ioctl(self, op, arg):
        if op == 4:
            return len(self.data) // 4096
        if op == 5:
            return 4096
        if op == 6:
            self.data[arg * 4096:(arg + 1) * 4096] = b"\\xff" * 4096
            return 0
vfs.mount(vfs.VfsLfs2(Flash(sys.argv[1]), readsize=32, progsize=32, lookahead=32), "/dev")
"""

# Runs the mounted main.py, and writes as a device does.
BOOT = """
sys.path.insert(0, "/dev")
exec(open("/dev/main.py").read())
with open("/dev/kept", "w") as file:
    file.write("kept")
print(open("/dev/kept").read())
"""

MAIN = b"""from ansim_fw import board_data
import ansim_fw.core.a
print(board_data.BUILD, board_data.BOARD['name'])
"""


def firmware_folder(folder: Path, **modules: str) -> Path:
    """Write a small firmware: main.py, and modules below ansim_fw (``core__a`` is ansim_fw/core/a.py)."""
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_bytes(MAIN)
    for name, text in {"__init__": "", "core__a": "print('core runs')\n", **modules}.items():
        path = folder / "ansim_fw" / (name.replace("__", "/", 1) if "core__" in name else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".py").write_text(text)
    return folder


def build(tmp_path: Path, **modules: str) -> Firmware:
    source = firmware_folder(tmp_path / "firmware", **modules)
    return build_firmware(load_board("virtual"), Home(tmp_path / "home"), source)


def flash_with(segments: list[Segment], flash: bytearray, path: Path) -> Path:
    """Write segments over what the flash holds, and the whole to path."""
    for offset, data in segments:
        flash[offset : offset + len(data)] = data
    path.write_bytes(flash)
    return path


def run_micropython(tmp_path: Path, flash: Path, script: str) -> list[str]:
    """Run script on MicroPython with the flash file as argument, and return the lines it printed."""
    (tmp_path / "script.py").write_text(script)
    micropython = Path(sys.executable).with_name("micropython")
    command: list[str | Path] = [micropython, "-X", "heapsize=16M", tmp_path / "script.py", flash]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert not ran.stderr
    return ran.stdout.splitlines()


def test_micropython_boots_the_image_from_a_flash_that_was_full_of_old_bytes(tmp_path: Path) -> None:
    firmware = build(tmp_path)
    old = bytearray(random.Random(7).randbytes(VFS_BYTES))
    flash = flash_with(filesystem_image(firmware.files, VFS_BYTES), old, tmp_path / "flash")
    printed = run_micropython(tmp_path, flash, MOUNT + BOOT)
    assert printed == ["core runs", f"{firmware.build} virtual", "kept"]


def test_an_old_filesystem_below_never_shines_through(tmp_path: Path) -> None:
    old = {f"ansim_fw/core/old{number}.mpy": bytes([number]) * 5000 for number in range(60)}
    flash = flash_with(filesystem_image(old, VFS_BYTES), bytearray(VFS_BYTES), tmp_path / "flash")
    new = {"ansim_fw/core/new.mpy": b"new", "main.py": b"pass"}
    flash = flash_with(filesystem_image(new, VFS_BYTES), bytearray(flash.read_bytes()), flash)
    listing = "import os\nprint(os.listdir('/dev'), os.listdir('/dev/ansim_fw/core'))\n"
    assert run_micropython(tmp_path, flash, MOUNT + listing) == [
        "['ansim_fw', 'journal_a', 'journal_b', 'main.py'] ['new.mpy']"
    ]


@pytest.mark.parametrize("block", [0, 1])
def test_one_rotten_block_of_the_root_takes_nothing_with_it(tmp_path: Path, block: int) -> None:
    firmware = build(tmp_path)
    path = flash_with(filesystem_image(firmware.files, VFS_BYTES), bytearray(b"\xff" * VFS_BYTES), tmp_path / "flash")
    for place in range(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES, 61):
        flash = bytearray(path.read_bytes())
        flash[place] ^= 1 << place % 8
        filesystem = mount(UserContext(buffer=flash), VFS_BYTES)
        assert set(filesystem.listdir("/")) >= {"main.py", "ansim_fw", *SHELVES, ROOM}
        with filesystem.open("main.py", "rb") as file:
            assert file.read() == MAIN


def test_the_same_firmware_gives_the_same_bytes_and_a_change_gives_another_build(tmp_path: Path) -> None:
    first, second = build(tmp_path), build(tmp_path)
    assert first == second
    assert filesystem_image(first.files, VFS_BYTES) == filesystem_image(second.files, VFS_BYTES)
    changed = build(tmp_path, core__a="print('core walks')\n")
    assert changed.build != first.build
    assert changed.build.split("+")[0] == first.build.split("+")[0]


def test_only_used_blocks_are_sent(tmp_path: Path) -> None:
    segments = filesystem_image(build(tmp_path).files, VFS_BYTES)
    assert sum(len(data) for _, data in segments) < ROOM_BYTES + 20 * BLOCK_BYTES
    assert all(offset % BLOCK_BYTES == 0 and len(data) % BLOCK_BYTES == 0 for offset, data in segments)


def test_native_code_is_compiled_for_the_board(tmp_path: Path) -> None:
    viper = "import micropython\n@micropython.viper\ndef add(a: int, b: int) -> int:\n    return a + b\n"
    source = firmware_folder(tmp_path / "firmware", core__fast=viper)
    home = Home(tmp_path / "home")
    built = {
        name: build_firmware(load_board(name), home, source).files["ansim_fw/core/fast.mpy"]
        for name in ("virtual", "esp32_devkit", "esp32c3_devkit")
    }
    assert len(set(built.values())) == 3


def test_a_firmware_that_does_not_compile_names_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"firmware/ansim_fw/core/a\.py does not compile: .*line 2.*SyntaxError"):
        build(tmp_path, core__a="x = 1\nx = = 2\n")


def test_a_folder_without_firmware_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="main.py is missing"):
        build_firmware(load_board("virtual"), Home(tmp_path / "home"), tmp_path)


def test_a_filesystem_that_is_too_large_says_by_how_much_and_which_files() -> None:
    files = {"big.bin": b"x" * VFS_BYTES, "small.bin": b"y", "middle.bin": b"z" * 9000}
    with pytest.raises(BadInput, match=r"partition of 2097152 bytes: at least \d+ bytes too many") as caught:
        filesystem_image(files, VFS_BYTES)
    assert caught.value.hint.startswith("Biggest files: big.bin (2097152 bytes), middle.bin")
