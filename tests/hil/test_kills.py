"""Broker and receiver are killed, Wi-Fi goes, a certificate expires, around presses: each press has its one row."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansim import credentials, pki
from ansim.broker import Broker
from ansim.client import Deadline
from ansim.database import Database
from ansim.event_store import EventStore
from ansim.home import Home
from ansim.kept_ports import kept_ports
from ansim.sandbox import Sandbox
from unit_under_test import PATIENCE_S, UnitUnderTest

pytestmark = pytest.mark.needs("boards", "flash", "press", "radio", "wifi")

# What the device announces of an alarm, in this order: at each of them something is killed.
MOMENTS = ("raised", "journalled", "sent", "acknowledged")
# No finger is back on the button in less time.
_FINGER_S = 0.1
EXPIRED_AT = datetime(2020, 1, 1, tzinfo=UTC)


class ReceiverProcess:
    """``ansim receive`` as an operator runs it."""

    def __init__(self, home: Home, folder: Path) -> None:
        self._home = home
        self._output = folder / "receive.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ansim", "receive", "--json"],
                env={**os.environ, "ANSIM_HOME": str(self._home.path)},
                stdout=output,
                stderr=output,
            )

    def until_ready(self) -> None:
        deadline = Deadline(PATIENCE_S)
        while '{"ready": true}' not in self._output.read_text():
            assert not deadline.expired, self._output.read_text()
            time.sleep(0.01)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class City:
    """A fleet whose broker and receiver are processes that can be killed, and one device of it.

    Attributes:
        pressed: the ids of all alarms that the device raised, as it announced them.
    """

    def __init__(self, folder: Path) -> None:
        self._sandbox = Sandbox(folder)
        self._sandbox.make_fleet()
        self.home = self._sandbox.home
        self.receiver = ReceiverProcess(self.home, folder)
        self.pressed: list[tuple[int, int]] = []

    def __enter__(self) -> "City":
        with ExitStack() as starting:
            # While it is away no other test gets them.
            self.broker = Broker(self.home, *starting.enter_context(kept_ports()))
            starting.callback(self.broker.stop)
            self.broker.start()
            starting.callback(self.receiver.kill)
            self.receiver.start()
            self.receiver.until_ready()
            self.device = UnitUnderTest.on(self._sandbox, self._sandbox.start_board())
            starting.callback(self.device.close)
            self._prepare()
            self._ending = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def _prepare(self) -> None:
        self.device.flash()
        self.device.connect()
        self.device.until_connected()
        # A press is an alarm at once, and the next one another.
        self.device.configure(cancel_s=0)

    def press(self, until: str = "raised") -> None:
        """Press the button, and return with the finger still on it as soon as the device announces so much of it."""
        self.device.control.button(True)
        raised = self.device.announced("raised", kind="sos")
        self.pressed.append((raised["boot"], raised["seq"]))
        if until != "raised":
            self.device.announced(until, boot=raised["boot"], seq=raised["seq"])

    def let_go(self) -> None:
        self.device.control.button(False)
        time.sleep(_FINGER_S)

    def rows(self) -> list[tuple[int, int]]:
        with closing(Database.open(self.home.database_url)) as database:
            return [(alarm.boot, alarm.seq) for alarm in EventStore(database).alarms()]

    def kill_broker(self) -> None:
        # Broker and guard are a process group of their own; the guard would end the broker in order.
        assert self.broker._process is not None
        os.killpg(self.broker._process.pid, signal.SIGKILL)
        self.broker.stop()

    def renew_certificate(self) -> None:
        (self.home.keys / "broker.pem").unlink()
        credentials.make(self.home, "localhost")

    def take(self, victim: str) -> None:
        if victim in ("broker", "both"):
            self.kill_broker()
        if victim in ("receiver", "both"):
            self.receiver.kill()
        if victim == "wifi":
            self.device.control.wifi(False)

    def give_back(self, victim: str) -> None:
        if victim in ("broker", "both"):
            self.broker.start()
        if victim in ("receiver", "both"):
            self.receiver.start()
        if victim == "wifi":
            self.device.control.wifi(True)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    with City(tmp_path_factory.mktemp("city")) as made:
        yield made


@pytest.mark.parametrize("victim", ["broker", "receiver", "both", "wifi"])
def test_presses_before_during_and_after_a_kill_have_one_row_each(city: City, victim: str) -> None:
    for moment in MOMENTS:
        city.press(until=moment)
        city.take(victim)
        city.let_go()
        city.press()
        city.let_go()
        city.give_back(victim)
        city.press()
        city.let_go()
        city.device.until_connected()
        assert sorted(city.rows()) == sorted(city.pressed), f"killed when it was {moment}"


def test_a_press_while_the_brokers_certificate_is_expired_arrives_once_it_is_renewed(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    city.broker.stop()
    with monkeypatch.context() as patched:
        patched.setattr(pki, "NOT_AFTER", EXPIRED_AT)
        city.renew_certificate()
    city.broker.start()
    city.press()
    city.let_go()
    city.device.announced("link", state="off", fault="tls_refused")
    assert city.pressed[-1] not in city.rows()
    city.broker.stop()
    city.renew_certificate()
    city.broker.start()
    city.device.until_connected()
    assert sorted(city.rows()) == sorted(city.pressed)
