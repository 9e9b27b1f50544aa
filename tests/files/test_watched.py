"""A watched file is read again when it changes, and after every error."""

import contextlib
import os
from pathlib import Path

import pytest

from hublaunch.files.watched import FileFault, WatchedFile


class Reader:
    """Reads text, and can fail."""

    def __init__(self) -> None:
        self.reads = 0
        self.error: Exception | None = None

    def __call__(self, path: Path) -> str:
        self.reads += 1
        if self.error:
            raise self.error
        try:
            return path.read_text()
        except OSError as error:
            raise FileFault(f"{path}: {error.strerror}.") from error


@pytest.fixture
def read() -> Reader:
    return Reader()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("first")
    return path


def watched(path: Path, read: Reader) -> WatchedFile[str]:
    return WatchedFile(path, read, describe=str, while_unusable=lambda before: f"not {before}", consequence="Sorry.")


def test_an_unchanged_file_is_not_read_again(path: Path, read: Reader) -> None:
    file = watched(path, read)

    file.check()

    assert read.reads == 1


def test_a_change_of_mode_is_a_change(path: Path, read: Reader) -> None:
    file = watched(path, read)
    path.chmod(0o640)

    file.check()

    assert read.reads == 2


def test_a_missing_file_is_unusable_until_it_is_back(path: Path, read: Reader) -> None:
    file = watched(path, read)

    path.rename(path.with_name("away"))
    file.check()
    away = (file.content, file.fault)
    path.with_name("away").rename(path)
    file.check()

    assert away == ("not first", f"{path}: No such file or directory.")
    assert (file.content, file.fault) == ("first", None)


@pytest.mark.parametrize("error", [FileFault("Too many open files."), NameError("unforeseen")])
def test_an_unchanged_file_is_read_again_after_an_error(path: Path, read: Reader, error: Exception) -> None:
    file = watched(path, read)
    os.utime(path)
    read.error = error
    with contextlib.suppress(NameError):
        file.check()
    read.error = None

    file.check()

    assert (read.reads, file.content, file.fault) == (3, "first", None)


def test_a_volume_of_kubernetes_that_swaps_its_link_is_read_again(tmp_path: Path, read: Reader) -> None:
    """Kubernetes writes a new directory and swaps one link to it; size and even times may be equal."""
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "file").write_text(version)
        os.utime(tmp_path / version / "file", (1, 1))
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "file").symlink_to("..data/file")
    file = watched(tmp_path / "file", read)

    (tmp_path / "..data_tmp").symlink_to("v2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    file.check()

    assert file.content == "v2"
