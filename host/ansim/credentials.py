"""The fleet's keys, and what is signed with them: accounts, the receiver's credentials, each device's token.

Files in home's ``keys``, each mode 0600 (docs/security.md says what each can do):

    operator.nk account.nk system.nk    nkey seeds: who operator and accounts are
    broker.nk                           seed that signs the accounts in the operator's name
    signing-*.nk                        seeds that sign devices' and receivers' tokens in the account's name
    operator.jwt account.jwt system.jwt what the broker is started with
    console.key                         what the keys of devices' consoles are derived from
    receiver.creds                      the receiver's token and seed, in the form nats tools read
    ca.key ca.pem                       the certificate authority
    broker.key broker.pem               the broker's TLS key and certificate
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ansim import account, console_key, key_files, nats_jwt, pki, secret_files
from ansim.account import USER_LIMITS, Account
from ansim.errors import ServiceError
from ansim.home import Home
from ansim.key_files import key_pair, parsed
from ansim.nats_jwt import KeyPair
from ansim.registry import Identity

STREAM = "EVENTS"
ARCHIVE = "ARCHIVE"

# Commands to devices, and of JetStream what taking events needs: it can't delete the streams or read another.
_RECEIVER_MAY_PUBLISH = [
    "ansim.*.*.cmd",
    *(f"$JS.API.STREAM.{call}.{stream}" for stream in (STREAM, ARCHIVE) for call in ("CREATE", "UPDATE", "INFO")),
    *(f"$JS.API.CONSUMER.{call}.{stream}.>" for stream in (STREAM, ARCHIVE) for call in ("CREATE", "INFO", "MSG.NEXT")),
    f"$JS.ACK.{STREAM}.>",
]


@dataclass(frozen=True)
class Signer:
    """A key that signs the tokens of the account's users.

    Args:
        issuer: the claims that say in whose name; none where the account signs for itself.
    """

    key: KeyPair = field(repr=False)
    issuer: dict[str, str]

    @classmethod
    def newest(cls, home: Home, dropped: Collection[str] = ()) -> "Signer":
        """Return the newest of the account's signing keys whose seed is here.

        Args:
            dropped: the public keys of those that nothing is to be signed with any more.

        Raises:
            ServiceError: there is none, or a file is missing, readable by others, or damaged.
        """
        held = key_files.signing_keys(home)
        if not (home.keys / "account.jwt").exists() and (held or (home.keys / "account.nk").exists()):
            raise ServiceError(
                f"{home.keys / 'account.jwt'} does not exist",
                "Copy account.jwt and operator.jwt there from where ansim init was run; they are not secret.",
            )
        known = key_files.account(home, key_files.operator(home))
        usable = [public for public in known.signing if public not in dropped]
        for public in reversed(usable):
            if public in held:
                return cls(held[public], {"issuer_account": known.public})
        if known.signing:
            wanted = key_files.signing_file((usable or known.signing)[-1])
            raise ServiceError(
                f"{home.keys} holds no key that signs this fleet's devices",
                f"Copy {wanted} there from the station where it was made: ansim keys list",
            )
        return cls(key_pair(home.keys / "account.nk"), {})

    def sign(self, user: KeyPair, name: str, claims: dict[str, Any], expires_at_s: int | None = None) -> str:
        """Return a token for user, with these claims and those that every user has."""
        claims = {**claims, **USER_LIMITS, **self.issuer, "type": "user"}
        return nats_jwt.encode(self.key, user.public, name, claims, expires_at_s)


@dataclass(frozen=True)
class Authority:
    """What a station needs to issue credentials: a key that signs for the fleet's account, and the CA certificate."""

    _signer: Signer
    _ca_der: bytes = field(repr=False)

    @classmethod
    def load(cls, home: Home, dropped: Collection[str] = ()) -> "Authority":
        """Load from home's keys; dropped as in Signer.newest.

        Raises:
            ServiceError: a file is missing, readable by others, or not what it should be.
        """
        return cls(Signer.newest(home, dropped), load_ca(home))

    def device_token(self, identity: Identity, expires_at_s: int | None = None) -> str:
        """Return a new token (about 820 characters), the MQTT password of identity's device; it opens no other topics.

        Each call issues another, for a fresh user nkey whose seed is thrown away: the token itself is the secret.
        Keep only its public part (``nats_jwt.public_part``).

        Args:
            expires_at_s: seconds since 1970; None: never, because a device that can't be reached can't be renewed.
        """
        topics = f"ansim.{identity.site}.{identity.device}"
        claims = {
            "pub": {"allow": [f"{topics}.evt"]},
            "sub": {"allow": [f"{topics}.cmd"]},
            "bearer_token": True,
            "allowed_connection_types": ["MQTT"],
        }
        return self._signer.sign(KeyPair.generate(nats_jwt.USER), identity.device, claims, expires_at_s)

    def ca_der(self) -> bytes:
        """Return the certificate that the broker's own is signed with, DER."""
        return self._ca_der


def load_ca(home: Home) -> bytes:
    """Return the certificate that the broker's own is signed with, DER; it is all a receiver needs to know a broker.

    Raises:
        ServiceError: missing, readable by others, or damaged.
    """
    return parsed(home.keys / "ca.pem", pki.to_der)


def renew_receiver(home: Home) -> bool:
    """Sign receiver.creds anew if an older key than this home's newest signed it; tell whether.

    The older credentials open the broker until their key is dropped.

    Raises:
        ServiceError: a file can't be read.
        BadInput: it can't be written.
    """
    path = home.keys / "receiver.creds"
    if not path.exists() or receiver_signer(home) == (signer := Signer.newest(home)).key.public:
        return False
    secret_files.replace(path, _receiver_creds(signer))
    return True


def receiver_signer(home: Home) -> str:
    """Return the public key that signed receiver.creds."""
    return parsed(home.keys / "receiver.creds", lambda text: nats_jwt.public_part(text.decode().splitlines()[1]).signer)


def _receiver_creds(signer: Signer) -> bytes:
    user = KeyPair.generate(nats_jwt.USER)
    claims = {
        "pub": {"allow": _RECEIVER_MAY_PUBLISH},
        "sub": {"allow": ["_INBOX.>"]},
        "allowed_connection_types": ["STANDARD"],
    }
    return (
        f"-----BEGIN NATS USER JWT-----\n{signer.sign(user, 'receiver', claims)}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
    ).encode()


@dataclass
class Made:
    """Which key files were made, and which were there before and kept."""

    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def make(home: Home, host: str) -> Made:
    """Make all key files that are missing; host is the broker's, for its certificate.

    What exists is never overwritten, except the broker's certificate when it is for another host. A secret that was
    taken away on purpose (operator.nk, account.nk, ca.key kept offline) is not made anew as long as what it signed is
    there.

    Raises:
        ServiceError: something must be signed and its signer is missing or unreadable, or of the fleet's keys too few
            are here.
        BadInput: a file can't be written.
    """
    return _Maker(home, host).make()


class _Maker:
    def __init__(self, home: Home, host: str) -> None:
        self._home = home
        self._keys = home.keys
        self._host = host
        self._result = Made()

    def make(self) -> Made:
        self._check_operator()
        for name, prefix in (
            ("operator", nats_jwt.OPERATOR),
            ("system", nats_jwt.ACCOUNT),
            ("account", nats_jwt.ACCOUNT),
        ):
            if not self._path(f"{name}.jwt").exists():
                self._ensure(f"{name}.nk", partial(_new_seed, prefix))
        self._operator()
        self._ensure("system.jwt", self._system_jwt)
        self._account()
        self._ensure("receiver.creds", lambda: _receiver_creds(Signer.newest(self._home)))
        self._ensure(console_key.FILE, console_key.new)
        self._certificates()
        return self._result

    def _check_operator(self) -> None:
        """Refuse to make another operator for an account that is here."""
        of_account = [self._path("account.jwt"), self._path("account.nk"), *self._keys.glob("signing-*.nk")]
        of_operator = [self._path("operator.jwt"), self._path("operator.nk")]
        if any(each.exists() for each in of_account) and not any(each.exists() for each in of_operator):
            raise ServiceError(
                f"{self._keys} holds keys of a fleet, but not its operator.jwt",
                "Copy that there from where ansim init was run; it is not secret.",
            )

    def _operator(self) -> None:
        """Make operator.jwt; one that was made before brokers had a key of their own gets one now.

        Where an account was there before, its own key may have signed devices, so they must not be refused.
        """
        path = self._path("operator.jwt")
        if path.exists() and (key_files.operator(self._home).signing or not self._path("operator.nk").exists()):
            self._result.kept.append(path.name)
            return
        self._ensure("broker.nk", partial(_new_seed, nats_jwt.OPERATOR))
        token = account.operator_token(
            key_pair(self._path("operator.nk")),
            key_pair(self._path("broker.nk")).public,
            self._public("system"),
            strict=not self._path("account.jwt").exists(),
        )
        secret_files.replace(path, token.encode())
        self._result.made.append(path.name)

    def _account(self) -> None:
        """Make account.jwt, with all signing keys that are here; with none, make one first."""
        if not self._path("account.jwt").exists() and not (held := key_files.signing_keys(self._home)):
            made = key_files.new_signing_key(self._home)
            self._result.made.append(key_files.signing_file(made.public))
            held = {made.public: made}
        self._ensure(
            "account.jwt",
            lambda: Account(self._public("account"), int(time.time()), tuple(held)).token(self._signer()).encode(),
        )

    def _certificates(self) -> None:
        if not self._path("ca.pem").exists():
            self._ensure("ca.key", pki.new_key)
        self._ensure("ca.pem", lambda: parsed(self._path("ca.key"), pki.authority_certificate))
        self._ensure("broker.key", pki.new_key)
        certificate = self._path("broker.pem")
        if certificate.exists() and not parsed(certificate, lambda pem: pki.covers(pem, self._host)):
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

    def _public(self, name: str) -> str:
        """Return the public key of an account, which its token says where its seed was taken away."""
        token = self._path(f"{name}.jwt")
        if token.exists():
            return parsed(token, lambda text: nats_jwt.public_part(text.decode()).key)
        return key_pair(self._path(f"{name}.nk")).public

    def _signer(self) -> KeyPair:
        found = key_files.account_signer(self._home, key_files.operator(self._home))
        if found is None:
            raise ServiceError(f"{self._path('broker.nk')} does not exist", "Put back a backup of it.")
        return found

    def _system_jwt(self) -> bytes:
        return account.system_token(self._signer(), key_pair(self._path("system.nk")).public).encode()

    def _broker_certificate(self) -> bytes:
        key, authority_key = (secret_files.read(self._path(name)) for name in ("broker.key", "ca.key"))
        return parsed(self._path("ca.pem"), lambda pem: pki.server_certificate(key, authority_key, pem, self._host))


def _new_seed(prefix: int) -> bytes:
    return KeyPair.generate(prefix).seed
