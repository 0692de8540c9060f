"""The fleet's keys and signed tokens as files in home's ``keys``; credentials.py says which there are."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ansim import nats_jwt, secret_files
from ansim.account import Account, Operator, short
from ansim.errors import ServiceError
from ansim.home import Home
from ansim.nats_jwt import KeyPair

_T = TypeVar("_T")


def parsed(path: Path, parse: Callable[[bytes], _T]) -> _T:
    """Return what parse makes of a secret file.

    Raises:
        ServiceError: missing, readable by others, or parse raises ValueError, whose text is not shown.
    """
    contents = secret_files.read(path)
    try:
        return parse(contents)
    except ValueError:
        # The cause may quote the secret, so it is not chained.
        raise ServiceError(f"{path} is damaged", "Put back a backup of it.") from None


def key_pair(path: Path) -> KeyPair:
    """Return the key whose seed is in path; raises ServiceError as parsed does."""
    return parsed(path, lambda seed: KeyPair(seed.strip()))


def operator(home: Home) -> Operator:
    """Return the operator that ``ansim init`` made."""
    return parsed(home.keys / "operator.jwt", lambda token: Operator.read(token.decode()))


def account(home: Home, signed_by: Operator) -> Account:
    """Return the account as the broker is known to have it."""
    return parsed(home.keys / "account.jwt", lambda token: Account.read(token.decode(), signed_by))


def account_signer(home: Home, of: Operator) -> KeyPair | None:
    """Return a key that may sign the account in the operator's name; None: none is here."""
    for name in ("broker.nk", "operator.nk"):
        path = home.keys / name
        if path.exists() and (found := key_pair(path)).public in of.signers:
            return found
    return None


def signing_keys(home: Home) -> dict[str, KeyPair]:
    """Return the keys that sign devices' tokens, as far as their seeds are here, by their public parts."""
    found = (key_pair(path) for path in sorted(home.keys.glob("signing-*.nk")))
    return {each.public: each for each in found}


def new_signing_key(home: Home) -> KeyPair:
    """Make a key that can sign devices' tokens, once the account lists it; its seed is on the disk on return."""
    made = KeyPair.generate(nats_jwt.ACCOUNT)
    secret_files.create(home.keys / signing_file(made.public), made.seed)
    return made


def signing_file(public: str) -> str:
    """Return the name of the file with this key's seed."""
    return f"signing-{short(public)}.nk"
