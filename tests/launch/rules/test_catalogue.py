"""The catalogue: who may launch which environment in which size, and what that stands for."""

from dataclasses import replace

import pytest

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.rules.catalogue import Catalogue, Environment, Size, in_language
from hublaunch.launch.rules.quota import Scope

SMALL = Size(name="small", title={"": "Small"}, user_options={"profile": "small"})
LARGE = Size(name="large", title={"": "Large"}, user_options={"profile": "large"}, groups=frozenset({"staff"}), most=2)
SCIPY = Environment(name="scipy", title={"": "SciPy"}, image="quay.io/org/scipy:1", open="lab", sizes=(SMALL, LARGE))
PLAIN = Environment(name="plain", title={"": "Plain"}, image="python")
STAFF = Environment(name="staff-only", title={"": "Staff"}, image="quay.io/org/staff:1", groups=frozenset({"staff"}))
GPU = Environment(name="gpu", title={"": "GPU"}, image="quay.io/org/gpu:1", sizes=(LARGE,))
CATALOGUE = Catalogue(environments=(SCIPY, PLAIN, STAFF, GPU), sizes=(SMALL, LARGE))

ANYBODY = Caller(kind="anonymous", key="192.0.2.1")
ADA = Caller(kind="hub", key="ada", groups=frozenset({"staff", "others"}))
BOB = Caller(kind="hub", key="bob", groups=frozenset({"others"}))
KEY = Caller(kind="key", key="ci")
NARROW_KEY = replace(KEY, allowed_images=("quay.io/org/s*",))
LISTING_KEY = replace(KEY, allowed_images=(), environments=("plain", "staff-only", "gone"))


@pytest.mark.parametrize(
    ("caller", "offered"),
    [
        (ANYBODY, {"scipy": ["small"], "plain": []}),
        (ADA, {"scipy": ["small", "large"], "plain": [], "staff-only": [], "gpu": ["large"]}),
        (BOB, {"scipy": ["small"], "plain": []}),
        (KEY, {"scipy": ["small"], "plain": []}),
        (NARROW_KEY, {"scipy": ["small"]}),
        (LISTING_KEY, {"plain": [], "staff-only": []}),
    ],
    ids=["anonymous", "staff", "hub user", "key", "key with images", "key with environments"],
)
def test_each_caller_is_offered_their_environments_and_sizes(caller: Caller, offered: dict[str, list[str]]) -> None:
    found = CATALOGUE.offered(caller)

    assert {each.name: [size.name for size in each.sizes] for each in found} == offered
    for environment in CATALOGUE.environments:
        request = LaunchRequest(image="", environment=environment.name)
        if environment.name in offered:
            assert CATALOGUE.resolve(request, caller).image == environment.image
        else:
            with pytest.raises(InvalidRequest, match="you may launch no environment of this name"):
                CATALOGUE.resolve(request, caller)


def test_an_environment_stands_for_its_image_its_path_and_a_size() -> None:
    asked = LaunchRequest(image="", environment="scipy", size="large", repo_url="https://github.com/org/repo")

    resolved = CATALOGUE.resolve(asked, ADA)

    assert resolved == replace(asked, image=SCIPY.image, path="lab", size_options={"profile": "large"})


def test_without_a_size_the_first_that_the_caller_may_have_is_used() -> None:
    catalogue = Catalogue(environments=(replace(SCIPY, sizes=(LARGE, SMALL)),), sizes=(SMALL, LARGE))
    asked = LaunchRequest(image="", environment="scipy")

    assert catalogue.resolve(asked, ADA).size == "large"
    assert catalogue.resolve(asked, BOB).size == "small"


def test_the_path_of_a_request_replaces_that_of_the_environment() -> None:
    asked = LaunchRequest(image="", environment="scipy", path="tree")

    assert CATALOGUE.resolve(asked, ADA).path == "tree"


def test_a_request_for_an_image_is_left_alone() -> None:
    asked = LaunchRequest(image="quay.io/org/scipy:1", extra_args={"ref": "main"})

    assert CATALOGUE.resolve(asked, ANYBODY) == asked


@pytest.mark.parametrize(
    ("environment", "size", "said"),
    [
        ("scipi", "", "environment: you may launch no environment of this name. Did you mean scipy?"),
        ("Plain", "", "environment: you may launch no environment of this name. Did you mean plain?"),
        ("staff-onyl", "", "environment: you may launch no environment of this name"),
        ("x" * 100_000, "", "environment: you may launch no environment of this name"),
        ("scipy", "smaal", "size: this environment offers you no size of this name. Did you mean small?"),
        ("scipy", "large", "size: this environment offers you no size of this name"),
        ("scipy", "largee", "size: this environment offers you no size of this name"),
        ("plain", "small", "size: cannot be chosen for this environment, which has no sizes"),
    ],
)
def test_a_misspelled_name_is_refused_with_the_nearest_that_the_caller_may_have(
    environment: str, size: str, said: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        CATALOGUE.resolve(LaunchRequest(image="", environment=environment, size=size), BOB)

    assert str(refusal.value) == said


def test_without_a_catalogue_no_environment_can_be_chosen() -> None:
    with pytest.raises(InvalidRequest, match="this service has no catalogue") as refusal:
        Catalogue().resolve(LaunchRequest(image="", environment="scipy"), ADA)

    assert "LAUNCHER_CATALOGUE_FILE" in refusal.value.operator_advice


@pytest.mark.parametrize("request_", [LaunchRequest(image="", environment="scipy"), LaunchRequest(image="python")])
def test_extra_args_cannot_set_what_a_size_sets(request_: LaunchRequest) -> None:
    with pytest.raises(InvalidRequest, match="extra_args: must have none of the keys that sizes set: profile"):
        CATALOGUE.resolve(replace(request_, extra_args={"profile": "large", "a": 1}), ADA)


def test_the_spawner_gets_the_options_of_the_size() -> None:
    request = LaunchRequest(
        image="python",
        repo_url="r",
        extra_args={"profile": "other", "image": "x", "a": 1},
        size_options={"profile": "s"},
    )

    assert request.user_options == {"profile": "s", "a": 1, "image": "python", "repo_url": "r"}


def test_a_size_with_a_number_is_a_quota() -> None:
    ((scope, rule),) = CATALOGUE.quota_rules

    assert (scope, rule.pattern, rule.most, rule.together) == (Scope.SIZE, "large", 2, False)


@pytest.mark.parametrize(
    ("languages", "text"),
    [
        ([], "hello"),
        (["de"], "hallo"),
        (["DE-ch"], "hallo"),
        (["fr", "pt-BR"], "oi"),
        (["pt"], "hello"),
        (["d"], "hello"),
        (["", "-"], "hello"),
    ],
)
def test_a_reader_gets_the_first_of_their_languages_or_the_first_text(languages: list[str], text: str) -> None:
    assert in_language({"en": "hello", "de": "hallo", "pt-BR": "oi"}, languages) == text


def test_a_text_in_no_particular_language_serves_every_reader() -> None:
    assert in_language({"": "hello"}, ["de"]) == "hello"
    assert in_language({}, ["de"]) == ""
