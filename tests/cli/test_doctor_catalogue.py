"""`hublaunch doctor` and the catalogue: its file, its images at their registries, and KubeSpawner's profiles."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hublaunch.doctor import Finding
from hublaunch.doctor.catalogue import examine_catalogue_images
from hublaunch.doctor.configuration import examine_configuration
from hublaunch.doctor.profiles import examine_profiles
from hublaunch.doctor.warm import examine_warm
from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from tests.cli.commands import in_thread
from tests.fakes.hub import FakeHub
from tests.fakes.wire import WireServer
from tests.registry.asking import UNKNOWN_MANIFEST, answering, found, name_of, response
from tests.support.catalogue import catalogue_in

DIGEST = f"sha256:{'a' * 64}"


def written(directory: Path, catalogue: object) -> Path:
    path = directory / "catalogue.yaml"
    path.write_text(catalogue if isinstance(catalogue, str) else json.dumps(catalogue))
    return path


def said(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    return [(each.check, each.state) for each in findings]


# --- the file ---------------------------------------------------------------------------------------------------------


def test_a_sound_catalogue_needs_no_patterns(settings: Settings, tmp_path: Path) -> None:
    given = settings.model_copy(update={"catalogue_file": catalogue_in(tmp_path), "allowed_images": ()})

    assert said([*examine_configuration(given)]) == [("settings", "ok")]


def test_a_fault_in_the_catalogue_is_named_with_its_line(settings: Settings, tmp_path: Path) -> None:
    path = written(tmp_path, "environments:\n  scipy:\n    image: python\n")

    [finding] = examine_configuration(settings.model_copy(update={"catalogue_file": path}))

    assert (finding.check, finding.state) == ("catalogue", "fault")
    assert "line 2: environments.scipy.title: Field required" in finding.message


def test_settings_and_keys_that_contradict_the_catalogue_are_found(settings: Settings, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    add_key(keys, name="ci", environments=["scipy", "gone"])
    path = written(
        tmp_path,
        {
            "environments": {
                "scipy": {"title": "SciPy", "image": "python:3"},
                "pinned": {"title": "Pinned", "image": f"python@{DIGEST}"},
            },
            "sizes": {"small": {"title": "Small", "user_options": {"profile": "small"}}},
        },
    )
    changes = {"require_digest": True, "allowed_extra_args": ("profile",), "access": ("key",), "api_keys_file": keys}

    digests, args, key = examine_configuration(settings.model_copy(update={"catalogue_file": path, **changes}))

    assert digests.message.endswith("whose images have no digest: scipy.")
    assert args.message == "Sizes set profile, so no request may have them in extra_args."
    assert key.message == "The API key ci lists environments that the catalogue lacks: gone."
    assert [each.state for each in (digests, args, key)] == ["fault", "warning", "warning"]


WARM = {
    "course": {"title": "Course", "image": "python:3", "warm": {"keep": 2}},
    "cold": {"title": "Cold", "image": "python:4"},
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"create_user": False, "access": ("hub", "key")}, "LAUNCHER_CREATE_USER is false"),
        ({"access": ("hub",)}, "LAUNCHER_ACCESS is hub, so every launch is on its caller's own account."),
        ({"token_mode": "user_options"}, "LAUNCHER_TOKEN_MODE is user_options"),
        ({"pre_launch_hook": print}, "LAUNCHER_PRE_LAUNCH_HOOK must see the request"),
    ],
)
def test_a_setting_that_leaves_warm_servers_to_nobody_is_named(
    settings: Settings, tmp_path: Path, changes: Mapping[str, object], words: str
) -> None:
    path, keys = written(tmp_path, {"environments": WARM}), tmp_path / "keys.json"
    add_key(keys, name="ci")
    given = settings.model_copy(update={"catalogue_file": path, "api_keys_file": keys, **changes})

    [warning] = [each for each in examine_configuration(given) if each.state != "ok"]

    assert (warning.check, warning.state) == ("catalogue", "warning")
    assert warning.message.startswith(f"No server is kept warm for these environments: course. {words}")


def test_a_warm_environment_with_groups_needs_a_key_that_lists_it(settings: Settings, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    add_key(keys, name="ci", environments=["listed"])
    warm = {"title": "A", "warm": {"keep": 1}, "groups": ["staff"]}
    environments = {"listed": {**warm, "image": "python:3"}, "other": {**warm, "image": "python:4"}}
    path = written(tmp_path, {"environments": environments})
    changes = {"catalogue_file": path, "access": ("hub", "key"), "api_keys_file": keys}

    [warning] = [each for each in examine_configuration(settings.model_copy(update=changes)) if each.state != "ok"]

    assert (warning.check, warning.state) == ("catalogue", "warning")
    assert warning.message.startswith("Nobody can get the warm servers of these environments: other.")


# --- the images -------------------------------------------------------------------------------------------------------


async def images(settings: Settings, directory: Path, *images: str, **changes: object) -> Sequence[Finding]:
    """Return the findings for a catalogue of these images."""
    environments = {f"e{number}": {"title": "E", "image": image} for number, image in enumerate(images)}
    path = written(directory, {"environments": environments})
    given = settings.model_copy(update={"catalogue_file": path, "preflight": "auto", **changes})
    return [finding async for finding in examine_catalogue_images(given)]


async def test_each_environments_image_is_looked_up_at_its_registry(settings: Settings, tmp_path: Path) -> None:
    def answer(_: str, path: str, *__: object) -> bytes:
        return response(404, UNKNOWN_MANIFEST) if "gone" in path else response(429) if "busy" in path else found()

    async with WireServer(answering(answer)) as server:
        registry = name_of(server)
        sound = await images(settings, tmp_path, f"{registry}/org/a:1", f"{registry}/org/b:1")
        broken = await images(settings, tmp_path, f"{registry}/org/a:1", f"{registry}/gone:1", f"{registry}/busy:1")

    assert said(sound) == [("catalogue", "ok")]
    assert said(broken) == [("catalogue", "fault"), ("catalogue", "unknown")]
    reason = "The registry has no image of this name and tag. Launches of it are refused."
    assert broken[0].message == f"Environment e1, {registry}/gone:1: {reason}"


async def test_without_pre_flight_no_registry_is_asked(settings: Settings, tmp_path: Path) -> None:
    assert await images(settings, tmp_path, "quay.io/org/a:1", preflight="off") == []


# --- the profiles of z2jh ---------------------------------------------------------------------------------------------

PROFILES: list[dict[str, Any]] = [
    {"display_name": "Small Server"},
    {
        "display_name": "Large",
        "slug": "large",
        "profile_options": {"memory": {"choices": {"much": {"kubespawner_override": {"mem_limit": "16G"}}}}},
    },
]
EXTRA = {"extraConfig": {"hublaunch": "…"}}


def profiles(settings: Settings, directory: Path, user_options: object, values: object) -> Sequence[Finding]:
    """Return the findings for a size with these options, beside a z2jh with these values."""
    catalogue = written(directory, {"sizes": {"s": {"title": "S", "user_options": user_options}}})
    path = directory / "values.yaml"
    path.write_text(json.dumps(values))
    return [*examine_profiles(settings.model_copy(update={"catalogue_file": catalogue}), path)]


@pytest.mark.parametrize(
    "user_options", [{}, {"profile": "small-server"}, {"profile": "large", "memory": "much"}, {"cpu": 3}]
)
@pytest.mark.parametrize("listed", [PROFILES, {"a": PROFILES[0], "b": PROFILES[1]}], ids=["list", "by key"])
def test_sizes_that_fit_the_profiles_are_sound(
    settings: Settings, tmp_path: Path, user_options: object, listed: object
) -> None:
    found = profiles(settings, tmp_path, user_options, {"singleuser": {"profileList": listed}, "hub": EXTRA})

    assert said(found) == [("profiles", "ok")]


def changed(**changes: Any) -> list[dict[str, Any]]:
    return [PROFILES[0], {**PROFILES[1], **changes}]


@pytest.mark.parametrize(
    ("user_options", "listed", "words"),
    [
        ({"profile": "medium"}, PROFILES, "has no profile with the slug medium"),
        ({"profile": ["large"]}, PROFILES, "has no profile with the slug"),
        ({"profile": "large"}, [], "has no profile with the slug large"),
        ({"profile": "large", "memory": "none"}, PROFILES, "the option memory of the profile large has no choice none"),
        ({"profile": "large"}, changed(kubespawner_override={"image": "python"}), "sets an image, which replaces"),
        (
            {"profile": "large"},
            changed(profile_options={"kind": {"choices": {"a": {"kubespawner_override": {"image": "python"}}}}}),
            "sets an image, which replaces",
        ),
        ({"profile": "large"}, changed(profile_options={"image": {"choices": {}}}), "has an option image, so every"),
        ({"profile": "large"}, changed(profile_options={"ref": {"choices": {}}}), "has an option ref, so every"),
    ],
)
def test_a_profile_that_a_size_cannot_use_is_a_fault(
    settings: Settings, tmp_path: Path, user_options: object, listed: object, words: str
) -> None:
    [finding] = profiles(settings, tmp_path, user_options, {"singleuser": {"profileList": listed}, "hub": EXTRA})

    assert (finding.check, finding.state) == ("profiles", "fault")
    assert words in finding.message


def test_profiles_without_the_charts_values_are_a_fault(settings: Settings, tmp_path: Path) -> None:
    [finding] = profiles(settings, tmp_path, {"profile": "large"}, {"singleuser": {"profileList": PROFILES}})

    assert "hub.extraConfig lacks hublaunch" in finding.message


async def test_the_values_are_named_on_the_command_line(hub: FakeHub, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(json.dumps({"singleuser": {"profileList": [{"slug": "x"}]}}))
    variables = {
        "LAUNCHER_HUB_URL": hub.url,
        "LAUNCHER_HUB_API_TOKEN": hub.api_token,
        "LAUNCHER_DATABASE_URL": f"sqlite:///{tmp_path}/hublaunch.sqlite",
        "LAUNCHER_CATALOGUE_FILE": str(catalogue_in(tmp_path)),
        "LAUNCHER_PREFLIGHT": "off",
    }

    done = await in_thread("doctor", "--json", "--port", "1", "--z2jh-values", str(values), **variables)

    [finding] = [each for each in done.objects() if each["check"] == "profiles"]
    assert done.status == 1
    assert finding["message"].startswith(f"The values in {values} are invalid: line 1: singleuser.profileList")


# --- warm servers -----------------------------------------------------------------------------------------------------


def warm_findings(settings: Settings, directory: Path, values: object, **changes: object) -> Sequence[Finding]:
    """Return the findings for a pool of up to 20 servers, beside a z2jh with these values."""
    block = {"keep": 2, "windows": [{"cron": "45 8 * * mon", "for_s": 900, "keep": 20}], "max_age_s": 3600}
    catalogue = written(directory, {"environments": {"a": {"title": "A", "image": "python", "warm": block}}})
    path = None if values is None else directory / "values.yaml"
    if path is not None:
        path.write_text(json.dumps(values))
    return [*examine_warm(settings.model_copy(update={"catalogue_file": catalogue, **changes}), path)]


def test_the_doctor_names_what_the_hub_does_not_show_about_warm_servers(settings: Settings, tmp_path: Path) -> None:
    [unknown] = warm_findings(settings, tmp_path, None)

    assert unknown.state == "unknown"
    assert unknown.message.startswith("The pools keep up to 20 servers ready. The Hub's API does not show")


@pytest.mark.parametrize(
    ("values", "changes", "words"),
    [
        ({"hub": {"activeServerLimit": 20}}, {}, "hub.activeServerLimit is 20, so none is left for people"),
        ({"hub": {"concurrentSpawnLimit": 60}}, {}, "up to 62 servers may be starting at the same time"),
        ({"cull": {"timeout": 59}}, {}, "cull.timeout is 59 s, so the culler stops warm servers"),
        ({"cull": {"maxAge": 7200}}, {"max_session_s": 7200}, "for up to 10800 s, so the culler can stop it"),
        ({"cull": {"maxAge": 3000}}, {}, "for up to 3600 s, so the culler can stop it"),
    ],
)
def test_the_values_of_z2jh_that_leave_no_room_or_time_are_named(
    settings: Settings, tmp_path: Path, values: object, changes: Mapping[str, object], words: str
) -> None:
    [warning] = warm_findings(settings, tmp_path, values, max_concurrent_spawns=50, **changes)

    assert warning.state == "warning"
    assert words in warning.message


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"hub": {"activeServerLimit": 21, "concurrentSpawnLimit": 0}},
        {"cull": {"enabled": False, "timeout": 5, "maxAge": 60}},
    ],
)
def test_values_of_z2jh_that_fit_warm_servers_are_sound(settings: Settings, tmp_path: Path, values: object) -> None:
    found = warm_findings(settings, tmp_path, values, max_concurrent_spawns=50)

    assert said(found) == [("warm servers", "ok")]


def test_without_warm_servers_nothing_is_said_about_them(settings: Settings, tmp_path: Path) -> None:
    assert warm_findings(settings, tmp_path, {}, max_warm_servers=0) == []
