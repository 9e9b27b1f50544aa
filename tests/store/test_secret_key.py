from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hublaunch.store.database import secret_key
from hublaunch.store.errors import SecretKeyMissing, SecretKeyUnusable
from hublaunch.store.secret_key import load_secret_key


def key_file(path: Path) -> Path:
    return path.parent / "hublaunch.secret-key"


def test_a_configured_key_is_used_and_no_file_is_created(path: Path) -> None:
    assert secret_key("configured", f"sqlite:///{path}") == "configured"
    assert not key_file(path).exists()


def test_without_a_configured_key_only_a_file_has_its_own(path: Path) -> None:
    assert secret_key(None, f"sqlite:///{path}") == key_file(path).read_text().strip()
    with pytest.raises(SecretKeyMissing, match="LAUNCHER_SECRET_KEY is not set"):
        secret_key(None, "postgresql+psycopg://me@db/hublaunch")


def test_a_key_is_created_once_and_readable_by_its_owner_only(path: Path) -> None:
    key = load_secret_key(path)

    assert len(key) == 43
    assert load_secret_key(path) == key
    assert key_file(path).stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [key_file(path)]


def test_two_databases_have_two_keys(tmp_path: Path) -> None:
    assert load_secret_key(tmp_path / "a.sqlite") != load_secret_key(tmp_path / "b.sqlite")


def test_simultaneous_starts_get_the_same_key(path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: load_secret_key(path), range(40)))

    assert len(keys) == 1
    assert list(path.parent.iterdir()) == [key_file(path)]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_may_read_is_refused(path: Path, mode: int) -> None:
    load_secret_key(path)
    key_file(path).chmod(mode)

    assert_unusable(path, "other users may read it. Replace it, or run chmod 600 on it")


def test_a_key_that_is_too_short_is_refused_and_not_replaced(path: Path) -> None:
    key_file(path).touch(mode=0o600)

    assert_unusable(path, "it has fewer than 32 characters, so restore or delete it")

    assert key_file(path).read_bytes() == b""


def test_a_missing_directory_is_reported(tmp_path: Path) -> None:
    assert_unusable(tmp_path / "missing" / "hublaunch.sqlite", "its directory does not exist")


def test_a_directory_in_place_of_the_key_is_reported(path: Path) -> None:
    key_file(path).mkdir()

    assert_unusable(path, "Is a directory")


def assert_unusable(path: Path, reason: str) -> None:
    with pytest.raises(SecretKeyUnusable) as refusal:
        load_secret_key(path)

    expected = f"The secret key in {key_file(path)} cannot be used: {reason}. You can set LAUNCHER_SECRET_KEY instead."
    assert str(refusal.value) == expected
