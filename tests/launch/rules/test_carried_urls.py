"""Every address in a request must pass the rules for repositories, wherever it is and however it is written."""

import json
import time
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest

from hublaunch.launch.errors import InvalidRequest, RepoNotAllowed
from hublaunch.launch.rules.policy import Policy
from hublaunch.launch.rules.request import launch_request

REPO = "https://github.com/course/x"
EVIL = "https://github.com/evil/x"
ARGS = ("binder_ref_url", "binder_request", "binder_persistent_request", "binder_launch_host", "more")

HOSTILE: list[dict[str, Any]] = [
    {"repo_url": EVIL},
    {"repo_url": "https://github.com/course/..\\..\\evil/x"},
    {"repo_url": "https://github.com/course\\..\\evil/x"},
    {"repo_url": "https://github.com\\evil/x"},
    {"repo_url": "https://github.com/course/%2e%2e/evil/x"},
    {"repo_url": "https://github.com/course/%2e%2e%5c..%5cevil/x"},
    {"repo_url": "https://github.com/course/%252e%252e%255cevil/x"},
    {"repo_url": "https://github.com/evil/%25252e%25252e/course/x"},
    {"repo_url": "https://github.com/course/..;/evil/x"},
    {"repo_url": "https://github.com/evil/../course/x"},
    {"repo_url": "git@github.com:evil/x%3a//github.com/course/x"},
    {"repo_url": "ssh://git@github.com/course/..%2fevil/x"},
    {"path": f"git-pull?repo={EVIL}&urlpath=lab"},
    {"path": "git-pull?repo=https%3A%2F%2Fgithub.com%2Fevil%2Fx"},
    {"path": "git-pull?repo=https%253A%252F%252Fgithub.com%252Fevil%252Fx"},
    {"path": "git-pull?%72epo=https://github.com/evil/x"},
    {"path": "git-pull?%2572epo=https://github.com/evil/x"},
    {"path": "git-sync?repo=git@github.com:evil/x"},
    {"path": "git-sync?repo=github.com:evil/x"},
    {"path": "git-pull?repo=/srv/evil"},
    {"path": "git-pull?repo=file:/srv/evil"},
    {"path": "git-pull?repo=ext::sh%20-c%20reboot"},
    {"path": "git-pull?repo=https:github.com/evil/x"},
    {"path": "git-pull?repo=https:/github.com/evil/x"},
    {"path": "git-pull?repo=//github.com/evil/x"},
    {"path": "git-pull?repo=https:%5c%5cgithub.com%5cevil%5cx"},
    {"path": f"git-pull?repo={REPO}&repo={EVIL}"},
    {"path": f"git-pull?repo={REPO};repo={EVIL}"},
    {"path": f"git-pull?repo={REPO}%26/../../evil/x"},
    {"path": f"git-pull?repo={REPO}%253F/../../evil/x"},
    {"path": f"git-pull?repo={REPO}/%2e%2e/%2e%2e/evil/x"},
    {"path": f"git-pull?repo={REPO}%26repo={EVIL}"},
    {"path": f"git-pull?repo={REPO}&urlpath=git-pull%3Frepo%3Dhttps%3A%2F%2Fgithub.com%2Fevil%2Fx"},
    {"path": f"git-pull?repo={REPO}&urlpath=git-pull%3Furlpath%3Dgit-pull%253Frepo%253Dgithub.com:evil/x"},
    {"path": f"git-pull?urlpath={EVIL}"},
    {"path": "git-pull?urlpath=//evil.example/x"},
    {"path": f"lab?fromURL={EVIL}/raw/main/x.ipynb"},
    {"path": f"lab#git-pull?repo={EVIL}"},
    {"path": f"lab?{EVIL}"},
    {"path": "lab?%" + "25" * 400},
    {"extra_args": {"binder_ref_url": f"{EVIL}/tree/main"}},
    {"extra_args": {"binder_ref_url": f"{REPO}/tree/main/../../../../evil/x"}},
    {"extra_args": {"binder_request": "v2/gh/evil/x/main"}},
    {"extra_args": {"binder_request": "v2/gh/course/x/../../evil/x/main"}},
    {"extra_args": {"binder_request": "v2/gh/%65vil/x/main"}},
    {"extra_args": {"binder_request": "/gh/evil/x/main"}},
    {"extra_args": {"binder_request": f"v2/gh/course/x/main?urlpath=git-pull?repo={EVIL}"}},
    {"extra_args": {"binder_request": "v2/git/https%3A%2F%2Fgithub.com%2Fevil%2Fx/main"}},
    {"extra_args": {"binder_request": "v2/gl/course%2F..%2Fevil%2Fx/main"}},
    {"extra_args": {"binder_request": "evil"}},
    {"extra_args": {"binder_request": {"a": [EVIL]}}},
    {"extra_args": {"binder_persistent_request": "v2/gh/evil/x/" + "0a" * 20}},
    {"extra_args": {"binder_launch_host": "https://evil.example/"}},
    {"extra_args": {"more": {"deep": ["", {EVIL: 1}]}}},
    {"extra_args": {"more": [{"repo": "evil"}]}},
    {"extra_args": {"more": "HTTPS:\\\\github.com\\evil"}},
]

HARMLESS: list[dict[str, Any]] = [
    {},
    {"repo_url": "git@github.com:course/y.git"},
    {"repo_url": "https://github.com/course/r%C3%A9po-c++"},
    {"path": "lab/tree/x.ipynb?reset#a-b"},
    {"path": f"git-pull?repo={REPO}&urlpath=lab/tree/x/../y.ipynb&branch=main"},
    {"path": "git-pull?repo=https%3A%2F%2Fgithub.com%2Fcourse%2Fc%2B%2B&urlpath=lab%2Ftree%2Fx%2Fa.ipynb%3Fautodecode"},
    {
        "path": f"git-pull?repo={REPO}&urlpath=git-pull%3Frepo%3Dhttps%253A%252F%252Fgithub.com%252Fcourse%252Fy"
        "%26urlpath%3Dgit-pull%253Frepo%253Dhttps%25253A%25252F%25252Fgithub.com%25252Fcourse%25252Fz"
    },
    {"extra_args": {"binder_ref_url": f"{REPO}/tree/main"}},
    {"extra_args": {"binder_request": "v2/gh/course/x/feature/a"}},
    {"extra_args": {"binder_request": "v2/git/https%3A%2F%2Fgithub.com%2Fcourse%2Fx/main"}},
    {"extra_args": {"binder_persistent_request": "v2/gh/course/x/" + "0a" * 20}},
    {
        "extra_args": {
            "more": {"cpu": 2, "gpu": None, "at": "2026-11-30T10:00:00Z", "mail": "ada@example.org", "path": "a:b"}
        }
    },
]


def check(policy: Policy, fields: dict[str, Any]) -> None:
    fields = {"image": "python", "repo_url": REPO, "extra_args": {}} | fields
    policy.check(launch_request(**fields, allowed_extra_args=ARGS))


@pytest.mark.parametrize("fields", HOSTILE, ids=lambda fields: json.dumps(fields)[:120])
def test_no_address_evades_the_policy(fields: dict[str, Any]) -> None:
    with pytest.raises((RepoNotAllowed, InvalidRequest)) as refusal:
        check(Policy(["*"], allowed_repos=["github.com/course/*"]), fields)

    assert "evil" not in str(refusal.value)


@pytest.mark.parametrize("fields", HOSTILE, ids=lambda fields: json.dumps(fields)[:120])
def test_no_address_evades_a_permission_of_one_repository(fields: dict[str, Any]) -> None:
    with pytest.raises((RepoNotAllowed, InvalidRequest)):
        check(Policy(["*"], allowed_repos=["github.com/course/x"]), fields)


def test_a_name_that_only_starts_like_the_repository_is_not_below_it() -> None:
    with pytest.raises(RepoNotAllowed):
        check(
            Policy(["*"], allowed_repos=["github.com/course/x"]),
            {"extra_args": {"binder_ref_url": f"{REPO}-evil/tree/main"}},
        )


@pytest.mark.parametrize(
    "fields",
    [fields for fields in HOSTILE if "github.com" in json.dumps(fields)],
    ids=lambda fields: json.dumps(fields)[:120],
)
def test_no_address_evades_a_ban(fields: dict[str, Any]) -> None:
    with pytest.raises((RepoNotAllowed, InvalidRequest)):
        check(Policy(["*"], banned_repos=["*/*evil*"]), fields)


@pytest.mark.parametrize("fields", HARMLESS, ids=lambda fields: json.dumps(fields)[:120])
def test_allowed_addresses_are_launched(fields: dict[str, Any]) -> None:
    check(Policy(["*"], allowed_repos=["github.com/course/*"], banned_repos=["*/*evil*"]), fields)


def test_a_mapped_binder_repository_passes_a_permission_for_it_alone() -> None:
    fields = {
        "extra_args": {
            "binder_ref_url": f"{REPO}/tree/main",
            "binder_request": "v2/gh/course/x/main",
            "binder_persistent_request": "v2/gh/course/x/main",
        }
    }

    check(Policy(["*"], allowed_repos=["github.com/course/x"]), fields)


def test_without_rules_for_repositories_every_address_is_allowed() -> None:
    check(Policy(["*"]), {"path": f"git-pull?repo={EVIL}", "extra_args": {"binder_ref_url": EVIL}})


@pytest.mark.parametrize(
    "repo",
    [
        "file:///etc",
        "/srv/hidden",
        "../hidden",
        "ext::sh%20-c%20reboot",
        "ext%3A%3Ash+-c+reboot",
        "--upload-pack=reboot",
        "-oProxyCommand=reboot",
        "https:github.com/org/x",
        "https://github.com/a/%2e%2e/org/x",
        "https%3A%2F%2Fgithub.com%2Forg%2Fx%3Ftoken%3Dhidden",
        "https://github.com%5cevil/x",
        "https://0x7f.1/x",
        "javascript:alert(1)",
        "",
    ],
)
@pytest.mark.parametrize(
    "link",
    [
        "git-pull?repo={}",
        "git-pull/?branch=main&repo={}",
        "%67it-pull?repo={}",
        "git-sync?repo={}",
        f"git-pull?repo={REPO}&repo={{}}",
        "lab?x=git-pull?repo={}",
        f"git-pull?repo={REPO}&urlpath=git-pull%3Frepo%3D{{}}",
    ],
)
def test_even_without_rules_a_link_pulls_only_what_repo_url_may_name(link: str, repo: str) -> None:
    written = quote(repo, safe="%") if "%3F" in link else repo

    with pytest.raises(InvalidRequest, match=r"^path: ") as refusal:
        check(Policy(["*"]), {"path": link.format(written)})

    assert "hidden" not in str(refusal.value)


@pytest.mark.parametrize("path", ["voila/render/x.ipynb?repo=alpha", "lab?repo=/srv/x", "git-pullers?repo=x", "repo=x"])
def test_other_programs_may_have_a_parameter_of_the_same_name(path: str) -> None:
    check(Policy(["*"]), {"path": path})


@pytest.mark.parametrize(
    "fields",
    [
        {"path": "lab?%" + "25" * 900},
        {"path": "git-pull?a=" * 180},
        {"extra_args": {"more": "%" + "25" * 8000}},
        {"extra_args": {"more": "?a=1&b=2" * 2000}},
        {"extra_args": {"more": "?" + "a@b" * 5000}},
        {"extra_args": {"more": "a@" + "b" * 15000}},
        {"extra_args": {"binder_request": "%" + "25" * 8000}},
        {"extra_args": {"more": ["?" + "a" * 900] * 15}},
    ],
    ids=range(8),
)
def test_every_text_is_checked_quickly(fields: dict[str, Any]) -> None:
    began = time.process_time()

    with suppress(RepoNotAllowed):
        check(Policy(["*"], allowed_repos=["github.com/course/*"]), fields)

    assert time.process_time() - began < 0.5
