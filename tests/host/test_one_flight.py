"""CONNECT, SUBSCRIBE and PUBLISH in one flight, against the real broker: taken in order, or refused as a whole."""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from mqtt_device import TIMEOUT_S, identity, make_home, trusting
from receiver_kit import ack, eventually, receiving, rows, wire

from ansim.broker import Broker
from ansim.credentials import Authority
from ansim.database import Database
from ansim.home import Home
from ansim_fw.core import message, mqtt

SUBSCRIBE_ID = 1


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home")


@pytest.fixture
def broker(home: Home) -> Iterator[Broker]:
    with Broker(home) as running:
        yield running


@pytest.fixture
def database(home: Home) -> Iterator[Database]:
    opened = Database.open(home.database_url)
    yield opened
    opened.close()


def flight(token: str, seqs: range, client: str = "AN000001-one-flight") -> bytes:
    """Return what a device sends that has so many events to tell."""
    topic = message.event_topic("city", "AN000001")
    packets = [mqtt.connect(client, "AN000001", token.encode(), 60)]
    packets.append(mqtt.subscribe(SUBSCRIBE_ID, message.command_topic("city", "AN000001")))
    packets += [mqtt.publish(2 + seq, topic, wire(seq)) for seq in seqs]
    return b"".join(packets)


def answers(home: Home, broker: Broker, sent: list[bytes], until: int) -> list[tuple[int, bytes]]:
    """Send each of the records over a new connection; return packets up to so many PUBLISH, or to the end."""
    found: list[tuple[int, bytes]] = []
    raw = socket.create_connection(("127.0.0.1", broker.mqtt_port), timeout=TIMEOUT_S)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with trusting(home).wrap_socket(raw, server_hostname="localhost") as secured:
        for record in sent:
            secured.sendall(record)
        reader = mqtt.Reader()
        while [kind for kind, _ in found].count(mqtt.PUBLISH) < until:
            data = secured.recv(mqtt.READ_BYTES)
            if not data:
                break
            reader.feed(data, len(data))
            while (packet := reader.next()) is not None:
                found.append((packet[0], packet[2]))
    return found


def commands(found: list[tuple[int, bytes]]) -> list[dict[str, object]]:
    bodies = [body for kind, body in found if kind == mqtt.PUBLISH]
    return [message.decode_command(body[2 + struct.unpack(">H", body[:2])[0] :]) for body in bodies]


# As one record; and as a device sends it that finds out by the first byte that the handshake is over.
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("events", [1, 8])
def test_a_flight_is_taken_in_its_order(
    home: Home, broker: Broker, database: Database, first: int, events: int
) -> None:
    whole = flight(Authority.load(home).device_token(identity()), range(events))
    records = [whole[:first], whole[first:]] if first else [whole]
    with receiving(home, database):
        found = answers(home, broker, records, events)
    assert found[0] == (mqtt.CONNACK, b"\0\0")
    assert found[1] == (mqtt.SUBACK, struct.pack(">H", SUBSCRIBE_ID) + b"\0")
    assert commands(found) == [ack(seq) for seq in range(events)]


@pytest.mark.parametrize("events", [1, 8])
def test_a_flight_behind_a_wrong_token_is_refused_as_a_whole(
    home: Home, broker: Broker, database: Database, tmp_path: Path, events: int
) -> None:
    stranger = make_home(tmp_path / "stranger")
    token = Authority.load(stranger).device_token(identity())
    with receiving(home, database):
        for _ in range(20):
            found = answers(home, broker, [flight(token, range(events))], events)
            assert found == [(mqtt.CONNACK, b"\0\5")]
        good = flight(Authority.load(home).device_token(identity()), range(100, 101))
        assert commands(answers(home, broker, [good], 1)) == [ack(100)]
    assert [row["seq"] for row in rows(home)] == [100]


def test_a_flight_of_a_device_that_goes_away_at_once_is_stored(home: Home, broker: Broker, database: Database) -> None:
    """Its radio may be lost before the ack: it sends again, and the id keeps the second from being another event."""
    token = Authority.load(home).device_token(identity())
    with receiving(home, database):
        assert answers(home, broker, [flight(token, range(1))], 0) == []
        assert eventually(lambda: len(rows(home)) == 1)
        assert commands(answers(home, broker, [flight(token, range(1))], 1)) == [ack(0)]
    assert [row["deliveries"] for row in rows(home)] == [2]
