"""The broker seen from devices: what is theirs works, everything else is refused; and how it starts and ends."""

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mqtt_device import MqttDevice, identity, make_home, trusting
from process_kit import next_line

from ansim import credentials
from ansim.broker import Broker
from ansim.credentials import STREAM, Authority
from ansim.errors import ServiceError
from ansim.event_stream import EventStream, connect, leave
from ansim.fleet import Fleet
from ansim.home import Home

OTHER = "ansim/city/AN000002"
RUN = "from ansim.cli import main; main()"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_home(tmp_path_factory.mktemp("broker") / "home")


@pytest.fixture(scope="module")
def broker(home: Home) -> Iterator[Broker]:
    with Broker(home) as running:
        asyncio.run(stored(home))
        yield running


async def stored(home: Home) -> int:
    """Make the stream of events if it is missing, and return how many events wait in it."""
    client = await connect(home, Fleet.load(home), lambda _text: None)
    try:
        await EventStream(client).prepare()
        return (await client.jetstream().stream_info(STREAM)).state.messages
    finally:
        await leave(client)


def eventually(holds: Callable[[], bool], timeout_s: float = 10) -> bool:
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def token(home: Home, device: str = "AN000001", expires_at_s: int | None = None) -> str:
    return Authority.load(home).device_token(identity(device), expires_at_s)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def servers_of(home: Home) -> list[int]:
    """Return the process ids of the nats-servers that run in home."""
    found = subprocess.run(["pgrep", "-f", f"nats-server -c {home.broker}"], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


def test_a_device_publishes_and_hears_on_its_own_topics(home: Home, broker: Broker) -> None:
    before = asyncio.run(stored(home))
    with MqttDevice(broker.mqtt_port, trusting(home), token(home)) as device:
        assert device.connack == 0
        assert device.subscribe()
        assert device.publish(b'{"hello":1}')
        assert eventually(lambda: asyncio.run(stored(home)) == before + 1)


def test_what_a_device_publishes_for_another_never_reaches_the_stream(home: Home, broker: Broker) -> None:
    before = asyncio.run(stored(home))
    with MqttDevice(broker.mqtt_port, trusting(home), token(home)) as device:
        for topic in (f"{OTHER}/evt", "ansim/town/AN000001/evt", "$JS/API/STREAM/DELETE/EVENTS", f"{OTHER}/cmd"):
            device.publish(b'{"forged":1}', topic)
        # Its own message goes the same way after them, so once that is there the others are not under way any more.
        assert device.publish(b'{"own":1}')
        assert eventually(lambda: asyncio.run(stored(home)) > before)
        assert asyncio.run(stored(home)) == before + 1


@pytest.mark.parametrize("topic", [f"{OTHER}/cmd", f"{OTHER}/evt", "ansim/+/+/cmd", "#", "$SYS/#", "$JS/#", "$MQTT/#"])
def test_a_device_can_not_listen_elsewhere(home: Home, broker: Broker, topic: str) -> None:
    with MqttDevice(broker.mqtt_port, trusting(home), token(home)) as device:
        assert not device.subscribe(topic)


def test_a_device_without_a_good_token_is_refused(home: Home, broker: Broker, tmp_path: Path) -> None:
    stranger = make_home(tmp_path / "stranger")
    receiver = (home.keys / "receiver.creds").read_text().splitlines()[1]
    good = token(home)
    refused = {
        "none": None,
        "rubbish": "rubbish",
        "signature changed": good[:-8] + "AAAAAAAA",
        "topics changed": good.split(".")[0] + "." + token(home, "AN000002").split(".")[1] + "." + good.split(".")[2],
        "expired": token(home, expires_at_s=int(time.time()) - 1),
        "another fleet's": token(stranger),
        "the receiver's": receiver,
    }
    for what, given in refused.items():
        with MqttDevice(broker.mqtt_port, trusting(home), given, device=f"AN-{len(what)}") as device:
            assert device.connack == 5, what


def test_a_token_ends_when_it_expires_while_connected(home: Home, broker: Broker) -> None:
    with MqttDevice(broker.mqtt_port, trusting(home), token(home, expires_at_s=int(time.time()) + 5)) as device:
        assert device.connack == 0
        assert device.receive() is None


def test_plain_text_is_refused_on_both_ports(home: Home, broker: Broker) -> None:
    with MqttDevice(broker.mqtt_port, None, token(home)) as device:
        assert device.connack is None
    with socket.create_connection(("127.0.0.1", broker.client_port), timeout=10) as plain:
        answer = plain.recv(4096)
        assert b'"tls_required":true' in answer
        plain.sendall(b"CONNECT {}\r\nPING\r\n")
        assert eventually(lambda: b"PONG" not in (found := plain.recv(4096)) and not found)


def test_a_device_does_not_talk_to_a_broker_of_another_authority(home: Home, broker: Broker, tmp_path: Path) -> None:
    stranger = make_home(tmp_path / "stranger")
    with pytest.raises(ssl.SSLCertVerificationError):
        MqttDevice(broker.mqtt_port, trusting(stranger), token(home))


def test_a_message_too_long_for_any_device_ends_the_connection(home: Home, broker: Broker) -> None:
    with MqttDevice(broker.mqtt_port, trusting(home), token(home)) as device:
        assert not device.publish(b"x" * 5000)


def test_a_slow_device_may_take_seconds_for_its_handshake(home: Home, broker: Broker) -> None:
    raw = socket.create_connection(("127.0.0.1", broker.mqtt_port), timeout=10)
    # Longer than nats-server's own limit of two seconds.
    raw.settimeout(2.5)
    with pytest.raises(TimeoutError):
        raw.recv(1)
    raw.settimeout(10)
    with trusting(home).wrap_socket(raw, server_hostname="localhost") as secured:
        assert secured.version() is not None


def test_the_ports_it_took_are_in_fleet_toml_and_are_taken_again(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with Broker(home) as first:
        ports = (first.mqtt_port, first.client_port)
    assert 0 not in ports
    assert (Fleet.load(home).port, Fleet.load(home).client_port) == ports
    with Broker(home) as second:
        assert (second.mqtt_port, second.client_port) == ports


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=f"port {port} is in use by another program"):
            Broker(home, mqtt_port=port).start()
    assert servers_of(home) == []


def test_a_second_broker_in_the_same_home_is_refused(home: Home, broker: Broker) -> None:
    with pytest.raises(ServiceError, match="a broker is running already"):
        Broker(home).start()
    with MqttDevice(broker.mqtt_port, trusting(home), token(home)) as device:
        assert device.connack == 0


def test_a_key_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    (home.keys / "broker.key").chmod(0o644)
    with pytest.raises(ServiceError, match="broker.key can be read or changed by others"):
        Broker(home).start()


def test_damaged_keys_stop_the_start_with_nats_servers_own_reason(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    (home.keys / "broker.pem").write_bytes((home.keys / "ca.pem").read_bytes())
    with pytest.raises(ServiceError, match="the broker did not start: .*key"):
        Broker(home).start()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_command_takes_its_server_with_it_however_it_ends(tmp_path: Path, how: signal.Signals) -> None:
    home = make_home(tmp_path / "home")
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "broker", "--json"],
        env={**os.environ, "ANSIM_HOME": str(home.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert '"ready": true' in next_line(process)
    servers = servers_of(home)
    assert servers
    process.send_signal(how)
    _, said = process.communicate(timeout=30)
    assert process.returncode == (-how if how == signal.SIGKILL else 0)
    assert said == ""
    assert eventually(lambda: not any(is_running(pid) for pid in servers))


def test_the_command_says_why_its_server_ended(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "broker"],
        env={**os.environ, "ANSIM_HOME": str(home.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "Devices reach the broker" in next_line(process)
    assert next_line(process).startswith("receivers on port")
    assert f"is in the registry {home.path / 'ansim.db'}" in next_line(process)
    for pid in servers_of(home):
        os.kill(pid, signal.SIGKILL)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 5
    assert "the broker stopped" in said


def test_without_a_fleet_a_person_is_told_what_to_do(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    credentials.make(home, "localhost")
    said = subprocess.run(
        [sys.executable, "-c", RUN, "broker"],
        env={**os.environ, "ANSIM_HOME": str(home.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert said.returncode == 2
    assert "ansim init" in said.stderr
