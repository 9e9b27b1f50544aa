"""SQLite files: which are taken, how they are set up, and errors for unusable ones."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from hublaunch.store.database import database, described
from hublaunch.store.errors import DatabaseInUse, DatabaseNotSupported, DatabaseUnusable
from hublaunch.store.sqlite import SqliteDatabase


@pytest.fixture
def sqlite(path: Path) -> Iterator[SqliteDatabase]:
    sqlite = SqliteDatabase(path, readers=1)
    sqlite.open()
    yield sqlite
    sqlite.close()


@pytest.fixture
def unprivileged(tmp_path: Path) -> Iterator[None]:
    """Run without the right to write into the directory, which root always has."""
    tmp_path.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)
    tmp_path.chmod(0o755)


def test_three_slashes_are_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert described("sqlite:///below/x.sqlite") == str(Path.cwd() / "below/x.sqlite")
    assert described("sqlite:////srv/x.sqlite") == "/srv/x.sqlite"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite://hublaunch.sqlite", "names no file"),
        ("sqlite://host/hublaunch.sqlite", "names no file"),
        ("sqlite:///file:x?mode=memory&uri=true", "must have no options"),
        ("sqlite+aiosqlite:///x.sqlite", "must begin with sqlite:/// or postgresql[+]psycopg://"),
        ("postgresql://me:hunter2@db/x", "must begin with sqlite:/// or postgresql[+]psycopg://"),
        ("hunter2.sqlite", "is not a database URL"),
        ("", "is not a database URL"),
    ],
)
def test_any_other_url_is_refused_without_repeating_it(url: str, reason: str) -> None:
    with pytest.raises(DatabaseNotSupported, match=f"LAUNCHER_DATABASE_URL {reason}") as refusal:
        database(url, readers=1, lease_s=1)

    assert "hunter2" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_new_files_are_readable_by_their_owner_only(sqlite: SqliteDatabase, path: Path) -> None:
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}

    assert modes == dict.fromkeys(
        ["hublaunch.sqlite", "hublaunch.sqlite.lock", "hublaunch.sqlite-shm", "hublaunch.sqlite-wal"], 0o600
    )


def test_connections_are_set_up_for_a_log(sqlite: SqliteDatabase) -> None:
    for engine in (sqlite.writing, sqlite.reading):
        with engine.connect() as connection:
            values = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("auto_vacuum", "journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
        assert values == {
            "auto_vacuum": 2,
            "journal_mode": "wal",
            "synchronous": 1,
            "foreign_keys": 1,
            "busy_timeout": 5000,
        }


def test_readers_cannot_write(sqlite: SqliteDatabase) -> None:
    with sqlite.reading.connect() as connection, pytest.raises(OperationalError, match="readonly"):
        connection.exec_driver_sql("DELETE FROM launches")


def test_a_closed_database_is_one_file_and_its_lock(path: Path) -> None:
    again = SqliteDatabase(path, readers=1)
    again.open()
    again.close()

    assert {file.name for file in path.parent.iterdir()} == {"hublaunch.sqlite", "hublaunch.sqlite.lock"}


def test_a_file_is_taken_once_even_within_a_process_and_by_another_name(sqlite: SqliteDatabase, path: Path) -> None:
    (path.parent / "other.sqlite").symlink_to(path)
    again = database(f"sqlite:///{path.parent}/other.sqlite", readers=1, lease_s=1)

    with pytest.raises(DatabaseInUse, match="in use by another hublaunch") as refusal:
        again.open()

    assert "\n" not in str(refusal.value)


def test_a_refused_second_opening_leaves_the_first_its_file(sqlite: SqliteDatabase, path: Path) -> None:
    for _ in range(2):
        with pytest.raises(DatabaseInUse):
            SqliteDatabase(path, readers=1).open()


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    assert_unusable(tmp_path / "missing" / "x.sqlite", "its directory does not exist")


def test_a_directory_is_not_a_database(tmp_path: Path) -> None:
    directory = tmp_path / "directory"
    directory.mkdir()

    assert_unusable(directory, "Is a directory")


def test_a_path_below_a_file_is_not_a_database(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert_unusable(tmp_path / "file" / "x.sqlite", "Not a directory")


def test_a_foreign_file_is_refused_and_left_unchanged(path: Path) -> None:
    path.write_text("The quick brown fox jumps over the lazy dog. " * 100)
    before = path.read_bytes()

    assert_unusable(path, "file is not a database")

    assert path.read_bytes() == before


def test_a_read_only_directory_is_reported(unprivileged: None, path: Path) -> None:
    assert_unusable(path, "Permission denied")


def test_after_a_refusal_the_file_is_free(path: Path) -> None:
    path.write_text("not a database, and long enough to be seen as none " * 100)
    assert_unusable(path, "file is not a database")
    path.unlink()

    again = SqliteDatabase(path, readers=1)
    again.open()
    again.close()


def assert_unusable(path: Path, reason: str) -> None:
    with pytest.raises(DatabaseUnusable) as refusal:
        SqliteDatabase(path, readers=1).open()

    assert str(refusal.value) == f"The database {path} (LAUNCHER_DATABASE_URL) cannot be used: {reason}."


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://me:hunter2@db/launches", "postgresql+psycopg://me@db/launches?password=hunter2"]
)
def test_a_password_anywhere_in_a_url_is_never_shown(url: str) -> None:
    assert "hunter2" not in described(url)
