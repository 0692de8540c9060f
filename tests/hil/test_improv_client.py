"""Any client of Improv sets Wi-Fi on a device that nobody relies on yet, or that somebody holds in the hand."""

from collections.abc import Iterator

import pytest
from improv_client import (
    CURRENT_STATE,
    ERROR_STATE,
    HOSTNAME,
    INVALID_RPC,
    NO_ERROR,
    PROVISIONED,
    READY,
    REQUEST_INFO,
    REQUEST_NETWORKS,
    REQUEST_STATE,
    RPC,
    RPC_RESULT,
    SEND_WIFI,
    UNABLE_TO_CONNECT,
    UNKNOWN_ERROR,
    UNKNOWN_RPC,
    ImprovClient,
    packet,
    settings,
)
from test_outages import arrives_once, raise_alarm

from ansim.sandbox import WIFI
from ansim_fw.version import VERSION
from unit_under_test import UnitUnderTest

NEW = ("new router", "a passphrase of its own")
JOINED = [(ERROR_STATE, b"\0"), (CURRENT_STATE, b"\3"), (CURRENT_STATE, b"\4"), (RPC_RESULT, b"\1\0")]
REFUSED = [(ERROR_STATE, b"\0"), (CURRENT_STATE, b"\3"), (ERROR_STATE, b"\3")]


def client(device: UnitUnderTest) -> ImprovClient:
    device.connect()
    device.info()
    return ImprovClient(device._link)


@pytest.fixture
def held(device: UnitUnderTest) -> Iterator[UnitUnderTest]:
    """A device in service that somebody holds in the hand: in safe mode, in reach of a second network."""
    device.control.network(*NEW)
    device.enter_safe_mode()
    device.connect()
    yield device
    device.control.network(*NEW, access_points=())
    device.control.network(WIFI.ssid, WIFI.passphrase)
    device.write_identity()
    device.connect()
    device.until_connected()


@pytest.fixture
def new(blank: UnitUnderTest) -> Iterator[UnitUnderTest]:
    """A device without an identity, in reach of a network."""
    blank.control.network(*NEW)
    yield blank
    blank.control.network(*NEW, access_points=())


@pytest.mark.needs("radio")
def test_a_device_without_an_identity_is_set_up_by_any_client(new: UnitUnderTest) -> None:
    improv = client(new)
    assert improv.state() == READY
    mac = new.info()["mac"]
    assert improv.strings(REQUEST_INFO) == ["Ansim", VERSION, "virtual", mac]
    assert [NEW[0], "-55", "YES"] in improv.networks()
    assert improv.provision(NEW[0], "not its passphrase") == REFUSED
    assert improv.next() == (CURRENT_STATE, bytes([READY]))
    assert new.console.request("wifi") == {"wifi": [], "joined": ""}
    assert improv.provision(*NEW) == JOINED
    assert new.console.request("wifi") == {"wifi": [NEW[0]], "joined": NEW[0]}
    assert improv.call(REQUEST_STATE)[1:] == [(CURRENT_STATE, bytes([PROVISIONED])), (RPC_RESULT, b"\2\0")]


@pytest.mark.needs("flash", "power", "press", "radio", "wifi")
def test_in_safe_mode_a_device_in_service_takes_a_network_and_keeps_its_own(held: UnitUnderTest) -> None:
    improv = client(held)
    assert improv.provision(WIFI.ssid, "not its passphrase") == REFUSED
    assert improv.next() == (CURRENT_STATE, bytes([READY]))
    assert improv.provision(*NEW) == JOINED
    held.until_connected()
    assert held.console.request("wifi") == {"wifi": [NEW[0], WIFI.ssid], "joined": NEW[0]}
    arrives_once(held, raise_alarm(held))


@pytest.mark.needs("wifi")
def test_a_device_in_service_tells_who_it_is_and_takes_no_network(device: UnitUnderTest) -> None:
    improv = client(device)
    assert improv.strings(REQUEST_INFO)[3] == device.name
    assert improv.state() == PROVISIONED
    assert improv.next() == (RPC_RESULT, b"\2\0")
    assert improv.error(SEND_WIFI, settings(*NEW)) == UNKNOWN_ERROR
    assert improv.error(REQUEST_NETWORKS) == UNKNOWN_ERROR
    ssid = device.sandbox.wifi.ssid
    assert device.console.request("wifi") == {"wifi": [ssid], "joined": ssid}
    assert device.info()["link"] == "up"


@pytest.mark.needs("wifi")
def test_what_is_not_legal_is_told_as_that_and_stops_nothing(blank: UnitUnderTest) -> None:
    improv = client(blank)
    assert improv.error(HOSTNAME) == UNKNOWN_RPC
    for data in (
        b"",
        b"\0",
        b"\x21" + b"x" * 33 + b"\0",
        b"\4home\x08short",
        settings("home", "seven77"),
        b"\2\xff\xff\0",
    ):
        assert improv.error(SEND_WIFI, data) == INVALID_RPC
    blank.write(packet(RPC, bytes([REQUEST_STATE, 0]))[:-1] + b"\0")
    assert improv.next() == (ERROR_STATE, bytes([NO_ERROR]))
    assert improv.next() == (ERROR_STATE, bytes([INVALID_RPC]))
    # The length of its name, and of its passphrase, are the bytes with which a text of the console begins and ends.
    assert improv.error(SEND_WIFI, settings("x" * 0x1E, "y" * 10)) == UNABLE_TO_CONNECT
    assert blank.info()["provisioned"] is False


@pytest.mark.needs("wifi")
def test_a_packet_that_breaks_off_takes_nothing_else_with_it(running: UnitUnderTest) -> None:
    running.write(packet(RPC, bytes([SEND_WIFI, 60]) + b"x" * 60)[:20])
    assert running.info()["link"] == "up"
    running.write(b"IMPROV\x01" + b"\xff" * 300)
    assert running.info()["link"] == "up"
    assert client(running).state() == PROVISIONED
