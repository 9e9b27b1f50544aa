"""Names that every Hub from 4.x to 6.x accepts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hublaunch.launch.rules.names import unique_name_from_repo, unique_server_name

REPO_URLS = st.one_of(st.text(max_size=80), st.from_regex(r"(https?://|git@)[a-zA-Z./:_~%-]{0,60}", fullmatch=True))


@pytest.mark.parametrize(
    ("repo_url", "stem"),
    [
        ("https://github.com/minrk/binder-example.git", "minrk-binder-example"),
        ("https://github.com/minrk/binder-example/", "minrk-binder-example"),
        ("git@github.com:Org/Repo.git", "org-repo"),
        ("ssh://git@github.com:22/org/repo", "org-repo"),
        ("https://github.com/a/b_c.d", "a-b-c-d"),
        ("https://github.com/some--proj/x", "some-proj-x"),
        ("https://github.com/jupyterlab/jupyterlab-demo", "jupyterlab-jupyterlab-demo"),
        ("https://example.org/one/two/three/four/five/six/seven", "one-two-three-f-five-six-seven"),
        ("quay.io/jupyter/base-notebook:latest", "quay-io-jupyter-notebook-latest"),
        (f"quay.io/jupyter/base-notebook@sha256:{'0a1b2c3d' * 8}", "quay-io-jupyter-base-notebook"),
        (f"ghcr.io/a/b:1.2@sha256:{'0a1b2c3d' * 8}", "ghcr-io-a-b-1-2"),
        (f"localhost:5000/a/b@sha512:{'0a1b2c3d' * 16}", "localhost-5000-a-b"),
        (f"git@github.com:org/{'0a1b2c3d' * 3}", f"org-{'0a1b2c3d' * 3}"),
        ("https://github.com/日本/語", "launch"),
        ("https://github.com/", "launch"),
        ("", "launch"),
    ],
)
def test_a_user_name_contains_the_repositorys_path(repo_url: str, stem: str) -> None:
    name = unique_name_from_repo(repo_url)

    assert re.fullmatch(re.escape(stem) + "-[a-z0-9]{8}", name)


@given(REPO_URLS)
def test_a_user_name_is_plain_and_has_at_most_40_characters(repo_url: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name := unique_name_from_repo(repo_url))
    assert len(name) <= 40


@given(REPO_URLS)
def test_a_server_name_follows_jupyterhub_6s_rule(repo_url: str) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name := unique_server_name(repo_url))
    assert len(name) <= 30


def test_two_names_for_one_repository_differ() -> None:
    names = {unique_name_from_repo("https://github.com/a/b") for _ in range(1000)}

    assert len(names) == 1000
