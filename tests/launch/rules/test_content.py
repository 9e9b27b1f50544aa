"""Content: the folder of a repository, and the addresses that fetch and show it."""

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.model import Content, LaunchRequest
from hublaunch.launch.rules.content import check_content, opened_path, path_elsewhere
from hublaunch.launch.rules.path import opened_at
from hublaunch.launch.rules.repo import folder_of, repo_name
from hublaunch.launch.rules.request import launch_request

REPO = "https://github.com/org/course"


def request(content: Content | None = None, *, opens: str = "", **fields: Any) -> LaunchRequest:
    fields = {"image": "python", "repo_url": REPO, "extra_args": {}} | fields
    return replace(launch_request(**fields, allowed_extra_args=()), content=content, opens=opens)


def pulled(**fields: Any) -> dict[str, str]:
    """Return the parameters of nbgitpuller's link, as nbgitpuller reads them."""
    path = opened_path(request(Content.NBGITPULLER, **fields))
    url = urlsplit(opened_at("https://h/user/a/", path, token="t&t"))
    assert url.path == "/user/a/git-pull"
    assert not url.fragment
    return dict(parse_qsl(url.query, strict_parsing=True))


@pytest.mark.parametrize(
    ("repo_url", "expected"),
    [
        (REPO, "course"),
        (f"{REPO}.git", "course"),
        (f"{REPO}/", "course"),
        ("https://gitlab.com/group/sub/my_course.v2", "my_course.v2"),
        ("https://example.org/.hidden", "hidden"),
        ("https://example.org/-rf", "rf"),
        ("https://example.org/a%20b%2fc", "c"),
        ("https://example.org/$(reboot);x", "reboot-x"),
        ("https://example.org/日本", "repository"),
        ("https://example.org", "example.org"),
        (f"https://example.org/{'a' * 300}", "a" * 64),
    ],
)
def test_the_folder_is_the_name_of_the_repository(repo_url: str, expected: str) -> None:
    assert folder_of(repo_name(repo_url)) == expected


@given(st.text(max_size=100))
def test_a_folder_never_leaves_the_home_directory_and_is_never_read_as_an_option(name: str) -> None:
    found = folder_of(name)

    assert 0 < len(found) <= 64
    assert found[0] not in ".-"
    assert all(character.isascii() and (character.isalnum() or character in "._-") for character in found)


def test_the_link_names_the_repository_the_branch_the_folder_and_the_file() -> None:
    assert pulled(ref="refs/heads/feature/a", path="week-1/x y.ipynb?reset#top") == {
        "repo": REPO,
        "branch": "feature/a",
        "urlpath": "lab/tree/course/week-1/x%20y.ipynb?reset#top",
        "targetPath": "course",
        "token": "t&t",
    }


def test_a_link_without_ref_and_path_opens_the_folder_of_the_default_branch() -> None:
    assert pulled() == {"repo": REPO, "urlpath": "lab/tree/course", "targetPath": "course", "token": "t&t"}


paths = st.lists(
    st.sampled_from(["a", "é", " ", "%20", "%2B", "+", "/", "?", "#", "&", "=", "%26repo%3D", "%23"]), max_size=6
).map("".join)


@given(
    path=paths,
    ref=st.sampled_from(["", "main", "a&b=c", "a#b", "a%26b", "日本", "x;y", "a+b"]),
    repo=st.sampled_from(["course", "c%C3%A9", "c++", "a&b", "a=b"]),
)
def test_each_value_is_encoded_exactly_once(path: str, ref: str, repo: str) -> None:
    try:
        made = request(repo_url=f"https://github.com/org/{repo}", ref=ref, path=path)
    except InvalidRequest:
        return

    found = pulled(repo_url=made.repo_url, ref=ref, path=path)

    assert found["repo"] == made.repo_url
    assert found.get("branch", "") == ref
    assert set(found) - {"branch"} == {"repo", "urlpath", "targetPath", "token"}
    # The urlpath is itself a URL: nbgitpuller's page opens it as it is.
    assert unquote(found["urlpath"]) == unquote(f"lab/tree/{made.folder}/{made.path}".removesuffix("/"))


@pytest.mark.parametrize(
    ("opens", "expected"),
    [
        ("", "lab/tree/course/x.ipynb"),
        ("lab", "lab/tree/course/x.ipynb"),
        ("/lab/", "lab/tree/course/x.ipynb"),
        ("lab/tree", "lab/tree/course/x.ipynb"),
        ("doc", "doc/tree/course/x.ipynb"),
        ("tree", "tree/course/x.ipynb"),
        ("notebooks", "notebooks/course/x.ipynb"),
        ("voila/render", "voila/render/course/x.ipynb"),
        ("rstudio/", "rstudio/"),
        ("/vscode", "vscode"),
    ],
)
def test_a_file_is_opened_in_the_interface_of_the_environment(opens: str, expected: str) -> None:
    assert opened_path(request(Content.SPAWNER, path="x.ipynb", opens=opens)) == expected
    assert pulled(path="x.ipynb", opens=opens)["urlpath"] == expected


def test_a_commit_can_be_fetched_by_the_spawner_but_not_by_nbgitpuller() -> None:
    check_content(request(Content.SPAWNER, ref="0a" * 20))

    with pytest.raises(InvalidRequest, match=r"^ref: must be a branch or a tag"):
        check_content(request(Content.NBGITPULLER, ref="0a" * 20))


@pytest.mark.parametrize("content", Content)
@pytest.mark.parametrize(
    "repo_url",
    [
        "http://github.com/org/course",
        "ssh://git@github.com/org/course",
        "git@github.com:org/course",
        "git://github.com/org/course",
        "http://127.0.0.1.example.org/x",
        "http://10.0.0.1/x",
        "HTTPS://github.com/org/course",
        "http://169.254.169.254/latest/meta-data",
    ],
)
def test_content_is_fetched_over_https_alone(content: Content, repo_url: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^repo_url: must begin with https"):
        check_content(request(content, repo_url=repo_url))


@pytest.mark.parametrize("repo_url", [REPO, "http://127.0.0.1:8080/x", "http://localhost:1/x", "http://[::1]:8080/x"])
def test_https_and_this_machine_are_allowed(repo_url: str) -> None:
    check_content(request(Content.SPAWNER, repo_url=repo_url))


@pytest.mark.parametrize("fields", [{"ref": "0a" * 20}, {"repo_url": "git@github.com:org/x"}, {"path": "lab?x#y"}])
def test_without_content_the_repository_is_a_label_and_the_path_is_the_servers(fields: dict[str, Any]) -> None:
    made = request(**fields)

    check_content(made)

    assert opened_path(made) == path_elsewhere(made) == made.path


FILE: dict[str, Any] = {"path": "x.ipynb", "opens": "lab"}


def test_without_its_files_a_server_opens_its_interface_or_the_spawners_note() -> None:
    assert opened_path(request(Content.NBGITPULLER, **FILE), fault="no nbgitpuller") == "lab"
    assert opened_path(request(Content.SPAWNER, **FILE), fault="gone") == "lab/tree/course/CONTENT-FAILED.md"


def test_a_server_that_the_launch_did_not_start_may_pull_the_files_but_has_none_of_the_spawners() -> None:
    assert path_elsewhere(request(Content.NBGITPULLER, **FILE)).startswith("git-pull?repo=")
    assert path_elsewhere(request(Content.SPAWNER, **FILE)) == "lab"
