"""Launches of environments by name, and the catalogue that each caller gets."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hublaunch.files.catalogue import CatalogueFault
from hublaunch.files.keys import add_key
from hublaunch.launch.pace import Pace
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.callers import bearer
from tests.support.served import BODY, IMAGE, REPO, Service, serve

SCIPY = "quay.io/org/scipy:1"
CATALOGUE: dict[str, Any] = {
    "environments": {
        "scipy": {
            "title": {"en": "Scientific Python", "de": "Wissenschaft"},
            "image": SCIPY,
            "open": "lab",
            "sizes": ["small", "large", "huge"],
        },
        "staff": {"title": "Staff", "image": "quay.io/org/staff:1", "groups": ["staff"]},
    },
    "sizes": {
        "small": {"title": "Small", "user_options": {"profile": "small"}},
        "large": {"title": "Large", "user_options": {"profile": "large"}, "most": 1},
        "huge": {"title": "Huge", "user_options": {"profile": "huge"}, "groups": ["staff"]},
    },
}
QUICK = Pace(read_files_s=0.01)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "catalogue.json"
    write(path, CATALOGUE)
    return path


def write(path: Path, catalogue: object) -> None:
    path.write_text(json.dumps(catalogue))


@pytest.fixture
async def service(settings: Settings, path: Path) -> AsyncGenerator[Service]:
    async with serve(settings, catalogue_file=path, allowed_images=("quay.io/jupyter/*",)) as service:
        yield service


@asynccontextmanager
async def with_keys(settings: Settings, path: Path, **rights: dict[str, Any]) -> AsyncGenerator[tuple[Service, Any]]:
    """Serve the catalogue to API keys with these rights, and yield their headers by name too."""
    keys = path.with_name("keys.json")
    headers = {name: bearer(add_key(keys, name=name, **given)[1]) for name, given in rights.items()}
    async with serve(settings, catalogue_file=path, access=("key",), api_keys_file=keys) as service:
        yield service, headers


async def asked(service: Service, **body: object) -> dict[str, Any]:
    """Return the problem of a launch that is refused."""
    answer = await service.http.post("/launch", json=body)
    problem: dict[str, Any] = answer.json()
    assert answer.status_code == 422, problem
    return problem


async def accepted(service: Service, **body: object) -> dict[str, Any]:
    answer = await service.http.post("/launch", json=body)
    assert answer.status_code == 202, answer.text
    launch: dict[str, Any] = answer.json()
    return launch


# --- launching --------------------------------------------------------------------------------------------------------


async def test_an_environment_launches_its_image_with_the_options_of_its_size(service: Service, hub: FakeHub) -> None:
    launch = await accepted(service, environment="scipy", size="large", repo_url=REPO)
    events = await service.events(launch["events_url"])
    headers = {"X-Launch-Secret": launch["secret"]}
    shown = (await service.http.get(f"/launch/{launch['id']}", headers=headers)).json()

    server = hub.users[shown["username"]].servers[""]
    assert server.user_options == {"profile": "large", "image": SCIPY, "repo_url": REPO}
    assert (shown["image"], shown["environment"], shown["size"], shown["path"]) == (SCIPY, "scipy", "large", "lab")
    assert (launch["environment"], launch["size"]) == ("scipy", "large")
    assert events[-1]["open_url"].startswith(f"{events[-1]['url']}lab?token=")


async def test_launches_are_listed_by_their_environment(settings: Settings, path: Path) -> None:
    async with with_keys(settings, path, course={}) as (service, headers):
        ids = [
            (await service.http.post("/launch", json=body, headers=headers["course"])).json()["id"]
            for body in ({"environment": "scipy"}, BODY)
        ]

        found = [
            (await service.http.get("/launch", params={"environment": name}, headers=headers["course"])).json()
            for name in ("scipy", "staff")
        ]

    assert [[launch["id"] for launch in page["launches"]] for page in found] == [ids[:1], []]


async def test_the_first_size_is_the_default(service: Service) -> None:
    assert (await accepted(service, environment="scipy"))["size"] == "small"


async def test_an_image_launches_as_before_where_the_patterns_allow_it(service: Service) -> None:
    launch = await accepted(service, **BODY)
    refused = await service.http.post("/launch", json={"image": SCIPY})

    assert (launch["environment"], launch["size"]) == (None, None)
    assert (refused.status_code, refused.json()["code"]) == (403, "image_not_allowed")


async def test_a_reader_without_the_secret_does_not_see_the_environment(service: Service) -> None:
    launch = await accepted(service, environment="scipy")

    shown = (await service.http.get(f"/launch/{launch['id']}")).json()

    assert {"environment", "size", "image"}.isdisjoint(shown)


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({}, "image", "is required, unless `environment` names an environment of the catalogue"),
        ({"image": IMAGE, "environment": "scipy"}, "environment", "must not be sent together with `image`"),
        ({"image": IMAGE, "size": "small"}, "size", "can only be chosen together with `environment`"),
        ({"environment": "scypi"}, "environment", "you may launch no environment of this name. Did you mean scipy?"),
        ({"environment": "staff"}, "environment", "you may launch no environment of this name"),
        (
            {"environment": "scipy", "size": "largee"},
            "size",
            "this environment offers you no size of this name. Did you mean large?",
        ),
        ({"environment": "scipy", "size": "huge"}, "size", "this environment offers you no size of this name"),
    ],
)
async def test_a_request_that_names_nothing_on_offer_is_refused(
    service: Service, body: dict[str, str], field: str, reason: str
) -> None:
    problem = await asked(service, **body)

    assert problem["code"] == "invalid_request"
    assert problem["errors"] == [{"field": field, "reason": reason}]


async def test_extra_args_cannot_choose_another_size(settings: Settings, path: Path) -> None:
    async with serve(settings, catalogue_file=path, allowed_extra_args=("profile", "zone")) as service:
        problem = await asked(service, environment="scipy", extra_args={"profile": "huge"})
        await accepted(service, environment="scipy", extra_args={"zone": "a"})

    assert problem["errors"][0]["reason"] == "must have none of the keys that sizes set: profile"


async def test_a_repeated_key_returns_its_launch_even_if_the_environment_has_changed(
    settings: Settings, path: Path
) -> None:
    headers = {"Idempotency-Key": "k" * 22}
    async with serve(settings, catalogue_file=path, pace=QUICK) as service:
        first = await service.http.post("/launch", json={"environment": "scipy"}, headers=headers)
        write(path, {})
        while (await service.http.get("/readyz")).json()["catalogue"]["environments"]:
            pass
        again = await service.http.post("/launch", json={"environment": "scipy"}, headers=headers)
        named = await service.http.post("/launch", json={"image": SCIPY}, headers=headers)
        other = await service.http.post("/launch", json={"environment": "scipy", "size": "small"}, headers=headers)

    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert [named.json()["code"], other.json()["code"]] == ["idempotency_key_reused"] * 2


async def test_a_launch_is_reused_for_the_same_environment_and_size_only(settings: Settings, path: Path) -> None:
    async with with_keys(settings, path, ci={}) as (service, headers):

        async def launched(**body: object) -> tuple[int, str]:
            answer = await service.http.post("/launch", json={**body, "if_running": "reuse"}, headers=headers["ci"])
            return answer.status_code, answer.json().get("id", answer.text)

        _, first = await launched(environment="scipy")
        same = await launched(environment="scipy", size="small")
        larger = await launched(environment="scipy", size="large")

    assert same == (200, first)
    assert larger[0] == 202


async def test_a_reused_launch_opens_the_path_of_the_environment(settings: Settings, path: Path) -> None:
    async with with_keys(settings, path, ci={}) as (service, headers):
        body = {"environment": "scipy", "if_running": "reuse"}
        first = await service.http.post("/launch", json=body | {"path": "tree"}, headers=headers["ci"])
        again = await service.http.post("/launch", json=body, headers=headers["ci"])

    assert (first.json()["path"], again.json()["path"], again.status_code) == ("tree", "lab", 200)


async def test_the_maximum_of_a_size_is_a_quota_over_all_callers(service: Service, hub: FakeHub) -> None:
    await accepted(service, environment="scipy", size="large")
    refused = await service.http.post("/launch", json={"environment": "scipy", "size": "large"})
    await accepted(service, environment="scipy", size="small")

    assert (refused.status_code, refused.json()["code"]) == (429, "quota_reached")
    assert refused.json()["limit"] == {"scope": "size", "together": False, "most": 1, "active": 1}
    assert refused.json()["detail"] == "Launches for this size that are in progress or ready: 1 of at most 1."


async def test_a_digest_is_required_of_environments_too(settings: Settings, path: Path) -> None:
    pinned = {"pinned": {"title": "Pinned", "image": f"quay.io/org/scipy@sha256:{'a' * 64}"}}
    write(path, CATALOGUE | {"environments": CATALOGUE["environments"] | pinned})
    async with serve(settings, catalogue_file=path, require_digest=True) as service:
        refused = await service.http.post("/launch", json={"environment": "scipy"})
        await accepted(service, environment="pinned")

    assert (refused.status_code, refused.json()["code"]) == (403, "digest_required")


async def test_the_repositories_of_environments_are_checked(settings: Settings, path: Path) -> None:
    async with serve(settings, catalogue_file=path, allowed_repos=("github.com/org/*",)) as service:
        refused = await service.http.post(
            "/launch", json={"environment": "scipy", "repo_url": "https://github.com/evil/repo"}
        )
        await accepted(service, environment="scipy", repo_url=REPO)

    assert (refused.status_code, refused.json()["code"]) == (403, "repo_not_allowed")


# --- the catalogue ----------------------------------------------------------------------------------------------------


async def test_the_catalogue_shows_what_its_caller_may_launch(service: Service) -> None:
    answer = await service.http.get("/catalogue")

    assert answer.json() == {
        "environments": [
            {
                "name": "scipy",
                "title": "Scientific Python",
                "description": "",
                "image": SCIPY,
                "content": "none",
                "open": "lab",
                "sizes": [{"name": "small", "title": "Small"}, {"name": "large", "title": "Large"}],
            }
        ],
        "images": ["quay.io/jupyter/*"],
    }
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "Accept-Language" in answer.headers["Vary"]


async def test_the_catalogue_speaks_the_readers_language(service: Service) -> None:
    headers = {"Accept-Language": "fr;q=0.9, de-CH;q=0.8, en;q=0.5, x;q=nan"}

    offered = (await service.http.get("/catalogue", headers=headers)).json()

    assert offered["environments"][0]["title"] == "Wissenschaft"


async def test_an_unchanged_catalogue_is_not_sent_again(service: Service) -> None:
    first = await service.http.get("/catalogue")
    headers = {"If-None-Match": f'"other", {first.headers["ETag"]}'}

    again = await service.http.get("/catalogue", headers=headers)
    translated = await service.http.get("/catalogue", headers=headers | {"Accept-Language": "de"})

    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert translated.status_code == 200


async def test_without_a_catalogue_file_the_answer_has_only_the_patterns_of_images(settings: Settings) -> None:
    async with serve(settings, allowed_images=("quay.io/jupyter/*",)) as service:
        offered = (await service.http.get("/catalogue")).json()
        ready = (await service.http.get("/readyz")).json()
        problem = await asked(service, environment="scipy")

    assert offered == {"environments": [], "images": ["quay.io/jupyter/*"]}
    assert ready["catalogue"] is None
    assert "no catalogue" in problem["detail"]


async def test_members_of_groups_get_their_environments_and_sizes(settings: Settings, hub: FakeHub, path: Path) -> None:
    for name in ("ada", "bob"):
        hub.create_user(name)
    hub.groups["ada"] = ["staff"]
    scope = f"access:services!service={hub.service}"
    async with serve(settings, catalogue_file=path, access=("hub",), service_name=hub.service) as service:
        offers = {}
        for name in ("ada", "bob"):
            headers = bearer(hub.token_of(name, scope))
            found = (await service.http.get("/catalogue", headers=headers)).json()["environments"]
            offers[name] = {each["name"]: [size["name"] for size in each["sizes"]] for each in found}
        nobody = (await service.http.get("/catalogue")).json()

    assert offers == {
        "ada": {"scipy": ["small", "large", "huge"], "staff": []},
        "bob": {"scipy": ["small", "large"]},
    }
    assert nobody == {"environments": [], "images": []}


async def test_a_key_launches_the_environments_that_it_lists_or_whose_images_it_may_launch(
    settings: Settings, path: Path
) -> None:
    rights: dict[str, dict[str, Any]] = {
        "all": {},
        "listing": {"environments": ["staff"]},
        "by-image": {"allowed_images": ["quay.io/org/scipy*"]},
        "neither": {"allowed_images": ["example.org/*"]},
    }
    async with with_keys(settings, path, **rights) as (service, headers):
        offers = {}
        for name in rights:
            offered = (await service.http.get("/catalogue", headers=headers[name])).json()
            offers[name] = ([each["name"] for each in offered["environments"]], offered["images"])
        refused = await service.http.post("/launch", json={"environment": "scipy"}, headers=headers["listing"])
        image = await service.http.post("/launch", json={"image": IMAGE}, headers=headers["listing"])

    assert offers == {
        "all": (["scipy"], list(settings.allowed_images)),
        "listing": (["staff"], []),
        "by-image": (["scipy"], ["quay.io/org/scipy*"]),
        "neither": ([], ["example.org/*"]),
    }
    assert (refused.status_code, image.status_code, image.json()["code"]) == (422, 403, "image_not_allowed")


# --- the file ---------------------------------------------------------------------------------------------------------


async def test_a_catalogue_that_breaks_during_a_run_changes_nothing_and_is_reported(
    settings: Settings, path: Path
) -> None:
    async with serve(settings, catalogue_file=path, pace=QUICK) as service:
        before = (await service.http.get("/catalogue")).json()
        write(path, {"environments": {"scipy": {"title": "SciPy"}}})
        while (report := (await service.http.get("/readyz")).json())["catalogue"]["fault"] is None:
            pass
        after = (await service.http.get("/catalogue")).json()
        await accepted(service, environment="scipy")

    assert after == before
    assert report["ready"]
    assert "line 1: environments.scipy.image: Field required" in report["catalogue"]["fault"]


async def test_a_changed_catalogue_applies_without_a_restart(settings: Settings, path: Path) -> None:
    async with serve(settings, catalogue_file=path, pace=QUICK) as service:
        write(path, {"environments": {"new": {"title": "New", "image": "python"}}})
        while (await service.http.get("/catalogue")).json()["environments"][0]["name"] != "new":
            pass
        await accepted(service, environment="new")


async def test_a_missing_catalogue_prevents_the_start(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(CatalogueFault, match="no-such-file is unreadable: No such file or directory"):
        async with serve(settings, catalogue_file=tmp_path / "no-such-file"):
            pass
