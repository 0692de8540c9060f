"""What a device must refuse, what refuses a device, and that it says so."""

import contextlib
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

from ansim import credentials
from ansim.credentials import Authority
from ansim.fleet import Fleet
from ansim.home import Home
from ansim.registry import Registry
from ansim.sandbox import Sandbox
from unit_under_test import PATIENCE_S, UnitUnderTest


@pytest.fixture
def mended(device: UnitUnderTest) -> Iterator[UnitUnderTest]:
    """The device; its own identity is given back to it at the end."""
    yield device
    device.write_identity()


@pytest.fixture
def other_fleet(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Another fleet's keys."""
    home = Home(tmp_path_factory.mktemp("other"))
    credentials.make(home, "localhost")
    return home


@pytest.fixture
def plain_server() -> Iterator[int]:
    """A server that takes any connection and answers in plain text: a broker without TLS. Yields its port."""
    yield from server(b"\x20\x02\x00\x00" * 8)


@pytest.fixture
def closing_server() -> Iterator[int]:
    """A server that takes any connection and ends it: a broker that is just being stopped. Yields its port."""
    yield from server(b"")


def server(answer: bytes) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(1024)
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    yield int(listener.getsockname()[1])
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def says(device: UnitUnderTest, fault: str, always_told: bool = True) -> None:
    """The device says the fault, keeps its alarm path, and tells the receiver when it can.

    Args:
        always_told: the receiver is to know of it even when it was over soon.
    """
    device.connect()
    device.until(lambda info: info["link_fault"] == fault, f"at {fault}")
    boot = device.info()["boot"]
    device.press()
    alarm = device.announced("journalled", kind="sos")
    device.write_identity()
    device.connect()
    device.until_connected()
    if always_told:
        device.receives(lambda event: event.boot == boot and event.kind == fault, fault)
    device.receives(lambda event: (event.boot, event.seq) == (boot, alarm["seq"]), "alarm")


def test_a_token_of_another_fleet(mended: UnitUnderTest, other_fleet: Home) -> None:
    with Registry.open(mended.sandbox.home.database_url) as registry:
        identity = next(each for each in registry.devices() if each.device == mended.name)
    mended.write_identity(jwt=Authority.load(other_fleet).device_token(identity))
    says(mended, "broker_refused")


def test_no_token(mended: UnitUnderTest, enter_repl: "Callable[[UnitUnderTest], Callable[..., str]]") -> None:
    repl = enter_repl(mended)
    repl("exec", "import esp32; nvs = esp32.NVS('ansim'); nvs.erase_key('jwt'); nvs.commit()")
    mended.control.reset()
    says(mended, "broker_refused")


def test_a_broker_of_an_authority_that_is_not_ours(mended: UnitUnderTest, other_fleet: Home) -> None:
    mended.write_identity(ca_der=Authority.load(other_fleet).ca_der())
    says(mended, "tls_refused")


def test_a_broker_with_another_name_than_its_certificate(mended: UnitUnderTest) -> None:
    # Another way to write 127.0.0.1: the same broker, under a name that it has no certificate for.
    mended.write_identity(host="127.1")
    says(mended, "tls_refused")


def test_a_broker_that_is_found_on_the_local_link_and_has_no_certificate_for_that_name(mended: UnitUnderTest) -> None:
    mended.write_identity(host="localhost.local")
    says(mended, "tls_refused")


def test_a_broker_in_plain_text(mended: UnitUnderTest, plain_server: int) -> None:
    mended.write_identity(port=plain_server)
    says(mended, "tls_refused")


def test_a_broker_that_ends_the_connection_is_no_refusal(mended: UnitUnderTest, closing_server: int) -> None:
    mended.write_identity(port=closing_server)
    mended.connect()
    mended.announced("link", state="tls")
    assert mended.announced("link", state="off")["fault"] == "broker_unreachable"


def test_a_wrong_passphrase(mended: UnitUnderTest) -> None:
    fleet = Fleet.load(mended.sandbox.home)
    mended.write_identity(wifi=((fleet.wifi[0].ssid, "not-the-passphrase"),))
    says(mended, "wifi_refused")


# A broker's part of a connection, up to where it says no more: one answer to each thing that the device says.
CONNACK = b"\x20\x02\x00\x00"
HALF_BROKERS = {
    "refuses the subscription": ([CONNACK, b"\x90\x03\x00\x01\x80"], "broker_refused"),
    "refuses, and subscribes all the same": ([b"\x20\x02\x00\x05\x90\x03\x00\x01\x00"], "broker_refused"),
    "is not available": ([b"\x20\x02\x00\x03"], "broker_refused"),
    "talks nonsense": ([b"\x20\xff\xff\xff\xff"], "broker_unreachable"),
}
# Over TCP alone, over TLS, and after the CONNACK: whether with TLS, and the answers.
SILENT_BROKERS: list[tuple[bool, list[bytes]]] = [(False, []), (True, [b""]), (True, [CONNACK, b""])]


class HalfBroker:
    """Takes any connection, gives each of the answers to one thing that is said, and then stays silent.

    Attributes:
        port: where it listens, on 127.0.0.1.
    """

    def __init__(self, tls: ssl.SSLContext | None, answers: list[bytes]) -> None:
        self._tls = tls
        self._answers = answers
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def close(self) -> None:
        for end in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in self._threads:
            thread.join()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                self._threads.append(threading.Thread(target=self._talk, args=(connection,)))
                self._threads[-1].start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            for answer in self._answers:
                connection.recv(4096)
                connection.sendall(answer)
            while connection.recv(4096):
                pass


@pytest.fixture
def half_broker(sandbox: Sandbox) -> Iterator[Callable[[bool, list[bytes]], int]]:
    """Start a HalfBroker with or without the broker's own certificate; return its port."""
    started: list[HalfBroker] = []

    def start(secured: bool, answers: list[bytes]) -> int:
        context = None
        if secured:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(sandbox.home.keys / "broker.pem", sandbox.home.keys / "broker.key")
        started.append(HalfBroker(context, answers))
        return started[-1].port

    yield start
    for one in started:
        one.close()


@pytest.mark.parametrize("what", HALF_BROKERS)
def test_a_broker_that(mended: UnitUnderTest, half_broker: Callable[[bool, list[bytes]], int], what: str) -> None:
    answers, fault = HALF_BROKERS[what]
    mended.write_identity(port=half_broker(True, answers))
    says(mended, fault, always_told=fault == "broker_refused")


def test_brokers_that_fall_silent(
    several: Callable[[int], list[UnitUnderTest]], half_broker: Callable[[bool, list[bytes]], int]
) -> None:
    devices = several(len(SILENT_BROKERS))
    for device, (secured, answers) in zip(devices, SILENT_BROKERS, strict=True):
        device.write_identity(port=half_broker(secured, answers))
    for device in devices:
        says(device, "broker_unreachable", always_told=False)


@pytest.fixture
def listening_broker(sandbox: Sandbox) -> Iterator[tuple[int, "queue.Queue[bytes]"]]:
    """A TLS server with the broker's own certificate that reads one packet. Yields its port and the packet's queue."""
    keys = sandbox.home.keys
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "broker.pem", keys / "broker.key")
    packets: queue.Queue[bytes] = queue.Queue()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)

        def serve() -> None:
            connection, _ = listener.accept()
            connection.settimeout(PATIENCE_S)
            with context.wrap_socket(connection, server_side=True) as secured:
                packets.put(secured.recv(4096))

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listener.getsockname()[1]), packets
        thread.join()


def test_a_device_connects_under_a_client_id_that_no_other_can_guess(
    mended: UnitUnderTest, listening_broker: tuple[int, "queue.Queue[bytes]"]
) -> None:
    port, packets = listening_broker
    with Registry.open(mended.sandbox.home.database_url) as registry:
        identity = next(each for each in registry.devices() if each.device == mended.name)
    token = Authority.load(mended.sandbox.home).device_token(identity)
    mended.write_identity(port=port, jwt=token)
    packet = packets.get(timeout=PATIENCE_S)
    client_id = f"{mended.name}-{token[-12:]}".encode()
    assert len(client_id).to_bytes(2, "big") + client_id in packet
    assert token.encode() in packet
