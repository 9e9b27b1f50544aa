"""Repositories as BinderHub's URLs name them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.rules.binder_spec import PROVIDERS, BinderSpec, Source

COMMIT = "f7f3ff6d1bf708bdc12e5f10e18b2a90a4795603"
RESOURCE = "b8f6eae9d89241cf8b5904033460af61"
DOI = "10.5281/zenodo.3242074"


@pytest.mark.parametrize(
    ("written", "source"),
    [
        (
            "gh/org/repo/main",
            Source(repo_url="https://github.com/org/repo", ref="main", ref_url="https://github.com/org/repo/tree/main"),
        ),
        (
            "gh/org/repo.git/feature/x/",
            Source(
                repo_url="https://github.com/org/repo",
                ref="feature/x",
                ref_url="https://github.com/org/repo/tree/feature/x",
            ),
        ),
        (
            "gl/group%2Fsub%2Frepo/HEAD",
            Source(
                repo_url="https://gitlab.com/group/sub/repo.git",
                ref="HEAD",
                ref_url="https://gitlab.com/group/sub/repo/tree/HEAD",
            ),
        ),
        (
            f"git/https%3A%2F%2Fgit.example.org%2Fa%2Fb/{COMMIT}",
            Source(repo_url="https://git.example.org/a/b", ref=COMMIT, ref_url="https://git.example.org/a/b"),
        ),
        (
            "gist/ada/0123abcd",
            Source(repo_url="https://gist.github.com/ada/0123abcd.git", ref_url="https://gist.github.com/ada/0123abcd"),
        ),
        (
            f"gist/ada/0123abcd/{COMMIT}",
            Source(
                repo_url="https://gist.github.com/ada/0123abcd.git",
                ref=COMMIT,
                ref_url=f"https://gist.github.com/ada/0123abcd/{COMMIT}",
            ),
        ),
        (f"zenodo/{DOI}", Source(repo_url=f"https://doi.org/{DOI}", ref_url=f"https://doi.org/{DOI}")),
        (
            "figshare/10.6084/m9.figshare.9782777.v1",
            Source(
                repo_url="https://doi.org/10.6084/m9.figshare.9782777.v1",
                ref_url="https://doi.org/10.6084/m9.figshare.9782777.v1",
            ),
        ),
        (
            "dataverse/10.7910/DVN/TJCLKP",
            Source(
                repo_url="https://doi.org/10.7910/DVN/TJCLKP",
                ref_url="https://doi.org/10.7910/DVN/TJCLKP",
            ),
        ),
        (
            f"hydroshare/https%3A%2F%2Fwww.hydroshare.org%2Fresource%2F{RESOURCE}%2F",
            Source(
                repo_url=f"https://www.hydroshare.org/resource/{RESOURCE}",
                ref_url=f"https://www.hydroshare.org/resource/{RESOURCE}",
            ),
        ),
        (
            "ckan/https%3A%2F%2Fdata.example.org%2Fdataset%2Fx",
            Source(repo_url="https://data.example.org/dataset/x", ref_url="https://data.example.org/dataset/x"),
        ),
    ],
)
def test_each_provider_names_its_content_as_binderhub_does(written: str, source: Source) -> None:
    assert BinderSpec.parse(written).source() == source


@pytest.mark.parametrize(
    "written",
    [
        *("gh/org", "gh/org/repo", "gh//repo/main", "gh/a%2Fb/repo/main", "gh/org/../main", "gist/ada"),
        *("gl/group%2Frepo", "git/https%3A%2F%2Fgit.example.org", "hydroshare/123"),
    ],
)
def test_a_spec_without_its_providers_form_is_refused(written: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        BinderSpec.parse(written).source()

    assert refusal.value.field == "spec"
    assert written.split("/", maxsplit=1)[0] in refusal.value.reason


@given(st.sampled_from(sorted(PROVIDERS)), st.text())
def test_any_text_is_either_a_spec_or_refused(provider: str, rest: str) -> None:
    try:
        source = BinderSpec.parse(f"{provider}/{rest}").source()
    except InvalidRequest:
        return

    assert isinstance(source.repo_url, str)
