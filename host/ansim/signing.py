"""The keys that sign devices' and receivers' tokens: how one comes, when it is used, how one goes.

A new key is in the registry first, signed for in the operator's name. A broker takes it from there and says so; only
then does any station sign with it. So at no moment does a device get a token that the broker does not know.
"""

import time
from dataclasses import dataclass

from ansim import credentials, key_files, secret_files
from ansim.account import Account, Operator, short
from ansim.credential_book import CredentialBook, NotedAccount
from ansim.credentials import Authority
from ansim.errors import BadInput, ServiceError
from ansim.home import Home
from ansim.nats_jwt import KeyPair
from ansim.warden import CHECK_S

_POLL_S = 0.2
_NAMED = 10


@dataclass(frozen=True)
class SigningKey:
    """A key that signs for the fleet's account.

    Args:
        id: what a person calls it by; the beginning of its public part.
        own: it is the account's own, which signed in fleets that were made before there were others.
        newest: what is signed next is signed with it.
        taken: a broker goes by it.
        here: its seed is in this home.
        receiver: it signed this home's receiver.creds.
        devices: those that hold, or may hold, a token that it signed.
    """

    id: str
    public: str
    own: bool
    newest: bool
    taken: bool
    here: bool
    receiver: bool
    devices: tuple[str, ...]


class Signing:
    """The signing keys of home's fleet, as home and registry know them."""

    def __init__(self, home: Home, book: CredentialBook) -> None:
        self._home = home
        self._book = book

    def adopt(self) -> None:
        """Take over into home which keys sign, as far as a broker goes by them.

        Raises:
            ServiceError: a key file, or what the registry has, can't be used.
        """
        noted = self._book.account()
        if noted is None or not noted.taken:
            return
        operator = key_files.operator(self._home)
        if self._is_newer(noted, operator):
            secret_files.replace(self._home.keys / "account.jwt", noted.token.encode())

    def authority(self) -> Authority:
        """Return what signs devices' tokens now: the newest key here that a broker goes by and nobody has dropped.

        Raises:
            ServiceError: there is none, or as adopt.
        """
        self.adopt()
        return Authority.load(self._home, self._dropped())

    def _dropped(self) -> set[str]:
        """Return the keys that a broker goes by only until it has taken the last change."""
        noted = self._book.account()
        if noted is None or noted.taken:
            return set()
        operator = key_files.operator(self._home)
        return set(key_files.account(self._home, operator).signing) - set(self._newest(operator).signing)

    def keys(self) -> list[SigningKey]:
        """Return the keys, the newest last; raises ServiceError as adopt does."""
        self.adopt()
        operator = key_files.operator(self._home)
        now, newest = key_files.account(self._home, operator), self._newest(operator)
        held, holders = key_files.signing_keys(self._home), self._book.holders()
        receiver = credentials.receiver_signer(self._home) if self._has_receiver() else ""
        # Before there were others, nobody noted which key had signed.
        holders[newest.public] = sorted({*holders.pop("", []), *holders.get(newest.public, [])})
        own = (newest.public,) if holders[newest.public] or not operator.strict else ()
        return [
            SigningKey(
                id=short(public),
                public=public,
                own=public == newest.public,
                newest=public == (now.signing or [now.public])[-1],
                taken=public in (*now.signing, now.public),
                here=public in held or (public == newest.public and (self._home.keys / "account.nk").exists()),
                receiver=public == receiver,
                devices=tuple(holders.get(public, [])),
            )
            for public in (*own, *newest.signing)
        ]

    def rotate(self) -> SigningKey:
        """Make a new key; what it is asked next is signed with it, once a broker goes by it.

        Raises:
            ServiceError: the operator's key, or the registry, is not there; or no broker took the last change yet.
        """
        operator, signer, noted = self._may_change()
        made = key_files.new_signing_key(self._home)
        try:
            token = self._newest(operator).with_key(made.public).token(signer)
            self._book.change_account(token, noted)
        except BadInput:
            # Of a registry that is away nobody knows whether it lists the key now.
            (self._home.keys / key_files.signing_file(made.public)).unlink()
            raise
        return self.named(made.public)

    def drop(self, key: SigningKey, stolen: bool) -> None:
        """Have brokers refuse all that key signed.

        Args:
            stolen: do it although devices in service are cut off.

        Raises:
            BadInput: devices or the receiver still need it, or no other key would be left.
            ServiceError: as rotate.
        """
        operator, signer, noted = self._may_change(in_haste=stolen)
        newest = self._newest(operator)
        if key.own:
            raise BadInput(
                f"{key.id} is the account's own key, which can't be dropped",
                "Provision the devices that it signed for again, and keep account.nk offline.",
            )
        if not set(newest.signing) - {key.public}:
            raise BadInput(f"{key.id} is the only key", "Make another one first: ansim keys rotate")
        if key.devices and not stolen:
            raise BadInput(
                f"{len(key.devices)} devices hold tokens that {key.id} signed: {_some(key.devices)}",
                "Provision them again first, or retire them. If the key was stolen, cut them off with --stolen.",
            )
        self._check_receivers(key, stolen)
        self._book.change_account(newest.without_key(key.public).token(signer), noted)

    def _check_receivers(self, key: SigningKey, stolen: bool) -> None:
        if key.receiver:
            self.renew_receiver()
        if stolen:
            return
        if not self._has_receiver():
            raise BadInput(
                f"{self._home.keys} has no receiver.creds, so nobody knows whether receivers use {key.id}",
                "Run this where receiver.creds is.",
            )
        if key.receiver:
            raise BadInput(
                f"receivers that run now still use {key.id}; receiver.creds was signed with a newer key just now",
                "Copy it to each machine that runs a receiver, restart those receivers, then run this again.",
            )

    def renew_receiver(self) -> bool:
        """Sign receiver.creds with the newest key that a broker goes by; tell whether it was signed with an older one.

        Raises:
            ServiceError: that key is not here.
        """
        return self._has_receiver() and credentials.renew_receiver(self._home)

    def wait_until_taken(self, timeout_s: float = 3 * CHECK_S) -> bool:
        """Wait until a broker goes by what was changed last, and take that over; tell whether it does."""
        deadline = time.monotonic() + timeout_s
        while not ((noted := self._book.account()) and noted.taken):
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        self.adopt()
        return True

    def named(self, text: str) -> SigningKey:
        """Return the key whose public part begins with text.

        Raises:
            BadInput: there is none, or more than one.
        """
        keys = self.keys()
        found = [each for each in keys if text and each.public.startswith(text.upper())]
        if len(found) != 1:
            raise BadInput(
                f"{text[:60]!r} names no key of this fleet", f"Its keys: {', '.join(each.id for each in keys)}"
            )
        return found[0]

    def _may_change(self, in_haste: bool = False) -> tuple[Operator, KeyPair, NotedAccount | None]:
        operator, noted = key_files.operator(self._home), self._book.account()
        if noted and not noted.taken and not in_haste and self._is_newer(noted, operator):
            raise ServiceError(
                "no broker has taken the last change of keys yet", "Start the broker, or wait: ansim keys list"
            )
        signer = key_files.account_signer(self._home, operator)
        if signer is None:
            raise ServiceError(
                f"{self._home.keys} holds no key that may change the fleet's account",
                f"Put {operator.signer_files} back into it for this command; it may be taken away again afterwards.",
            )
        return operator, signer, noted

    def _is_newer(self, noted: NotedAccount, operator: Operator) -> bool:
        """Tell whether the registry has a newer account than this home."""
        return self._read(noted, operator).issued_at_s > key_files.account(self._home, operator).issued_at_s

    def _newest(self, operator: Operator) -> Account:
        own = key_files.account(self._home, operator)
        noted = self._book.account()
        return max(own, self._read(noted, operator), key=lambda each: each.issued_at_s) if noted else own

    def _read(self, noted: NotedAccount, operator: Operator) -> Account:
        try:
            return Account.read(noted.token, operator)
        except ValueError:
            raise ServiceError(
                "the signing keys in the registry were not signed for this home's fleet",
                "Look whether ANSIM_DB and ANSIM_HOME belong together, and who can write to the registry.",
            ) from None

    def _has_receiver(self) -> bool:
        return (self._home.keys / "receiver.creds").exists()


def _some(devices: tuple[str, ...]) -> str:
    more = f" and {len(devices) - _NAMED} more" if len(devices) > _NAMED else ""
    return ", ".join(devices[:_NAMED]) + more
