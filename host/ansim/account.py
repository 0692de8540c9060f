"""The fleet's account in the broker, as its token says it: which keys sign devices' tokens, which tokens are refused.

Pure: tokens come in and go out as text. The account's own key is who it is and signs nothing; each key in ``signing``
may be added and dropped while the devices whose tokens others signed go on. The operator says who may sign the account.
"""

import itertools
import re
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from ansim import nats_jwt
from ansim.nats_jwt import KeyPair

# nats-server takes a token of up to 1 MiB; 10,000 refusals make one of 0.93 MB.
MAX_REFUSED = 10_000

_NO_LIMIT = -1
USER_LIMITS = {"subs": _NO_LIMIT, "data": _NO_LIMIT, "payload": _NO_LIMIT}
_LIMITS = {**USER_LIMITS, "imports": 0, "exports": 0, "conn": _NO_LIMIT, "leaf": 0}
_JETSTREAM_LIMITS = {
    "mem_storage": _NO_LIMIT,
    "disk_storage": _NO_LIMIT,
    "streams": _NO_LIMIT,
    "consumer": _NO_LIMIT,
}
# NATS refuses a user's tokens that were issued up to a time. Ours have a user each, so it is the year 2100: a station
# whose clock ran ahead can't have issued one after that.
_ISSUED_UNTIL_S = 4_102_444_800
# Of a key's public part; that there are two such in a fleet is less likely than one in a thousand million.
_SHORT_CHARS = 8
_USER = re.compile(r"U[A-Z2-7]{55}")


@dataclass(frozen=True)
class Operator:
    """Who may sign the account.

    Args:
        token: as the broker is started with it.
        strict: only signing keys may sign, neither the operator's own nor the account's own.
    """

    token: str
    public: str
    signing: tuple[str, ...]
    strict: bool

    @classmethod
    def read(cls, token: str) -> "Operator":
        """Read the operator's token; raises ValueError if it is none, or was altered."""
        claims = nats_jwt.verified(token)
        nats = _kind(claims, "operator")
        return cls(token, claims["sub"], _keys(nats), nats.get("strict_signing_key_usage") is True)

    @property
    def signers(self) -> tuple[str, ...]:
        """The public keys of which each may sign the account."""
        return self.signing if self.strict else (*self.signing, self.public)

    @property
    def signer_files(self) -> str:
        """The key files of those signers, as a person is told to bring one."""
        return "broker.nk" if self.strict else "broker.nk (or operator.nk)"


@dataclass(frozen=True)
class Account:
    """The account.

    Args:
        public: its own key.
        issued_at_s: seconds since 1970; of two versions of an account's token the higher one is the newer.
        signing: the public keys that sign devices' and receivers' tokens, the newest last; empty in a fleet whose
            account signs for itself.
        refused: the public keys of the users whose tokens are refused.
    """

    public: str
    issued_at_s: int
    signing: tuple[str, ...] = ()
    refused: frozenset[str] = frozenset()

    @classmethod
    def read(cls, token: str, operator: Operator) -> "Account":
        """Read an account's token; raises ValueError if it is none, or not signed in the operator's name."""
        claims = nats_jwt.verified(token, operator.signers)
        nats = _kind(claims, "account")
        issued_at_s, refused = claims.get("iat"), nats.get("revocations", {})
        if not isinstance(issued_at_s, int) or not isinstance(refused, dict):
            raise ValueError("a NATS token with claims of the wrong kind")
        return cls(claims["sub"], issued_at_s, _keys(nats), frozenset(refused))

    def with_key(self, public: str) -> "Account":
        """Return the account with one more signing key, its newest."""
        return self._next(signing=(*self.signing, public))

    def without_key(self, public: str) -> "Account":
        """Return the account without this signing key: whatever it signed is refused."""
        return self._next(signing=tuple(each for each in self.signing if each != public))

    def refusing(self, users: Iterable[str]) -> "Account":
        """Return the account that refuses these users' tokens, the first MAX_REFUSED of them.

        What is no user's public key is passed over: NATS takes ``*`` for everybody.
        """
        known = (each for each in dict.fromkeys(users) if _USER.fullmatch(each))
        return replace(self, refused=frozenset(itertools.islice(known, MAX_REFUSED)))

    def token(self, signer: KeyPair) -> str:
        """Return its token, signed by one of the operator's signers."""
        nats: dict[str, Any] = {"limits": {**_LIMITS, **_JETSTREAM_LIMITS}, "type": "account"}
        if self.signing:
            nats["signing_keys"] = list(self.signing)
        if self.refused:
            nats["revocations"] = dict.fromkeys(sorted(self.refused), _ISSUED_UNTIL_S)
        return nats_jwt.encode(signer, self.public, "fleet", nats, issued_at_s=self.issued_at_s)

    def _next(self, signing: tuple[str, ...]) -> "Account":
        # Newer than this one even where the clock was put back since.
        return replace(self, signing=signing, issued_at_s=max(int(time.time()), self.issued_at_s + 1))


def operator_token(operator: KeyPair, signing: str, system: str, strict: bool) -> str:
    """Return the operator's token.

    Args:
        signing: the public key that signs accounts in its name.
        system: the public key of the server's own account.
        strict: as in Operator.
    """
    nats: dict[str, Any] = {"system_account": system, "signing_keys": [signing], "type": "operator"}
    if strict:
        nats["strict_signing_key_usage"] = True
    return nats_jwt.encode(operator, operator.public, "ansim", nats)


def system_token(signer: KeyPair, public: str) -> str:
    """Return the token of the server's own account."""
    return nats_jwt.encode(signer, public, "system", {"limits": _LIMITS, "type": "account"})


def short(public: str) -> str:
    """Return what a person calls this key by."""
    return public[:_SHORT_CHARS]


def _kind(claims: dict[str, Any], kind: str) -> dict[str, Any]:
    nats = claims.get("nats")
    if not isinstance(nats, dict) or nats.get("type") != kind or not isinstance(claims.get("sub"), str):
        raise ValueError(f"not the token of an {kind}")
    return nats


def _keys(nats: dict[str, Any]) -> tuple[str, ...]:
    keys: Collection[Any] = nats.get("signing_keys", [])
    if not isinstance(keys, list) or not all(isinstance(each, str) for each in keys):
        raise ValueError("a NATS token with claims of the wrong kind")
    return tuple(keys)
