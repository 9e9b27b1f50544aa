"""The Hub's own check of images, which allows exactly the images that hublaunch allows."""

import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tornado.web import HTTPError
from traitlets.config import Config

from helm.wall import wall
from hublaunch.launch.errors import RequestRefused
from hublaunch.launch.rules.policy import Policy
from hublaunch.launch.rules.request import launch_request
from tests.chart.helm import Helm

DIGEST = "sha256:" + "0a" * 32
WALL = compile(wall(), "hub.extraConfig", "exec")

SIZES = [[{"cpu_limit": 1}, []], [{"cpu_limit": 8, "node_selector": {"gpu": "yes"}}, ["gpu"]]]

registries = st.sampled_from(
    [
        "",
        "quay.io/",
        "QUAY.io/",
        "a.pkg.dev/",
        "evil.io/",
        "index.docker.io/",
        "localhost:5000/",
        "Host/",
        "[::1]:5000/",
    ]
)
repositories = st.lists(
    st.sampled_from(["python", "library", "course", "x", "a.pkg.dev", "evil.io", "quay.io", "jupyter"]),
    min_size=1,
    max_size=3,
).map("/".join)
versions = st.sampled_from(["", ":latest", ":3.12", ":3", f"@{DIGEST}", f":3.12@{DIGEST}"])
images = st.one_of(st.builds("{}{}{}".format, registries, repositories, versions), st.text(max_size=20))
pattern_parts = st.sampled_from(
    ["*", "?", "[a-z]", "*.pkg.dev", "python", "course", "x", "quay.io", "evil.io", "a.pkg.dev"]
)
patterns = st.builds(
    "{}{}{}".format,
    st.one_of(registries, st.sampled_from(["*/", "*.pkg.dev/", "quay.??/", "[::1]:*/"])),
    st.lists(pattern_parts, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", ":*", ":3.*", ":latest", "@*", f"@{DIGEST}", ":3.*@*"]),
)
groups = st.sets(st.sampled_from(["gpu", "r", "unheard-of"]))


def hub(text: str | None = None, **constants: object) -> dict[str, Any]:
    """Run this configuration of the Hub, and return its names."""
    read: dict[str, Any] = {"c": Config(), **constants}
    exec(WALL if text is None else text, read)
    return read


def walls_of(
    images: Sequence[str], group_images: Mapping[str, Sequence[str]], *, require_digest: bool, pin_digest: bool = False
) -> dict[str, Any]:
    return hub(
        HUBLAUNCH_IMAGES=images,
        HUBLAUNCH_GROUP_IMAGES=group_images,
        HUBLAUNCH_SIZES=SIZES,
        HUBLAUNCH_REQUIRE_DIGEST=require_digest,
        HUBLAUNCH_PIN_DIGEST=pin_digest,
    )


@given(
    image=images,
    allowed=st.lists(patterns, max_size=2),
    of_groups=st.dictionaries(st.sampled_from(["gpu", "r"]), st.lists(patterns, max_size=2)),
    of_user=groups,
    require_digest=st.booleans(),
)
@example(
    image="evil.io/a.pkg.dev/course/x",
    allowed=["*.pkg.dev/course/*"],
    of_groups={},
    of_user=set(),
    require_digest=False,
)
@example(image="quay.io/gpu/x", allowed=[], of_groups={"gpu": ["quay.io/gpu/*"]}, of_user=set(), require_digest=False)
@example(image=f"python:3.12@{DIGEST}", allowed=["python:3.*"], of_groups={}, of_user=set(), require_digest=False)
def test_the_hub_and_hublaunch_allow_the_same_images(
    image: str, allowed: list[str], of_groups: dict[str, list[str]], of_user: set[str], require_digest: bool
) -> None:
    policy = Policy(allowed, group_allowed_images=of_groups, require_digest=require_digest)
    try:
        request = launch_request(image=image, repo_url="", extra_args={}, allowed_extra_args=())
        policy.check(request, groups=of_user)
        is_allowed = True
    except RequestRefused:
        is_allowed = False

    second = walls_of(allowed, of_groups, require_digest=require_digest)

    assert second["hublaunch_allows"](image, of_user) is is_allowed


@pytest.mark.parametrize(
    ("image", "is_allowed"),
    [
        (f"python@{DIGEST}", True),
        (f"python:9@{DIGEST}", True),
        ("python:3.12", True),
        ("python:2.7", False),
        (f"julia@{DIGEST}", False),
        (f"quay.io/library/python@{DIGEST}", False),
        (f"quay.io/x@{DIGEST}", False),
    ],
)
def test_where_digests_are_pinned_an_allowed_tag_may_come_as_its_digest(image: str, is_allowed: bool) -> None:
    allowed = ["python:3.*", f"quay.io/x@sha256:{'1b' * 32}"]

    assert walls_of(allowed, {}, require_digest=False, pin_digest=True)["hublaunch_allows"](image, set()) is is_allowed


def spawner_of(*groups: str) -> SimpleNamespace:
    user = SimpleNamespace(groups=[SimpleNamespace(name=name) for name in groups])
    chosen = {"image": "the Hub's own", "environment": {"A": "1"}, "node_selector": {"disk": "ssd"}, "cpu_limit": 0.5}
    return SimpleNamespace(user=user, **chosen)


def test_a_server_gets_only_an_image_that_its_users_groups_allow() -> None:
    read = walls_of(["python"], {"gpu": ["quay.io/gpu/*"]}, require_digest=False)
    apply = read["c"].Spawner.apply_user_options
    member, other = spawner_of("gpu", "r"), spawner_of("r")

    apply(member, {"image": "quay.io/gpu/torch", "repo_url": "https://example.org/r"})
    apply(other, {})

    assert (member.image, member.environment) == (
        "quay.io/gpu/torch",
        {"A": "1", "LAUNCH_REPO_URL": "https://example.org/r"},
    )
    assert (other.image, other.environment) == ("the Hub's own", {"A": "1"})
    for image in ("quay.io/gpu/torch", "evil.io/python", "", 1, ["python"], {"python": 1}):
        with pytest.raises(HTTPError, match="400"):
            apply(other, {"image": image})
    assert other.image == "the Hub's own"


def test_a_server_gets_exactly_a_size_of_the_catalogue_that_its_users_groups_allow() -> None:
    apply = walls_of(["python"], {}, require_digest=False)["c"].Spawner.apply_user_options
    member, other = spawner_of("gpu"), spawner_of()
    large = {"cpu_limit": 8, "node_selector": {"gpu": "yes"}}

    apply(member, {"image": "python", "spawner_override": large})
    apply(other, {"image": "python", "spawner_override": {"cpu_limit": 1}})

    assert (member.cpu_limit, member.node_selector) == (8, {"disk": "ssd", "gpu": "yes"})
    assert (other.cpu_limit, other.node_selector) == (1, {"disk": "ssd"})
    for override in (large, {"cpu_limit": 2}, {"cpu_limit": 1, "cmd": ["sh"]}, {}, "cpu_limit", [1], {"cmd": ["sh"]}):
        with pytest.raises(HTTPError, match="size not allowed"):
            apply(other, {"spawner_override": override})
    assert other.cpu_limit == 1


def test_the_chart_passes_the_catalogue_to_the_hub(helm: Helm) -> None:
    catalogue = {
        "environments": {
            "scipy": {"title": "SciPy", "image": "quay.io/org/scipy"},
            "pinned": {"title": "Pinned", "image": f"quay.io/org/pinned@{DIGEST}"},
            "gpu": {"title": "GPU", "image": "localhost:5000/gpu:1", "groups": ["gpu", "staff"]},
        },
        "sizes": {
            "small": {"title": "Small", "user_options": {"spawner_override": {"cpu_limit": 1, "privileged": False}}},
            "large": {"title": "Large", "user_options": {"spawner_override": {"mem_limit": "64G"}}, "groups": ["gpu"]},
            "other": {"title": "Other", "user_options": {"profile": "other"}},
            "plain": {"title": "Plain"},
        },
    }
    settings = {"hub_url": "https://h/", "group_allowed_images": {"gpu": ["quay.io/gpu/*"]}}
    given = ("--set-json", f"settings={json.dumps(settings)}", "--set-json", f"catalogue={json.dumps(catalogue)}")

    read = hub(helm.rendered(*given).z2jh["hub"]["extraConfig"]["hublaunch"])

    assert read["HUBLAUNCH_IMAGES"] == [f"quay.io/org/pinned@{DIGEST}", "quay.io/org/scipy:latest"]
    assert read["HUBLAUNCH_GROUP_IMAGES"] == {
        "gpu": ["quay.io/gpu/*", "localhost:5000/gpu:1"],
        "staff": ["localhost:5000/gpu:1"],
    }
    assert read["HUBLAUNCH_SIZES"] == [[{"mem_limit": "64G"}, ["gpu"]], [{"cpu_limit": 1, "privileged": False}, []]]
    allows = read["hublaunch_allows"]
    assert [allows(image, set()) for image in ("quay.io/org/scipy", "quay.io/org/scipy:2", "localhost:5000/gpu:1")] == [
        *(True, False, False)
    ]


def test_the_chart_passes_its_settings_to_the_hub(helm: Helm) -> None:
    settings = {
        "hub_url": "https://h/",
        "allowed_images": ["python:3.*"],
        "group_allowed_images": {"gpu": ["quay.io/gpu/*"]},
        "require_digest": True,
    }

    read = hub(helm.rendered("--set-json", f"settings={json.dumps(settings)}").z2jh["hub"]["extraConfig"]["hublaunch"])
    as_installed = hub(helm.rendered("--set", "settings.hub_url=https://h/").z2jh["hub"]["extraConfig"]["hublaunch"])

    names = ("HUBLAUNCH_IMAGES", "HUBLAUNCH_GROUP_IMAGES", "HUBLAUNCH_REQUIRE_DIGEST")
    assert [read[name] for name in names] == [["python:3.*"], {"gpu": ["quay.io/gpu/*"]}, True]
    assert [as_installed[name] for name in names] == [[], {}, False]
    assert not as_installed["hublaunch_allows"]("python", {"gpu"})
