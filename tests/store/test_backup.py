"""A SQLite database is backed up whole, with its key, while the service writes; or nothing is."""

from pathlib import Path

import pytest

from hublaunch.launch.ports import LaunchFilter
from hublaunch.sealing import Sealer
from hublaunch.store.backup import back_up
from hublaunch.store.database import database_file
from hublaunch.store.errors import BackupRefused
from hublaunch.store.secret_key import key_file, read_key, write_key
from hublaunch.store.sql import SqlLaunchStore
from tests.store.launches import accepted, ready_launch

KEY = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_backup_of_a_running_service_has_its_launches_and_its_key(
    url: str, sealer: Sealer, tmp_path: Path
) -> None:
    source = database_file(url)
    assert source is not None
    write_key(key_file(source), KEY)
    backup = tmp_path / "backup.sqlite"
    async with SqlLaunchStore(url, sealer=sealer) as store:
        ready = await ready_launch(store)

        written = back_up(url, backup)

        await accepted(store)  # after the backup

    async with SqlLaunchStore(f"sqlite:///{backup}", sealer=sealer) as restored:
        assert [one.id for one in await restored.log.launches(LaunchFilter(), limit=9)] == [ready.id]
    assert written == (backup, tmp_path / "backup.secret-key")
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}
    assert read_key(written[1]) == KEY


def test_a_backup_replaces_no_file(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "backup.secret-key").write_text("another")

    with pytest.raises(BackupRefused, match="exists already"):
        back_up(sqlite_url, tmp_path / "backup.sqlite")

    assert not (tmp_path / "backup.sqlite").exists()


def test_a_backup_gets_its_name_once_it_is_whole_and_has_its_key(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_key(tmp_path / "hublaunch.secret-key", KEY)
    present = list[bool]()

    def fail(*_: object) -> None:
        present.append((tmp_path / "backup.sqlite").exists())
        raise InterruptedError

    monkeypatch.setattr("hublaunch.store.backup.write_key", fail)
    with pytest.raises(BackupRefused):
        back_up(sqlite_url, tmp_path / "backup.sqlite")

    assert present == [False]
    assert list(tmp_path.glob("backup.*")) == []


def test_a_backup_is_not_written_to_the_name_of_its_key(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match=r"the name for a key\. Choose another one .* such as backup\.sqlite"):
        back_up(sqlite_url, tmp_path / "backup.secret-key")

    assert not (tmp_path / "backup.secret-key").exists()


def test_postgresql_is_backed_up_by_its_own_programs(tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="pg_dump"):
        back_up("postgresql+psycopg://db/hublaunch", tmp_path / "backup.sqlite")


def test_a_damaged_database_is_not_called_a_backup(sqlite_url: str, tmp_path: Path) -> None:
    source = database_file(sqlite_url)
    assert source is not None
    content = bytearray(source.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    source.write_bytes(content)

    with pytest.raises(BackupRefused):
        back_up(sqlite_url, tmp_path / "backup.sqlite")

    assert not (tmp_path / "backup.sqlite").exists()
