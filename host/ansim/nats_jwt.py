"""NATS's own kind of JSON web token, version 2: claims signed with an ed25519 nkey.

Format: https://github.com/nats-io/jwt (v2); the server that reads them is the proof that they are right.
"""

import base64
import binascii
import hashlib
import json
import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import nkeys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

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
    """What may be known of a token: whose it is (nkey), its id, when it was issued, by which key (empty: not known)."""

    key: str
    jti: str
    issued_at: datetime
    signer: str = ""


def encode(
    signer: KeyPair,
    subject: str,
    name: str,
    nats: Mapping[str, Any],
    expires_at_s: int | None = None,
    issued_at_s: int | None = None,
) -> str:
    """Return a token about subject (a public nkey), signed by signer.

    Args:
        nats: the claims of its kind, ``type`` among them.
        expires_at_s: seconds since 1970; None: never.
        issued_at_s: seconds since 1970; None: now.
    """
    now_s = int(time.time()) if issued_at_s is None else issued_at_s
    claims: dict[str, Any] = {"iat": now_s, "iss": signer.public, "name": name, "sub": subject}
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
        claims = _claims(token)
        issued_at = datetime.fromtimestamp(int(claims["iat"]), UTC)
        return PublicPart(str(claims["sub"]), str(claims["jti"]), issued_at, str(claims["iss"]))
    except (LookupError, ValueError, TypeError, OverflowError, OSError):
        raise ValueError("not a NATS token") from None


def verified(token: str, signers: Collection[str] | None = None) -> dict[str, Any]:
    """Return the claims of token once its signature is checked.

    Args:
        signers: the public keys that may have signed it; None: it signed itself, as an operator's does.

    Raises:
        ValueError: not a token, not signed by one of them, or altered since; the text does not show it.
    """
    claims = _claims(token)
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or issuer not in ([claims.get("sub")] if signers is None else signers):
        raise ValueError("a NATS token that someone else signed")
    signed, _, signature = token.rpartition(".")
    try:
        # An nkey is a byte for its kind, the key itself, and a checksum of two bytes.
        key = base64.b32decode(issuer)[1:-2]
        Ed25519PublicKey.from_public_bytes(key).verify(_unbase64(signature), signed.encode())
    except (ValueError, InvalidSignature):
        raise ValueError("a NATS token whose signature is wrong") from None
    return claims


def _claims(token: str) -> dict[str, Any]:
    try:
        found = json.loads(_unbase64(token.split(".")[1]))
    except (binascii.Error, ValueError, LookupError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError("not a NATS token")
    return found


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
