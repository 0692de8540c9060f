"""A pendant's connection after a sleep: what it costs, and that no shortcut ever costs a message."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from link_kit import CHANNEL, NETWORK, LinkBench, Wake, link_bench
from mqtt_device import make_home
from receiver_kit import connected, receiving, wire

from ansim.broker import Broker
from ansim.database import Database
from ansim.event_store import EventStore
from ansim.home import Home
from ansim.virtual.forwarder import PORTAL, Service
from ansim_fw.core.quick import FIRST_S, LONGEST_S, Quick, unpack

# TLS 1.2: its two, and CONNECT with all that waits.
FLIGHTS = 3
OTHER = ("neighbour", "a second passphrase")
ADDRESSES = ("10.0.2.15", "255.255.255.0", "10.0.2.2", "10.0.2.3")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home")


@pytest.fixture
def broker(home: Home) -> Iterator[Broker]:
    """A broker with a receiver."""
    with Broker(home) as running, closing(Database.open(home.database_url)) as database, receiving(home, database):
        yield running


@pytest.fixture
def bench(tmp_path: Path, home: Home, broker: Broker) -> Iterator[LinkBench]:
    with link_bench(tmp_path, home, broker) as made:
        yield made


def known(bench: LinkBench, age_s: int = 0, address: str = "127.0.0.1") -> bytes:
    """Return what a device keeps that was connected so long ago; the chip is on."""
    made = Quick()
    at_s = bench.clock_s() - age_s
    made.joined(0, CHANNEL)
    made.network = 0
    made.leased(ADDRESSES, at_s)
    made.named(address, at_s)
    return made.pack()


def arrived(wake: Wake) -> bool:
    return wake.fault == "" and wake.heard[-1]["cmd"] == "ack"


def test_the_first_connection_asks_for_everything_and_the_next_one_for_nothing(bench: LinkBench) -> None:
    bench.start(b"")
    first = bench.wake()
    assert arrived(first)
    assert (first.channels, first.leases, first.names, first.connections) == (CHANNEL, 1, 1, 1)
    assert first.flights == FLIGHTS
    bench.start(first.kept)
    again = bench.wake()
    assert arrived(again)
    assert (again.channels, again.leases, again.names, again.connections) == (1, 0, 0, 1)
    assert again.flights == FLIGHTS
    assert again.states == ["wifi", "tcp", "tls", "mqtt", "up"]


def test_a_device_that_went_to_sleep_without_a_word_is_taken_back_at_once_again_and_again(bench: LinkBench) -> None:
    kept = b""
    for _ in range(4):
        bench.start(kept)
        wake = bench.wake()
        assert arrived(wake)
        kept = wake.kept


def test_a_hub_keeps_nothing_and_sends_all_that_waits_with_its_connect_as_well(bench: LinkBench) -> None:
    bench.start(None)
    for _ in range(2):
        wake = bench.wake()
        assert arrived(wake)
        assert (wake.kept, wake.names, wake.flights) == (b"", 1, FLIGHTS)
        bench.run("link.close('')")


def test_what_waits_for_a_device_is_heard_before_the_ack(bench: LinkBench, home: Home, broker: Broker) -> None:
    with connected(home, broker) as device:
        device.publish_only(wire(0))
        assert device.command() is not None
    with closing(Database.open(home.database_url)) as database:
        alarm = EventStore(database).handle("AN000001", 3, 0, by="mina")
    bench.start(b"")
    wake = bench.wake()
    assert [(each["cmd"], each["seq"]) for each in wake.heard][:-1] == [("handled", alarm.seq)]
    assert arrived(wake)


def test_an_address_that_is_too_old_is_asked_for_and_the_broker_is_not(bench: LinkBench) -> None:
    bench.start(b"")
    bench.run(f"link.use_quick({known(bench, age_s=FIRST_S + 10)!r})")
    wake = bench.wake()
    assert arrived(wake)
    assert (wake.channels, wake.leases, wake.names, wake.connections) == (1, 1, 0, 1)


def test_what_is_older_than_six_hours_is_all_asked_for_anew(bench: LinkBench) -> None:
    bench.start(b"")
    bench.run(f"link.use_quick({known(bench, age_s=LONGEST_S + 10)!r})")
    wake = bench.wake()
    assert arrived(wake)
    assert (wake.channels, wake.leases, wake.names) == (1, 1, 1)


def test_an_access_point_on_another_channel_is_found(bench: LinkBench) -> None:
    bench.start(b"")
    bench.chip.air.set_network(*NETWORK, channel=3)
    bench.run(f"link.use_quick({known(bench)!r})")
    wake = bench.wake()
    assert arrived(wake)
    assert (wake.channels, wake.leases, wake.names) == (8, 0, 0)
    assert unpack(wake.kept, 1).channel == 3


def test_an_address_that_somebody_else_has_by_now_is_given_up_and_forgotten(bench: LinkBench) -> None:
    bench.start(b"")
    bench.chip.air.set_network(*NETWORK, channel=CHANNEL, address="10.0.2.77")
    bench.run(f"link.use_quick({known(bench)!r})")
    wake = bench.wake()
    assert arrived(wake)
    assert (wake.leases, wake.names, wake.connections) == (1, 1, 2)
    assert wake.states == ["wifi", "tcp", "tls", "wifi", "name", "tcp", "tls", "mqtt", "up"]
    bench.start(wake.kept)
    again = bench.wake()
    assert arrived(again)
    assert (again.leases, again.names, again.connections) == (0, 0, 1)


def test_a_broker_that_is_not_there_any_more_is_asked_for_by_name(bench: LinkBench) -> None:
    bench.start(b"")
    # Nobody listens there: it is refused at once.
    bench.run(f"link.use_quick({known(bench, address='127.0.0.9')!r})")
    wake = bench.wake()
    assert arrived(wake)
    assert wake.names == 1
    assert unpack(wake.kept, 1).broker(bench.clock_s()) == "127.0.0.1"


def test_a_stranger_at_the_brokers_old_address_is_not_believed(bench: LinkBench) -> None:
    bench.start(b"")
    bench.run(f"link.use_quick({known(bench, address=PORTAL)!r})")
    wake = bench.wake()
    assert arrived(wake)
    assert (wake.names, wake.connections) == (1, 2)


def test_a_stranger_that_is_silent_is_waited_for_five_seconds(bench: LinkBench, broker: Broker) -> None:
    with socket.create_server(("127.0.0.9", broker.mqtt_port)) as stranger:
        taken: list[socket.socket] = []
        thread = threading.Thread(target=lambda: taken.append(stranger.accept()[0]))
        thread.start()
        bench.start(b"")
        bench.run(f"link.use_quick({known(bench, address='127.0.0.9')!r})")
        started_ms = int(bench.run("print(time.ticks_ms())"))
        wake = bench.wake()
        assert arrived(wake)
        assert int(bench.run("print(time.ticks_ms())")) - started_ms >= 5000
        thread.join()
        taken[0].close()


def test_a_way_that_leads_nowhere_is_tried_for_two_seconds_and_then_the_slow_one(bench: LinkBench) -> None:
    bench.start(b"")
    bench.chip.air.set_network(*NETWORK, channel=CHANNEL, service=Service.NO_WAY_OUT)
    bench.run(f"link.use_quick({known(bench)!r})")
    passed_ms = int(
        bench.run("at = time.ticks_ms(); link.connect(); go(lambda: 'name' in seen); print(time.ticks_ms() - at)")
    )
    assert bench.run("print(seen)") == "['wifi', 'tcp', 'wifi', 'name']\n"
    assert passed_ms >= 2000
    bench.run("link.off()")
    assert unpack(bench.kept(), 1).broker(bench.clock_s()) == ""


def test_a_network_that_is_gone_is_a_fault_and_what_was_kept_of_it_is_forgotten(
    tmp_path: Path, home: Home, broker: Broker
) -> None:
    with link_bench(tmp_path, home, broker, speed=4) as bench:
        bench.start(b"")
        bench.chip.air.set_network(*NETWORK, access_points=())
        bench.run(f"link.use_quick({known(bench)!r})")
        wake = bench.wake()
        assert wake.fault == "wifi_absent"
        assert unpack(wake.kept, 1).lease(bench.clock_s()) is None


@pytest.mark.parametrize("kept", [b"\0", bytes(37), b"\xff" * 37, b"x" * 64])
def test_what_was_not_kept_by_this_firmware_is_as_nothing(bench: LinkBench, kept: bytes) -> None:
    bench.start(kept)
    wake = bench.wake()
    assert arrived(wake)
    assert wake.leases == 1


def test_a_device_that_gives_up_goes_on_with_its_next_network_after_the_sleep(
    tmp_path: Path, home: Home, broker: Broker
) -> None:
    with link_bench(tmp_path, home, broker, (NETWORK, OTHER)) as bench:
        bench.chip.air.set_network(*NETWORK, service=Service.NO_ADDRESS)
        bench.chip.air.set_network(*OTHER)
        bench.start(b"")
        bench.run("link.connect()\ngo(lambda: 'wifi' in seen)\nlink.off()")
        bench.start(bench.kept())
        wake = bench.wake()
        assert arrived(wake)
        assert unpack(wake.kept, 2).good == 1
        bench.start(wake.kept)
        again = bench.wake()
        assert arrived(again)
        assert (again.leases, again.names) == (0, 0)


def test_off_takes_the_radios_power_and_the_next_connection_is_quick_all_the_same(bench: LinkBench) -> None:
    bench.start(b"")
    first = bench.wake()
    assert bench.run("print(link.radio_on()); link.off(); print(link.radio_on(), link.status(), link.fault)") == (
        "True\nFalse 0 \n"
    )
    assert not bench.chip.services.station.active
    again = bench.wake()
    assert arrived(first) and arrived(again)
    assert (again.leases, again.names) == (0, 0)
