"""What tests of refusals share: a fleet with a registry, and a broker whose warden looks when it is told to."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mqtt_device import MqttDevice, make_home, trusting

from ansim import credentials, nats_jwt, secret_files
from ansim.account import Account, system_token
from ansim.broker import Broker
from ansim.errors import AnsimError
from ansim.home import Home
from ansim.key_files import key_pair
from ansim.nats_jwt import public_part
from ansim.registry import Registry
from ansim.signing import Signing
from ansim.warden import Warden


@dataclass
class Town:
    """A fleet; ``complaints`` are what its warden asked people to do."""

    home: Home
    registry: Registry
    broker: Broker
    warden: Warden
    complaints: list[AnsimError]

    @property
    def signing(self) -> Signing:
        return Signing(self.home, self.registry.credentials)

    def enrol(self, number: int = 1) -> str:
        """Return the name of the device with this number."""
        return self.registry.enroll(f"24:6f:28:00:00:{number:02x}", board="virtual", site="city", role="hub").device

    def issue(self, device: str) -> str:
        """Return a new token for device, as a station gets one that is about to write it."""
        token = self.signing.authority().device_token(self.registry.get(device))
        self.registry.issue(device, public_part(token))
        return token

    def found(self, device: str, token: str) -> None:
        """Note that device was seen to run with token."""
        self.registry.record(device, "provision", "passed", holds=public_part(token))

    def provision(self, device: str) -> str:
        token = self.issue(device)
        self.found(device, token)
        return token

    def connect(self, device: str, token: str) -> MqttDevice:
        return MqttDevice(self.broker.mqtt_port, trusting(self.home), token, device=device)

    def lets_in(self, device: str, token: str) -> bool:
        with self.connect(device, token) as connection:
            return connection.connack == 0


@contextlib.contextmanager
def watched(fleet: Town) -> Iterator[None]:
    """While it lasts, the warden looks again and again, as it does in ``ansim broker``."""
    ends = threading.Event()

    def watch() -> None:
        while not ends.wait(0.05):
            fleet.warden.check()

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        ends.set()
        watching.join()


@contextlib.contextmanager
def town(home: Home) -> Iterator[Town]:
    """A fleet of home with its registry and a running broker, which has looked into that once."""
    complaints: list[AnsimError] = []
    with (
        Registry.open(home.database_url) as registry,
        Broker(home) as broker,
        Warden(home, broker, complaints.append) as warden,
    ):
        warden.check()
        yield Town(home, registry, broker, warden, complaints)


def old_home(path: Path) -> Home:
    """Return a home as it was made before there were signing keys: operator and account sign for themselves."""
    home = make_home(path)
    keys = home.keys
    operator, account, system = (key_pair(keys / f"{name}.nk") for name in ("operator", "account", "system"))
    plain = {"system_account": system.public, "type": "operator"}
    for name, token in (
        ("operator.jwt", nats_jwt.encode(operator, operator.public, "ansim", plain)),
        ("system.jwt", system_token(operator, system.public)),
        ("account.jwt", Account(account.public, int(time.time()) - 60).token(operator)),
    ):
        secret_files.replace(keys / name, token.encode())
    for file in (*keys.glob("signing-*.nk"), keys / "broker.nk", keys / "receiver.creds"):
        file.unlink()
    with taken_away(home, "operator.nk"):
        credentials.make(home, "localhost")
    return home


@contextlib.contextmanager
def taken_away(home: Home, name: str) -> Iterator[None]:
    """While it lasts, a key is where nobody can use it."""
    aside = home.path / name
    (home.keys / name).rename(aside)
    yield
    aside.rename(home.keys / name)
