"""The fleet's keys, and what is signed with them: accounts, the receiver's credentials, each device's token.

Files in home's ``keys``, each mode 0600 (docs/security.md says what each can do):

    operator.nk account.nk system.nk    nkey seeds
    operator.jwt account.jwt system.jwt what the broker is started with
    receiver.creds                      the receiver's token and seed, in the form nats tools read
    ca.key ca.pem                       the certificate authority
    broker.key broker.pem               the broker's TLS key and certificate
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from ansim import nats_jwt, pki, secret_files
from ansim.errors import ServiceError
from ansim.home import Home
from ansim.nats_jwt import KeyPair
from ansim.registry import Identity

STREAM = "EVENTS"
ARCHIVE = "ARCHIVE"

_T = TypeVar("_T")

_NO_LIMIT = -1
_USER_LIMITS = {"subs": _NO_LIMIT, "data": _NO_LIMIT, "payload": _NO_LIMIT}
_ACCOUNT_LIMITS = {**_USER_LIMITS, "imports": 0, "exports": 0, "conn": _NO_LIMIT, "leaf": 0}
_JETSTREAM_LIMITS = {
    "mem_storage": _NO_LIMIT,
    "disk_storage": _NO_LIMIT,
    "streams": _NO_LIMIT,
    "consumer": _NO_LIMIT,
}
# Commands to devices, and of JetStream what taking events needs: it can't delete the streams or read another.
_RECEIVER_MAY_PUBLISH = [
    "ansim.*.*.cmd",
    *(f"$JS.API.STREAM.{call}.{stream}" for stream in (STREAM, ARCHIVE) for call in ("CREATE", "UPDATE", "INFO")),
    *(f"$JS.API.CONSUMER.{call}.{stream}.>" for stream in (STREAM, ARCHIVE) for call in ("CREATE", "INFO", "MSG.NEXT")),
    f"$JS.ACK.{STREAM}.>",
]


@dataclass(frozen=True)
class Authority:
    """What a station needs to issue credentials: the fleet's account key and CA certificate."""

    _account: KeyPair = field(repr=False)
    _ca_der: bytes = field(repr=False)

    @classmethod
    def load(cls, home: Home) -> "Authority":
        """Load from home's keys.

        Raises:
            ServiceError: a file is missing, readable by others, or not what it should be.
        """
        account = _key_pair(home.keys / "account.nk")
        return cls(account, load_ca(home))

    def device_token(self, identity: Identity, expires_at_s: int | None = None) -> str:
        """Return a new token (about 720 characters), the MQTT password of identity's device; it opens no other topics.

        Each call issues another, for a fresh user nkey whose seed is thrown away: the token itself is the secret.
        Keep only its public part (``nats_jwt.public_part``).

        Args:
            expires_at_s: seconds since 1970; None: never, because a device that can't be reached can't be renewed.
        """
        topics = f"ansim.{identity.site}.{identity.device}"
        claims = {
            "pub": {"allow": [f"{topics}.evt"]},
            "sub": {"allow": [f"{topics}.cmd"]},
            **_USER_LIMITS,
            "bearer_token": True,
            "allowed_connection_types": ["MQTT"],
            "type": "user",
        }
        user = KeyPair.generate(nats_jwt.USER)
        return nats_jwt.encode(self._account, user.public, identity.device, claims, expires_at_s)

    def ca_der(self) -> bytes:
        """Return the certificate that the broker's own is signed with, DER."""
        return self._ca_der


def load_ca(home: Home) -> bytes:
    """Return the certificate that the broker's own is signed with, DER; it is all a receiver needs to know a broker.

    Raises:
        ServiceError: missing, readable by others, or damaged.
    """
    return _parsed(home.keys / "ca.pem", pki.to_der)


@dataclass
class Made:
    """Which key files were made, and which were there before and kept."""

    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def make(home: Home, host: str) -> Made:
    """Make all key files that are missing; host is the broker's, for its certificate.

    What exists is never overwritten, except the broker's certificate when it is for another host. A secret that was
    taken away on purpose (operator.nk, ca.key kept offline) is not made anew as long as what it signed is there.

    Raises:
        ServiceError: something must be signed and its signer is missing or unreadable.
        BadInput: a file can't be written.
    """
    return _Maker(home.keys, host).make()


class _Maker:
    def __init__(self, keys: Path, host: str) -> None:
        self._keys = keys
        self._host = host
        self._result = Made()

    def make(self) -> Made:
        for name, prefix in (
            ("operator", nats_jwt.OPERATOR),
            ("system", nats_jwt.ACCOUNT),
            ("account", nats_jwt.ACCOUNT),
        ):
            if not self._path(f"{name}.jwt").exists():
                self._ensure(f"{name}.nk", partial(_new_seed, prefix))
        self._ensure("operator.jwt", self._operator_jwt)
        self._ensure("system.jwt", self._system_jwt)
        self._ensure("account.jwt", self._account_jwt)
        self._ensure("receiver.creds", self._receiver_creds)
        self._certificates()
        return self._result

    def _certificates(self) -> None:
        if not self._path("ca.pem").exists():
            self._ensure("ca.key", pki.new_key)
        self._ensure("ca.pem", lambda: _parsed(self._path("ca.key"), pki.authority_certificate))
        self._ensure("broker.key", pki.new_key)
        certificate = self._path("broker.pem")
        if certificate.exists() and not _parsed(certificate, lambda pem: pki.covers(pem, self._host)):
            secret_files.replace(certificate, self._broker_certificate())
            self._result.made.append(certificate.name)
        else:
            self._ensure(certificate.name, self._broker_certificate)

    def _ensure(self, name: str, produce: Callable[[], bytes]) -> None:
        if self._path(name).exists():
            self._result.kept.append(name)
            return
        secret_files.create(self._path(name), produce())
        self._result.made.append(name)

    def _path(self, name: str) -> Path:
        return self._keys / name

    def _signer(self, name: str) -> KeyPair:
        return _key_pair(self._path(f"{name}.nk"))

    def _operator_jwt(self) -> bytes:
        operator = self._signer("operator")
        claims = {"system_account": self._signer("system").public, "type": "operator"}
        return nats_jwt.encode(operator, operator.public, "ansim", claims).encode()

    def _system_jwt(self) -> bytes:
        claims = {"limits": _ACCOUNT_LIMITS, "type": "account"}
        return nats_jwt.encode(self._signer("operator"), self._signer("system").public, "system", claims).encode()

    def _account_jwt(self) -> bytes:
        claims = {"limits": {**_ACCOUNT_LIMITS, **_JETSTREAM_LIMITS}, "type": "account"}
        return nats_jwt.encode(self._signer("operator"), self._signer("account").public, "fleet", claims).encode()

    def _receiver_creds(self) -> bytes:
        user = KeyPair.generate(nats_jwt.USER)
        claims = {
            "pub": {"allow": _RECEIVER_MAY_PUBLISH},
            "sub": {"allow": ["_INBOX.>"]},
            **_USER_LIMITS,
            "allowed_connection_types": ["STANDARD"],
            "type": "user",
        }
        token = nats_jwt.encode(self._signer("account"), user.public, "receiver", claims)
        return (
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
        ).encode()

    def _broker_certificate(self) -> bytes:
        key, authority_key = (secret_files.read(self._path(name)) for name in ("broker.key", "ca.key"))
        return _parsed(self._path("ca.pem"), lambda pem: pki.server_certificate(key, authority_key, pem, self._host))


def _new_seed(prefix: int) -> bytes:
    return KeyPair.generate(prefix).seed


def _key_pair(path: Path) -> KeyPair:
    return _parsed(path, lambda seed: KeyPair(seed.strip()))


def _parsed(path: Path, parse: Callable[[bytes], _T]) -> _T:
    contents = secret_files.read(path)
    try:
        return parse(contents)
    except ValueError:
        # The cause may quote the secret, so it is not chained.
        raise ServiceError(f"{path} is damaged", "Put back a backup of it.") from None
