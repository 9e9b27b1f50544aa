"""Repositories by name, and the patterns that allow and ban them."""

import time
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hublaunch.launch.rules.repo import RepoPattern, repo_name
from hublaunch.launch.rules.repo_url import check_repo_url

SPELLINGS = [
    "https://github.com/org/repo",
    "http://github.com/org/repo",
    "git://github.com/org/repo",
    "ssh://git@github.com/org/repo",
    "git@github.com:org/repo",
    "git@github.com:/org/repo.git",
    "HTTPS://GitHub.COM/org/repo",
    "https://github.com./org/repo",
    "https://github.com:443/org/repo",
    "https://github.com:0443/org/repo",
    "https://github.com:/org/repo",
    "http://github.com:80/org/repo",
    "ssh://git@github.com:22/org/repo.git",
    "git://github.com:9418/org/repo",
    "https://user@github.com/org/repo",
    "https://user:password@github.com/org/repo",
    "https://evil.example@github.com/org/repo",
    "https://github.com/org/repo/",
    "https://github.com/org/repo.git",
    "https://github.com/org/repo.git/",
    "https://github.com/org/repo.GIT",
    "https://github.com/org/repo.git.git",
    "https://github.com/org/repo/.git",
    "https://github.com//org///repo",
    "https://github.com/./org/./repo/.",
    "https://github.com/other/../org/repo",
    "https://github.com/../../org/repo",
    "https://github.com/org/repo/x/..",
    "https://github.com/%6Frg/r%65po",
    "https://github.com/org%2Frepo",
    "https://github.com/other/%2e%2e/org/repo",
    "https://github.com/other/%252e%252E/org/repo",
    "https://github.com/org/repo%2egit%2f",
    "https://%67ithub.com/org/repo",
    "github.com/org/repo",
]
urls = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["", "https://", "ssh://", "HTTP://", "ext::"]),
    st.sampled_from(["", "git@", "a:b@", "@"]),
    st.sampled_from(["github.com", "[::1]", "[::1].", "Host..", "%61", ""]),
    st.sampled_from(["", ":443", ":0", ":0080", ":8443", ":org"]),
    st.lists(st.sampled_from(["/", "..", ".", ".git", ".GIT", "%2e", "%252F", "%", "a", "B", "@", ":", "?"])).map(
        "".join
    ),
)


@pytest.mark.parametrize("repo_url", SPELLINGS)
def test_all_spellings_of_a_repository_have_one_name(repo_url: str) -> None:
    assert repo_name(repo_url) == "github.com/org/repo"


@pytest.mark.parametrize(
    ("repo_url", "name"),
    [
        ("", ""),
        ("https://github.com", "github.com"),
        ("https://github.com/", "github.com"),
        ("https://github.com/.git", "github.com/.git"),
        ("https://x.git/", "x.git"),
        ("https://gitlab.example.org:8443/a/b/c.git", "gitlab.example.org:8443/a/b/c"),
        ("https://[::1]:8080/Org/Repo", "[::1]:8080/Org/Repo"),
        ("https://[::1]/a", "[::1]/a"),
        ("git@host:443/repo", "host/443/repo"),
        ("git@host:repo", "host/repo"),
        ("git@host:~user/repo", "host/~user/repo"),
        ("https://host/a@b:c", "host/a@b:c"),
        ("https://host/r%C3%A9po", "host/répo"),
        ("https://github.com/org/repository", "github.com/org/repository"),
        ("https://github.com.evil.example/org/repo", "github.com.evil.example/org/repo"),
        ("https://github.com@evil.example/org/repo", "evil.example/org/repo"),
        ("host:8443/org/*", "host:8443/org/*"),
    ],
)
def test_a_name_is_host_and_path(repo_url: str, name: str) -> None:
    assert repo_name(repo_url) == name


@given(urls)
def test_a_name_is_unchanged_with_and_without_a_scheme(repo_url: str) -> None:
    name = repo_name(repo_url)

    assert repo_name(name) == name
    assert repo_name(f"https://{name}") == name


@given(st.text(max_size=60))
def test_every_text_has_a_name(text: str) -> None:
    repo_name(text)


@pytest.mark.parametrize("repo_url", SPELLINGS)
@pytest.mark.parametrize(
    "pattern",
    [
        "github.com/org/repo",
        "https://GitHub.com/org/repo.git",
        "git@github.com:org/repo",
        "github.com/ORG/Repo",
        "github.com/org/*",
        "*/repo",
        "*",
        "*://github.com:443/o[r]g/rep?",
    ],
)
def test_no_spelling_evades_a_ban(repo_url: str, pattern: str) -> None:
    ban = RepoPattern.parse(pattern)

    assert ban.bans(repo_name(repo_url))
    assert ban.bans(repo_name(repo_url.replace("org", "oRG").replace("repo", "REPO")))
    assert ban.bans(repo_name(repo_url.replace("github.com/", "github.com:8443/", 1)))


def test_a_ban_may_name_a_single_port() -> None:
    ban = RepoPattern.parse("https://example.org:8443/*")

    assert ban.bans(repo_name("https://example.org:8443/a"))
    assert not ban.bans(repo_name("https://example.org/a"))


@pytest.mark.parametrize(
    ("pattern", "repo_url"),
    [
        ("github.com/org/*", "https://github.com/org/repo"),
        ("github.com/org/*", "git@GitHub.com:org/sub/repo.git"),
        ("github.com/*", "https://github.com/a/b/c"),
        ("https://github.com/org/repo.git", "https://github.com/org/repo"),
        ("*.example.org/*", "https://git.example.org/a"),
        ("*/org/*", "https://git.example.org/org/a"),
        ("*", "https://git.example.org:8443/a"),
        ("example.org:*/a", "https://example.org:8443/a"),
        ("[::1]:8080/*", "http://[::1]:8080/a"),
        ("github.com/org/repo-[0-9]", "https://github.com/org/repo-1"),
    ],
)
def test_a_permission_allows_its_repositories(pattern: str, repo_url: str) -> None:
    assert RepoPattern.parse(pattern).allows(repo_name(repo_url))


@pytest.mark.parametrize(
    ("pattern", "repo_url"),
    [
        ("github.com/org/*", ""),
        ("github.com/org/*", "https://github.com/Org/repo"),
        ("github.com/org/*", "https://github.com/org2/repo"),
        ("github.com/org/*", "https://github.com/org/../evil/repo"),
        ("github.com/org/*", "https://github.com/org/%2e%2e/evil/repo"),
        ("github.com/org/*", "https://github.com/org/%252e%252e%252fevil/repo"),
        ("github.com/org/*", "https://github.com@evil.example/org/repo"),
        ("github.com/org/*", "https://evil.example/github.com/org/repo"),
        ("github.com/org/*", "https://github.com:8443/org/repo"),
        ("github.com/*", "https://github.com.evil.example/a"),
        ("*.example.org/*", "https://evil.example/a.example.org/b"),
        ("*.example.org/*", "https://evil.example:8443/a.example.org/b"),
        ("*/org/*", "https://evil.example/evil/org/a"),
    ],
)
def test_a_permission_does_not_allow_lookalikes(pattern: str, repo_url: str) -> None:
    assert not RepoPattern.parse(pattern).allows(repo_name(repo_url))


@pytest.mark.parametrize(
    "pattern",
    ["", " ", "github.com/a b", "github.com/org/*\n", "github.com", "github*", "/org", "github.com/[a", "h/a]"],
)
def test_an_invalid_pattern_is_refused_with_a_reason(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"^must .*[^.]$"):
        RepoPattern.parse(pattern)


@given(urls)
def test_a_permission_for_one_host_never_allows_another(repo_url: str) -> None:
    name = repo_name(repo_url)

    if RepoPattern.parse("github.com/*").allows(name):
        assert name.partition("/")[0] == "github.com"


@given(urls)
def test_every_valid_repo_url_is_banned_by_its_own_name(repo_url: str) -> None:
    try:
        check_repo_url(repo_url)
        ban = RepoPattern.parse(repo_name(repo_url))
    except ValueError:
        return

    assert ban.bans(repo_name(repo_url))


@settings(deadline=None)  # another process is asked
@given(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["https://", "http://", "HTTPS://", "https:/", "https:\\\\", "ssh://git@", "git@"]),
        st.sampled_from(["github.com", "github.com:443", "GitHub.com.", "127.1", "0x7f.1", "[0::1]", "github.com:org"]),
        st.lists(
            st.sampled_from(["/", "..", ".", "\\", "%2e", "%5c", "%2f", "%252e", "%255C", "%3a", ":", "//", "a", "é"]),
            max_size=8,
        ).map("".join),
    )
)
@example("https://github.com/course/..\\..\\evil/x")
@example("https://github.com/course/%2e%2e%5c..%5cevil/x")
def test_a_browser_reads_a_valid_url_as_the_repository_of_its_name(opens: Callable[[str], str], repo_url: str) -> None:
    try:
        check_repo_url(repo_url)
    except ValueError:
        return
    if "://" not in repo_url:  # a browser cannot read it as a URL
        return

    assert repo_name(opens(repo_url)) == repo_name(repo_url)


def test_text_that_git_does_not_decode_cannot_pass_for_another_host() -> None:
    with pytest.raises(ValueError, match="must "):
        check_repo_url("git@github.com:evil/x%3a//github.com/course/y")


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "127.0.0.01", "1.2.3.4.5"])
def test_an_unusual_spelling_of_an_ip_address_cannot_evade_a_ban(host: str) -> None:
    with pytest.raises(ValueError, match="four numbers"):
        check_repo_url(f"https://{host}/a")


def test_an_ipv6_address_has_one_name() -> None:
    assert repo_name("https://[0:0::0:1]/a") == repo_name("https://[::1]/a")
    assert RepoPattern.parse("[0::1]/*").bans(repo_name("https://[::1]/a"))


@pytest.mark.parametrize(
    "repo_url", ["%25" * 600, "%" + "25" * 900, "https://h/" + "../" * 600, "https://h/" + ".git" * 490 + "x"]
)
def test_every_url_is_checked_quickly(repo_url: str) -> None:
    ban = RepoPattern.parse("*/" + "*a" * 100 + "*.git*b")
    began = time.process_time()

    assert not ban.bans(repo_name(repo_url))

    assert time.process_time() - began < 0.5
