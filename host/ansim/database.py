"""The fleet database: opened by URL, brought to the newest schema; each failure is one ServiceError."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from ansim.errors import BadInput, ServiceError

BUSY_TIMEOUT_MS = 5000
# A server may take ten seconds to answer the first time. One that is silently gone, with the network or its machine, is
# given up after as long, not after the quarter of an hour or the two hours of the system (libpq's names).
_REACH = {
    "connect_timeout": 10,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
# How long a transaction may take to say its next word.
_IDLE_MS = 60_000
# Any number that nothing else on a shared PostgreSQL server uses: "ansi".
_MIGRATION_LOCK = 0x616E7369


class DatabaseUnavailable(ServiceError):
    """The database can't be used just now; the same call may succeed later, and nothing was stored."""


class DatabaseRefused(ServiceError):
    """The database does not take this statement or value; trying it again won't help."""


class Database:
    """An open database at the newest schema.

    Threads may share it. Close it when done.
    """

    def __init__(self, engine: sa.Engine, where: str) -> None:
        self._engine = engine
        # SQLite's reading transactions are of this kind by themselves.
        is_sqlite = engine.dialect.name == "sqlite"
        self._reader = engine if is_sqlite else engine.execution_options(isolation_level="REPEATABLE READ")
        self.where = where

    @classmethod
    def open(cls, url: str, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> "Database":
        """Open the database at a SQLAlchemy URL; make or migrate it first where that is needed.

        Args:
            busy_timeout_ms: how long a call waits for another process that holds a lock.

        Raises:
            BadInput: no such kind of database.
            DatabaseUnavailable: locked, unreachable, no permission, disk full.
            ServiceError: not a database, another program's database, or from a newer version.
        """
        engine = _engine(url, busy_timeout_ms)
        database = cls(engine, _where(engine.url))
        try:
            database._migrate()
        except BaseException:
            engine.dispose()
            raise
        return database

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One consistent view of the database.

        Raises:
            DatabaseUnavailable, ServiceError: as open.
        """
        with self._translated(), self._reader.connect() as connection:
            if connection.dialect.name == "postgresql":
                # It holds nobody up, and may wait for whoever reads an export page by page.
                connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction: durable when the block ends, undone when the block raises.

        Raises:
            DatabaseUnavailable, ServiceError: as open; nothing was stored.
        """
        with self._translated(), self._engine.connect() as connection:
            # SQLite: with the write lock taken at the start two writers wait instead of failing midway.
            writer = connection.execution_options(ansim_writes=True)
            with writer.begin():
                yield writer

    def close(self) -> None:
        self._engine.dispose()

    def _migrate(self) -> None:
        config = _alembic_config()
        # One view: tables that another process makes between two looks are not another program's.
        with self.reading() as connection:
            if self._is_current(connection, config):
                return
        with self.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            if not self._is_current(connection, config):
                config.attributes["connection"] = connection
                command.upgrade(config, "head")

    def _is_current(self, connection: sa.Connection, config: Config) -> bool:
        revision = MigrationContext.configure(connection).get_current_revision()
        script = ScriptDirectory.from_config(config)
        newest = script.get_current_head()
        if revision is None and sa.inspect(connection).get_table_names():
            raise ServiceError(f"{self.where} holds another program's tables", "Set ANSIM_DB to a database of its own.")
        if revision is not None and revision not in {each.revision for each in script.walk_revisions()}:
            raise ServiceError(
                f"{self.where} was made by a newer version of ansim "
                f"(its schema is {revision}, this version knows up to {newest})",
                "Update ansim on this machine, then try again. The database was left as it is.",
            )
        return revision == newest

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise _explain(error, self._engine.url, self.where) from error


def _engine(url: str, busy_timeout_ms: int) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "sqlite":
            _prepare_file(parsed)
            return _sqlite_engine(parsed, busy_timeout_ms)
        if parsed.drivername in ("postgres", "postgresql"):
            # The driver that ansim[postgres] installs, instead of SQLAlchemy's older default.
            parsed = parsed.set(drivername="postgresql+psycopg")
        return _server_engine(parsed, busy_timeout_ms)
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError):
        # The URL may hold a password, so neither it nor what caused this, which may quote a part of it, is shown.
        raise BadInput(
            "can't use this database URL: not a URL, or no driver for it is installed",
            "Use sqlite:////path/to/ansim.db, or install the driver (for PostgreSQL: pip install 'ansim[postgres]').",
        ) from None


def _server_engine(url: sa.URL, busy_timeout_ms: int) -> sa.Engine:
    engine = sa.create_engine(url, hide_parameters=True, pool_pre_ping=True)
    if engine.dialect.name == "postgresql":

        @sa.event.listens_for(engine, "do_connect")
        def reach(_dialect: object, _record: object, _arguments: object, options: dict[str, Any]) -> None:
            for name, value in _REACH.items():
                options.setdefault(name, value)

        @sa.event.listens_for(engine, "connect")
        def configure(connection: Any, _record: object) -> None:
            with connection.cursor() as cursor:
                cursor.execute(f"SET lock_timeout = {int(busy_timeout_ms)}")
                # A station that was stopped in the middle must not stop all others.
                cursor.execute(f"SET idle_in_transaction_session_timeout = {_IDLE_MS}")
            connection.commit()

    return engine


def _sqlite_engine(url: sa.URL, busy_timeout_ms: int) -> sa.Engine:
    engine = sa.create_engine(url, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        # sqlite3 must not begin transactions by itself: "begin" below does, so that DDL is part of them too.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {int(busy_timeout_ms)}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("ansim_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _prepare_file(url: sa.URL) -> None:
    """Make the file before SQLite does, so that only its owner can read it, its -wal and its -shm."""
    if not url.database or url.database == ":memory:":
        raise BadInput("the database needs a file", "Use sqlite:////path/to/ansim.db.")
    path = Path(url.database)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        # Not opened here: closing it would drop the locks that SQLite holds on it for another connection of this
        # process, and another process would then delete the -wal under it (sqlite.org/howtocorrupt.html, 2.2).
        problem = _file_problem(path)
        if problem:
            raise DatabaseUnavailable(f"can't open {path}: {problem}", _PERMISSION_HINT) from None
    except OSError as error:
        raise DatabaseUnavailable(f"can't open {path}: {error.strerror}", _PERMISSION_HINT) from error


def _file_problem(path: Path) -> str:
    """Why a path that exists can't be opened; empty if nothing is known against it."""
    if path.is_dir():
        return "Is a directory"
    return "" if os.access(path, os.R_OK | os.W_OK) else "Permission denied"


def _where(url: sa.URL) -> str:
    if url.get_backend_name() == "sqlite":
        return f"registry {url.database}"
    # Only what says where it is. A password may stand among the options, too, and one with an @ reaches into the host.
    host = (url.host or "").rpartition("@")[2] or None
    place = sa.URL.create(url.drivername, url.username, host=host, port=url.port, database=url.database)
    return f"registry {place.render_as_string()}"


def _alembic_config() -> Config:
    config = Config()
    # A % in the path would be taken for an interpolation.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


_PERMISSION_HINT = "Check who owns the file and its folder, and that the disk is not full."

# Primary result codes, https://www.sqlite.org/rescode.html
_SQLITE_REASONS = {
    sqlite3.SQLITE_READONLY: "this user may not write it",
    sqlite3.SQLITE_PERM: "this user may not open it",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write",
}


def _explain(error: DBAPIError, url: sa.URL, where: str) -> ServiceError:
    """Return what a person should know of error; it holds no SQL and no value."""
    cause = error.orig
    if not isinstance(cause, sqlite3.Error):
        return _explain_server(error, where)
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return DatabaseUnavailable(
            f"{where} is locked by {_lock_holder(url.database or '')}", "Let it finish, then try again."
        )
    if code in _SQLITE_REASONS:
        return DatabaseUnavailable(f"{where}: {_SQLITE_REASONS[code]}", _PERMISSION_HINT)
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return ServiceError(
            f"{where} is not a database, or is damaged",
            "Put back a backup, or move the file away and start a new registry.",
        )
    return _refused(where, cause)


def _explain_server(error: DBAPIError, where: str) -> ServiceError:
    if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError) or error.connection_invalidated:
        return DatabaseUnavailable(
            f"{where} can't be reached or is busy", "Check that the database server runs, then try again."
        )
    return _refused(where, error)


def _refused(where: str, cause: Exception) -> DatabaseRefused:
    return DatabaseRefused(
        f"{where} refused a statement ({type(cause).__name__})", "Run it again with --debug and report it."
    )


def _lock_holder(path: str) -> str:
    """Return who holds a write lock on the SQLite file, as far as Linux tells."""
    try:
        inodes = {Path(path + suffix).stat().st_ino for suffix in ("", "-shm") if Path(path + suffix).exists()}
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            fields = line.split()
            if "WRITE" in fields and int(fields[5].rpartition(":")[2]) in inodes:
                name = Path(f"/proc/{int(fields[4])}/comm").read_text(encoding="utf-8").strip()
                return f"another process ({name}, process id {fields[4]})"
    except (OSError, ValueError, IndexError):
        # macOS has no /proc, and a process may end while we look.
        pass
    return "another process"
