"""Which sockets have a board, as the system tells of the USB."""

import pytest
from serial.tools.list_ports_common import ListPortInfo

from ansim.home import Home
from ansim.line.floor import Socket
from ansim.line.hotplug import sockets_at, virtual_sockets
from ansim.serial_link import listed, place_of
from ansim.virtual import VirtualBoard

BRIDGE, NATIVE = 0x10C4, 0x303A


def port(device: str, location: str | None, vendor: int = BRIDGE, serial_number: str | None = "0001") -> ListPortInfo:
    """A port as pyserial tells of it."""
    found = ListPortInfo(device, skip_link_detection=True)
    found.vid, found.location, found.serial_number = vendor, location, serial_number
    return found


def sockets(*ports: ListPortInfo) -> list[Socket]:
    return sockets_at(map(place_of, ports))


def test_a_socket_is_a_place_on_the_usb_and_not_a_name() -> None:
    first = sockets(port("/dev/ttyUSB0", "1-2.1"))
    later = sockets(port("/dev/ttyUSB4", "1-2.1"))
    assert [socket.key for socket in first] == [socket.key for socket in later]
    assert later[0].port == "/dev/ttyUSB4"


def test_two_ports_of_one_adapter_are_two_sockets() -> None:
    assert (
        len({socket.key for socket in sockets(port("/dev/ttyUSB0", "1-2:1.0"), port("/dev/ttyUSB1", "1-2:1.1"))}) == 2
    )


def test_sockets_are_in_the_order_of_the_hub() -> None:
    found = sockets(*(port(f"/dev/ttyUSB{number}", f"1-2.{11 - number}") for number in range(11)))
    assert [socket.key for socket in found] == [f"1-2.{number}" for number in range(1, 12)]


def test_a_system_that_tells_no_location_has_the_name() -> None:
    assert sockets(port("/dev/cu.usbserial-1", None), port("COM3", "")) == [
        Socket("/dev/cu.usbserial-1", "/dev/cu.usbserial-1"),
        Socket("COM3", "COM3"),
    ]


@pytest.mark.parametrize(
    ("vendor", "serial_number", "mac"),
    [
        (NATIVE, "7C:DF:A1:00:00:0A", "7c:df:a1:00:00:0a"),
        (NATIVE, "7cdfa100000a", "7c:df:a1:00:00:0a"),
        (NATIVE, "12345", ""),
        (NATIVE, None, ""),
        (BRIDGE, "7cdfa100000a", ""),
    ],
)
def test_only_a_chip_with_usb_of_its_own_tells_its_mac(vendor: int, serial_number: str | None, mac: str) -> None:
    assert [socket.mac for socket in sockets(port("/dev/ttyACM0", "1-1", vendor, serial_number))] == [mac]


def test_what_is_something_elses_is_left_alone() -> None:
    places = [place_of(port(f"/dev/ttyUSB{number}", f"1-2.{number}")) for number in range(3)]
    assert [socket.port for socket in sockets_at(places, ["/dev/ttyUSB1"])] == ["/dev/ttyUSB0", "/dev/ttyUSB2"]


def test_a_board_that_is_pulled_while_the_usb_is_read_does_not_end_the_line() -> None:
    """pyserial stumbles over a device that goes away between two of the files that tell of it."""
    stumbles = [TypeError("int() argument must be a string"), OSError("No such device")]

    def comports() -> list[ListPortInfo]:
        if stumbles:
            raise stumbles.pop()
        return [port("/dev/ttyUSB0", "1-1")]

    assert [found.device for found in listed(comports)] == ["/dev/ttyUSB0"]


def test_virtual_boards_are_plugged_in_while_they_run(virtual_board: VirtualBoard, home: Home) -> None:
    assert virtual_sockets(home) == [Socket(virtual_board.name, f"virtual:{virtual_board.name}")]
