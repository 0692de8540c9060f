"""The chip's Wi-Fi comes and goes, its sockets go through it, and its TLS is real."""

import datetime
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ansim.virtual.forwarder import Service
from chip_kit import Bench, flash_content

PATIENCE_MS = 10_000
JOIN = (
    "import network, time, socket, select\nw = network.WLAN(network.WLAN.IF_STA)\nw.active(True)\n"
    "def join(name, key, reconnects=-1):\n"
    "  w.config(reconnects=reconnects); w.connect(name, key)\n"
    "  return until_joined()\n"
    "def until_joined():\n"
    "  for _ in range(500):\n"
    "    if w.status() != network.STAT_CONNECTING: break\n"
    "    time.sleep_ms(10)\n"
    "  return w.status()\n"
)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A chip in the raw REPL, in reach of one network."""
    with Bench(tmp_path, flash_content({})) as made:
        made.chip.air.set_network("home", "a passphrase")
        made.chip.air.association_ms = 50
        made.chip.power_on()
        made.sees(">>> ")
        made.raw_repl()
        made.run(JOIN)
        yield made


def test_a_known_network_is_joined_after_a_while(bench: Bench) -> None:
    bench.chip.air.association_ms = 500
    assert bench.run("print(w.status(), w.isconnected())") == "1000 False\n"
    assert bench.run("w.connect('home', 'a passphrase'); print(w.status())") == "1001\n"
    assert bench.run("print(until_joined(), w.isconnected(), w.status('rssi'))") == "1010 True -55\n"
    assert {"status": 1010} in bench.told("wifi")


@pytest.mark.parametrize(("name", "key", "status"), [("home", "another one", 202), ("elsewhere", "", 201)])
def test_a_refused_or_absent_network_is_told_when_retries_are_limited(
    bench: Bench, name: str, key: str, status: int
) -> None:
    assert bench.run(f"print(join({name!r}, {key!r}, reconnects=0))") == f"{status}\n"


def test_with_unlimited_retries_the_station_goes_on_until_the_network_is_there(bench: Bench) -> None:
    bench.chip.air.association_ms = 1000
    seen = "w.connect('later', 'a passphrase'); print(w.status())\nwhile w.status() == 1001: time.sleep_ms(10)"
    assert bench.run(seen + "\nprint(w.status())") == "1001\n201\n"
    bench.chip.air.set_network("later", "a passphrase")
    assert bench.run("while not w.isconnected(): time.sleep_ms(10)\nprint(w.config('ssid'))") == "later\n"


def test_the_reason_of_the_last_failure_hides_that_the_next_attempt_is_under_way(bench: Bench) -> None:
    bench.run("join('elsewhere', '', reconnects=0); w.disconnect()")
    bench.chip.air.association_ms = 1000
    seen = "w.connect('home', 'a passphrase'); print(w.status())\nwhile not w.isconnected(): time.sleep_ms(10)"
    assert bench.run(seen + "\nprint(w.status())") == "201\n1010\n"


def test_leaving_a_network_takes_a_moment_and_hides_the_next_attempt_too(bench: Bench) -> None:
    bench.run("join('home', 'a passphrase')")
    left = "w.disconnect(); print(w.isconnected())\nwhile w.isconnected(): time.sleep_ms(5)"
    assert bench.run(left + "\nw.connect('home', 'a passphrase'); print(w.status())") == "True\n1000\n"
    bench.run("while not w.isconnected(): time.sleep_ms(10)")


def test_a_station_that_is_busy_takes_no_other_network(bench: Bench) -> None:
    program = "w.connect('home', 'a passphrase')\ntry: w.connect('other', '')\nexcept OSError: print('busy')"
    assert bench.run(program) == "busy\n"


def test_a_network_whose_dhcp_is_silent_is_never_joined(bench: Bench) -> None:
    bench.chip.air.set_network("home", "a passphrase", service=Service.NO_ADDRESS)
    assert bench.run("w.connect('home', 'a passphrase'); time.sleep_ms(300); print(w.status())") == "1001\n"
    bench.chip.air.set_network("home", "a passphrase")
    assert bench.run("print(until_joined())") == "1010\n"


def test_when_an_access_point_goes_the_station_finds_another_of_the_same_network(bench: Bench, echo: "Echo") -> None:
    bench.chip.air.beacon_timeout_ms = 1000
    bench.chip.air.set_network("home", "a passphrase", access_points=(1, 2))
    connect(bench, echo.port)
    # Long enough for a program to see that it is without a network.
    bench.chip.air.association_ms = 1000
    bench.chip.air.set_network("home", "a passphrase", access_points=(2,))
    bench.run("s.write(b'later'); p = select.poll(); p.register(s, select.POLLIN)")
    assert bench.run("print(p.poll(100))") == "[]\n"
    assert bench.run("while w.isconnected(): time.sleep_ms(5)\nprint(w.status(), until_joined())") == "1001 1010\n"
    bench.chip.air.set_network("home", "a passphrase", access_points=(3, 2))
    assert bench.run("print(s.read(5)); time.sleep_ms(500); print(w.isconnected())") == "b'later'\nTrue\n"


def test_a_channel_is_where_the_scan_begins_and_a_connection_with_a_name_forgets_it(bench: Bench) -> None:
    def channels(program: str) -> int:
        before = bench.chip.services.station.scanned
        bench.run(program + "\nwhile not w.isconnected(): time.sleep_ms(5)")
        bench.run("w.disconnect()\nwhile w.isconnected(): time.sleep_ms(5)")
        return bench.chip.services.station.scanned - before

    bench.chip.air.set_network("home", "a passphrase", channel=11)
    assert channels("w.connect('home', 'a passphrase')") == 11
    assert channels("w.config(channel=11); w.connect()") == 1
    assert channels("w.config(channel=12); w.connect()") == 13
    assert channels("w.config(channel=11); w.connect('home', 'a passphrase')") == 11


def test_a_radio_that_is_off_takes_a_network_that_it_joins_once_it_is_on(bench: Bench) -> None:
    bench.run("w.active(False)")
    assert bench.run("try: w.connect('home', 'a passphrase')\nexcept OSError: print('off')") == "off\n"
    joined = "w.active(True); w.config(channel=6); w.connect()\nwhile not w.isconnected(): time.sleep_ms(5)"
    assert bench.run(joined + "\nprint(w.config('ssid'), w.config('channel'))") == "home 6\n"


def test_addresses_that_are_set_need_no_dhcp_and_carry_only_where_they_belong(bench: Bench, echo: "Echo") -> None:
    bench.chip.air.set_network("home", "a passphrase", service=Service.NO_ADDRESS)
    bench.run("mine = ('10.0.2.15', '255.255.255.0', '10.0.2.2', '10.0.2.3'); w.ifconfig(mine)")
    assert bench.run("print(join('home', 'a passphrase'), w.ifconfig() == mine)") == "1010 True\n"
    assert bench.chip.services.station.leases == 0
    bench.run(f"s = socket.socket(); s.connect(socket.getaddrinfo('127.0.0.1', {echo.port})[0][-1])")
    assert bench.run("s.write(b'hello'); print(s.read(5))") == "b'hello'\n"
    bench.chip.air.set_network("home", "a passphrase", address="10.0.2.77")
    assert bench.run("s.write(b'later'); p = select.poll(); p.register(s, select.POLLIN); print(p.poll(200))") == "[]\n"
    bench.run("w.disconnect()\nwhile w.isconnected(): time.sleep_ms(5)\nw.ifconfig('dhcp'); w.connect()")
    assert bench.run("while not w.isconnected(): time.sleep_ms(5)\nprint(w.ifconfig()[0])") == "10.0.2.77\n"
    assert bench.chip.services.station.leases == 1


def test_a_scan_lists_what_is_in_reach(bench: Bench) -> None:
    assert bench.run("print([(n[0], n[3]) for n in w.scan()])") == "[(b'home', -55)]\n"


ASK = (
    "from ansim_dns import query, addresses\n"
    "def ask(name, wait_ms=2000):\n"
    "  s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    "  s.connect(socket.getaddrinfo(w.ifconfig()[3], 53)[0][-1])\n"
    "  asked = query(77, name); s.send(asked)\n"
    "  p = select.poll(); p.register(s, select.POLLIN)\n"
    "  return addresses(asked, s.recv(512)) if p.poll(wait_ms) else 'no answer'\n"
)
DNS_MODULE = Path(__file__).parents[2] / "firmware" / "ansim_fw" / "core" / "dns.py"


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Bench]:
    """A chip that has joined a network and can ask its name server."""
    with Bench(tmp_path, flash_content({"ansim_dns.py": DNS_MODULE.read_text()})) as made:
        made.chip.air.set_network("home", "a passphrase")
        made.chip.power_on()
        made.sees(">>> ")
        made.raw_repl()
        made.run(JOIN + ASK)
        made.run("join('home', 'a passphrase')")
        yield made


def test_the_networks_name_server_answers_queries(asking: Bench) -> None:
    assert asking.run("print(ask('localhost'), ask('nobody.invalid'))") == "['127.0.0.1'] []\n"


@pytest.mark.parametrize(
    ("service", "told"),
    [
        (Service.NO_NAMES, "no answer"),
        (Service.UNKNOWN_NAMES, "[]"),
        (Service.CAPTIVE, "['10.0.2.4']"),
        (Service.WRONG_NAMES, "['10.0.2.4']"),
        (Service.NO_WAY_OUT, "['127.0.0.1']"),
    ],
)
def test_a_name_server_does_what_its_network_is_set_to(asking: Bench, service: Service, told: str) -> None:
    asking.chip.air.set_network("home", "a passphrase", service=service)
    wait_ms = 300 if told == "no answer" else PATIENCE_MS
    assert asking.run(f"print(ask('localhost', {wait_ms}))") == f"{told}\n"


def test_a_name_server_is_not_heard_without_the_radio(asking: Bench) -> None:
    asking.chip.air.enabled = False
    assert asking.run("print(ask('localhost', 300))") == "no answer\n"


REACH = (
    "def reach(host, port, wait_ms=2000):\n"
    "  s = socket.socket(); s.setblocking(False)\n"
    "  p = select.poll(); p.register(s, select.POLLOUT)\n"
    "  try: s.connect(socket.getaddrinfo(host, port)[0][-1])\n"
    "  except OSError: pass\n"
    "  if not p.poll(wait_ms): return 'no connection'\n"
    "  s.setblocking(True); s.write(b'hello'); return s.read(5)\n"
)


@pytest.mark.parametrize(
    ("service", "there", "portal"),
    [
        (Service.CAPTIVE, "no connection", b"HTTP/"),
        (Service.NO_WAY_OUT, "no connection", "no connection"),
        (Service.WRONG_NAMES, b"hello", b"HTTP/"),
    ],
)
def test_what_is_reached_through_a_network(
    asking: Bench, echo: "Echo", service: Service, there: object, portal: object
) -> None:
    asking.chip.air.set_network("home", "a passphrase", service=service)
    asking.run(REACH)
    for host, port, found in (("127.0.0.1", echo.port, there), ("10.0.2.4", 8883, portal)):
        wait_ms = 300 if found == "no connection" else PATIENCE_MS
        assert asking.run(f"print(reach({host!r}, {port}, {wait_ms}))") == f"{found}\n"


def test_a_name_is_not_found_without_wifi(bench: Bench) -> None:
    program = "try: socket.getaddrinfo('localhost', 80)\nexcept OSError as e: print(e.errno)"
    assert bench.run(program) == "-202\n"


def test_the_loss_of_the_network_is_noticed_after_the_beacon_timeout_and_the_station_comes_back(bench: Bench) -> None:
    bench.chip.air.beacon_timeout_ms = 1000
    bench.run("join('home', 'a passphrase')")
    bench.chip.air.association_ms = 1000
    bench.chip.air.enabled = False
    lose = "print(w.isconnected())\nwhile w.isconnected(): time.sleep_ms(10)\nprint(w.status())"
    assert bench.run(lose) == "True\n1001\n"
    bench.chip.air.enabled = True
    bench.run("while not w.isconnected(): time.sleep_ms(10)")


@dataclass
class Echo:
    """A TCP server that sends everything back and remembers its connections."""

    port: int
    ended: list[bool]


@pytest.fixture
def echo() -> Iterator[Echo]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Echo(listener.getsockname()[1], [])

        def serve() -> None:
            try:
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=talk, args=(connection,), daemon=True).start()
            except OSError:
                return

        def talk(connection: socket.socket) -> None:
            with connection:
                try:
                    while data := connection.recv(4096):
                        connection.sendall(data)
                except OSError:
                    return
            made.ended.append(True)

        threading.Thread(target=serve, daemon=True).start()
        yield made
        listener.shutdown(socket.SHUT_RDWR)


def connect(bench: Bench, port: int) -> None:
    bench.run("join('home', 'a passphrase')")
    bench.run(f"s = socket.socket(); s.connect(socket.getaddrinfo('localhost', {port})[0][-1])")
    assert bench.run("s.write(b'hello'); print(s.read(5))") == "b'hello'\n"


def test_a_connection_stands_still_while_the_radio_is_out_of_reach_and_goes_on_afterwards(
    bench: Bench, echo: Echo
) -> None:
    connect(bench, echo.port)
    bench.chip.air.enabled = False
    bench.run("s.write(b'later'); p = select.poll(); p.register(s, select.POLLIN)")
    assert bench.run("print(p.poll(200))") == "[]\n"
    bench.chip.air.enabled = True
    assert bench.run("print(s.read(5))") == "b'later'\n"


def test_a_connection_that_the_network_forgot_carries_nothing_and_a_new_one_does(bench: Bench, echo: Echo) -> None:
    connect(bench, echo.port)
    bench.chip.air.forget()
    bench.run("s.write(b'later'); p = select.poll(); p.register(s, select.POLLIN)")
    assert bench.run("print(p.poll(200)); s.close()") == "[]\n"
    connect(bench, echo.port)
    assert not echo.ended


def test_closing_a_socket_ends_the_connection_at_the_other_end(bench: Bench, echo: Echo) -> None:
    connect(bench, echo.port)
    bench.run("s.close()")
    bench.until(lambda: echo.ended)


def test_a_chip_without_power_says_no_goodbye(bench: Bench, echo: Echo) -> None:
    connect(bench, echo.port)
    bench.chip.halt()
    bench.chip.power_on()
    bench.sees(">>> ")
    assert not echo.ended


def test_a_port_that_nobody_listens_on_resets_the_connection(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    bench.run("join('home', 'a passphrase')")
    program = (
        f"s = socket.socket(); s.connect(socket.getaddrinfo('localhost', {port})[0][-1])\n"
        "try: s.read(1); print('end')\nexcept OSError as e: print(e.errno)"
    )
    assert bench.run(program) == "104\n"


def certificate(name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None):  # type: ignore[no-untyped-def]
    """Return a P-256 certificate and its key; its own issuer unless one is given."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime(2000, 1, 1))
        .not_valid_after(datetime.datetime(2099, 1, 1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


@dataclass
class TlsServer:
    port: int
    ca_der: bytes
    other_der: bytes


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[TlsServer]:
    """A TLS server named broker.local that sends back what it gets."""
    authority, other = certificate("Authority"), certificate("Other")
    leaf, key = certificate("broker.local", authority)
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "server.pem").write_bytes(leaf.public_bytes(pem) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(plain, server_side=True) as secure:
                        while data := secure.recv(4096):
                            secure.sendall(data)
                except OSError:
                    plain.close()

        threading.Thread(target=serve, daemon=True).start()
        der = serialization.Encoding.DER
        yield TlsServer(listener.getsockname()[1], authority[0].public_bytes(der), other[0].public_bytes(der))
        listener.shutdown(socket.SHUT_RDWR)


HANDSHAKE = """
import ssl
def secure(port, ca, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=ca)
    s = socket.socket()
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.setblocking(False)
    try:
        s.connect(socket.getaddrinfo('localhost', port)[0][-1])
    except OSError as error:
        print('connect', error.errno)
    writable = select.poll()
    writable.register(s, select.POLLOUT)
    writable.poll(2000)
    t = context.wrap_socket(s, server_hostname=name, do_handshake_on_connect=False)
    readable = select.poll()
    readable.register(t, select.POLLIN)
    steps = 0
    while t.write(b'hello') is None:
        readable.poll(2000)
        steps += 1
    while (got := t.read(5)) is None:
        readable.poll(2000)
    print(got, steps > 0)
"""


def test_a_handshake_in_steps_reaches_a_server_whose_certificate_is_trusted(bench: Bench, tls: TlsServer) -> None:
    bench.run(HANDSHAKE + "join('home', 'a passphrase')")
    # No answer is there before the chip has looked for it once.
    bench.chip.air.delay_ms = 20
    assert bench.run(f"secure({tls.port}, {tls.ca_der!r}, 'broker.local')") == "connect 115\nb'hello' True\n"


@pytest.mark.parametrize(("trusted", "name"), [(False, "broker.local"), (True, "elsewhere.local")])
def test_an_untrusted_or_misnamed_server_is_refused(bench: Bench, tls: TlsServer, trusted: bool, name: str) -> None:
    bench.run(HANDSHAKE + "join('home', 'a passphrase')")
    ca = tls.ca_der if trusted else tls.other_der
    program = f"try: secure({tls.port}, {ca!r}, {name!r})\nexcept ValueError as e: print('refused', e)"
    assert "refused \nThe certificate" in bench.run(program)


def test_a_slow_air_delays_what_crosses_it(bench: Bench, echo: Echo) -> None:
    connect(bench, echo.port)
    bench.chip.air.delay_ms = 100
    started = time.monotonic()
    bench.run("s.write(b'hello'); s.read(5)")
    assert time.monotonic() - started > 0.2
