"""NATS's own kind of JSON web token, version 2: claims signed with an ed25519 nkey.

Format: https://github.com/nats-io/jwt (v2); the server that reads them is the proof that they are right.
"""

import base64
import binascii
import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import nkeys

OPERATOR = nkeys.PREFIX_BYTE_OPERATOR
ACCOUNT = nkeys.PREFIX_BYTE_ACCOUNT
USER = nkeys.PREFIX_BYTE_USER

_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}


class KeyPair:
    """An nkey: signs tokens, and is named in them by its public part."""

    def __init__(self, seed: bytes) -> None:
        """seed: as nkeys writes it (base32, ``S...``).

        Raises:
            ValueError: it is not one; the text does not show it.
        """
        try:
            self._pair = nkeys.from_seed(seed)
            self.public: str = self._pair.public_key.decode()
        except Exception as error:
            # nkeys has a class for each way to be wrong, and lets some of base64's through.
            raise ValueError(f"not an nkey seed ({type(error).__name__})") from None

    @classmethod
    def generate(cls, prefix: int) -> "KeyPair":
        """Return a new key of the kind prefix (OPERATOR, ACCOUNT or USER)."""
        return cls(nkeys.encode_seed(os.urandom(32), prefix))

    @property
    def seed(self) -> bytes:
        seed: bytes = self._pair.seed
        return seed

    def sign(self, data: bytes) -> bytes:
        signature: bytes = self._pair.sign(data)
        return signature


@dataclass(frozen=True)
class PublicPart:
    """What may be known of a token: whose it is (nkey), its id, when it was issued."""

    key: str
    jti: str
    issued_at: datetime


def encode(signer: KeyPair, subject: str, name: str, nats: Mapping[str, Any], expires_at_s: int | None = None) -> str:
    """Return a token about subject (a public nkey), signed by signer.

    Args:
        nats: the claims of its kind, ``type`` among them.
        expires_at_s: seconds since 1970; None: never.
    """
    claims: dict[str, Any] = {"iat": int(time.time()), "iss": signer.public, "name": name, "sub": subject}
    if expires_at_s is not None:
        claims["exp"] = expires_at_s
    digest = hashlib.new("sha512_256", _json({**claims, "nats": nats})).digest()
    claims["jti"] = base64.b32encode(digest).decode().rstrip("=")
    claims["nats"] = {**nats, "version": 2}
    signed = f"{_base64(_json(_HEADER))}.{_base64(_json(claims))}"
    return f"{signed}.{_base64(signer.sign(signed.encode()))}"


def public_part(token: str) -> PublicPart:
    """Return what may be known of token; its signature is not checked.

    Raises:
        ValueError: not a token; the text does not show it.
    """
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        issued_at = datetime.fromtimestamp(int(claims["iat"]), UTC)
        return PublicPart(str(claims["sub"]), str(claims["jti"]), issued_at)
    except (binascii.Error, ValueError, LookupError, TypeError, OverflowError, OSError):
        raise ValueError("not a NATS token") from None


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
