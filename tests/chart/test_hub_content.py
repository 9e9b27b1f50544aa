"""The Hub's part of `content: spawner`: what it fetches, what it refuses, and what it says when it cannot."""

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from tornado.web import HTTPError

from helm.hub_content import hublaunch_fetch, hublaunch_fetch_before_server
from tests.fakes.certificates import server_context, write_certificate
from tests.support.git import commit, git, git_server

URL = "https://github.com/org/course"
NOTEBOOK = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'


class Home:
    """A home directory, and the repository `course` at a git server over https."""

    def __init__(self, directory: Path, url: str, ca_file: Path, commits: dict[str, str]) -> None:
        self.directory = directory
        self.url = url
        self.commits = commits
        self._ca_file = ca_file

    async def fetched(self, *, url: str | None = None, ref: str = "") -> Path:
        """Fetch as a spawner does, then run a command in place of the server. Return the folder."""
        options = {"repo_url": url or f"{self.url}/course", "ref": ref, "content_dir": "course"}
        program = hublaunch_fetch(options)
        assert program is not None
        process = await asyncio.create_subprocess_exec(
            *(*program, "echo", "the server; runs"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "HOME": str(self.directory), "GIT_SSL_CAINFO": str(self._ca_file)},
        )
        said, _ = await process.communicate()
        assert (process.returncode, said) == (0, b"the server; runs\n")
        return self.directory / "course"


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncGenerator[Home]:
    repository = tmp_path / "served" / "course"
    commits = {"first": commit(repository, {"week-1.ipynb": NOTEBOOK})}
    git(repository, "tag", "v1")
    git(repository, "branch", "dev/x")
    commits["main"] = commit(repository, {"week-2.ipynb": NOTEBOOK})
    git(repository, "tag", "main")  # a branch and a tag of one name
    git(repository, "reset", "--quiet", "--hard", "v1")
    commits["main"] = commit(repository, {"week-3.ipynb": NOTEBOOK})
    cert_file, key_file = write_certificate(tmp_path, "git")
    directory = tmp_path / "home"
    directory.mkdir()
    async with git_server(repository.parent, tls=server_context(cert_file, key_file)) as url:
        yield Home(directory, url, cert_file, commits)


def notebooks(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".git")


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("", ["week-1.ipynb", "week-3.ipynb"]),
        ("main", ["week-1.ipynb", "week-3.ipynb"]),
        ("refs/heads/main", ["week-1.ipynb", "week-3.ipynb"]),
        ("refs/tags/main", ["week-1.ipynb", "week-2.ipynb"]),
        ("dev/x", ["week-1.ipynb"]),
        ("v1", ["week-1.ipynb"]),
        ("refs/tags/v1", ["week-1.ipynb"]),
        ("first commit", ["week-1.ipynb"]),
    ],
)
async def test_the_default_branch_a_branch_a_tag_or_a_commit_arrives_alone(
    home: Home, ref: str, expected: list[str]
) -> None:
    folder = await home.fetched(ref=home.commits["first"] if ref == "first commit" else ref)

    assert notebooks(folder) == expected
    assert git(folder, "rev-list", "--count", "HEAD") == "1"
    assert git(folder, "config", "remote.origin.url") == f"{home.url}/course"


@pytest.mark.parametrize("ref", ["no-such-branch", "refs/tags/none", "0a" * 20])
async def test_what_cannot_be_fetched_leaves_a_note_that_says_why(home: Home, ref: str) -> None:
    folder = await home.fetched(ref=ref)

    note = (folder / "CONTENT-FAILED.md").read_text()
    assert notebooks(folder) == ["CONTENT-FAILED.md"]
    assert f"{home.url}/course {ref} is not in this folder" in note
    assert "fatal: " in note


async def test_the_next_start_fetches_what_failed_and_removes_the_note(home: Home) -> None:
    await home.fetched(ref="none")

    assert notebooks(await home.fetched(ref="v1")) == ["week-1.ipynb"]


async def test_files_of_an_earlier_start_stay_as_the_visitor_left_them(home: Home) -> None:
    folder = await home.fetched(ref="v1")
    (folder / "week-1.ipynb").write_text("mine")

    await home.fetched(ref="main")

    assert (folder / "week-1.ipynb").read_text() == "mine"
    assert notebooks(folder) == ["week-1.ipynb"]


async def test_another_repository_never_gets_into_a_folder_with_files(home: Home) -> None:
    folder = await home.fetched(ref="v1")

    await home.fetched(url=f"{home.url}/other/course")

    assert "the folder has other files in it" in (folder / "CONTENT-FAILED.md").read_text()
    assert (folder / "week-1.ipynb").exists()


def test_a_server_without_content_is_started_as_before() -> None:
    assert hublaunch_fetch({}) is None
    assert hublaunch_fetch({"repo_url": URL, "ref": "main"}) is None


def test_url_and_ref_are_arguments_of_their_own() -> None:
    program = hublaunch_fetch({"repo_url": f"{URL};reboot", "ref": "$(reboot)", "content_dir": "course"})

    assert program is not None
    assert program[:2] == ["sh", "-c"]
    assert program[3:] == ["fetch", f"{URL};reboot", "$(reboot)", "course"]
    assert "reboot" not in program[2]


async def test_shell_characters_are_never_run(home: Home) -> None:
    await home.fetched(url=f"{home.url}/$(touch${{IFS}}evil);touch${{IFS}}evil", ref="`touch${IFS}evil`")

    assert [path.name for path in home.directory.iterdir()] == ["course"]


HOSTILE: list[dict[str, Any]] = [
    {"repo_url": url}
    for url in (
        "http://github.com/org/course",
        "file:///etc",
        "ext::sh -c reboot",
        "--upload-pack=reboot",
        "-oProxyCommand=reboot",
        "git@github.com:org/course",
        "ssh://git@github.com/org/course",
        "git://github.com/org/course",
        "/srv/course",
        "https://",
        "https://github.com/a b",
        "https://github.com/a\nb",
        "https://github.com\\evil",
        "HTTPS://github.com/org/course",
        "",
        None,
        ["https://github.com/org/course"],
        f"https://github.com/{'a' * 2001}",
    )
]
HOSTILE += [{"ref": ref} for ref in ("-b", "--upload-pack=x", "+main", "a:b", "a b", "a\nb", "^a", "a~1", "a" * 201, 1)]
HOSTILE += [
    {"content_dir": name}
    for name in ("", ".", "..", "../x", "/etc", "a/b", "-rf", ".ssh", "a b", "$(reboot)", "a\n", "a" * 65, 1, ["a"])
]


@pytest.mark.parametrize("options", HOSTILE, ids=ascii)
def test_the_hub_refuses_hostile_options_itself(options: dict[str, Any]) -> None:
    with pytest.raises(HTTPError, match="400"):
        hublaunch_fetch({"repo_url": URL, "ref": "", "content_dir": "course"} | options)


def test_each_start_has_the_command_of_its_own_launch() -> None:
    spawner = SimpleNamespace(cmd=["jupyterhub-singleuser"], user_options={"repo_url": URL, "content_dir": "course"})

    hublaunch_fetch_before_server(spawner)
    with_content = list(spawner.cmd)
    hublaunch_fetch_before_server(spawner)
    again = list(spawner.cmd)
    spawner.user_options = {}
    hublaunch_fetch_before_server(spawner)

    assert with_content[3:] == ["fetch", URL, "", "course", "jupyterhub-singleuser"]
    assert again == with_content
    assert spawner.cmd == ["jupyterhub-singleuser"]


def test_a_spawner_without_a_command_starts_as_before_but_fetches_nothing() -> None:
    spawner = SimpleNamespace(cmd=None, user_options={})
    hublaunch_fetch_before_server(spawner)
    assert spawner.cmd is None

    spawner.user_options = {"repo_url": URL, "content_dir": "course"}
    with pytest.raises(HTTPError, match="no command to start servers with"):
        hublaunch_fetch_before_server(spawner)
