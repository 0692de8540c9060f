"""Serial ports: what a person calls one, and what they read when it can't be opened."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from process_kit import next_line
from serial.tools.list_ports_common import ListPortInfo

from ansim.errors import BadInput, PortError
from ansim.home import Home
from ansim.serial_link import ESPRESSIF_VENDOR, OpenPort, PortBusy, PortGone, find_port, open_port, watching


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    """A serial line made of a pseudo-terminal: our end, and the path of the other."""
    ours, theirs = os.openpty()
    yield ours, os.ttyname(theirs)
    os.close(theirs)
    os.close(ours)


def test_a_port_opens_at_the_consoles_speed(terminal: tuple[int, str], home: Home) -> None:
    with open_port(terminal[1], home) as link:
        assert link.baudrate == 115200
        link.write(b"hello")
    assert os.read(terminal[0], 100) == b"hello"


def test_a_port_is_one_programs_at_a_time_and_free_again_when_it_ends(terminal: tuple[int, str], home: Home) -> None:
    path = terminal[1]
    with open_port(path, home):
        with pytest.raises(PortError, match=f"{path} is busy: another program has it open") as caught:
            open_port(path, home)
        assert caught.value.exit_code == 3
    open_port(path, home).close()


def test_a_port_is_free_as_soon_as_its_owner_is_killed(terminal: tuple[int, str], home: Home) -> None:
    program = (
        "import sys, signal; from pathlib import Path; from ansim.home import Home; "
        "from ansim.serial_link import open_port; link = open_port(sys.argv[1], Home(Path(sys.argv[2]))); "
        "print('open', flush=True); signal.pause()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program, terminal[1], str(home.path)], stdout=subprocess.PIPE, text=True
    )
    assert next_line(owner) == "open\n"
    with pytest.raises(PortBusy):
        open_port(terminal[1], home)
    owner.kill()
    owner.communicate()
    open_port(terminal[1], home).close()


def usb(path: str, serial_number: str = "", location: str = "", vendor: int = ESPRESSIF_VENDOR) -> ListPortInfo:
    """What pyserial tells of a port on USB."""
    port = ListPortInfo(path)
    port.vid, port.serial_number, port.location = vendor, serial_number, location
    return port


@pytest.mark.parametrize("serial_number", ["7C:DF:A1:00:00:01", "7cdfa1000001"])
def test_a_chip_with_usb_of_its_own_is_found_again_by_its_mac_under_any_name(
    serial_number: str, terminal: tuple[int, str], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [usb(terminal[1], location="1-1")]
    monkeypatch.setattr("ansim.serial_link.list_ports.comports", lambda: there)
    ours, theirs = os.openpty()
    with OpenPort(terminal[1], home) as port:
        there[:] = [usb("/dev/null", "7CDFA1000002", "1-1"), usb(os.ttyname(theirs), serial_number, "1-2")]
        port.find_again("7c:df:a1:00:00:01", 10)
        assert port.where == os.ttyname(theirs)
        port.link.write(b"hello")
        assert os.read(ours, 100) == b"hello"
    os.close(theirs)
    os.close(ours)


def test_a_bridge_is_found_again_in_its_socket_and_no_other_port_is_opened(
    terminal: tuple[int, str], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A bridge's serial number is no MAC, even if it looks like one.
    there = [usb(terminal[1], "7CDFA1000001", "1-1.2", vendor=0x10C4)]
    monkeypatch.setattr("ansim.serial_link.list_ports.comports", lambda: there)
    ours, theirs = os.openpty()
    with OpenPort(terminal[1], home) as port:
        there[:] = [
            usb("/dev/null", "7CDFA1000001", "1-1.3", vendor=0x10C4),
            usb(os.ttyname(theirs), "0001", "1-1.2", vendor=0x10C4),
        ]
        port.find_again("7c:df:a1:00:00:01", 10)
        assert port.where == os.ttyname(theirs)
    os.close(theirs)
    os.close(ours)


def test_a_port_that_does_not_come_back_is_told(tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansim.serial_link.list_ports.comports", list)
    ours, theirs = os.openpty()
    name = tmp_path / "port"
    name.symlink_to(os.ttyname(theirs))
    with OpenPort(str(name), home) as port:
        name.unlink()
        with pytest.raises(PortGone, match="went away and is not back after 0.5 s"):
            port.find_again("7c:df:a1:00:00:01", 0.5)
    os.close(theirs)
    os.close(ours)


def test_a_port_that_is_not_there_is_named_with_those_that_are(home: Home) -> None:
    with pytest.raises(PortError, match="there is no port /dev/ttyNONE0") as caught:
        open_port("/dev/ttyNONE0", home)
    assert caught.value.hint


def test_a_port_that_is_not_yours_says_which_group_helps(tmp_path: Path, home: Home) -> None:
    closed = tmp_path / "port"
    closed.touch(mode=0)
    # Root may open everything but what the kernel itself refuses.
    path = Path("/sys/kernel/uevent_seqnum") if os.geteuid() == 0 else closed
    with pytest.raises(PortError, match="you may not open") as caught:
        open_port(str(path), home)
    assert "dialout" in caught.value.hint


def test_a_file_is_no_port(tmp_path: Path, home: Home) -> None:
    path = tmp_path / "file"
    path.write_text("not a terminal")
    with pytest.raises(PortError, match="can't open"):
        open_port(str(path), home)


def test_a_url_of_no_known_kind_is_refused_with_what_is_possible(home: Home) -> None:
    with pytest.raises(BadInput, match="is not a port") as caught:
        open_port("carrier-pigeon://loft", home)
    assert "virtual" in caught.value.hint


def test_a_network_port_that_nobody_serves_is_named(home: Home) -> None:
    with pytest.raises(PortError, match="nothing listens at rfc2217://127.0.0.1:9"):
        open_port("rfc2217://127.0.0.1:9", home)


def test_a_virtual_board_that_is_not_running_says_how_to_start_it(home: Home) -> None:
    for port in ("virtual", "virtual:hall"):
        with pytest.raises(BadInput, match="running") as caught:
            find_port(port, home)
        assert "ansim virtual start" in caught.value.hint


def test_an_unplugged_port_is_a_port_error_with_what_to_do() -> None:
    with pytest.raises(PortError, match="/dev/ttyUSB7 went away") as caught, watching("/dev/ttyUSB7"):
        raise OSError(5, "Input/output error")
    assert "again" in caught.value.hint
