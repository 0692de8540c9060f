"""A home's network is not what it should be; the alarm finds its way all the same, or waits for one."""

import time
from collections.abc import Callable, Iterator

import pytest
from test_outages import arrives_once, raise_alarm

from ansim.sandbox import WIFI
from ansim.virtual.forwarder import Service
from unit_under_test import UnitUnderTest

pytestmark = pytest.mark.needs("press", "radio", "wifi")

HOME = (WIFI.ssid, WIFI.passphrase)
OTHER = ("neighbour", "a second passphrase")
LEADING_NOWHERE = (Service.NO_ADDRESS, Service.NO_NAMES, Service.CAPTIVE, Service.NO_WAY_OUT)
# No step of the link waits for a network; what one computes is quick on this machine, unless others keep it busy.
LONGEST_STEP_MS = 1000


@pytest.fixture
def home(device: UnitUnderTest) -> Iterator[UnitUnderTest]:
    """The device on its usual network, which is whole again afterwards."""
    device.control.network(*OTHER, access_points=())
    yield device
    device.control.network(*HOME)
    device.control.network(*OTHER, access_points=())


@pytest.fixture
def two_networks(home: UnitUnderTest) -> Iterator[UnitUnderTest]:
    """A device that gets to know two networks; its own identity is given back to it at the end."""
    home.control.network(*OTHER)
    yield home
    home.control.network(*HOME)
    home.write_identity()


@pytest.fixture
def unknowing(home: UnitUnderTest) -> Iterator[UnitUnderTest]:
    """The device as it is after provisioning, before its first connection: switched off, no address known."""
    home.write_identity()
    home.control.power(False)
    yield home


def switch_on(device: UnitUnderTest, service: Service = Service.FULL) -> None:
    """Switch the device off and on again; its usual network now gives this and no more."""
    device.control.power(False)
    device.control.network(*HOME, service=service)
    device.control.power(True)
    device.connect()


@pytest.mark.needs("flash", "power")
@pytest.mark.parametrize(
    ("service", "stuck"),
    [
        (Service.NO_ADDRESS, {"link": "wifi"}),
        (Service.NO_NAMES, {"link": "name"}),
        (Service.CAPTIVE, {"link_fault": "tls_refused"}),
        (Service.NO_WAY_OUT, {"link": "tcp"}),
    ],
)
def test_an_alarm_on_a_network_that_leads_nowhere_is_journalled_at_once_and_arrives_once_it_does(
    unknowing: UnitUnderTest, service: Service, stuck: dict[str, str]
) -> None:
    switch_on(unknowing, service)
    unknowing.until(lambda info: stuck.items() <= info.items(), f"at {stuck}")
    alarm = raise_alarm(unknowing)
    unknowing.announced("journalled", seq=alarm[1])
    unknowing.control.network(*HOME)
    arrives_once(unknowing, alarm)
    assert unknowing.info()["loop_ms"] < LONGEST_STEP_MS


@pytest.mark.needs("flash", "power")
def test_a_name_that_nobody_knows_is_a_fault_that_ends(unknowing: UnitUnderTest) -> None:
    switch_on(unknowing, Service.UNKNOWN_NAMES)
    unknowing.until(lambda info: info["link_fault"] == "name_unknown", "at name_unknown")
    unknowing.control.network(*HOME)
    assert unknowing.until_connected()["link_fault"] == ""


@pytest.mark.needs("power")
@pytest.mark.parametrize("service", [Service.NO_NAMES, Service.UNKNOWN_NAMES, Service.WRONG_NAMES])
def test_the_address_that_worked_last_is_used_while_names_are_not_known_or_wrong(
    home: UnitUnderTest, service: Service
) -> None:
    switch_on(home, service)
    alarm = raise_alarm(home)
    arrives_once(home, alarm)


def test_networks_that_lead_nowhere_are_left_for_the_next_one(
    several: Callable[[int], list[UnitUnderTest]],
) -> None:
    devices = several(len(LEADING_NOWHERE))
    alarms = []
    for device, service in zip(devices, LEADING_NOWHERE, strict=True):
        device.control.network(*HOME, service=service)
        device.control.network(*OTHER)
        device.write_identity(wifi=(HOME, OTHER))
        device.connect()
        alarms.append(raise_alarm(device))
    for device, alarm in zip(devices, alarms, strict=True):
        arrives_once(device, alarm)
        assert device.info()["loop_ms"] < LONGEST_STEP_MS


@pytest.mark.needs("flash")
def test_a_network_that_refuses_is_left_for_the_next_one(two_networks: UnitUnderTest) -> None:
    two_networks.write_identity(wifi=((WIFI.ssid, "not its passphrase"), OTHER))
    two_networks.connect()
    alarm = raise_alarm(two_networks)
    arrives_once(two_networks, alarm)


@pytest.mark.needs("flash", "power")
def test_a_network_that_goes_away_is_left_for_the_next_one_which_is_the_first_after_a_restart(
    two_networks: UnitUnderTest,
) -> None:
    two_networks.write_identity(wifi=(HOME, OTHER))
    two_networks.connect()
    two_networks.until_connected()
    two_networks.control.network(*HOME, access_points=())
    alarm = raise_alarm(two_networks)
    arrives_once(two_networks, alarm)
    # The start that found it has written nothing down: it had another network then, and writes once.
    two_networks.control.power(False)
    two_networks.control.power(True)
    two_networks.connect()
    two_networks.until_connected()
    switch_on(two_networks, Service.NO_ADDRESS)
    started = time.monotonic()
    two_networks.until_connected()
    assert time.monotonic() - started < 15, "the silent DHCP server was waited for first"


def test_an_access_point_goes_away_and_another_of_the_same_network_carries_the_alarm(home: UnitUnderTest) -> None:
    home.control.network(*HOME, access_points=(1, 2))
    home.control.network(*HOME, access_points=(2,))
    alarm = raise_alarm(home)
    home.announced("link", state="wifi")
    arrives_once(home, alarm)


@pytest.mark.needs("stall")
def test_a_connection_that_a_router_forgot_is_made_anew_for_an_alarm(home: UnitUnderTest) -> None:
    home.control.stall()
    alarm = raise_alarm(home)
    home.announced("link", state="off", fault="link_lost")
    arrives_once(home, alarm)


def test_a_network_that_comes_back_after_failed_attempts_is_joined(home: UnitUnderTest) -> None:
    home.control.network(*HOME, access_points=())
    home.until(lambda info: info["link_fault"] == "wifi_absent", "at wifi_absent")
    alarm = raise_alarm(home)
    home.control.network(*HOME)
    arrives_once(home, alarm)


def test_a_device_whose_clock_is_wrong_delivers_as_any_other(
    home: UnitUnderTest, enter_repl: Callable[[UnitUnderTest], Callable[..., str]]
) -> None:
    repl = enter_repl(home)
    repl("exec", "--no-follow", "import machine; machine.RTC().datetime((2099, 1, 1, 4, 0, 0, 0, 0)); machine.reset()")
    home.connect()
    home.until_connected()
    alarm = raise_alarm(home)
    arrives_once(home, alarm)
    heard = home.receives(lambda event: (event.boot, event.seq) == alarm, "alarm").event
    assert heard.occurred_at is not None
    assert abs((heard.occurred_at - heard.received_at).total_seconds()) < 2
