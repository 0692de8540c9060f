"""The filesystem image: what a device finds when it boots."""

import random
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from littlefs import UserContext

from ansim.boards import load_board
from ansim.errors import BadInput
from ansim.home import Home, project_root
from ansim.image import (
    BLOCK_BYTES,
    PACK,
    ROOM,
    ROOM_BYTES,
    SHELVES,
    Firmware,
    Segment,
    build_firmware,
    filesystem_image,
    mount,
)
from ansim.pack_file import pack_file

VFS_BYTES = 0x200000

# The flash in argv[1], to be mounted as ports/esp32 does.
FLASH = """
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
flash = vfs.VfsLfs2(Flash(sys.argv[1]), readsize=32, progsize=32, lookahead=32)
"""
BESIDE = FLASH + 'vfs.mount(flash, "/dev")\n'
# All that there is, as on a chip.
ALONE = FLASH + 'vfs.umount("/")\nvfs.mount(flash, "/")\nsys.path[:] = ["", ".frozen"]\n'

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

# As the firmware's own main.py begins.
PACKED_MAIN = (
    b"""import pack, vfs
vfs.mount(pack, "/ansim_fw")
"""
    + MAIN
)


def firmware_folder(folder: Path, **modules: str) -> Path:
    """Write a small firmware: main.py, and modules below ansim_fw (``core__a`` is ansim_fw/core/a.py)."""
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_bytes(MAIN)
    for name, text in {"__init__": "", "core__a": "print('core runs')\n", **modules}.items():
        path = folder / "ansim_fw" / (name.replace("__", "/", 1) if name != "__init__" else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".py").write_text(text)
    return folder


def build(tmp_path: Path, **modules: str) -> Firmware:
    source = firmware_folder(tmp_path / "firmware", **modules)
    return build_firmware(load_board("virtual"), Home(tmp_path / "home"), source)


def build_packed(tmp_path: Path, **modules: str) -> Firmware:
    source = firmware_folder(tmp_path / "packed", **modules)
    (source / "main.py").write_bytes(PACKED_MAIN)
    shutil.copy(project_root() / "firmware" / "pack.py", source)
    return build_firmware(load_board("virtual"), Home(tmp_path / "home"), source)


def run_packed(tmp_path: Path, script: str, files: Mapping[str, bytes]) -> list[str]:
    """Run script on MicroPython, whose only filesystem has these files."""
    flash = flash_with(filesystem_image(files, VFS_BYTES), bytearray(VFS_BYTES), tmp_path / "flash")
    return run_micropython(tmp_path, flash, ALONE + script)


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
    printed = run_micropython(tmp_path, flash, BESIDE + BOOT)
    assert printed == ["core runs", f"{firmware.build} virtual", "kept"]


def test_an_old_filesystem_below_never_shines_through(tmp_path: Path) -> None:
    old = {f"ansim_fw/core/old{number}.mpy": bytes([number]) * 5000 for number in range(60)}
    flash = flash_with(filesystem_image(old, VFS_BYTES), bytearray(VFS_BYTES), tmp_path / "flash")
    new = {"ansim_fw/core/new.mpy": b"new", "main.py": b"pass"}
    flash = flash_with(filesystem_image(new, VFS_BYTES), bytearray(flash.read_bytes()), flash)
    listing = "import os\nprint(os.listdir('/dev'), os.listdir('/dev/ansim_fw/core'))\n"
    assert run_micropython(tmp_path, flash, BESIDE + listing) == [
        "['ansim_fw', 'journal_a', 'journal_b', 'main.py'] ['new.mpy']"
    ]


START = "exec(open('main.py').read())\n"


def test_the_modules_are_one_file_and_an_old_layout_below_it_never_shines_through(tmp_path: Path) -> None:
    old = build(tmp_path, core__a="print('old code runs')\n").modules
    firmware = build_packed(tmp_path)
    assert set(firmware.files) == {"main.py", "pack.mpy", PACK, ROOM}
    assert run_packed(tmp_path, START, firmware.files | old) == ["core runs", f"{firmware.build} virtual"]


def test_a_module_of_the_pack_that_is_dropped_is_loaded_again(tmp_path: Path) -> None:
    again = "del sys.modules['ansim_fw.core.a'], ansim_fw.core.a\nimport ansim_fw.core.a\nansim_fw.core.a\n"
    printed = run_packed(tmp_path, START + again, build_packed(tmp_path).files)
    assert [line for line in printed if line == "core runs"] == ["core runs"] * 2


def test_a_module_that_is_not_in_the_pack_is_an_import_error_and_costs_no_memory(tmp_path: Path) -> None:
    missing = """import gc
def miss():
    for name in ("ansim_fw.b", "ansim_fw.core.b", "ansim_fw.core.a.b") * 50:
        try:
            __import__(name)
            print(name)
        except ImportError:
            pass
    gc.collect()
    return gc.mem_alloc()
before = miss()
print(miss() - before < 1000)
"""
    assert run_packed(tmp_path, START + missing, build_packed(tmp_path).files)[2:] == ["True"]


def test_modules_longer_than_what_is_read_at_once_are_loaded_whole(tmp_path: Path) -> None:
    lines = [f"def f{number}():\n    return {number!r} * 3, 'text of {number}'\n" for number in range(400)]
    modules = {
        f"core__m{number}": "".join([*lines[: 40 * number + 1], f"def duty():\n    return f{40 * number}()[1]\n"])
        for number in range(10)
    }
    calls = "".join(f"from ansim_fw.core import m{number}\nprint(m{number}.duty())\n" for number in range(10))
    printed = run_packed(tmp_path, START + calls, build_packed(tmp_path, **modules).files)
    assert printed[2:] == [f"text of {40 * number}" for number in range(10)]


def test_a_pack_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    firmware = build_packed(tmp_path)
    content = firmware.files[PACK]
    index_bytes = 8 + 7 * (content[3] + 1)
    script = f"""import pack, vfs
whole = open("ansim.pack", "rb").read()
refused = 0
def refuses(data):
    with open("ansim.pack", "wb") as file:
        file.write(data)
    try:
        vfs.mount(pack, "/ansim_fw")
    except OSError as error:
        return error.errno == 5
for place in range({index_bytes}):
    damaged = bytearray(whole)
    damaged[place] ^= 1 << place % 8
    refused += refuses(damaged)
for length in (0, 1, 7, 8, {index_bytes - 1}, {index_bytes}, len(whole) - 1):
    refused += refuses(whole[:length])
print(refused, refuses(whole))
"""
    assert run_packed(tmp_path, script, firmware.files) == [f"{index_bytes + 7} None"]


def test_two_modules_that_a_device_could_not_tell_apart_are_refused() -> None:
    with pytest.raises(BadInput, match="/core/buckeroo.mpy"):
        pack_file({"/core/plumless.mpy": b"a", "/core/buckeroo.mpy": b"b"})


def test_a_micropython_with_this_build_frozen_in_gets_no_code_that_would_hide_it(tmp_path: Path) -> None:
    firmware = build_packed(tmp_path)
    assert not firmware.frozen_in(b"\0" * 99 + b"0.1.0+00000000" + b"\0" * 99)
    assert firmware.frozen_in(b"\0" * 99 + firmware.build.encode() + b"\0" * 99)
    assert set(firmware.without_code().files) == {ROOM}


def test_the_manifest_freezes_what_the_board_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frozen: dict[str, Path] = {}

    def package(name: str, base_path: str, **_: int) -> None:
        found = Path(base_path, name).rglob("*.py")
        frozen.update((path.relative_to(base_path).as_posix(), path) for path in found)

    def module(name: str, base_path: str, **_: int) -> None:
        frozen[name] = Path(base_path, name)

    monkeypatch.setenv("ANSIM_BOARD", "virtual")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    program = (project_root() / "firmware" / "manifest.py").read_text()
    exec(program, {"package": package, "module": module, "include": lambda _: None})
    firmware = build_firmware(load_board("virtual"), Home(tmp_path / "home"))
    modules = {name.removesuffix(".mpy") + ".py" for name in firmware.modules}
    assert frozen.keys() == modules | {"main.py"}
    assert firmware.build in frozen["ansim_fw/board_data.py"].read_text()


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
            assert file.read() == firmware.files["main.py"]


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
        name: build_firmware(load_board(name), home, source).modules["ansim_fw/core/fast.mpy"]
        for name in ("virtual", "esp32_devkit", "esp32c3_devkit")
    }
    assert len(set(built.values())) == 3


def test_of_the_drivers_a_board_gets_its_own(tmp_path: Path) -> None:
    modules = {f"drivers__{name}": "print('drives')\n" for name in ("lis2dw12", "mpu6886", "_shared")}
    source = firmware_folder(tmp_path / "firmware", **modules)
    found = {}
    for board in ("virtual", "m5stickc_plus2", "esp32c3_devkit"):
        modules = build_firmware(load_board(board), Home(tmp_path / "home"), source).modules
        found[board] = sorted(Path(name).stem for name in modules if "/drivers/" in name)
    assert found == {
        "virtual": ["_shared", "lis2dw12"],
        "m5stickc_plus2": ["_shared", "mpu6886"],
        "esp32c3_devkit": ["_shared"],
    }


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
