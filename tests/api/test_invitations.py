"""Invitations: who may launch with one, what, how many at the same time, and until when."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.callers import bearer
from tests.support.catalogue import catalogue_in
from tests.support.invitations import ended, invited, revoke
from tests.support.served import IMAGE, REPO, Service, serve

SCIPY = {"environment": "scipy"}


@pytest.fixture
def inviting(settings: Settings, tmp_path: Path) -> Settings:
    """Return the settings of a service for Hub users that accepts invitations."""
    changed = {"access": ("hub", "invitation"), "catalogue_file": catalogue_in(tmp_path)}
    return settings.model_copy(update=changed)


@pytest.fixture
async def service(inviting: Settings) -> AsyncGenerator[Service]:
    async with serve(inviting) as service:
        yield service


async def ask(service: Service, code: str, **body: object) -> httpx.Response:
    return await service.http.post("/launch", json=SCIPY | body, headers=bearer(code))


async def launched(service: Service, code: str, **body: object) -> dict[str, Any]:
    answer = await ask(service, code, **body)
    assert answer.status_code == 202, answer.text
    accepted: dict[str, Any] = answer.json()
    return accepted


async def test_a_holder_launches_where_others_must_log_in(service: Service, inviting: Settings) -> None:
    code = invited(inviting.database_url)

    accepted = await launched(service, code)
    events = await service.events(accepted["events_url"])
    stranger = await service.http.post("/launch", json=SCIPY)

    assert events[-1]["phase"] == "ready"
    assert (accepted["size"], accepted["is_temporary"], accepted["invitation"]) == ("small", True, "pycon")
    assert stranger.status_code == 401


async def test_a_holder_gets_only_what_the_invitation_names(service: Service, inviting: Settings, hub: FakeHub) -> None:
    hub.create_user("ada")
    code = invited(inviting.database_url)
    refused: dict[str, dict[str, object]] = {
        "another size": {"size": "large"},
        "another environment": {"environment": "gpu"},
        "an account": {"username": "ada"},
        "a named server": {"server_name": "mine"},
        "other options": {"extra_args": {"profile": "large"}},
    }

    answers = {what: await ask(service, code, **body) for what, body in refused.items()}
    image = await service.http.post("/launch", json={"image": IMAGE}, headers=bearer(code))
    catalogue = (await service.http.get("/catalogue", headers=bearer(code))).json()

    assert {what: answer.status_code for what, answer in answers.items()} == {
        "another size": 422,
        "another environment": 422,
        "an account": 403,
        "a named server": 422,
        "other options": 422,
    }
    assert (image.status_code, image.json()["code"]) == (403, "image_not_allowed")
    assert [[size["name"] for size in each["sizes"]] for each in catalogue["environments"]] == [["small"]]
    assert catalogue["images"] == []
    assert not hub.asked("start_server")


async def test_an_invitation_opens_an_environment_but_no_size_of_a_group(inviting: Settings, tmp_path: Path) -> None:
    restricted = tmp_path / "restricted.yaml"
    restricted.write_text("""
environments:
  scipy: {title: SciPy, image: quay.io/org/scipy, groups: [staff], sizes: [small, gpu]}
sizes:
  small: {title: Small}
  gpu: {title: GPU, groups: [staff]}
""")
    async with serve(inviting, catalogue_file=restricted) as service:
        code = invited(inviting.database_url, sizes=())

        small = await launched(service, code)
        gpu = await ask(service, code, size="gpu")

    assert small["size"] == "small"
    assert gpu.status_code == 422


async def test_holders_of_one_invitation_are_strangers_to_each_other(service: Service, inviting: Settings) -> None:
    code = invited(inviting.database_url)
    accepted = await launched(service, code)
    await service.events(accepted["events_url"])
    path = f"/launch/{accepted['id']}"

    seen = (await service.http.get(path, headers=bearer(code))).json()
    stopped = await service.http.delete(path, headers=bearer(code))
    extended = await service.http.post(f"{path}/extend", json={"seconds": 60}, headers=bearer(code))
    listed = await service.http.get("/launch", headers=bearer(code))
    reused = await ask(service, code, if_running="reuse")
    own = await service.http.get(path, headers={"X-Launch-Secret": accepted["secret"]})

    assert seen["status"] == "ready"
    assert seen.keys().isdisjoint({"url", "token", "open_url", "username", "image", "invitation"})
    assert (stopped.status_code, extended.status_code, listed.status_code) == (403, 403, 401)
    assert reused.status_code == 202
    assert own.json()["token"]


async def test_a_short_idempotency_key_is_refused(service: Service, inviting: Settings) -> None:
    headers = bearer(invited(inviting.database_url)) | {"Idempotency-Key": "one"}

    answer = await service.http.post("/launch", json=SCIPY, headers=headers)

    assert answer.status_code == 422


async def test_the_maximum_of_an_invitation_counts_active_launches(service: Service, inviting: Settings) -> None:
    code, other = invited(inviting.database_url, most=2), invited(inviting.database_url, "other", most=2)
    first, _ = await launched(service, code), await launched(service, code)

    full = await ask(service, code)
    elsewhere = await ask(service, other)
    await service.cancel(first)
    again = await ask(service, code)

    problem = full.json()
    assert (full.status_code, problem["code"], problem["detail"]) == (
        *(429, "invitation_full"),
        "Servers in use: 2 of 2.",
    )
    assert problem["limit"] == {"scope": "invitation", "together": False, "most": 2, "active": 2}
    assert full.headers["Retry-After"] == "60"
    assert (elsewhere.status_code, again.status_code) == (202, 202)


async def test_a_room_with_one_address_gets_as_many_servers_as_its_invitation_allows(inviting: Settings) -> None:
    async with serve(inviting, access=("anonymous", "invitation"), anonymous_quota=1) as service:
        code = invited(inviting.database_url, most=3)
        holders = [(await ask(service, code)).status_code for _ in range(4)]
        others = [(await service.http.post("/launch", json=SCIPY)).status_code for _ in range(2)]

    assert holders == [202, 202, 202, 429]
    assert others == [202, 429]


async def test_a_revoked_invitation_is_refused_and_its_launches_go_on(
    service: Service, inviting: Settings, hub: FakeHub
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    code = invited(inviting.database_url)
    accepted = await launched(service, code)
    await hub.until(lambda: hub.active_servers)

    revoke(inviting.database_url)
    refused = await ask(service, code)
    hub.release(next(iter(hub.users)))
    events = await service.events(accepted["events_url"])

    assert (refused.status_code, refused.json()["code"]) == (403, "invitation_ended")
    assert refused.json()["detail"].startswith("It was withdrawn on ")
    assert events[-1]["phase"] == "ready"


async def test_an_invitation_ends_with_its_last_day(service: Service, inviting: Settings) -> None:
    refused = await ask(service, ended(inviting.database_url))

    assert (refused.status_code, refused.json()["code"]) == (403, "invitation_ended")
    assert refused.json()["detail"] == "Its last day was 20 May 2026 (UTC)."


async def test_the_hour_of_an_end_is_shown_if_it_is_not_midnight(service: Service, inviting: Settings) -> None:
    code = invited(inviting.database_url, until=datetime(2026, 5, 20, 16, 30, tzinfo=UTC))

    refused = await ask(service, code)

    assert refused.json()["detail"] == "It ended on 20 May 2026 at 16:30 UTC."


@pytest.mark.parametrize("access", [("hub",), ("hub", "invitation")])
async def test_a_wrong_code_is_refused_and_not_sent_to_the_hub(
    inviting: Settings, hub: FakeHub, access: tuple[str, ...]
) -> None:
    async with serve(inviting, access=access) as service:
        code = invited(inviting.database_url)

        refused = await ask(service, f"{code[:-1]}{'a' if code[-1] != 'a' else 'b'}")
        right = await ask(service, code)

    assert (refused.status_code, refused.json()["code"]) == (401, "invitation_unknown")
    assert right.status_code == (202 if "invitation" in access else 401)
    assert {asked.status for asked in hub.asked("whoami")} <= {200}  # the Hub answers 403 to a token that is not one


async def test_guesses_of_codes_are_throttled_and_a_right_code_is_not(inviting: Settings) -> None:
    async with serve(inviting, rate_limit_credentials=(3, 60)) as service:
        code = invited(inviting.database_url)

        statuses = [(await ask(service, f"hli_{'x' * 30}{n:02}")).status_code for n in range(6)]
        right = await ask(service, code)

    assert statuses == [401] * 3 + [429] * 3
    assert right.status_code == 202


async def test_an_invitation_may_decide_which_repository_its_launches_open(
    service: Service, inviting: Settings
) -> None:
    fixed = {"repo_url": "https://github.com/pycon/tutorial", "ref": "v1", "path": "lab/tree/index.ipynb"}
    code = invited(inviting.database_url, **fixed)

    plain, same = await launched(service, code), await launched(service, code, repo_url=fixed["repo_url"])
    other = {
        name: (await ask(service, code, **body)).json()["errors"][0]["field"]
        for name, body in {
            "repo_url": {"repo_url": REPO},
            "ref": {"repo_url": fixed["repo_url"], "ref": "main"},
            "path": {"path": "git-pull?repo=https://github.com/org/other"},
        }.items()
    }
    session = (await service.http.get("/session", headers=bearer(code))).json()

    for launch in (plain, same):
        assert {name: launch[name] for name in fixed} == fixed
    assert other == {"repo_url": "repo_url", "ref": "ref", "path": "path"}
    assert {name: session["invitation"][name] for name in fixed} == fixed


async def test_the_lists_of_repositories_apply_to_holders(inviting: Settings) -> None:
    async with serve(inviting, banned_repos=("github.com/org/*",)) as service:
        code = invited(inviting.database_url)
        refused = await ask(service, code, repo_url=REPO)

    assert (refused.status_code, refused.json()["code"]) == (403, "repo_not_allowed")


async def test_the_session_of_a_holder_names_the_invitation(service: Service, inviting: Settings) -> None:
    code = invited(inviting.database_url, until=datetime(2099, 5, 21, tzinfo=UTC))

    session = (await service.http.get("/session", headers=bearer(code))).json()

    assert session == {
        "kind": "invitation",
        "name": "pycon",
        "is_admin": False,
        "access": ["hub", "invitation"],
        "images": [],
        "invitation": {
            "name": "pycon",
            "until": "2099-05-21T00:00:00.000Z",
            "repo_url": "",
            "ref": "",
            "path": "",
        },
    }


async def test_admins_list_the_launches_of_an_invitation(inviting: Settings, hub: FakeHub) -> None:
    async with serve(inviting, admins=("root",)) as service:
        code, other = invited(inviting.database_url), invited(inviting.database_url, "other")
        first = await launched(service, code)
        await launched(service, other)

        by_admin = await service.http.get("/launch?invitation=pycon", headers=bearer(hub.token_of("root")))
        by_user = await service.http.get("/launch?invitation=pycon", headers=bearer(hub.token_of("ada")))

    assert [(launch["id"], launch["invitation"]) for launch in by_admin.json()["launches"]] == [(first["id"], "pycon")]
    assert by_user.status_code == 403


async def test_a_code_appears_in_no_log_answer_audit_or_database(
    inviting: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    audit = tmp_path / "audit.log"
    async with serve(inviting, audit_log=audit) as service:
        code, over = invited(inviting.database_url, most=1), ended(inviting.database_url)
        accepted = await launched(service, code)
        events = await service.events(accepted["events_url"])
        refusals = [await ask(service, wrong) for wrong in (code, over, f"{code}x")]
        session = await service.http.get("/session", headers=bearer(code))
    stored = await asyncio.to_thread(
        lambda: b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    )

    said = "".join([caplog.text, str(accepted), str(events), session.text, *(refusal.text for refusal in refusals)])
    assert b'"kind": "invitation", "name": "pycon"' in stored
    for secret in (code, over):
        assert secret.removeprefix("hli_") not in said
        assert secret.removeprefix("hli_").encode() not in stored
