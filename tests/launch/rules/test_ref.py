"""Refs: the branches, tags and commits that a request may name."""

import subprocess
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.rules.ref import check_ref, is_commit, short_name
from hublaunch.launch.rules.request import launch_request

REPO = "https://github.com/org/repo"

SOUND = [
    "main",
    "v1.0",
    "2026",
    "feature/a-b_c",
    "refs/heads/main",
    "refs/tags/v1.0",
    "pull/12/head",
    "a" * 200,
    "0a" * 20,
    "0a" * 32,
    "grün/日本",
    "a@b",
    "a.b.c",
    "x;reboot",
    "x#y&z%20",
]
HOSTILE = [
    "-",
    "-b",
    "--upload-pack=reboot",
    "+main",
    "@",
    "a@{1}",
    "..",
    "a..b",
    "../../etc/passwd",
    ".hidden",
    "a/.hidden",
    "a.lock",
    "a.lock/b",
    "a.",
    "a/",
    "/a",
    "a//b",
    "a b",
    "a\tb",
    "a\nb",
    "a\x00b",
    "a\x7fb",
    "a\u202eb",
    "a\u00a0b",
    "\ud800",
    "a~1",
    "a^",
    "^main",
    "main:evil",
    "main:refs/heads/evil",
    "a?b",
    "a*b",
    "a[b",
    "a\\b",
    "refs/pull/1/head",
    "refs/heads",
    "HEAD",
    "refs/remotes/origin/main",
    "a" * 201,
]


def request(ref: str, *, repo_url: str = REPO) -> LaunchRequest:
    return launch_request(image="python", repo_url=repo_url, ref=ref, extra_args={}, allowed_extra_args=())


@pytest.mark.parametrize("ref", SOUND)
def test_a_branch_a_tag_or_a_commit_passes(ref: str) -> None:
    assert request(ref).ref == ref


@pytest.mark.parametrize("ref", HOSTILE, ids=ascii)
def test_a_hostile_ref_is_refused_without_repeating_it(ref: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        request(ref)

    assert refusal.value.field == "ref"
    assert "evil" not in str(refusal.value)


def test_a_ref_without_a_repository_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"^ref: needs the repository"):
        request("main", repo_url="")


def git_takes(ref: str) -> bool:
    return subprocess.run(["git", "check-ref-format", "--allow-onelevel", ref], check=False).returncode == 0


refs = st.one_of(
    st.text(max_size=12),
    st.lists(
        st.sampled_from([*"ab/.@{}~^:?*[\\-+", "..", ".lock", "//", "@{", "refs/", "heads/", "tags/"]), max_size=6
    ).map("".join),
)


@settings(max_examples=150, deadline=None)
@given(refs.filter(lambda ref: ref.isprintable() and "\ud800" not in ref))
def test_only_refs_that_git_takes_pass_and_every_other_refusal_has_a_rule(ref: str) -> None:
    is_elsewhere = ref.startswith("refs/") and not ref.startswith(("refs/heads/", "refs/tags/"))
    own_rules = is_elsewhere or ref.startswith(("-", "+")) or ref == "HEAD"
    try:
        check_ref(ref)
    except ValueError:
        assert own_rules or not git_takes(ref)
    else:
        assert git_takes(ref)


@given(st.text(max_size=60))
def test_any_text_either_passes_or_is_an_invalid_request(ref: str) -> None:
    with suppress(InvalidRequest):
        request(ref)


@pytest.mark.parametrize(
    ("ref", "expected"),
    [("0a" * 20, True), ("0A" * 20, True), ("0a" * 32, True), ("0a" * 19, False), ("0a" * 21, False), ("main", False)],
)
def test_a_commit_is_named_by_its_full_hash(ref: str, *, expected: bool) -> None:
    assert is_commit(ref) is expected


def test_the_short_name_of_a_ref_is_that_of_the_branch_or_tag() -> None:
    assert [short_name(ref) for ref in ("refs/heads/a/b", "refs/tags/v1", "main", "")] == ["a/b", "v1", "main", ""]
