"""What a running broker lets in, as the registry says it: no retired device, no superseded credential, no dropped key.

Refusals only ever grow: a credential names a user of its own, and none that was refused is let in again. So a registry
that is away, empty or restored from a backup lets nobody in who was out, and shuts out nobody whom it does not know.
"""

from collections.abc import Callable

from ansim import key_files, secret_files
from ansim.account import MAX_REFUSED, Account
from ansim.broker import Broker
from ansim.credential_book import CredentialBook, NotedAccount
from ansim.errors import AnsimError, ServiceError
from ansim.home import Home
from ansim.nats_jwt import KeyPair
from ansim.registry import Registry

# How often the registry is asked; a device is refused so much after its retirement at the latest, and some moments.
CHECK_S = 5


class Warden:
    """Keeps a running broker to what the registry says; as a context manager it closes the registry.

    Args:
        complain: called with what a person should do something about; once, until something else is wrong.
    """

    def __init__(self, home: Home, broker: Broker, complain: Callable[[AnsimError], None]) -> None:
        self._home = home
        self._broker = broker
        self._complain = complain
        self._registry: Registry | None = None
        self._seen: tuple[int, NotedAccount | None] | None = None
        self._said: set[str] = set()

    def __enter__(self) -> "Warden":
        return self

    def __exit__(self, *_: object) -> None:
        if self._registry is not None:
            self._registry.close()

    @property
    def follows(self) -> str:
        """As a person is told which registry it goes by; empty: none has been reached yet."""
        return self._registry.where if self._registry else ""

    def check(self) -> None:
        """Have the broker refuse and take what the registry says since the last time.

        What can't be done is complained of and tried again the next time; the broker goes on as it is meanwhile.
        """
        problems: list[AnsimError] = []
        try:
            self._follow(problems)
        except AnsimError as error:
            problems.append(error)
        except Exception as error:
            # Whatever it is, it must not end the broker: alarms go first. The text may hold what nobody should read.
            unforeseen = f"unexpected {type(error).__name__} while the broker followed the registry"
            problems.append(ServiceError(unforeseen, "The broker goes on as it is. Please report it."))
        for each in problems:
            if each.message not in self._said:
                self._complain(each)
        self._said = {each.message for each in problems}

    def _follow(self, problems: list[AnsimError]) -> None:
        book = self._book()
        now = book.mark()
        if now == self._seen:
            return
        noted = self._noted(now[1], problems)
        wanted = self._wanted(book, noted, problems)
        if wanted != self._broker.account:
            self._broker.take(wanted, self._signer())
        if noted and now[1] and noted.issued_at_s == wanted.issued_at_s:
            self._note_taken(book, now[1])
        if not problems:
            self._seen = now

    def _book(self) -> CredentialBook:
        if self._registry is None:
            self._registry = Registry.open(self._home.database_url)
        return self._registry.credentials

    def _noted(self, noted: NotedAccount | None, problems: list[AnsimError]) -> Account | None:
        """Return the account as the registry has it, if it is this fleet's."""
        if noted is None:
            return None
        try:
            found = Account.read(noted.token, self._broker.operator)
        except ValueError:
            found = None
        if found is None or found.public != self._broker.account.public:
            problems.append(
                ServiceError(
                    "the signing keys in the registry were not signed for this broker's fleet; it goes on without them",
                    "If operator.jwt was changed, copy it to this broker and start it again; else look whether ANSIM_DB"
                    " names this fleet's registry, and who can write to that.",
                )
            )
            return None
        return found

    def _wanted(self, book: CredentialBook, noted: Account | None, problems: list[AnsimError]) -> Account:
        current = self._broker.account
        newest = noted if noted and noted.issued_at_s > current.issued_at_s else current
        refused = book.refused()
        # What a dropped key signed is refused all the same.
        listed = ("", newest.public, *newest.signing)
        users = [each.user for each in refused if each.signer in listed]
        users += sorted(current.refused - {each.user for each in refused})
        if len(users) > MAX_REFUSED:
            problems.append(
                ServiceError(
                    f"{len(users) - MAX_REFUSED:,} superseded credentials are still let in: a broker refuses"
                    f" {MAX_REFUSED:,} at most",
                    "ansim keys rotate; provision the devices that ansim keys list names; ansim keys drop the old key.",
                )
            )
        return newest.refusing(users)

    def _signer(self) -> KeyPair:
        operator = self._broker.operator
        found = key_files.account_signer(self._home, operator)
        if found is None:
            raise ServiceError(
                "this broker has no key to sign a refusal with, so retired devices are still let in",
                f"Copy {operator.signer_files} into {self._home.keys}; if it is there, start the broker again.",
            )
        return found

    def _note_taken(self, book: CredentialBook, noted: NotedAccount) -> None:
        """Keep the account for the next start, and let stations sign with its newest key."""
        path = self._home.keys / "account.jwt"
        if secret_files.read(path).decode() != noted.token:
            secret_files.replace(path, noted.token.encode())
        if not noted.taken:
            book.account_taken(noted.token)
