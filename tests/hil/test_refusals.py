"""What a device must refuse, what refuses a device, and that it says so."""

import contextlib
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from ansim import credentials
from ansim.credentials import Authority
from ansim.fleet import Fleet
from ansim.home import Home
from ansim.registry import Registry
from ansim.sandbox import Sandbox
from ansim.warden import Warden
from ansim_fw.core import event_reader
from unit_under_test import PATIENCE_S, UnitUnderTest

pytestmark = pytest.mark.needs("flash", "wifi")


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
def plain_server(sandbox: Sandbox) -> Iterator[int]:
    """A server that takes any connection and answers in plain text: a broker without TLS. Yields its port."""
    with HalfBroker(sandbox.host, None, [CONNACK * 8], hangs_up=True) as broker:
        yield broker.port


@pytest.fixture
def closing_server(sandbox: Sandbox) -> Iterator[int]:
    """A server that takes any connection and ends it: a broker that is just being stopped. Yields its port."""
    with HalfBroker(sandbox.host, None, [b""], hangs_up=True) as broker:
        yield broker.port


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


@pytest.mark.needs("press")
def test_a_token_of_another_fleet(mended: UnitUnderTest, other_fleet: Home) -> None:
    with Registry.open(mended.sandbox.home.database_url) as registry:
        identity = next(each for each in registry.devices() if each.device == mended.name)
    mended.write_identity(jwt=Authority.load(other_fleet).device_token(identity))
    says(mended, "broker_refused")


@pytest.mark.needs("press")
def test_being_retired_until_it_has_a_new_token(mended: UnitUnderTest) -> None:
    sandbox = mended.sandbox
    with (
        Registry.open(sandbox.home.database_url) as registry,
        Warden(sandbox.home, sandbox.broker, lambda error: pytest.fail(error.message)) as warden,
    ):
        mended.connect()
        mended.until_connected()
        registry.retire(mended.name, "dropped into water")
        warden.check()
        mended.until(lambda info: info["link_fault"] == "broker_refused", "refused")
        registry.reinstate(mended.name, "found to be dry")
        warden.check()
    says(mended, "broker_refused")


def test_the_longest_names_make_no_token_too_long(mended: UnitUnderTest) -> None:
    site = "s" * event_reader.MAX_NAME
    with Registry.open(mended.sandbox.home.database_url) as registry:
        identity = replace(registry.get(mended.name), site=site)
    mended.write_identity(site=site, jwt=Authority.load(mended.sandbox.home).device_token(identity))
    mended.connect()
    mended.until_connected()


@pytest.mark.needs("press", "reset")
def test_no_token(mended: UnitUnderTest, enter_repl: "Callable[[UnitUnderTest], Callable[..., str]]") -> None:
    repl = enter_repl(mended)
    repl("exec", "import esp32; nvs = esp32.NVS('ansim'); nvs.erase_key('jwt'); nvs.commit()")
    mended.control.reset()
    says(mended, "broker_refused")


@pytest.mark.needs("press")
def test_a_broker_of_an_authority_that_is_not_ours(mended: UnitUnderTest, other_fleet: Home) -> None:
    mended.write_identity(ca_der=Authority.load(other_fleet).ca_der())
    says(mended, "tls_refused")


@pytest.mark.needs("press")
def test_a_broker_with_another_name_than_its_certificate(mended: UnitUnderTest) -> None:
    # Another way to write its address: the same broker, under a name that it has no certificate for.
    first, second, third, fourth = map(int, socket.gethostbyname(mended.sandbox.host).split("."))
    mended.write_identity(host=f"{first}.{second}.{third * 256 + fourth}")
    says(mended, "tls_refused")


@pytest.mark.needs("press", "radio")
def test_a_broker_that_is_found_on_the_local_link_and_has_no_certificate_for_that_name(mended: UnitUnderTest) -> None:
    mended.write_identity(host="localhost.local")
    says(mended, "tls_refused")


@pytest.mark.needs("press")
def test_a_broker_in_plain_text(mended: UnitUnderTest, plain_server: int) -> None:
    mended.write_identity(port=plain_server)
    says(mended, "tls_refused")


def test_a_broker_that_ends_the_connection_is_no_refusal(mended: UnitUnderTest, closing_server: int) -> None:
    mended.write_identity(port=closing_server)
    mended.connect()
    mended.announced("link", state="tls")
    assert mended.announced("link", state="off")["fault"] == "broker_unreachable"


@pytest.mark.needs("press")
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
    """Takes any connection, gives each of the answers to one thing that is said, and then hangs up or stays silent.

    A context manager. A device that is reset says no goodbye, so it is the end of this one that ends its connections.

    Attributes:
        port: where it listens, at host.
    """

    def __init__(self, host: str, tls: ssl.SSLContext | None, answers: list[bytes], hangs_up: bool = False) -> None:
        self._tls = tls
        self._answers = answers
        self._hangs_up = hangs_up
        self._open: list[socket.socket] = []
        self._listener = socket.create_server((host, 0))
        self.port = int(self._listener.getsockname()[1])
        self._listening = threading.Thread(target=self._listen)
        self._talking: list[threading.Thread] = []
        self._listening.start()

    def __enter__(self) -> "HalfBroker":
        return self

    def __exit__(self, *_: object) -> None:
        _wake(self._listener)
        # Only then no more connections come.
        self._listening.join()
        self._listener.close()
        for connection in self._open:
            _wake(connection)
        for thread in self._talking:
            thread.join()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                self._talking.append(threading.Thread(target=self._talk, args=(connection,)))
                self._talking[-1].start()

    def _talk(self, plain: socket.socket) -> None:
        with plain, contextlib.suppress(OSError), self._secured(plain) as connection:
            for answer in self._answers:
                connection.recv(4096)
                connection.sendall(answer)
            while not self._hangs_up and connection.recv(4096):
                pass

    def _secured(self, plain: socket.socket) -> socket.socket:
        # A duplicate: what is in _open stays a socket that can be woken, in the handshake and after it.
        copy = plain.dup()
        return copy if self._tls is None else self._tls.wrap_socket(copy, server_side=True)


def _wake(end: socket.socket) -> None:
    """End a socket for the thread that waits for it; closing it would leave that waiting."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def half_broker(sandbox: Sandbox) -> Iterator[Callable[[bool, list[bytes]], int]]:
    """Start a HalfBroker with or without the broker's own certificate; return its port."""
    started = contextlib.ExitStack()

    def start(secured: bool, answers: list[bytes]) -> int:
        context = None
        if secured:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(sandbox.home.keys / "broker.pem", sandbox.home.keys / "broker.key")
        return started.enter_context(HalfBroker(sandbox.host, context, answers)).port

    with started:
        yield start


@pytest.mark.needs("press")
@pytest.mark.parametrize("what", HALF_BROKERS)
def test_a_broker_that(mended: UnitUnderTest, half_broker: Callable[[bool, list[bytes]], int], what: str) -> None:
    answers, fault = HALF_BROKERS[what]
    mended.write_identity(port=half_broker(True, answers))
    says(mended, fault, always_told=fault == "broker_refused")


@pytest.mark.needs("press")
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
    with socket.create_server((sandbox.host, 0)) as listener:
        listener.settimeout(PATIENCE_S)

        def serve() -> None:
            connection, _ = listener.accept()
            connection.settimeout(PATIENCE_S)
            with context.wrap_socket(connection, server_side=True) as secured:
                # A device sends the first byte when the handshake is over, and the others with what is to go with them.
                packets.put(secured.recv(1) + secured.recv(4096))

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
    # Four more digits are other ones each time.
    assert (len(client_id) + 4).to_bytes(2, "big") + client_id in packet
    assert token.encode() in packet
