"""The checks of a launch request."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.rules.request import RESERVED_EXTRA_ARGS, check_extra_args, launch_request

DIGEST = "sha256:" + "0a" * 32


def request(*, image: str = "python", repo_url: str = "") -> LaunchRequest:
    return launch_request(image=image, repo_url=repo_url, extra_args={}, allowed_extra_args=())


@pytest.mark.parametrize(
    "image",
    [
        "python",
        "python:3.12",
        "jupyter/base-notebook",
        "quay.io/jupyter/minimal-notebook:latest",
        "localhost:5000/a/b__c/d-e.f:Tag_1.0",
        f"ghcr.io/org/image@{DIGEST}",
        f"ghcr.io/org/image:tag@{DIGEST}",
        "[::1]:5000/image",
        "r2d/https-3a-2f-2fgithub-2ecom:abc",
    ],
)
def test_an_image_reference_passes(image: str) -> None:
    assert request(image=image).image == image


@pytest.mark.parametrize(
    "image",
    [
        "",
        " ",
        "a b",
        "image\n",
        "image\x00",
        "image:ta g",
        "\tpython",
        "Upper/Case",
        "a//b",
        "/a",
        "a/",
        "../a",
        "a/../b",
        "a%2fb",
        "https://quay.io/a/b",
        "user:password@quay.io/a",
        "image@sha256:0a",
        "image@sha256:" + "zz" * 32,
        "image:" + "t" * 129,
        "0a" * 32,
        "-rm",
        "--privileged",
        "$(reboot)",
        "a;b",
        "ímage",
        "a" * 513,
        "a" * 300 + " ",
        "<script>",
        "\ud800",
    ],
)
def test_an_invalid_image_is_refused_without_repeating_it(image: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        request(image=image)

    assert refusal.value.field == "image"
    assert "password" not in str(refusal.value)


@pytest.mark.parametrize(
    "repo_url",
    [
        "",
        "https://github.com/org/repo",
        "https://github.com/org/repo.git",
        "http://gitlab.example.org:8080/group/sub/repo/",
        "git://example.org/repo.git",
        "ssh://git@github.com/org/repo.git",
        "ssh://git@github.com:22/org/repo.git",
        "git@github.com:org/repo.git",
        "ssh://git@[::1]:2222/org/repo",
        "http://my_gitlab./org/repo",
        "https://example.org/~user/r%C3%A9po",
        "https://example.org/日本",
    ],
)
def test_every_form_of_a_git_url_passes(repo_url: str) -> None:
    assert request(repo_url=repo_url).repo_url == repo_url


@pytest.mark.parametrize(
    "repo_url",
    [
        "javascript:alert(1)",
        "javascript://example.org/%0aalert(1)",
        "data:text/html,x",
        "file://localhost/etc/passwd",
        "ftp://example.org/repo",
        "github.com/org/repo",
        "/etc/passwd",
        "org/repo",
        "https://",
        "https:///repo",
        "https://user:hunter2@github.com/org/repo",
        "https://user:hunter2@",
        "https://hunter2@github.com/org/repo",
        "https://:hunter2@github.com/org/repo",
        "ssh://git:hunter2@github.com/org/repo",
        "git@github.com:hunter2@x/y",
        "https://github.com/org/repo?token=hunter2",
        "https://github.com/org/repo#hunter2",
        "https://github.com/org/repo with blanks",
        "https://github.com/org/repo\nInjected: header",
        "https://github.com/\x00",
        "https://github.com/\u202etxt",
        "https://[::1/repo",
        "https://example.org:99999999/repo",
        "-oProxyCommand=reboot",
        "-u@example.org:repo",
        "git@-oProxyCommand:repo",
        "git@example.org:--upload-pack",
        "ssh://-oProxyCommand=reboot/repo",
        "ssh://-u@example.org/repo",
        "ssh://git%40github.com%2Fx@example.org/repo",
        "ssh://a@b@example.org/repo",
        "https://%67ithub.com/org/repo",
        "https://\uff47ithub.com/org/repo",
        "https://github。com/org/repo",
        "https://github.com\\@example.org/repo",
        "https://github.com\\.example.org/repo",
        "https://github.com/org/..\\..\\hunter2/repo",
        "https://github.com/org/%2e%2e/hunter2/repo",
        "https://github.com/org/..;x/hunter2/repo",
        "https://github.com/org/%255c..%255chunter2",
        "https://github.com/org/%0d%0a",
        "https://github.com/org/%c0%ae%c0%ae/hunter2",
        "git@github.com:org/../hunter2",
        "ext::sh -c reboot",
        "https://example.org/" + "a" * 2000,
        "https://example.org/" + "漢" * 250,
    ],
)
def test_an_invalid_repo_url_and_one_with_credentials_are_refused_without_repeating_it(repo_url: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        request(repo_url=repo_url)

    assert refusal.value.field == "repo_url"
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("key", sorted(RESERVED_EXTRA_ARGS))
def test_a_reserved_extra_arg_is_refused_even_if_the_settings_allow_it(key: str) -> None:
    with pytest.raises(InvalidRequest, match="none of the keys"):
        check_extra_args({key: 1}, allowed={key})


def test_only_allowed_extra_args_pass_and_the_refusal_names_them() -> None:
    check_extra_args({"binder_ref_url": "x"}, allowed={"binder_ref_url"})

    with pytest.raises(InvalidRequest, match="may have only these keys: binder_ref_url"):
        check_extra_args({"profile": "gpu"}, allowed={"binder_ref_url"})


def test_extra_args_are_bounded_in_size() -> None:
    with pytest.raises(InvalidRequest, match="at most 16384 bytes"):
        check_extra_args({"a": "x" * 16_384}, allowed={"a"})


@given(st.text(max_size=60))
def test_any_text_either_passes_or_is_an_invalid_request(text: str) -> None:
    with suppress(InvalidRequest):
        request(image=text)
    with suppress(InvalidRequest):
        request(repo_url=text)
