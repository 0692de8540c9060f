"""Opening the fleet database: the first time, again, from many processes, and when it can't be used."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from ansim.database import Database, DatabaseUnavailable
from ansim.errors import BadInput, ServiceError
from ansim.schema import metadata


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
    assert holder.stdin is not None and holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(DatabaseUnavailable, match="locked by another process") as caught, database.writing():
        pytest.fail("the lock was not respected")
    if sys.platform == "linux":
        assert f"process id {holder.pid}" in caught.value.message
    holder.communicate("")
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
    subprocess.run([sys.executable, "-c", code, url_of(path)], check=True)
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


@pytest.mark.parametrize("url", ["nonsense", "oracle9://user:geheim@host/db", "sqlite://"])
def test_an_url_that_is_none_is_bad_input_and_shows_no_password(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        Database.open(url)
    assert "geheim" not in caught.value.message + caught.value.hint
