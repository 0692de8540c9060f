"""What a technician does on the first day, and gets wrong: each step says what happened and what to do next."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from process_kit import in_time, next_line
from test_micropython_image import official

from ansim.home import Home
from ansim.registry import Registry
from ansim.sandbox import Sandbox
from ansim.virtual import VirtualBoard, start_board, stop_board

ANSIM = Path(sys.executable).with_name("ansim")
SECRET = "correct horse battery"


@pytest.fixture
def ansim(home: Home) -> Callable[..., str]:
    """Run a command that must end with this exit code; return all that it printed."""

    def run(*arguments: object, code: int = 0, typed: str = "", **environment: str) -> str:
        command = [str(ANSIM), *map(str, arguments)]
        places = {**os.environ, "ANSIM_HOME": str(home.path), **environment}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=places, input=typed)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture
def fleet(ansim: Callable[..., str]) -> None:
    ansim("init", "--yes", "--wifi-ssid", "home", ANSIM_WIFI_PASSPHRASE=SECRET)


def flash(port: str) -> "subprocess.Popen[str]":
    """Start flashing the board behind port."""
    command = [str(ANSIM), "flash", "--port", port, "--board", "virtual", "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_an_official_image_boots_on_a_devkit_and_its_press_is_acknowledged(tmp_path: Path) -> None:
    image = tmp_path / "ESP32_GENERIC-20250809-v1.26.0.bin"
    image.write_bytes(official("v1.26.0"))
    with Sandbox(tmp_path / "home") as sandbox:
        board = start_kit(sandbox)
        try:
            command = [
                str(ANSIM),
                "flash",
                "-p",
                "virtual",
                "-b",
                "esp32_devkit",
                "--micropython",
                str(image),
                "--json",
            ]
            places = {**os.environ, "ANSIM_HOME": str(sandbox.home.path)}
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=places)
            assert done.returncode == 0, done.stdout
            outcome = json.loads(done.stdout)
            assert (outcome["micropython"], outcome["info"]["board"]) == ("v1.26.0", "esp32_devkit")
            board.control.press()
            heard = sandbox.receiver.wait_for(lambda event: event.kind == "sos", 30)
            assert heard
            assert heard.event.device == outcome["device"]
        finally:
            stop_board(board)


def start_kit(sandbox: Sandbox) -> VirtualBoard:
    """A development kit with an empty flash, in reach of the sandbox's Wi-Fi."""
    board = start_board(sandbox.home, "kit", board="esp32_devkit", with_parent=True)
    board.control.network("sandbox", "peace-of-mind")
    return board


@pytest.mark.usefixtures("fleet")
def test_boards_flashed_at_the_same_time_get_a_name_each(
    start_virtual_board: Callable[..., VirtualBoard], ansim: Callable[..., str]
) -> None:
    boards = [start_virtual_board(name) for name in ("hall", "kitchen")]
    running = [flash(f"virtual:{board.name}") for board in boards]
    outcomes = [json.loads(process.communicate(timeout=120)[0]) for process in running]
    assert [outcome["mac"] for outcome in outcomes] == [board.mac for board in boards]
    assert sorted(outcome["device"] for outcome in outcomes) == ["AN000001", "AN000002"]
    listed = ansim("registry", "list") + ansim("virtual", "list")
    for board in boards:
        assert listed.count(board.mac) == 2


def test_a_mac_is_listed_as_it_is(home: Home, ansim: Callable[..., str]) -> None:
    mac = "02:00:00:ab:00:cd"  # to rich, ":ab:" is an emoji
    with Registry.open(home.database_url) as registry:
        registry.enroll(mac, board="m5stickc_plus2", site="a" * 24, role="pendant")
    assert mac in ansim("registry", "list", COLUMNS="80")


def test_a_running_board_s_mac_is_listed_as_it_is(
    home: Home, start_virtual_board: Callable[..., VirtualBoard], ansim: Callable[..., str]
) -> None:
    mac = "02:cd:8a:81:06:20"  # to rich, ":cd:" is an emoji
    (home.virtual / "hall").mkdir(parents=True)
    (home.virtual / "hall" / "mac").write_text(mac)
    start_virtual_board("hall")
    assert mac in ansim("virtual", "list")


@pytest.mark.usefixtures("fleet")
def test_an_erased_device_is_the_same_device_and_its_event_ids_go_on(
    virtual_board: VirtualBoard, esptool: Callable[..., str]
) -> None:
    first = json.loads(flash("virtual").communicate(timeout=120)[0])
    esptool(virtual_board, "erase-flash")
    second = json.loads(flash("virtual").communicate(timeout=120)[0])
    assert second["device"] == first["device"]
    assert second["info"]["boot"] >= first["info"]["boot"] + (1 << 18)
    assert second["mac"] == virtual_board.mac


@pytest.mark.usefixtures("fleet", "virtual_board")
def test_a_device_without_firmware_is_not_provisioned_and_not_enrolled(ansim: Callable[..., str]) -> None:
    said = ansim("provision", "-p", "virtual", "-b", "virtual", code=2)
    assert "the device on virtual has no firmware yet" in said
    assert "ansim flash --port virtual --board virtual" in said
    assert "No devices yet" in ansim("registry", "list")


BAD_WISHES: list[tuple[str, list[str], str]] = [
    ("a space in the site", ["--site", "a b"], "site 'a b' is not legal"),
    ("an empty site", ["--site", ""], "site '' is not legal"),
    ("an empty network", ["--wifi-ssid", ""], "the Wi-Fi name '' is 0 bytes long"),
    ("no port", ["--port", ""], "--port has no value"),
]


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(("wishes", "says"), [row[1:] for row in BAD_WISHES], ids=[row[0] for row in BAD_WISHES])
def test_an_illegal_wish_is_refused_before_a_port_is_opened(
    ansim: Callable[..., str], wishes: list[str], says: str
) -> None:
    assert says in ansim("flash", "-p", "/dev/ttyNONE0", "-b", "virtual", *wishes, code=2)


def test_a_fleet_without_wifi_says_so_before_a_port_is_opened(ansim: Callable[..., str]) -> None:
    ansim("init", "--yes")
    said = ansim("flash", "-p", "/dev/ttyNONE0", "-b", "virtual", code=2)
    assert "no Wi-Fi network to send an alarm over" in said
    assert "ansim init --wifi-ssid NAME" in said


def test_a_passphrase_comes_from_a_pipe_and_without_one_nothing_is_assumed(ansim: Callable[..., str]) -> None:
    said = ansim("init", "--wifi-ssid", "net", code=2)
    assert "there is no passphrase for Wi-Fi 'net'" in said
    assert "ANSIM_WIFI_PASSPHRASE" in said
    assert SECRET not in ansim("init", "--wifi-ssid", "net", typed=SECRET + "\n")
    assert "net" in ansim("init")


def test_init_names_the_key_that_is_gone(ansim: Callable[..., str], home: Home) -> None:
    ansim("init", "--yes")
    (home.keys / "account.nk").unlink()
    assert "Absent    account.nk" in ansim("init", "--yes")


@pytest.mark.usefixtures("fleet", "virtual_board")
def test_secrets_lie_in_their_files_and_nowhere_else(ansim: Callable[..., str], home: Home) -> None:
    ansim("flash", "-p", "virtual", "-b", "virtual")
    flash_file = home.virtual / "virtual" / "flash.bin"
    seed = (home.keys / "account.nk").read_bytes().strip()
    assert files_with(SECRET.encode(), home.path) == {home.keys / "wifi.json", flash_file}
    assert files_with(seed, home.path) == {home.keys / "account.nk"}
    token = re.search(rb"eyJ[\w-]+\.[\w-]+\.[\w-]+", flash_file.read_bytes())
    assert token
    assert files_with(token[0], home.path) == {flash_file}


def files_with(secret: bytes, folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and secret in path.read_bytes()}


@pytest.mark.usefixtures("fleet", "virtual_board")
def test_ctrl_c_in_the_middle_is_told_kept_in_the_history_and_made_good_by_the_next_run(
    ansim: Callable[..., str], home: Home
) -> None:
    command = [str(ANSIM), "flash", "-p", "virtual", "-b", "virtual"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = interrupt_at(process, "writing firmware")
    assert process.returncode == 130
    assert "FAIL" in said
    assert "interrupted" in said
    with Registry.open(home.database_url) as registry:
        last = registry.history()[-1]
    assert (last.action, last.result, last.details["error"]) == ("flash", "failed", "interrupted")
    assert "PASS" in ansim("flash", "-p", "virtual", "-b", "virtual")


def interrupt_at(process: "subprocess.Popen[str]", step: str) -> str:
    """Press Ctrl-C when process says that it has come to step; return what it says then."""
    while line := next_line(process, "stderr"):
        if line.startswith(step):
            process.send_signal(signal.SIGINT)
            break
    _, rest = process.communicate(timeout=60)
    return rest


@pytest.mark.usefixtures("fleet", "virtual_board")
def test_the_monitor_ends_in_order_on_ctrl_c(ansim: Callable[..., str], virtual_board: VirtualBoard) -> None:
    ansim("flash", "-p", "virtual", "-b", "virtual")
    command = [str(ANSIM), "monitor", "-p", "virtual"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with in_time(process):
        while not virtual_board.control.status()["tool_connected"]:
            assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
