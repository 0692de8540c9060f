"""The place in Espressif's QEMU: what it says where it can't be, and all of it that runs without QEMU."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from littlefs import UserContext
from process_kit import next_line, runs
from test_micropython_image import official

from ansim.boards import PARTITION_TABLE_OFFSET, load_board
from ansim.client import Console
from ansim.errors import AnsimError, BadInput, DeviceError
from ansim.home import Home
from ansim.image import mount
from ansim.places.place import CAPABILITIES
from ansim.places.qemu import MICROPYTHON, PROGRAM, QemuGround, QemuPlace, command, find_program, flash_content
from ansim.sandbox import Sandbox

DEVKIT = load_board("esp32_devkit")
PATIENCE_S = 60
UPSTREAM = "Supported machines are:\\nlx60   lx60 EVB (dc232b)\\nsim    sim machine (dc232b) (default)"
Install = Callable[[str], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Make a shell script the only qemu-system-xtensa on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def write(script: str) -> Path:
        path = folder / PROGRAM
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def stand_in(install: Install) -> Path:
    return install(f'exec "{sys.executable}" "{Path(__file__).with_name("qemu_stand_in.py")}" "$@"')


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """One that starts nothing."""
    return Sandbox(tmp_path / "sandbox")


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is built as MicroPython's official images are, and that the environment names."""
    path = tmp_path / "ESP32_GENERIC.bin"
    path.write_bytes(official())
    monkeypatch.setenv(MICROPYTHON, str(path))
    return path


@pytest.mark.usefixtures("install")
def test_without_qemu_a_person_is_told_what_to_do() -> None:
    with pytest.raises(BadInput, match=f"there is no {PROGRAM} on the PATH") as caught:
        find_program()
    assert "docs/qemu.md" in caught.value.hint


def test_a_qemu_without_an_esp32_is_told_from_espressifs(install: Install) -> None:
    install(f'printf "{UPSTREAM}\\n"')
    with pytest.raises(BadInput, match="has no machine 'esp32': it is not Espressif's build"):
        find_program()


def test_a_machine_of_a_similar_name_is_another_one(install: Install) -> None:
    install('echo "esp32s3    Espressif ESP32S3 machine"')
    with pytest.raises(BadInput, match="has no machine 'esp32'"):
        find_program()


def test_a_qemu_that_can_not_be_run_is_told_of(install: Install) -> None:
    install("").write_text("not a program")
    with pytest.raises(BadInput, match="can't be run"):
        find_program()


@pytest.mark.usefixtures("stand_in")
def test_without_a_micropython_image_a_person_is_told_what_to_do(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MICROPYTHON, str(tmp_path / "absent.bin"))
    with pytest.raises(BadInput, match=r"can't read .*absent.bin") as caught:
        QemuGround().open(sandbox, "q")
    assert "micropython.org" in caught.value.hint


@pytest.mark.usefixtures("stand_in", "image")
@pytest.mark.parametrize("board", ["esp32c3_devkit", "virtual"])
def test_a_board_with_another_chip_is_refused(sandbox: Sandbox, board: str) -> None:
    with pytest.raises(BadInput, match="QEMU's chip is an ESP32"):
        QemuGround(board).open(sandbox, "q")


def test_the_command_is_the_one_of_espressifs_pages() -> None:
    said = command("qemu", 7)
    assert said[0] == "qemu"
    options = dict(zip(said[2:], said[3:], strict=False))
    assert "-nographic" in said
    assert options["-machine"] == "esp32"
    assert options["-drive"] == "file=flash.bin,if=mtd,format=raw"
    assert options["-global"] == "driver=timer.esp32.timg,property=wdt_disable,value=true"
    assert (options["-chardev"], options["-serial"]) == ("socket,id=uart0,fd=7,server=on,wait=on", "chardev:uart0")


def test_its_flash_holds_micropython_and_the_firmware_and_no_identity(tmp_path: Path, image: Path) -> None:
    flash = flash_content(DEVKIT, Home(tmp_path / "home"))
    written, nvs, vfs = image.read_bytes(), DEVKIT.partitions.nvs, DEVKIT.partitions.vfs
    assert len(flash) == 4 << 20, "Espressif's QEMU takes 2, 4, 8 and 16 MB"
    assert flash[0x1000:PARTITION_TABLE_OFFSET] == written[: PARTITION_TABLE_OFFSET - 0x1000]
    assert flash[0x10000 : 0x1000 + len(written)] == written[0xF000:]
    assert flash[nvs.offset : nvs.end] == b"\xff" * nvs.size
    context = UserContext(vfs.size)
    context.buffer[:] = flash[vfs.offset : vfs.end]
    assert {"main.py", "ansim.pack"} <= set(mount(context, vfs.size).listdir("/"))


def test_what_it_can_not_do_it_says_in_a_sentence_of_its_own() -> None:
    ground = QemuGround()
    assert {name for name in CAPABILITIES if not ground.lacks(name)} == {"power", "blank"}
    with pytest.raises(BadInput, match="QEMU can't let its time run faster than life"):
        ground.open(Sandbox(Path("unused")), "q", speed=2)


@pytest.mark.usefixtures("stand_in", "image")
def test_the_console_answers_over_its_tcp_port_and_again_after_power(sandbox: Sandbox) -> None:
    place = QemuGround().open(sandbox, "q")
    try:
        assert info_of(place, sandbox)["provisioned"] is False
        assert info_of(place, sandbox)["provisioned"] is False, "a second connection is served, too"
        place.stimulus.power(False)
        with pytest.raises(AnsimError):
            place.open_port(sandbox.home)
        place.stimulus.power(True)
        assert info_of(place, sandbox)["provisioned"] is False
        with pytest.raises(DeviceError, match="QEMU can't press its button"):
            place.stimulus.press()
    finally:
        place.close()


def info_of(place: QemuPlace, sandbox: Sandbox) -> dict[str, object]:
    link = place.open_port(sandbox.home)
    try:
        return Console(link, place.url).request("info", repeat=True, timeout_s=PATIENCE_S)
    finally:
        link.close()


@pytest.mark.usefixtures("image")
def test_a_qemu_that_ends_at_once_is_quoted(install: Install, sandbox: Sandbox) -> None:
    install('[ "$2" = help ] && echo "esp32 x" || { echo "flash.bin: bad size" >&2; exit 1; }')
    with pytest.raises(DeviceError, match="does not run: flash.bin: bad size"):
        QemuGround().open(sandbox, "q")


PROGRAM_OF_A_TEST = """
import sys, time
from pathlib import Path
from ansim.places.qemu import QemuGround
from ansim.sandbox import Sandbox
place = QemuGround().open(Sandbox(Path(sys.argv[1])), "q")
try:
    print("up", place.stimulus._folder, flush=True)
    time.sleep(600)
finally:
    place.close()
"""


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "ctrl-c"])
def test_qemu_ends_with_the_program_that_started_it(install: Install, tmp_path: Path, number: signal.Signals) -> None:
    ours = f"{tmp_path}/pid"
    speaks = (
        "import socket, sys, time; listener = socket.socket(fileno=int(sys.argv[1])); "
        "line = listener.accept()[0]; line.send(b'e'); time.sleep(600)"
    )
    install(
        f'[ "$2" = help ] && {{ echo "esp32 x"; exit; }}\n'
        f"echo $$ > {ours}\n"
        f'for word; do case "$word" in socket,*) fd="${{word#*fd=}}"; fd="${{fd%%,*}}";; esac; done\n'
        f'exec "{sys.executable}" -c "{speaks}" "$fd"'
    )
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM_OF_A_TEST, str(tmp_path / "home")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert next_line(process).startswith("up")
        pid = int(Path(ours).read_text())
        process.send_signal(number)
        process.wait(PATIENCE_S)
        until(lambda: not runs(pid), "QEMU has ended")
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not {what} in {PATIENCE_S} s"
        time.sleep(0.02)
