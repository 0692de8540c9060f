"""The serial port of a running virtual board, as a tool sees it."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import serial

from ansim.virtual import VirtualBoard
from ansim.virtual.protocol_rfc2217 import use_quick_ports

SYNC = b"\xc0\x00\x08\x24\x00\x00\x00\x00\x00\x07\x07\x12\x20" + b"\x55" * 32 + b"\xc0"
DEADLINE_S = 10


@contextmanager
def opened(board: VirtualBoard, baud: int = 115200) -> Iterator[serial.Serial]:
    use_quick_ports()
    port = serial.serial_for_url(board.url, baudrate=baud, timeout=DEADLINE_S)
    try:
        yield port
    finally:
        port.close()


def enter_download_mode(port: serial.Serial) -> None:
    port.dtr = False
    port.rts = True
    port.dtr = True
    port.rts = False
    port.dtr = False


def wait_for(board: VirtualBoard, key: str, value: object) -> None:
    """Wait until the board's status has value at key."""
    deadline = time.monotonic() + DEADLINE_S
    while (now := board.control.status()[key]) != value:
        assert time.monotonic() < deadline, f"the board's {key} is {now}, not {value}"
        time.sleep(0.01)


def test_a_tool_enters_download_mode_and_is_told_so(virtual_board: VirtualBoard) -> None:
    with opened(virtual_board) as port:
        enter_download_mode(port)
        assert port.read_until(b"waiting for download\r\n").endswith(b"waiting for download\r\n")
        assert virtual_board.control.status()["state"] == "download"
        port.write(SYNC)
        assert port.read_until(b"\xc0\xc0").startswith(b"\xc0\x01\x08")


def test_opening_and_closing_the_port_does_not_reset_the_chip(virtual_board: VirtualBoard) -> None:
    with virtual_board.control.watch(timeout_s=0.2) as events, opened(virtual_board):
        assert [seen for seen in events if seen.event in ("state", "reset")] == []


def test_a_tool_that_goes_away_while_it_holds_reset_lets_the_chip_run(virtual_board: VirtualBoard) -> None:
    with opened(virtual_board) as port:
        port.dtr = False
        port.rts = True
        wait_for(virtual_board, "state", "reset")
    wait_for(virtual_board, "state", "running")


def test_a_chip_that_is_held_in_reset_stays_there_whatever_button_is_pressed(virtual_board: VirtualBoard) -> None:
    with opened(virtual_board) as port:
        port.dtr = False
        port.rts = True
        virtual_board.control.reset()
        assert virtual_board.control.status()["state"] == "reset"
        virtual_board.control.power(False)
        virtual_board.control.power(True)
        assert virtual_board.control.status()["state"] == "reset"
        port.rts = False
        wait_for(virtual_board, "state", "running")


def test_power_with_io0_low_starts_in_download_mode(virtual_board: VirtualBoard) -> None:
    virtual_board.control.power(False)
    with opened(virtual_board) as port:
        enter_download_mode(port)
        assert virtual_board.control.status()["state"] == "off"
        port.dtr = True
        virtual_board.control.power(True)
        assert virtual_board.control.status()["state"] == "download"


def test_a_second_tool_is_refused_at_once_and_the_port_is_free_again_later(
    virtual_board: VirtualBoard,
) -> None:
    with opened(virtual_board):
        with pytest.raises(serial.SerialException, match="Connection refused"):
            serial.serial_for_url(virtual_board.url)
        assert virtual_board.control.status()["tool_connected"]
    with opened(virtual_board) as port:
        enter_download_mode(port)
        assert b"waiting" in port.read_until(b"waiting")


def test_every_byte_value_passes_both_ways(virtual_board: VirtualBoard) -> None:
    data = bytes(range(256)) * 4
    request = b"\x00\x09\x10\x00\x00\x00\x00\x00"
    with opened(virtual_board) as port:
        enter_download_mode(port)
        port.read_until(b"waiting for download\r\n")
        before = virtual_board.control.stats()
        for start in range(0, len(data), 4):
            word = data[start : start + 4]
            address = b"\x00\x80\xf4\x3f"
            body = request + address + word + b"\xff" * 4 + bytes(4)
            port.write(b"\xc0" + body.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0")
            port.read_until(b"\xc0", 1)
            port.read_until(b"\xc0")
            port.write(b"\xc0\x00\x0a\x04\x00\x00\x00\x00\x00" + address + b"\xc0")
            port.read(1)
            answer = port.read_until(b"\xc0")[:-1].replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
            assert answer[4:8] == word
        after = virtual_board.control.stats()
    assert after["round_trips"] - before["round_trips"] == 2 * len(data) // 4
    assert after["dropped_bytes"] == 0


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff\xfa\x2c\x01\x00\xff\xf0",  # a baud rate that is too short
        b"\xff\xf0",  # the end of a suboption that did not begin
        b"\xff\xfa" + b"a" * 5000,  # a suboption without end
        b"\xff\xfa\x2c\x03\x63\xff\xf0",  # an unknown parity
    ],
)
def test_a_client_that_does_not_speak_rfc2217_is_dropped_and_the_next_one_served(
    virtual_board: VirtualBoard, garbage: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", virtual_board.port), timeout=DEADLINE_S) as client:
        client.sendall(garbage)
        while client.recv(4096):
            pass
    wait_for(virtual_board, "tool_connected", False)
    with opened(virtual_board) as port:
        enter_download_mode(port)
        assert b"waiting" in port.read_until(b"waiting")


def test_ten_megabytes_of_noise_leave_the_loader_working(virtual_board: VirtualBoard) -> None:
    with opened(virtual_board) as port:
        enter_download_mode(port)
        port.read_until(b"waiting for download\r\n")
        for _ in range(10):
            port.write(b"\xc0noise\xdb\xdb" + bytes(1 << 20))
        port.write(SYNC)
        assert port.read_until(b"\xc0\x01\x08").endswith(b"\xc0\x01\x08")


def test_a_paced_line_takes_the_time_of_its_baud_rate(start_virtual_board: Callable[..., VirtualBoard]) -> None:
    board = start_virtual_board(paced=True)
    with opened(board, baud=9600) as port:
        enter_download_mode(port)
        port.read_until(b"waiting for download\r\n")
        started = time.monotonic()
        port.write(bytes(960) + SYNC)
        port.read_until(b"\xc0\xc0")
        assert time.monotonic() - started >= 1.0


def test_a_port_that_was_closed_can_be_opened_again_at_once(virtual_board: VirtualBoard) -> None:
    for _ in range(20):
        with opened(virtual_board) as port:
            assert port.is_open
    assert virtual_board.control.stats()["clients"] == 20
