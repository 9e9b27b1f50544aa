"""The mapping from BinderHub's specs to images."""

from collections.abc import Mapping
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hublaunch.binderhub.images import BinderImages, ImageMapping
from hublaunch.launch.errors import InvalidRequest, SpecNotMapped
from hublaunch.launch.rules.binder_spec import BinderSpec
from hublaunch.launch.rules.image import ImageReference

COMMIT = "f7f3ff6d1bf708bdc12e5f10e18b2a90a4795603"
EXTRA_ARGS = ("binder_request", "binder_ref_url", "binder_persistent_request")


def images(mapping: Mapping[str, str], *, allowed_extra_args: tuple[str, ...] = EXTRA_ARGS) -> BinderImages:
    return BinderImages([ImageMapping.parse(*pair) for pair in mapping.items()], allowed_extra_args=allowed_extra_args)


def image(mapping: Mapping[str, str], written: str) -> str:
    return images(mapping).request(BinderSpec.parse(written)).image


@pytest.mark.parametrize(
    ("pattern", "template", "written", "found"),
    [
        ("gh/*/*/*", "quay.io/binder/{1}-{2}:{3}", "gh/Org/Repo/main", "quay.io/binder/org-repo:main"),
        ("gh/*/*/*", "quay.io/{2}/{1}:{3}", "gh/org/repo/Feature/X+y", "quay.io/repo/org:Feature-X-y"),
        ("gh/org/course-*/*", "quay.io/org/{1}", "gh/ORG/Course-one/main", "quay.io/org/one"),
        ("gh/org/repo/main", "quay.io/org/image:1", "gh/org/repo/main/", "quay.io/org/image:1"),
        ("gh/org/*", "quay.io/org/image:1", "gh/org/repo/main", "quay.io/org/image:1"),
        ("gl/group%2F*/*", "quay.io/{1}:{2}", "gl/group%2Fsub%2Frepo/main", "quay.io/sub/repo:main"),
        ("git/https%3A%2F%2Fgit.x.org%2F*/*", "r:5000/{1}:{2}", "git/https%3A%2F%2Fgit.x.org%2Fa/v1", "r:5000/a:v1"),
        ("zenodo/10.5281/zenodo.*", "quay.io/z/r{1}", "zenodo/10.5281/zenodo.3242074", "quay.io/z/r3242074"),
        ("gh/*/*/*", "quay.io/a:{3}-{1}", "gh/org/repo/main", "quay.io/a:main-org"),
    ],
)
def test_a_pattern_maps_a_spec_to_an_image(pattern: str, template: str, written: str, found: str) -> None:
    assert image({pattern: template}, written) == found


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("gh/org/repo/main", "gh/org/repo/main/x"),
        ("gh/org/repo/*", "gh/org/repo"),
        ("gh/org/repo/*", "gh/org/repo/"),
        ("gh/org/*/*", "gh/org//main"),
        ("gh/org/*/*", "gl/org/repo/main"),
        ("gh/org/*-x/*", "gh/org/-x/main"),
        ("gh/org/ab*ba/*", "gh/org/aba/main"),
        ("gh/*/*/*", ""),
    ],
)
def test_an_unmatched_spec_is_not_mapped(pattern: str, written: str) -> None:
    with pytest.raises(SpecNotMapped):
        image({pattern: "quay.io/org/image"}, written)


def test_the_first_matching_pattern_applies() -> None:
    mapping = {"gh/org/one/*": "quay.io/org/special", "gh/org/*/*": "quay.io/org/{1}"}

    assert image(mapping, "gh/org/one/main") == "quay.io/org/special"
    assert image(mapping, "gh/org/two/main") == "quay.io/org/two"


@pytest.mark.parametrize(
    "written", ["gh/org/a%3Ab/main", "gh/org/a%40b/main", "gh/org/a%20b/main", "gh/org/-x/main", "gh/org/x-/main"]
)
def test_characters_that_an_image_name_cannot_have_are_refused(written: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        image({"gh/org/*/*": "quay.io/org/{1}"}, written)

    assert refusal.value.field == "spec"


@pytest.mark.parametrize(
    ("pattern", "template", "reason"),
    [
        ("github/*/*/*", "quay.io/a", "must start with one of gh/"),
        ("g*/org/repo/main", "quay.io/a", "must start with one of gh/"),
        ("gh", "quay.io/a", "must start with one of gh/"),
        ("gh/*", "quay.io/a:{2}", "must have a * for each number in the image; it has 1"),
        ("gh/**/x", "quay.io/a", "must have at most one * in each part"),
        ("gh//x", "quay.io/a", "must not have an empty part"),
        ("gh/*", "quay.io/{name}", "must result in a valid image: it must be an image reference"),
        ("gh/*", "quay.io/{0}", "must result in a valid image"),
        ("gh/*", "{}", "must result in a valid image"),
        ("gh/*", "", "must result in a valid image"),
        ("gh/*", "quay.io/a{1", "must result in a valid image"),
    ],
)
def test_an_invalid_mapping_is_refused(pattern: str, template: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"must ") as fault:
        ImageMapping.parse(pattern, template)

    assert str(fault.value).startswith(reason)


@pytest.mark.parametrize(
    ("allowed", "written", "extra_args"),
    [
        (
            EXTRA_ARGS,
            "gh/org/repo/main",
            {"binder_request": "v2/gh/org/repo/main", "binder_ref_url": "https://github.com/org/repo/tree/main"},
        ),
        (
            EXTRA_ARGS,
            f"gh/org/repo/{COMMIT}",
            {
                "binder_request": f"v2/gh/org/repo/{COMMIT}",
                "binder_ref_url": f"https://github.com/org/repo/tree/{COMMIT}",
                "binder_persistent_request": f"v2/gh/org/repo/{COMMIT}",
            },
        ),
        (("binder_request",), f"gh/org/repo/{COMMIT}", {"binder_request": f"v2/gh/org/repo/{COMMIT}"}),
        ((), "gh/org/repo/main", {}),
        ((), "gh/org/repo/HEAD", {}),
    ],
)
def test_the_request_has_the_known_and_allowed_extra_arguments(
    allowed: tuple[str, ...], written: str, extra_args: dict[str, Any]
) -> None:
    mapped = images({"gh/*/*/*": "quay.io/org/image"}, allowed_extra_args=allowed)

    request = mapped.request(BinderSpec.parse(written))

    assert (request.repo_url, request.extra_args) == ("https://github.com/org/repo", extra_args)
    assert request.ref == written.removeprefix("gh/org/repo/").removeprefix("HEAD")


def test_a_repository_with_credentials_is_refused() -> None:
    mapping = {"git/*/*": "quay.io/org/image"}

    with pytest.raises(InvalidRequest) as refusal:
        image(mapping, "git/https%3A%2F%2Fada%3Asecret%40git.example.org%2Fa/main")

    assert "secret" not in str(refusal.value)


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_every_mapped_spec_gives_a_valid_image(user: str, repo: str, ref: str) -> None:
    mapping = {"gh/*/*/*": "quay.io/{1}/{2}:{3}"}

    try:
        found = image(mapping, f"gh/{user}/{repo}/{ref}")
    except (InvalidRequest, SpecNotMapped):
        return

    ImageReference.parse(found)
    assert found.startswith("quay.io/")


def test_a_long_spec_is_matched_quickly() -> None:
    mapping = ImageMapping.parse("gh/*a/*a/*a", "quay.io/org/image")
    spec = BinderSpec.parse("gh/" + "a" * 4000 + "/b/" + "a" * 4000 + "c")

    before = perf_counter()
    for _ in range(100):
        assert mapping.image(spec) is None

    assert perf_counter() - before < 1
