"""The path that a launch opens is below the server's root, or refused."""

import posixpath
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.rules.path import PATH_MAX, check_path, opened_at

ROOT = "https://hub.example.org/jupyter/user/ada/"
TOKEN = "s3cr&t=#?"

Opens = Callable[[str], str]
"""The URL that a browser reads in an address."""


@pytest.mark.parametrize(
    ("path", "opened"),
    [
        ("", "?token=t"),
        ("lab", "lab?token=t"),
        ("lab/tree/x.ipynb", "lab/tree/x.ipynb?token=t"),
        ("lab/workspaces/auto-1/tree/a b/RTC:ü.ipynb", "lab/workspaces/auto-1/tree/a%20b/RTC:%C3%BC.ipynb?token=t"),
        ("lab/tree/100%25/a%23b.ipynb", "lab/tree/100%25/a%23b.ipynb?token=t"),
        ("tree/", "tree/?token=t"),
        ("lab?reset", "lab?reset&token=t"),
        ("lab?", "lab?&token=t"),
        ("?redirects=1", "?redirects=1&token=t"),
        ("lab/tree/x.ipynb#section-2", "lab/tree/x.ipynb?token=t#section-2"),
        ("#top?not=a-query", "?token=t#top?not=a-query"),
        (
            "git-pull?repo=https://github.com/org/repo&urlpath=lab/tree/repo/../x.ipynb",
            "git-pull?repo=https://github.com/org/repo&urlpath=lab/tree/repo/../x.ipynb&token=t",
        ),
        ("git-pull?repo=ssh%3A%2F%2Fgit%40example.org%2Fr", "git-pull?repo=ssh%3A%2F%2Fgit%40example.org%2Fr&token=t"),
        ("rstudio/?tokens=1", "rstudio/?tokens=1&token=t"),
    ],
)
def test_a_path_is_opened_below_the_root_with_the_token_in_its_query(path: str, opened: str) -> None:
    check_path(path)

    assert opened_at(ROOT, path, token="t") == ROOT + opened


def test_without_a_token_the_path_is_unchanged() -> None:
    assert opened_at(ROOT, "lab?reset#x", token=None) == f"{ROOT}lab?reset#x"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("https://evil.example.org", "relative"),
        ("javascript:alert(1)", "relative"),
        ("JavaScript%3aalert(1)", "relative"),
        ("//evil.example.org/", "relative"),
        ("/lab", "relative"),
        ("%2Flab", "relative"),
        ("lab//evil.example.org", "relative"),
        ("lab/%2f/evil", "relative"),
        ("..", "no .."),
        ("../admin", "no .."),
        ("lab/../../admin", "no .."),
        ("lab/../tree", "no .."),
        ("%2e%2e/admin", "no .."),
        (".%2E/admin", "no .."),
        ("%252e%252e/admin", "no .."),
        ("a%2f..%2f..%2fadmin", "no .."),
        ("..\\admin", "backslash"),
        ("lab%5c..%5cx", "backslash"),
        ("lab\\x", "backslash"),
        ("lab?x=\\", "backslash"),
        ("lab\n", "control characters"),
        ("lab%0d%0aSet-Cookie:%20x", "control characters"),
        ("lab%00", "control characters"),
        ("lab/..;/admin", "no \\.\\."),
        ("lab/%2e%2e;x/admin", "no \\.\\."),
        ("lab/%c0%ae%c0%ae/admin", "UTF-8"),
        (".\t./admin", "control characters"),
        ("lab/\u202egpj.ipynb", "control characters"),
        ("\ud800", "control characters"),
        ("lab/100%.ipynb", "%25"),
        ("lab?x=%", "%25"),
        ("a" * (PATH_MAX + 1), "at most"),
        ("ü" * (PATH_MAX // 6 + 1), "at most"),
        ("lab?token=hunter2", "credentials"),
        ("lab?reset&TOKEN=hunter2", "credentials"),
        ("lab?%74oken=hunter2", "credentials"),
        ("git-pull?repo=https://hunter2@github.com/org/repo", "credentials"),
        ("git-pull?repo=https%3A%2F%2Fada:hunter2%40github.com/org/repo", "credentials"),
        ("git-pull?repo=ssh://git:hunter2@github.com/org/repo", "credentials"),
    ],
)
def test_a_path_that_could_lead_out_of_the_server_is_refused_without_repeating_it(path: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason) as refusal:
        check_path(path)

    assert refusal.value.field == "path"
    assert "hunter2" not in str(refusal.value)


PIECES = st.sampled_from(
    [
        *("..", ".", "/", "//", "\\", "%2e", "%2E", "%2f", "%5c", "%25", "%252e", "?", "#", "&", "=", ":", "@", ";"),
        *(
            "lab",
            "token=",
            "https:",
            "evil.example.org",
            "\t",
            "\n",
            "\r",
            " ",
            "\u00a0",
            "%00",
            "%",
            "ü",
            "[",
            "\u2024",
        ),
    ]
)


@settings(deadline=None)  # another process is asked
@given(st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=10).map("".join)))
@example("a%2fb/../..")
@example("..;/admin")
@example("%2e%2e%2f")
@example("?/../../..")
def test_any_path_either_stays_in_the_server_or_is_refused(opens: Opens, path: str) -> None:
    try:
        check_path(path)
    except InvalidRequest:
        return

    for token in (None, TOKEN):
        href = opens(opened_at(ROOT, path, token=token))
        url = urlsplit(href)

        assert href.startswith(ROOT)
        assert (posixpath.normpath(unquote(url.path)) + "/").startswith(urlsplit(ROOT).path)
        given_tokens = [value for name, value in parse_qsl(url.query, keep_blank_values=True) if name == "token"]
        assert given_tokens == ([TOKEN] if token else [])
