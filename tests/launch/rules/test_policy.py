"""Policy: who may launch which images and repositories."""

from typing import Any

import pytest

from hublaunch.launch.errors import DigestRequired, ImageNotAllowed, RepoNotAllowed
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.rules.policy import Policy

DIGEST = "sha256:" + "0a" * 32
REPO = "https://github.com/org/repo"


def test_an_image_is_allowed_by_any_of_the_patterns() -> None:
    policy = Policy(["python:3.*", "quay.io/jupyter/*"])

    policy.check(LaunchRequest(image="docker.io/library/python:3.12"))
    policy.check(LaunchRequest(image="quay.io/jupyter/base-notebook"))
    with pytest.raises(ImageNotAllowed):
        policy.check(LaunchRequest(image="quay.io/evil/base-notebook"))


@pytest.mark.parametrize("image", ["python", "quay.io/jupyter/base-notebook:latest", f"a/b@{DIGEST}", "evil.example/x"])
def test_no_image_is_allowed_by_default_unlike_in_cve_2023_48311_of_dockerspawner(image: str) -> None:
    with pytest.raises(ImageNotAllowed, match="allows no images yet"):
        Policy([]).check(LaunchRequest(image=image))


def test_an_invalid_image_is_never_compared_with_a_pattern() -> None:
    with pytest.raises(ValueError, match="must be an image reference"):
        Policy(["*"]).check(LaunchRequest(image="--privileged"))


def test_an_api_keys_own_patterns_replace_the_services() -> None:
    policy = Policy(["python"])

    policy.check(LaunchRequest(image="quay.io/a/b"), allowed_images=("quay.io/a/*",))
    with pytest.raises(ImageNotAllowed):
        policy.check(LaunchRequest(image="python"), allowed_images=("quay.io/a/*",))


def test_an_api_key_with_an_empty_list_may_launch_nothing_and_does_not_see_the_setting() -> None:
    with pytest.raises(ImageNotAllowed) as refusal:
        Policy(["*"]).check(LaunchRequest(image="python"), allowed_images=())

    assert "LAUNCHER_ALLOWED_IMAGES" not in str(refusal.value)


def test_each_group_of_a_hub_user_adds_its_patterns() -> None:
    policy = Policy(["python"], group_allowed_images={"gpu": ["quay.io/gpu/*"], "r": ["rocker/*"]})

    policy.check(LaunchRequest(image="python"), groups={"gpu"})
    policy.check(LaunchRequest(image="quay.io/gpu/torch"), groups={"gpu", "r", "unheard-of"})
    policy.check(LaunchRequest(image="rocker/r-ver"), groups={"gpu", "r"})
    with pytest.raises(ImageNotAllowed):
        policy.check(LaunchRequest(image="rocker/r-ver"), groups={"gpu"})


def test_a_group_may_have_images_when_nobody_else_has() -> None:
    policy = Policy([], group_allowed_images={"gpu": ["quay.io/gpu/*"]})

    policy.check(LaunchRequest(image="quay.io/gpu/torch"), groups={"gpu"})
    with pytest.raises(ImageNotAllowed, match="none of the patterns"):
        policy.check(LaunchRequest(image="python"), groups={"gpu"})


def test_an_image_without_a_digest_is_refused_if_one_is_required() -> None:
    policy = Policy(["python"], require_digest=True)

    policy.check(LaunchRequest(image=f"python@{DIGEST}"))
    with pytest.raises(DigestRequired):
        policy.check(LaunchRequest(image="python:3.12"))


def test_any_repository_or_no_repository_is_allowed_by_default() -> None:
    policy = Policy(["*"])

    policy.check(LaunchRequest(image="python"))
    policy.check(LaunchRequest(image="python", repo_url=REPO))


def test_with_allowed_repositories_only_those_pass() -> None:
    policy = Policy(["*"], allowed_repos=["github.com/org/*", "gitlab.com/*"])

    policy.check(LaunchRequest(image="python", repo_url="git@GitHub.com:org/repo.git"))
    with pytest.raises(RepoNotAllowed):
        policy.check(LaunchRequest(image="python", repo_url="https://github.com/org/%2e%2e/evil/repo"))
    with pytest.raises(RepoNotAllowed, match="names no repository"):
        policy.check(LaunchRequest(image="python"))


def test_a_ban_overrides_a_permission_with_the_same_message() -> None:
    policy = Policy(["*"], allowed_repos=["github.com/*"], banned_repos=["github.com/org/repo"])

    with pytest.raises(RepoNotAllowed) as banned:
        policy.check(LaunchRequest(image="python", repo_url="https://github.com/ORG/x/../Repo.git"))
    with pytest.raises(RepoNotAllowed) as not_allowed:
        policy.check(LaunchRequest(image="python", repo_url="https://example.org/a"))

    assert str(banned.value) == str(not_allowed.value)


def test_a_launch_without_a_repository_is_not_banned() -> None:
    Policy(["*"], banned_repos=["github.com/*", "*"]).check(LaunchRequest(image="python"))


def test_a_permission_for_everything_still_requires_a_repository() -> None:
    with pytest.raises(RepoNotAllowed):
        Policy(["*"], allowed_repos=["*"]).check(LaunchRequest(image="python"))


def test_patterns_are_checked_when_the_policy_is_created() -> None:
    wrong: list[dict[str, Any]] = [
        {"allowed_images": ["a b"]},
        {"allowed_images": [], "allowed_repos": ["github.com"]},
        {"allowed_images": [], "banned_repos": [""]},
        {"allowed_images": [], "group_allowed_images": {"gpu": ["python:[3"]}},
    ]
    for bad in wrong:
        with pytest.raises(ValueError, match="must "):
            Policy(**bad)


def test_allowed_patterns_are_listed_as_written_without_duplicates() -> None:
    policy = Policy(["python:3.*", "a/b"], group_allowed_images={"gpu": ["a/b", "nvidia/*"], "other": ["c/d"]})

    assert policy.allowed() == ("python:3.*", "a/b")
    assert policy.allowed(groups={"gpu", "none"}) == ("python:3.*", "a/b", "nvidia/*")
    assert policy.allowed(allowed_images=["x/*"]) == ("x/*",)
