"""`hublaunch invite`: invitations from an operator's shell."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner, Result

from hublaunch.cli import cli
from hublaunch.files.keys import add_key
from hublaunch.launch.caller import Caller
from hublaunch.settings import Settings
from hublaunch.store import invitations
from hublaunch.store.database import transaction_beside_service
from hublaunch.store.rows import launch_row
from hublaunch.store.tables import launches
from tests.cli.commands import in_thread
from tests.store.launches import new_launch
from tests.support.callers import bearer
from tests.support.catalogue import catalogue_in
from tests.support.invitations import ended, invited
from tests.support.served import serve

LINK_START = "https://hub.example.org/services/hublaunch/#invitation="


@pytest.fixture(autouse=True)
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment of an operator's shell."""
    variables = {
        "HUB_URL": "https://hub.example.org/",
        "HUB_API_TOKEN": settings.hub_api_token.get_secret_value(),
        "DATABASE_URL": settings.database_url,
        "PREFIX": "/services/hublaunch",
        "ACCESS": "hub,invitation",
        "CATALOGUE_FILE": str(catalogue_in(tmp_path)),
        "AUDIT_LOG": str(tmp_path / "audit.log"),
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"LAUNCHER_{name}", value)


def invite(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(cli, ["invite", *arguments])


def add(name: str = "pycon", *arguments: str) -> Result:
    given = ("--environment", "scipy", "--most", "200", "--until", "2099-05-20")
    return invite("add", name, *given, *arguments)


def shown(name: str = "pycon") -> dict[str, object]:
    found: dict[str, object] = json.loads(invite("show", name, "--json").stdout)
    return found


def test_an_added_invitation_has_a_link_whose_code_is_in_the_fragment(settings: Settings, tmp_path: Path) -> None:
    added = add("pycon", "--size", "small", "--repo", "https://github.com/org/repo", "--ref", "v1", "--path", "/lab")

    link = added.stdout.strip()
    code = link.removeprefix(LINK_START)
    with transaction_beside_service(settings.database_url, writes=False) as connection:
        found = invitations.find(connection, code)
    assert (added.exit_code, urlsplit(link).fragment) == (0, f"invitation={code}")
    assert (found.name, found.environments, found.sizes, found.most) == ("pycon", ("scipy",), ("small",), 200)
    assert (found.repo_url, found.ref, found.path) == ("https://github.com/org/repo", "v1", "lab")
    assert found.until == datetime(2099, 5, 21, tzinfo=UTC)
    assert code not in (tmp_path / "audit.log").read_text()


def test_the_qr_code_of_a_link_is_written_for_a_slide(tmp_path: Path) -> None:
    add("pycon", "--qr", str(tmp_path / "pycon.svg"))
    add("other", "--qr", str(tmp_path / "other.png"))
    unknown = add("third", "--qr", str(tmp_path / "third.doc"))

    assert (tmp_path / "pycon.svg").read_text().startswith("<?xml")
    assert (tmp_path / "other.png").read_bytes().startswith(b"\x89PNG")
    assert unknown.exit_code == 2
    assert invite("show", "third").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--environment", "scipi"), "environment: the catalogue has none of this name. Did you mean scipy?"),
        (("--size", "smalls"), "size: the catalogue has none of this name. Did you mean small?"),
        (("--until", "2020-05-20"), "until: must be in the future"),
        (("--until", "tomorrow"), "until: must be a date, or a time with its zone"),
        (("--repo", "/etc"), "repo_url: must"),
        (("--path", "lab"), "path: needs the repository that it belongs to"),
        (("--ref", "v1"), "ref: needs the repository that it belongs to"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_added(arguments: tuple[str, ...], sentence: str) -> None:
    refused = add("pycon", *arguments)

    assert refused.exit_code == 1
    assert sentence in refused.output
    assert invite("show", "pycon").exit_code == 1


def test_a_size_of_a_group_cannot_be_in_an_invitation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "restricted.yaml"
    path.write_text("""
environments:
  scipy: {title: SciPy, image: quay.io/org/scipy, sizes: [small, gpu]}
sizes:
  small: {title: Small}
  gpu: {title: GPU, groups: [staff]}
""")
    monkeypatch.setenv("LAUNCHER_CATALOGUE_FILE", str(path))

    refused = add("pycon", "--size", "gpu")

    assert refused.exit_code == 1
    assert "size: the environment scipy has no such size for everybody" in refused.output


def test_a_repository_that_no_holder_could_open_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "fetched.yaml"
    path.write_text("environments: {scipy: {title: SciPy, image: quay.io/org/scipy, content: nbgitpuller}}")
    monkeypatch.setenv("LAUNCHER_CATALOGUE_FILE", str(path))
    monkeypatch.setenv("LAUNCHER_BANNED_REPOS", '["github.com/evil/*"]')

    banned = add("pycon", "--repo", "https://github.com/evil/repo")
    not_fetched = add("pycon", "--repo", "git@github.com:org/repo.git")
    commit = add("pycon", "--repo", "https://github.com/org/repo", "--ref", "a" * 40)
    allowed = add("pycon", "--repo", "https://github.com/org/repo")

    assert "repo_url: This service does not launch this repository. LAUNCHER_ALLOWED_REPOS" in banned.output
    assert "repo_url: must begin with https:// here" in not_fetched.output
    assert "ref: must be a branch or a tag here" in commit.output
    assert [one.exit_code for one in (banned, not_fetched, commit, allowed)] == [1, 1, 1, 0]


def test_an_environment_that_does_not_fetch_the_repository_is_named() -> None:
    label = add("pycon", "--repo", "https://github.com/org/repo")
    link = add("other", "--repo", "https://github.com/org/repo", "--path", "git-pull?repo=https://github.com/org/repo")

    assert (label.exit_code, link.exit_code) == (0, 0)
    assert "Servers of the environment scipy will not have the files of the repository" in label.stderr
    assert "will not have the files" not in link.stderr


def test_an_environment_without_the_digest_that_the_service_requires_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAUNCHER_REQUIRE_DIGEST", "true")

    refused = add("pycon", "--repo", "https://github.com/org/repo")

    assert refused.exit_code == 1
    assert "environment: " in refused.output


def test_the_operator_learns_that_the_service_accepts_no_invitations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAUNCHER_ACCESS", "hub")

    added = add()

    assert added.exit_code == 0
    assert "LAUNCHER_ACCESS does not include invitation" in added.stderr


def test_the_list_shows_the_state_and_the_use_of_each_invitation(settings: Settings) -> None:
    ended(settings.database_url)
    invited(settings.database_url, "full", most=1)
    add("open")
    add("withdrawn")
    invite("revoke", "withdrawn")
    _accept(settings, "full")

    listed = invite("list").stdout.splitlines()
    objects = [json.loads(line) for line in invite("list", "--json").stdout.splitlines()]

    assert {line.split()[0]: line.split()[1:4] for line in listed[1:]} == {
        "withdrawn": ["revoked", "0", "200"],
        "open": ["open", "0", "200"],
        "full": ["full", "1", "1"],
        "over": ["ended", "0", "200"],
    }
    assert {found["name"]: found["state"] for found in objects}["full"] == "full"


def _accept(settings: Settings, name: str) -> None:
    launch = new_launch(caller=Caller(kind="invitation", key=name))
    with transaction_beside_service(settings.database_url, writes=True) as connection:
        connection.execute(insert(launches).values(launch_row(launch)))


def test_an_invitation_is_changed_and_revoked(tmp_path: Path) -> None:
    add()

    changed = invite("change", "pycon", "--most", "300", "--until", "2099-06-01T18:00:00+02:00")
    after = shown()
    nothing = invite("change", "pycon")
    revoked = invite("revoke", "pycon")
    again = invite("revoke", "pycon")

    assert changed.exit_code == 0
    assert (after["most"], after["until"]) == (300, "2099-06-01T16:00:00+00:00")
    assert (nothing.exit_code, revoked.exit_code, again.exit_code) == (2, 0, 1)
    assert shown()["state"] == "revoked"
    actions = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    assert [(one["action"], one["invitation"], one["actor"]["kind"]) for one in actions] == [
        ("invitation_added", "pycon", "operator"),
        ("invitation_changed", "pycon", "operator"),
        ("invitation_revoked", "pycon", "operator"),
    ]


def test_a_name_is_free_once_its_invitation_is_over() -> None:
    add()
    taken = add()
    invite("revoke", "pycon")

    assert taken.exit_code == 1
    assert "an invitation of this name is in use" in taken.output
    assert add().exit_code == 0


def test_an_end_in_the_past_is_refused() -> None:
    add()

    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    refused = invite("change", "pycon", "--until", yesterday)

    assert refused.exit_code == 1
    assert "`hublaunch invite revoke` ends an invitation now" in refused.output


async def test_an_admin_lists_the_launches_of_an_invitation(settings: Settings, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    admin, plain = add_key(keys, name="admin", is_admin=True)[1], add_key(keys, name="plain")[1]
    access: Any = {"access": ("key", "invitation"), "catalogue_file": catalogue_in(tmp_path), "api_keys_file": keys}
    async with serve(settings, **access) as service:
        holder = bearer(invited(settings.database_url))
        own = await service.http.post("/launch", json={"environment": "scipy"}, headers=holder)
        await service.http.post("/launch", json={"environment": "scipy"}, headers=bearer(admin))
        url = str(service.http.base_url)
        asked = ("list", "--invitation", "pycon", "--url", url)
        listed = await in_thread(*asked, HUBLAUNCH_TOKEN=admin)
        refused = await in_thread(*asked, HUBLAUNCH_TOKEN=plain)
        none = await in_thread("list", "--invitation", "other", "--url", url, HUBLAUNCH_TOKEN=admin)

    assert [line.split()[0] for line in listed.out.splitlines()] == ["ID", own.json()["id"]]
    assert (refused.status, none.status, none.out) == (3, 0, "")
    assert "No launches with the invitation other" in none.err
