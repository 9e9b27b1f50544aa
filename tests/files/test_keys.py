"""API keys in their file, and `hublaunch keys`."""

import errno
import hmac
import json
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from hublaunch.files.keys import KEY_PREFIX, ApiKeys, KeysFault, add_key, read_keys, revoke_key

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "api-keys.json"


def hublaunch(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hublaunch.cli", "keys", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def too_many_open_files(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def test_a_key_that_was_added_is_found_with_its_rights_and_another_is_not(path: Path) -> None:
    entry, key = add_key(path, name="ci", allowed_images=["quay.io/*"], max_active=3, may_name_user=True)

    keys = ApiKeys(path)

    assert keys.find(key) == entry
    assert (entry.allowed_images, entry.max_active, entry.may_name_user, entry.is_admin) == (
        ("quay.io/*",),
        3,
        True,
        False,
    )
    assert keys.find(KEY_PREFIX + "x" * 43) is None
    assert keys.find("") is None


@pytest.mark.parametrize("which", [0, 1, 2, None])
def test_every_entry_is_compared_in_constant_time_whichever_is_found(
    path: Path, monkeypatch: pytest.MonkeyPatch, which: int | None
) -> None:
    made = [add_key(path, name=f"key-{number}")[1] for number in range(3)]
    keys = ApiKeys(path)
    compared: list[tuple[str, str]] = []
    compare = hmac.compare_digest

    def watched(one: str, other: str) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)

    assert (keys.find("none" if which is None else made[which]) is None) == (which is None)
    assert len(compared) == 3


def test_no_key_and_no_digest_is_logged_or_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    entry, key = add_key(path, name="ci")
    keys, whole = ApiKeys(path), path.read_text()

    keys.find(key)
    keys.find(key + "x")
    path.write_text(whole.replace(entry.sha256, key))  # somebody took the one for the other
    with pytest.raises(KeysFault) as fault:
        read_keys(path)
    keys.find(key)
    path.write_text(whole)
    keys.find(key)

    assert "no API key is taken" in caplog.text
    for said in (caplog.text, str(fault.value), repr(entry)):
        assert key not in said
        assert entry.sha256 not in said


def test_the_key_itself_is_not_kept_and_the_file_is_its_owners_alone(path: Path) -> None:
    _, key = add_key(path, name="ci")

    assert key.removeprefix(KEY_PREFIX) not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_running_service_takes_a_new_key_and_refuses_a_revoked_one_at_once(path: Path) -> None:
    _, first = add_key(path, name="first")
    keys = ApiKeys(path)

    _, second = add_key(path, name="second")
    taken = keys.find(second)
    revoke_key(path, "first")

    assert taken is not None
    assert keys.find(first) is None
    assert keys.find(second) is not None


def test_a_key_whose_time_is_over_is_refused(path: Path) -> None:
    _, over = add_key(path, name="over", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    _, yet = add_key(path, name="yet", expires_at=datetime.now(UTC) + timedelta(days=1))

    keys = ApiKeys(path)

    assert keys.find(over) is None
    assert keys.find(yet) is not None


def test_a_key_with_an_image_pattern_that_is_none_is_refused_where_it_is_made_and_where_it_is_read(path: Path) -> None:
    with pytest.raises(KeysFault, match=r"^allowed_images: must have no spaces\.$"):
        add_key(path, name="ci", allowed_images=["quay.io/*", "a b"])
    add_key(path, name="ci", allowed_images=["quay.io/*"])
    path.write_text(path.read_text().replace("quay.io/*", "quay.io/["))

    with pytest.raises(KeysFault, match=r"keys\.0\.allowed_images\.0: must close each bracket"):
        ApiKeys(path)


@pytest.mark.parametrize("content", ["", "{", '{"version": 2}', '{"version": 1, "keys": [{"name": "ci"}]}'])
def test_while_the_file_is_broken_no_key_is_taken_and_afterwards_it_is_again(
    path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    _, key = add_key(path, name="ci")
    keys, whole = ApiKeys(path), path.read_text()

    path.write_text(content)
    broken = [keys.find(key), keys.find(key)]
    path.write_text(whole)

    assert broken == [None, None]
    assert keys.find(key) is not None
    assert caplog.text.count("no API key is taken") == 1


def test_a_file_that_is_taken_away_lets_nobody_in_until_it_is_back(path: Path) -> None:
    _, key = add_key(path, name="ci")
    keys = ApiKeys(path)

    path.rename(path.with_name("away"))
    away = keys.find(key)
    path.with_name("away").rename(path)

    assert away is None
    assert keys.find(key) is not None


def test_a_file_that_others_may_change_from_now_on_lets_nobody_in_until_that_is_mended(path: Path) -> None:
    _, key = add_key(path, name="ci")
    keys = ApiKeys(path)

    path.chmod(0o666)
    open_to_others = keys.find(key)
    path.chmod(0o600)

    assert open_to_others is None
    assert keys.find(key) is not None


def test_a_fault_that_leaves_the_file_as_it_is_does_not_last(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, key = add_key(path, name="ci")
    keys = ApiKeys(path)
    os.utime(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", too_many_open_files)
        meanwhile = keys.find(key)

    assert meanwhile is None
    assert keys.find(key) is not None


def test_a_secret_of_kubernetes_that_is_turned_to_a_new_version_is_read_again(tmp_path: Path) -> None:
    for version, name in (("v1", "old"), ("v2", "new")):
        (tmp_path / version).mkdir()
        add_key(tmp_path / version / "api-keys.json", name=name)
        (tmp_path / version / "api-keys.json").chmod(0o644)
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "api-keys.json").symlink_to("..data/api-keys.json")
    _, key = add_key(tmp_path / "v2" / "api-keys.json", name="ci")
    keys = ApiKeys(tmp_path / "api-keys.json")

    (tmp_path / "..data_tmp").symlink_to("v2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")

    assert keys.find(key) is not None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "are not what they must be"),
        ('{"version": 1, "keys": [], "kyes": []}', "kyes"),
        (json.dumps({"version": 1, "keys": [{"name": "a", "sha256": "0" * 64}]}), "created_at"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused_with_the_place(path: Path, content: str, words: str) -> None:
    path.write_text(content)

    with pytest.raises(KeysFault, match=words) as fault:
        read_keys(path)

    assert str(path) in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_file_that_others_may_change_is_refused(path: Path) -> None:
    add_key(path, name="ci")
    path.chmod(0o620)

    with pytest.raises(KeysFault, match="chmod 600"):
        ApiKeys(path)


@pytest.mark.parametrize("changed", [{"name": "another"}, {"sha256": "0" * 64}])
def test_a_name_or_a_key_twice_in_the_file_is_refused(path: Path, changed: dict[str, str]) -> None:
    add_key(path, name="ci")
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"keys": [content["keys"][0], content["keys"][0] | changed]}))

    with pytest.raises(KeysFault, match="twice"):
        read_keys(path)


def test_a_key_that_is_revoked_by_a_link_to_the_file_is_refused(path: Path) -> None:
    _, key = add_key(path, name="ci")
    keys = ApiKeys(path)
    link = path.with_name("link.json")
    link.symlink_to(path)

    revoke_key(link, "ci")

    assert keys.find(key) is None
    assert link.is_symlink()


@pytest.mark.parametrize("pattern", ["\udcff", "quay.io/\x1b[31m", "quay.io/é"])
def test_a_pattern_that_could_not_be_read_again_is_refused_before_it_is_written(path: Path, pattern: str) -> None:
    add_key(path, name="ci")

    with pytest.raises(KeysFault, match="allowed_images: must be a pattern in ASCII"):
        add_key(path, name="another", allowed_images=[pattern])

    assert len(read_keys(path)) == 1


def test_a_change_that_cannot_be_written_leaves_the_file_and_nothing_beside_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_key(path, name="ci")
    before = sorted(path.parent.iterdir()), path.read_text()
    monkeypatch.setattr(os, "fsync", too_many_open_files)

    with pytest.raises(KeysFault, match="cannot be written"):
        add_key(path, name="another")

    assert (sorted(path.parent.iterdir()), path.read_text()) == before


def test_changing_the_file_leaves_it_to_whom_it_belonged(path: Path) -> None:
    add_key(path, name="ci")
    path.chmod(0o640)

    add_key(path, name="another")

    assert path.stat().st_mode & 0o777 == 0o640


def test_keys_that_are_added_at_once_are_all_kept(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: add_key(path, name=f"key-{number}"), range(24)))

    assert len(read_keys(path)) == 24


def test_processes_that_add_at_once_lose_nothing(path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda number: hublaunch("add", f"key-{number}", "--file", str(path)), range(4)))

    keys = ApiKeys(path)
    assert {found.name for done in added if (found := keys.find(done.stdout.strip()))} == {
        f"key-{number}" for number in range(4)
    }


@pytest.mark.parametrize("name", ["", "A", "a b", "a/b", "é", "-a", "a" * 65, "a\n", ".a"])
def test_a_name_that_is_none_is_refused(path: Path, name: str) -> None:
    with pytest.raises(KeysFault, match="name: must be"):
        add_key(path, name=name)

    assert not path.exists()


# --- hublaunch keys ---------------------------------------------------------------------------------------------------


def test_add_prints_the_key_alone_and_list_and_revoke_know_it(path: Path) -> None:
    added = hublaunch(
        "add", "ci", "--image", "quay.io/*", "--max-active", "3", "--admin", LAUNCHER_API_KEYS_FILE=str(path)
    )
    listed = hublaunch("list", LAUNCHER_API_KEYS_FILE=str(path))
    as_json = json.loads(hublaunch("list", "--json", "--file", str(path)).stdout)
    revoked = hublaunch("revoke", "ci", "--file", str(path))

    key = added.stdout.strip()
    assert key.startswith(KEY_PREFIX)
    assert "shown this once" in added.stderr
    assert "quay.io/*" in listed.stdout
    assert (as_json["name"], as_json["max_active"], as_json["is_admin"]) == ("ci", 3, True)
    assert revoked.returncode == 0
    assert read_keys(path) == ()
    for said in (listed.stdout, json.dumps(as_json)):
        assert key not in said
        assert "sha256" not in said


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("list",), 2, "--file FILE"),
        (("list", "--file", "none.json"), 0, "hublaunch keys add NAME"),
        (("revoke", "ci", "--file", "none.json"), 1, "no key of this name"),
        (("add", "Not A Name", "--file", "none.json"), 1, "name: must be"),
        (("add", "ci", "--max-active", "0", "--file", "none.json"), 2, "max-active"),
        (("add", "ci", "--file", "nowhere/none.json"), 1, "cannot be written"),
        (("add", "ci", "--expires-days", "99999999", "--file", "none.json"), 2, "expires-days"),
        (("list", "--file", "n" * 300), 1, "cannot be read"),
        (("list", "--file", "."), 1, "cannot be read"),
    ],
)
def test_what_cannot_be_done_says_why_and_what_to_do(arguments: tuple[str, ...], status: int, words: str) -> None:
    said = hublaunch(*arguments)

    assert said.returncode == status
    assert words in said.stderr
    assert "Traceback" not in said.stderr


def test_the_list_shows_all_of_every_key_on_one_line_each(path: Path) -> None:
    name, pattern = "n" * 64, f"quay.io/[a-z]*/{'i' * 60}"
    add_key(path, name=name, allowed_images=[pattern, "ghcr.io/*"], may_name_user=True)
    add_key(path, name="ci")

    lines = hublaunch("list", "--file", str(path), COLUMNS="40").stdout.splitlines()

    assert len(lines) == 3
    assert lines[1].startswith(f"{name}  ")
    assert lines[1].endswith(f"names users  {pattern}, ghcr.io/*")
    assert lines[2].split() == [
        "ci",
        f"{datetime.now(UTC):%Y-%m-%d}",
        "never",
        "any",
        "number",
        "-",
        "the",
        "service's",
    ]


def test_the_command_line_is_light(path: Path) -> None:
    add_key(path, name="ci")
    imported = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "hublaunch.cli", "keys", "list", "--file", str(path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stderr

    assert " hublaunch.files.keys\n" in imported
    for heavy in ("fastapi", "starlette", "sqlalchemy", "aiohttp", "httpx", "rich.table"):
        assert f" {heavy}\n" not in imported


def test_the_command_finds_the_file_in_dotenv_without_any_other_setting(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LAUNCHER_API_KEYS_FILE=from-dotenv.json\n")

    added = hublaunch("add", "ci")

    assert added.returncode == 0
    assert (tmp_path / "from-dotenv.json").exists()
