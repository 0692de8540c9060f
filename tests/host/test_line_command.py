"""ansim line, the whole way: virtual boards are plugged in and pulled out while it runs; real broker and receiver."""

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from line_kit import ANSIM, PATIENCE_S, LineRun, ansim_json, label_printer, on_a_terminal, read_until

from ansim.cli import main
from ansim.client import Deadline
from ansim.errors import BadInput
from ansim.home import Home
from ansim.line.labels import LabelPrinter
from ansim.registry import Registry
from ansim.sandbox import WIFI, BackgroundReceiver, Sandbox
from ansim.virtual import VirtualBoard


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    """A fleet with broker and receiver, and no board yet."""
    with Sandbox(tmp_path / "home") as sandbox:
        yield sandbox


@pytest.fixture
def fleet(home: Home) -> Home:
    """A fleet of which nothing runs."""
    home.path.mkdir(mode=0o700)
    Sandbox(home.path).make_fleet()
    return home


def manifest(tmp_path: Path, count: int) -> Path:
    path = tmp_path / "jongno.csv"
    path.write_text(f"site,role,household,count\njongno-01,hub,j-17,{count}\n", encoding="utf-8")
    return path


def test_a_box_is_made_ready_board_by_board_and_the_line_ends_by_itself(box: Sandbox, tmp_path: Path) -> None:
    orders = manifest(tmp_path, 3)
    for name in ("a", "b"):
        box.start_board(name)
    with label_printer() as printer, LineRun(box.home, orders, "--hands", "rig", "--label", printer.path) as line:
        line.wait_for("passed")
        box.start_board("c")
        code, summary = line.end()
        told = repr(line.events)
        assert sorted(printer.labels(3)) == [["AN000001-R"], ["AN000002-W"], ["AN000003-A"]]
    assert (code, summary["ok"], summary["passed"], summary["failed"]) == (0, True, 3, 0)
    assert summary["manifest"] == {"name": "jongno", "total": 3, "ready": 3}
    assert line.names(3) == ["plugged", "started", "passed"]
    with Registry.open(box.home.database_url) as registry:
        ready = registry.devices(state="ready", site="jongno-01", household="j-17")
        assert len({device.mac for device in ready}) == len(ready) == 3
        assert {entry.result for entry in registry.history() if entry.action == "proof"} == {"passed"}
        assert len([entry for entry in registry.history() if entry.action == "label"]) == 3
        registry.verify()
    assert WIFI.passphrase not in told
    assert "eyJ" not in told
    with LineRun(box.home, orders, "--hands", "rig") as again:
        assert again.end() == (0, {**again.events[0], "event": "summary", "boards": []})


def test_boards_that_are_pulled_put_back_done_before_or_wrong_are_told_apart(box: Sandbox) -> None:
    """A technician presses and confirms; the board had been pulled out while it was written."""
    first = box.start_board("a", paced=True)
    with LineRun(box.home) as line:
        line.wait_for("step", lambda told: told["step"] == "writing" and told["percent"] > 20)
        os.kill(first.pid, signal.SIGKILL)
        assert line.wait_for("pulled")["kind"] == "pulled"
        box.stop_board(first)
        again = box.start_board("a")
        line.wait_for("asked", lambda told: told["ask"] == "press")
        again.control.press(150)
        line.wait_for("asked", lambda told: told["ask"] == "confirm")
        press_until(line, again)
        passed = line.wait_for("passed")
        assert passed["details"]["unchanged"]["MicroPython"] > 0
        box.stop_board(again)
        line.wait_for("unplugged")
        box.start_board("a")
        assert line.wait_for("already")["device"] == passed["device"]
        box.start_board("b", board="esp32c3_devkit")
        assert line.wait_for("failed")["kind"] == "wrong_board"
        line.process.send_signal(signal.SIGINT)
        code, summary = line.end()
    assert (code, summary["passed"], summary["failed"]) == (2, 1, 1)
    assert [(board["ok"], board["turns"]) for board in summary["boards"]] == [(True, 2), (False, 1)]
    with Registry.open(box.home.database_url) as registry:
        assert [device.device for device in registry.devices()] == [passed["device"]]


def press_until(line: LineRun, board: VirtualBoard) -> None:
    """Press the button every two seconds, as somebody who looks at light and sound first, until the board is done."""
    deadline = Deadline(PATIENCE_S)
    while not line.told("passed"):
        assert not deadline.expired, "it is pressed again and again, and does not pass"
        # Nobody has seen and heard it sooner: an earlier press would not count.
        time.sleep(2)
        board.control.press(150)


def test_on_a_terminal_the_screen_asks_in_korean_and_a_second_ctrl_c_stops_what_runs(box: Sandbox) -> None:
    box.start_board("a")
    said = bytearray()
    with on_a_terminal(box.home, "line", "-b", "virtual", "--virtual", "--sound", LANG="ko_KR.UTF-8") as (
        ours,
        process,
    ):
        read_until(ours, "버튼을 한 번 누르세요", said)
        # A terminal sends it to all processes that were started from it.
        os.killpg(process.pid, signal.SIGINT)
        read_until(ours, "종료 중", said)
        os.killpg(process.pid, signal.SIGINT)
        read_until(ours, "합격 0, 불합격 1", said)
        shown = read_until(ours, "도중에 중단했습니다", said)
        assert process.wait(PATIENCE_S) == 130
    assert "\a" in shown
    with Registry.open(box.home.database_url) as registry:
        assert [device.state for device in registry.devices()] == ["unfinished"]
        assert registry.history()[-1].details["error"] == "interrupted"


def test_a_board_whose_test_alarm_nobody_took_goes_on_when_the_receiver_is_back(box: Sandbox) -> None:
    """What waits on it is a test alarm, and no call for help that had to be kept."""
    box.start_board("a")
    box.receiver.__exit__()
    with LineRun(box.home, "--hands", "rig") as line:
        line.wait_for("step", lambda told: told["part"] == "alarm")
        line.process.send_signal(signal.SIGTERM)
        assert line.end()[1]["boards"][0]["kind"] == "stopped"
    with LineRun(box.home, "--hands", "rig") as again:
        again.wait_for("step", lambda told: told["part"] == "alarm")
        with BackgroundReceiver(box.home):
            assert again.wait_for("passed")["details"]["discarded_events"] == 1
    with Registry.open(box.home.database_url) as registry:
        lost = [entry.details.get("discarded_events") for entry in registry.history() if entry.action == "flash"]
        assert lost == [None, 1]


def test_a_board_whose_label_is_not_waited_for_is_ready_without_one(box: Sandbox) -> None:
    """The printer is busy with another one, for ever."""
    board = box.start_board("a")
    with (box.home.cache / "label.lock").open("w") as other, label_printer() as printer:
        fcntl.flock(other, fcntl.LOCK_EX)
        with LineRun(box.home, "--hands", "rig", "--label", printer.path) as line:
            line.wait_for("step", lambda told: told["step"] == "label")
            line.process.send_signal(signal.SIGTERM)
            code, summary = line.end()
            assert (code, summary["passed"]) == (0, 1)
            assert line.wait_for("passed")["unlabelled"] == "stopped before it was printed"
    with Registry.open(box.home.database_url) as registry:
        assert [(device.mac, device.state) for device in registry.devices()] == [(board.mac, "ready")]


def test_a_printer_that_was_unplugged_does_not_become_a_file(fleet: Home, tmp_path: Path) -> None:
    with Registry.open(fleet.database_url) as registry:
        device = registry.enroll("24:6f:28:00:00:01", board="virtual", site="city", role="hub").device
    gone = tmp_path / "lp0"
    with pytest.raises(BadInput, match="no printer"):
        LabelPrinter(gone, "roll-50x30", "", 203).print_label(device, fleet, None)
    assert not gone.exists()


def test_a_line_that_is_shut_down_puts_things_in_order(box: Sandbox) -> None:
    box.start_board("a")
    with LineRun(box.home) as line:
        line.wait_for("asked")
        line.process.send_signal(signal.SIGTERM)
        code, summary = line.end()
    assert (code, summary["boards"][0]["kind"]) == (130, "stopped")


def test_several_ports_are_flashed_and_provisioned_at_once_and_a_bad_one_stops_no_other(box: Sandbox) -> None:
    for name in ("a", "b"):
        box.start_board(name)
    box.start_board("c", board="esp32c3_devkit")
    ports = [part for name in "abc" for part in ("-p", f"virtual:{name}")]
    told = ansim_json(box.home, "flash", "-b", "virtual", *ports, code=2)
    assert [device["ok"] for device in told["devices"]] == [True, True, False]
    assert told["devices"][2]["kind"] == "wrong_board"
    moved = ansim_json(box.home, "provision", "-b", "virtual", *ports[:4], "--site", "south")
    assert [device["info"]["site"] for device in moved["devices"]] == ["south", "south"]
    assert [device["device"] for device in moved["devices"]] == [device["device"] for device in told["devices"][:2]]
    twice = ansim_json(box.home, "flash", "-b", "virtual", *ports[:2], *ports[:2], code=2)
    assert "are the same" in twice["error"]


def test_with_debug_each_boards_error_comes_with_its_traceback(fleet: Home) -> None:
    """What nobody foresaw is told without its text, and asks for it that way."""
    command = ["flash", "-b", "virtual", "-p", "/dev/null", "-p", "/dev/zero"]
    shown = []
    for options in ([], ["--debug"]):
        done = subprocess.run(
            [str(ANSIM), *options, *command],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            env={**os.environ, "ANSIM_HOME": str(fleet.path)},
        )
        assert done.returncode != 0
        shown.append(done.stderr.count("Traceback"))
    assert shown[0] == 0
    assert shown[1] >= 2


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["line", "-b", "virtual"], "fleet.toml does not exist"),
        (["line", "-b", "virtual", "--hands", "rig"], "only virtual boards have a rig"),
        (["line", "-b", "virtual", "--limit", "0"], "limit"),
        (["line", "-b", "virtual", "--label", "/nowhere/lp0"], "fleet.toml does not exist"),
        (["flash", "-b", "virtual", "-p", "auto", "-p", "virtual"], "auto is the only port"),
        (["provision", "-b", "virtual", "-p", "", "-p", "virtual"], "no value"),
    ],
)
def test_what_can_not_work_is_refused_before_a_board_is_touched(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (ended.value.code, told["ok"]) == (2, False)
    assert problem in told["error"]
    assert told["hint"]


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--label", "box.zpl"], "box.zpl is no printer"),
        (["--label", "/dev/null", "--label-format", "avery-l7651"], "ZPL is for rolls"),
        (["--label", "/dev/null", "--label-format", "rol"], "no label format 'rol'"),
        (["--label", "/dev/null", "--label-text", "x" * 99], "--text"),
    ],
)
def test_a_printer_that_can_not_print_is_refused_before_the_first_board(
    options: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["line", "-b", "virtual", "--virtual", *options, "--json"])
    assert problem in json.loads(capsys.readouterr().out)["error"]


@pytest.mark.usefixtures("fleet")
def test_a_manifest_with_a_mistake_is_refused_with_line_and_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "jongno.csv"
    path.write_text("site,count\njongno-01,many\n", encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["line", str(path), "-b", "virtual", "--virtual", "--json"])
    assert ended.value.code == 2
    assert "jongno.csv:2:11" in json.loads(capsys.readouterr().out)["error"]
