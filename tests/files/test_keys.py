"""The file of API keys, and `hublaunch keys`."""

import hmac
import json
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hublaunch.cli import cli
from hublaunch.files.keys import KEY_PREFIX, ApiKeys, KeysFault, add_key, read_keys, revoke_key

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "api-keys.json"


def hublaunch(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(cli, ["keys", *arguments], env={"COLUMNS": "120"} | variables)


def test_an_added_key_is_found_with_its_rights(path: Path) -> None:
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
def test_every_record_is_always_compared(path: Path, monkeypatch: pytest.MonkeyPatch, which: int | None) -> None:
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


def test_neither_a_key_nor_its_digest_is_logged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    entry, key = add_key(path, name="ci")
    keys, whole = ApiKeys(path), path.read_text()

    keys.find(key)
    keys.find(key + "x")
    path.write_text(whole.replace(entry.sha256, key))  # the key in place of its digest
    with pytest.raises(KeysFault) as fault:
        read_keys(path)
    keys.find(key)
    path.write_text(whole)
    keys.find(key)

    assert "no API key is accepted" in caplog.text
    for said in (caplog.text, str(fault.value), repr(entry)):
        assert key not in said
        assert entry.sha256 not in said


def test_the_file_is_private_and_does_not_contain_the_key(path: Path) -> None:
    _, key = add_key(path, name="ci")

    assert key.removeprefix(KEY_PREFIX) not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_added_and_revoked_keys_take_effect_immediately(path: Path) -> None:
    _, first = add_key(path, name="first")
    keys = ApiKeys(path)

    _, second = add_key(path, name="second")
    taken = keys.find(second)
    revoke_key(path, "first")

    assert taken is not None
    assert keys.find(first) is None
    assert keys.find(second) is not None


def test_an_expired_key_is_refused(path: Path) -> None:
    _, over = add_key(path, name="over", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    _, yet = add_key(path, name="yet", expires_at=datetime.now(UTC) + timedelta(days=1))

    keys = ApiKeys(path)

    assert keys.find(over) is None
    assert keys.find(yet) is not None


def test_an_invalid_image_pattern_is_refused_when_added_and_when_read(path: Path) -> None:
    with pytest.raises(KeysFault, match=r"^allowed_images: must have no spaces\.$"):
        add_key(path, name="ci", allowed_images=["quay.io/*", "a b"])
    add_key(path, name="ci", allowed_images=["quay.io/*"])
    path.write_text(path.read_text().replace("quay.io/*", "quay.io/["))

    with pytest.raises(KeysFault, match=r"keys\.0\.allowed_images\.0: must close each bracket"):
        ApiKeys(path)


@pytest.mark.parametrize("content", ["", "{", '{"version": 2}', '{"version": 1, "keys": [{"name": "ci"}]}'])
def test_no_key_is_valid_while_the_file_is_broken(path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    _, key = add_key(path, name="ci")
    keys, whole = ApiKeys(path), path.read_text()

    path.write_text(content)
    broken = [keys.find(key), keys.find(key)]
    path.write_text(whole)

    assert broken == [None, None]
    assert keys.find(key) is not None
    assert caplog.text.count("no API key is accepted") == 1


def test_no_key_is_accepted_while_others_may_change_the_file(path: Path) -> None:
    _, key = add_key(path, name="ci")
    keys = ApiKeys(path)

    path.chmod(0o666)
    open_to_others = keys.find(key)
    path.chmod(0o600)

    assert open_to_others is None
    assert keys.find(key) is not None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "are invalid"),
        ('{"version": 1, "keys": [], "kyes": []}', "kyes"),
        (json.dumps({"version": 1, "keys": [{"name": "a", "sha256": "0" * 64}]}), "created_at"),
    ],
)
def test_the_error_for_an_invalid_file_names_the_place(path: Path, content: str, words: str) -> None:
    path.write_text(content)

    with pytest.raises(KeysFault, match=words) as fault:
        read_keys(path)

    assert str(path) in str(fault.value)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("changed", [{"name": "another"}, {"sha256": "0" * 64}])
def test_a_repeated_name_or_key_in_the_file_is_refused(path: Path, changed: dict[str, str]) -> None:
    add_key(path, name="ci")
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"keys": [content["keys"][0], content["keys"][0] | changed]}))

    with pytest.raises(KeysFault, match="twice"):
        read_keys(path)


@pytest.mark.parametrize("pattern", ["\udcff", "quay.io/\x1b[31m", "quay.io/é"])
def test_a_pattern_that_is_not_ascii_is_refused(path: Path, pattern: str) -> None:
    add_key(path, name="ci")

    with pytest.raises(KeysFault, match="allowed_images: must be a pattern in ASCII"):
        add_key(path, name="another", allowed_images=[pattern])

    assert len(read_keys(path)) == 1


def test_processes_that_add_keys_simultaneously_lose_none(path: Path) -> None:
    names = {f"key-{number}" for number in range(4)}
    add = [sys.executable, "-m", "hublaunch.cli", "keys", "add", "--file", str(path)]
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda name: subprocess.check_output([*add, name], text=True), names))

    keys = ApiKeys(path)
    assert {found.name for key in added if (found := keys.find(key.strip()))} == names


@pytest.mark.parametrize("name", ["", "A", "a b", "a/b", "é", "-a", "a" * 65, "a\n", ".a"])
def test_an_invalid_name_is_refused(path: Path, name: str) -> None:
    with pytest.raises(KeysFault, match="name: must be"):
        add_key(path, name=name)

    assert not path.exists()


# --- hublaunch keys ---------------------------------------------------------------------------------------------------


def test_add_prints_only_the_key_and_list_and_revoke_find_it(path: Path) -> None:
    added = hublaunch(
        "add", "ci", "--image", "quay.io/*", "--max-active", "3", "--admin", LAUNCHER_API_KEYS_FILE=str(path)
    )
    listed = hublaunch("list", LAUNCHER_API_KEYS_FILE=str(path))
    as_json = json.loads(hublaunch("list", "--json", "--file", str(path)).stdout)
    revoked = hublaunch("revoke", "ci", "--file", str(path))

    key = added.stdout.strip()
    assert key.startswith(KEY_PREFIX)
    assert "API key for ci. It will not be shown again." in added.stderr
    assert "quay.io/*" in listed.stdout
    assert (as_json["name"], as_json["max_active"], as_json["is_admin"]) == ("ci", 3, True)
    assert revoked.exit_code == 0
    assert read_keys(path) == ()
    for said in (listed.stdout, json.dumps(as_json)):
        assert key not in said
        assert "sha256" not in said


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("list",), 2, "with --file or LAUNCHER_API_KEYS_FILE"),
        (("list", "--file", "none.json"), 0, "hublaunch keys add NAME"),
        (("revoke", "ci", "--file", "none.json"), 1, "no key named ci"),
        (("add", "Not A Name", "--file", "none.json"), 1, "name: must be"),
        (("add", "ci", "--max-active", "0", "--file", "none.json"), 2, "max-active"),
        (("add", "ci", "--file", "nowhere/none.json"), 1, "cannot be written"),
        (("add", "ci", "--expires-days", "99999999", "--file", "none.json"), 2, "expires-days"),
        (("list", "--file", "n" * 300), 1, "cannot be read"),
        (("list", "--file", "."), 1, "cannot be read"),
    ],
)
def test_an_error_says_what_to_do(arguments: tuple[str, ...], status: int, words: str) -> None:
    said = hublaunch(*arguments)

    assert said.exit_code == status
    assert words in said.stderr
    assert "Traceback" not in said.stderr


def test_the_list_shows_each_key_on_one_line(path: Path) -> None:
    name, pattern = "n" * 64, f"quay.io/[a-z]*/{'i' * 60}"
    add_key(path, name=name, allowed_images=[pattern, "ghcr.io/*"], may_name_user=True)
    add_key(path, name="ci")

    lines = hublaunch("list", "--file", str(path), COLUMNS="40").stdout.splitlines()

    assert len(lines) == 3
    assert lines[1].startswith(f"{name}  ")
    assert lines[1].endswith(f"names users  by image       {pattern}, ghcr.io/*")
    assert lines[2].split() == [
        "ci",
        f"{datetime.now(UTC):%Y-%m-%d}",
        "never",
        "no",
        "limit",
        "-",
        *("the", "service's", "the", "service's"),
    ]


def test_a_key_may_list_environments(path: Path) -> None:
    added = hublaunch("add", "ci", "--environment", "scipy", "--environment", "course", "--file", str(path))
    listed = hublaunch("list", "--file", str(path), COLUMNS="40").stdout.splitlines()
    invalid = hublaunch("add", "other", "--environment", "Not A Name", "--file", str(path))

    key = ApiKeys(path).find(added.stdout.strip())
    assert key is not None
    assert (key.environments, key.allowed_images) == (("scipy", "course"), None)
    assert listed[1].endswith("scipy, course  -")
    assert invalid.exit_code == 1
    assert "environments: String should match pattern" in invalid.stderr


def test_the_command_imports_no_web_or_sql(path: Path) -> None:
    add_key(path, name="ci")
    imported = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "hublaunch.cli", "keys", "list", "--file", str(path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stderr

    assert " hublaunch.files.keys\n" in imported
    for heavy in ("fastapi", "starlette", "sqlalchemy", "aiohttp", "httptools", "httpx", "rich.table"):
        assert f" {heavy}\n" not in imported


def test_the_command_finds_the_file_in_dotenv_without_any_other_setting(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LAUNCHER_API_KEYS_FILE=from-dotenv.json\n")

    added = hublaunch("add", "ci")

    assert added.exit_code == 0
    assert (tmp_path / "from-dotenv.json").exists()
