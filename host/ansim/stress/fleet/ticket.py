"""What a process of the load is given: where broker and master are, and the key of a fleet that is made for one run."""

import json
import ssl
from dataclasses import asdict, dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from ansim import key_files, nats_jwt, pki, secret_files
from ansim.credentials import Authority, Signer
from ansim.errors import BadInput
from ansim.home import Home
from ansim_fw.core import config

SITE = "city"
# The least that a device takes, and more than any city asks for.
HEARTBEAT_MIN = 1


@dataclass(frozen=True)
class Ticket:
    """It lets whoever has it act as the devices of this run's fleet, on this run's broker, and nothing else.

    Args:
        host: broker and master are there; an address of this machine, always.
        broker_port, master_port: the broker's MQTT port, and the port of Locust's master.
        ca_pem: the certificate that the broker proves itself with.
        seed: what signs the devices' tokens, in account's name.
        shares: between how many processes the fleet is shared.
        heartbeat_min, spread_s: the devices' settings.
    """

    host: str
    broker_port: int
    master_port: int
    ca_pem: str
    seed: str = field(repr=False)
    account: str
    shares: int
    heartbeat_min: int
    spread_s: int

    def __post_init__(self) -> None:
        check_loopback(self.host)
        for port in (self.broker_port, self.master_port):
            if not 0 < port < 65536:
                raise ValueError("port")
        config.check("heartbeat_min", self.heartbeat_min)
        config.check("spread_s", self.spread_s)

    @classmethod
    def of(cls, home: Home, broker_port: int, master_port: int, shares: int, spread_s: int) -> "Ticket":
        """Return the ticket for the fleet of home, which was made for this run."""
        signer = Signer.newest(home)
        account = key_files.account(home, key_files.operator(home)).public
        ca_pem = secret_files.read(home.keys / "ca.pem").decode()
        seed = signer.key.seed.decode()
        return cls("127.0.0.1", broker_port, master_port, ca_pem, seed, account, shares, HEARTBEAT_MIN, spread_s)

    @classmethod
    def read(cls, path: Path) -> "Ticket":
        """Read a ticket.

        Raises:
            ServiceError: missing, or others than its owner may read it.
            BadInput: damaged, or it leads to another machine.
        """
        text = secret_files.read(path)
        try:
            return cls(**_typed(json.loads(text)))
        except (ValueError, TypeError, KeyError):
            # The cause may quote the seed.
            raise BadInput(f"{path} is no ticket of a fleet run", "Copy it again from where the run is.") from None

    def write(self, path: Path) -> None:
        """Write it, mode 0600."""
        secret_files.replace(path, json.dumps(asdict(self), indent=1).encode())

    def authority(self) -> Authority:
        """Return what issues this fleet's tokens."""
        signer = Signer(nats_jwt.KeyPair(self.seed.encode()), {"issuer_account": self.account})
        return Authority(signer, pki.to_der(self.ca_pem.encode()))

    def trusting(self) -> ssl.SSLContext:
        """Return a context that trusts this run's own CA and no other."""
        return ssl.create_default_context(cadata=self.ca_pem)


def check_loopback(host: str) -> None:
    """Refuse every address that is not this machine's own.

    Raises:
        BadInput: says what to do instead.
    """
    try:
        own = ip_address(host).is_loopback
    except ValueError:
        own = False
    if not own:
        raise BadInput(
            f"a fleet's load goes to this machine only, not to {host[:80]!r}",
            "It would be an attack on whoever is there. To use other machines for the load, forward both ports with ssh"
            " (docs/fleet-stress.md).",
        )


def _typed(found: Any) -> dict[str, Any]:
    """Return the members of a ticket, each of its type.

    Raises:
        TypeError, KeyError: they are not.
    """
    for each in fields(Ticket):
        if type(found[each.name]) is not each.type:
            raise TypeError(each.name)
    return {each.name: found[each.name] for each in fields(Ticket)}
