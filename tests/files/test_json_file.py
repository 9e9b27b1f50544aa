"""A JSON file is whole at every moment, and loses no change."""

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

from hublaunch.files.json_file import JsonFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file.json"
    JsonFile(path).write({"number": 0})
    return path


def test_a_new_file_belongs_to_its_owner_alone(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_change_keeps_the_mode(path: Path) -> None:
    path.chmod(0o640)

    JsonFile(path).write({})

    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link_and_its_target_changes(path: Path) -> None:
    link = path.with_name("link.json")
    link.symlink_to(path)

    JsonFile(link).write({"number": 1})

    assert link.is_symlink()
    assert json.loads(path.read_text()) == {"number": 1}


def test_a_failed_write_leaves_the_file_and_nothing_beside_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = sorted(path.parent.iterdir()), path.read_text()
    monkeypatch.setattr(os, "fsync", no_space)

    with pytest.raises(OSError, match="No space left"):
        JsonFile(path).write({"number": 1})

    assert (sorted(path.parent.iterdir()), path.read_text()) == before


def test_simultaneous_changes_are_all_kept(path: Path) -> None:
    def add(_: int) -> None:
        file = JsonFile(path)
        with file.locked():
            file.write({"number": json.loads(path.read_text())["number"] + 1})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(24)))

    assert json.loads(path.read_text()) == {"number": 24}
