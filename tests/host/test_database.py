"""Opening the fleet database: the first time, again, from many processes, and when it can't be used."""

import contextlib
import fcntl
import os
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from database_kit import KINDS, database_url
from process_kit import next_line, runs

from ansim.database import Database, DatabaseUnavailable
from ansim.errors import BadInput, ServiceError
from ansim.schema import metadata, quarantine

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "ansim.db"


def test_a_new_database_gets_every_table_the_code_knows(path: Path) -> None:
    database = Database.open(url_of(path))
    with database.reading() as connection:
        inspector = sa.inspect(connection)
        found = {
            name: {column["name"] for column in inspector.get_columns(name)} for name in inspector.get_table_names()
        }
    database.close()
    found.pop("alembic_version")
    assert found == {table.name: {column.name for column in table.columns} for table in metadata.tables.values()}


def test_only_the_owner_can_read_the_files(path: Path) -> None:
    database = Database.open(url_of(path))
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE devices SET board = board")
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    database.close()
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_is_written_survives_a_power_cut_of_the_machine_as_far_as_sqlite_can_tell(path: Path) -> None:
    database = Database.open(url_of(path))
    with database.reading() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    database.close()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_block_that_raises_stores_nothing(path: Path) -> None:
    database = Database.open(url_of(path))
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO device_states (device, site, last_seen_at) VALUES ('AN1', 'a', '2026')")
        raise ZeroDivisionError
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM device_states").scalar() == 0
    database.close()


def test_processes_that_start_at_once_all_find_it_ready(path: Path) -> None:
    code = "import sys; from ansim.database import Database; Database.open(sys.argv[1]).close()"
    children = [subprocess.Popen([sys.executable, "-c", code, url_of(path)]) for _ in range(4)]
    assert [child.wait(timeout=60) for child in children] == [0, 0, 0, 0]


def test_threads_that_start_at_once_all_find_it_ready(path: Path) -> None:
    failed: list[BaseException] = []

    def start() -> None:
        try:
            Database.open(url_of(path)).close()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failed == []


def test_a_database_from_a_newer_version_is_named_and_left_alone(path: Path) -> None:
    Database.open(url_of(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(ServiceError, match=r"newer version of ansim \(its schema is 9999, .* up to \d{4}\)") as caught:
        Database.open(url_of(path))
    assert "Update ansim" in caught.value.hint
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("my shopping list\n" * 100)
    with pytest.raises(ServiceError, match="not a database"):
        Database.open(url_of(path))
    assert path.read_text().startswith("my shopping list")


def test_another_programs_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(ServiceError, match="another program's tables"):
        Database.open(url_of(path))


def test_a_locked_database_names_who_holds_it_and_loses_nothing(path: Path) -> None:
    database = Database.open(url_of(path), busy_timeout_ms=50)
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert next_line(holder) == "held\n"
    with pytest.raises(DatabaseUnavailable, match="locked by another process") as caught, database.writing():
        pytest.fail("the lock was not respected")
    if sys.platform == "linux":
        assert f"process id {holder.pid}" in caught.value.message
    holder.communicate("", timeout=60)
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE devices SET board = board")
    database.close()


def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    # Root may write everywhere but where the kernel itself refuses.
    folder = Path("/sys/kernel") if os.geteuid() == 0 else closed
    with pytest.raises(DatabaseUnavailable, match=rf"{folder}/ansim.db: Permission denied"):
        Database.open(url_of(folder / "ansim.db"))


def test_opening_it_again_in_a_process_takes_no_lock_from_the_first(path: Path) -> None:
    first = Database.open(url_of(path))
    with first.writing() as connection:
        connection.exec_driver_sql("UPDATE devices SET board = board")
    Database.open(url_of(path)).close()
    # The last to close deletes the -wal: another process must not take itself for that one.
    code = "import sys; from ansim.database import Database; Database.open(sys.argv[1]).close()"
    subprocess.run([sys.executable, "-c", code, url_of(path)], check=True, timeout=60)
    assert path.with_name(path.name + "-wal").exists()
    second = Database.open(url_of(path))
    with second.writing() as connection:
        connection.exec_driver_sql("UPDATE devices SET board = board")
    with first.reading() as connection:
        connection.exec_driver_sql("SELECT * FROM devices")
    second.close()
    first.close()


def test_a_path_that_is_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="Is a directory"):
        Database.open(url_of(tmp_path))


@pytest.mark.parametrize(
    "url", ["nonsense", "oracle9://user:geheim@host/db", "postgresql://user:x@host:geheim/db", "sqlite://"]
)
def test_an_url_that_is_none_is_bad_input_and_shows_no_password(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        Database.open(url)
    assert "geheim" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("kind", KINDS)
def test_a_lock_is_not_waited_for_without_end(kind: str, tmp_path: Path) -> None:
    url = database_url(kind, tmp_path)
    holder, other = Database.open(url), Database.open(url, busy_timeout_ms=50)
    change = "UPDATE device_states SET signs = signs + 1"
    with holder.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO device_states (device, site, last_seen_at) VALUES ('AN1', 'a', '2026-01-01 00:00:00.000000')"
        )
    with holder.writing() as connection:
        connection.exec_driver_sql(change)
        with pytest.raises(DatabaseUnavailable), other.writing() as second:
            second.exec_driver_sql(change)
    with other.writing() as connection:
        connection.exec_driver_sql(change)
        assert connection.exec_driver_sql("SELECT signs FROM device_states").scalar() == 2
    holder.close()
    other.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_sees_one_moment_however_long_it_reads(kind: str, tmp_path: Path) -> None:
    database = Database.open(database_url(kind, tmp_path))
    count = "SELECT count(*) FROM quarantine"
    with database.reading() as reader:
        assert reader.exec_driver_sql(count).scalar() == 0
        with database.writing() as writer:
            writer.execute(quarantine.insert().values(subject="s", reason="r", size=0, payload=b"", received_at=NOW))
        assert reader.exec_driver_sql(count).scalar() == 0
    with database.reading() as reader:
        assert reader.exec_driver_sql(count).scalar() == 1
    database.close()


def test_processes_that_start_at_once_all_find_a_server_database_ready(tmp_path: Path) -> None:
    code = "import sys; from ansim.database import Database; Database.open(sys.argv[1]).close()"
    url = database_url("postgresql", tmp_path)
    children = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(4)]
    assert [child.wait(timeout=60) for child in children] == [0, 0, 0, 0]


def test_tables_that_another_process_makes_in_the_middle_of_a_look_are_ours(tmp_path: Path) -> None:
    url = database_url("postgresql", tmp_path)
    looks: list[str] = []

    def make_the_tables(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "pg_class" in statement and not looks:
            looks.append(statement)
            Database.open(url).close()

    sa.event.listen(sa.Engine, "after_cursor_execute", make_the_tables)
    try:
        Database.open(url).close()
    finally:
        sa.event.remove(sa.Engine, "after_cursor_execute", make_the_tables)
    assert looks


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_server_is_found_however_its_url_is_written(scheme: str, tmp_path: Path) -> None:
    url = database_url("postgresql", tmp_path).replace("postgresql+psycopg", scheme)
    Database.open(url).close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ansim:geheim@127.0.0.1:1/fleet",
        "postgresql://ansim:very@geheim@127.0.0.1:1/fleet",
        "postgresql://ansim@127.0.0.1:1/fleet?password=geheim",
    ],
)
def test_a_server_that_is_not_there_is_named_without_its_password(url: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"ansim@127.0.0.1:1/fleet can't be reached") as caught:
        Database.open(url)
    assert "geheim" not in caught.value.message + caught.value.hint


def test_a_server_that_is_gone_without_a_word_is_given_up_within_seconds(tmp_path: Path) -> None:
    """An alarm waits behind whatever waits for it; the system would wait for two hours."""
    url = sa.make_url(database_url("postgresql", tmp_path))
    with reached_by_tcp(f"{url.query['host']}/.s.PGSQL.5432") as port:
        database = Database.open(f"postgresql://ansim@127.0.0.1:{port}/{url.database}")
        with database.reading() as connection:
            raw = connection.connection.dbapi_connection
            assert isinstance(raw, psycopg.Connection)
            with socket.socket(fileno=os.dup(raw.fileno())) as wire:
                assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                options = (socket.TCP_USER_TIMEOUT, socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                unheard_ms, idle_s, interval_s, count = (wire.getsockopt(socket.IPPROTO_TCP, each) for each in options)
        database.close()
    assert 0 < unheard_ms <= 15_000
    assert idle_s + interval_s * count <= 15


@contextlib.contextmanager
def reached_by_tcp(path: str) -> Iterator[int]:
    """Let the next connection to a port of this machine, which is returned, reach a Unix socket."""

    def pump(source: socket.socket, sink: socket.socket) -> None:
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)

    def relay() -> None:
        with listener.accept()[0] as near, socket.socket(socket.AF_UNIX) as far:
            far.connect(path)
            back = threading.Thread(target=pump, args=(far, near))
            back.start()
            pump(near, far)
            back.join()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=relay)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(30)


def test_a_session_that_the_server_ended_is_told_and_the_next_call_works(tmp_path: Path) -> None:
    url = database_url("postgresql", tmp_path)
    database, other = Database.open(url), Database.open(url)
    insert = quarantine.insert().values(subject="s", reason="r", size=0, payload=b"", received_at=NOW)
    with pytest.raises(DatabaseUnavailable), database.writing() as connection:
        connection.execute(insert)
        process = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with other.writing() as killer:
            killer.exec_driver_sql(f"SELECT pg_terminate_backend({process})")
    with database.writing() as connection:
        connection.execute(insert)
    with other.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM quarantine").scalar() == 1
    database.close()
    other.close()


def test_the_server_of_the_tests_ends_with_its_test_however_that_ends() -> None:
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from pathlib import Path; import database_kit;"
        "url = database_kit.database_url('postgresql', Path());"
        "print(url.partition('host=')[2], flush=True); time.sleep(600)"
    )
    killed = subprocess.Popen(
        [sys.executable, "-c", code, str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
    )
    folder = Path(next_line(killed).strip())
    server = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    killed.kill()
    killed.communicate()
    lock = os.open(folder / "lock", os.O_RDWR)
    # Free once guard and server have ended.
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.close(lock)
    assert not runs(server)
    subprocess.run(
        [sys.executable, "-c", code.replace("time.sleep(600)", "0"), str(Path(__file__).parent)], check=True, timeout=60
    )
    assert not folder.exists()
