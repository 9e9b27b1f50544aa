"""Hub users launch on their own accounts, through a real Hub that runs hublaunch as its service."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from hublaunch.launch.rules.condition import CLOCK_OFF_S
from tests.hubs.managed import ADMIN, GROUP, IMAGE, LOGINS, ManagedHub
from tests.hubs.quick_server import GATED_IMAGE
from tests.support.served import read_events

pytestmark = [pytest.mark.real_hub, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]

STARTING = "Starting JupyterLab"
ACCESS = "access:services!service=launcher"


async def launch(http: httpx.AsyncClient, **body: str) -> dict[str, Any]:
    answer = await http.post("launch", json={"image": IMAGE} | body)
    assert answer.status_code == 202, answer.text
    accepted: dict[str, Any] = answer.json()
    return accepted


async def follow(
    http: httpx.AsyncClient, launch_id: str, *, at: Callable[[dict[str, Any]], Awaitable[None]] | None = None
) -> list[dict[str, Any]]:
    """Return all events of a launch; `at` is called with each as it arrives."""
    events = []
    async with asyncio.timeout(30), http.stream("GET", f"launch/{launch_id}/events") as stream:
        assert stream.status_code == 200
        async for event in read_events(stream):
            events.append(event)
            if at is not None:
                await at(event)
    return events


async def ready(http: httpx.AsyncClient, **body: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Launch, and return the accepted launch and its last event, which must be `ready`."""
    accepted = await launch(http, **body)
    last = (await follow(http, accepted["id"]))[-1]
    assert last["phase"] == "ready", last
    return accepted, last


async def cancel(http: httpx.AsyncClient, launch_id: str) -> None:
    """Repeat the request to cancel until the Hub has confirmed it."""
    async with asyncio.timeout(30):
        while (answer := await http.delete(f"launch/{launch_id}")).status_code != 204:
            assert answer.status_code == 202, answer.text
            await asyncio.sleep(0.1)  # there is no notice of a stopped server


@pytest.mark.parametrize("service", ["launcher", "named"])  # `servers`, and the parts of it in JupyterHub 6
async def test_hub_users_need_a_role_with_servers_only(managed: ManagedHub, service: str) -> None:
    token, _ = await managed.token(await managed.new_user())
    async with managed.caller(token, service=service) as http:
        await ready(http)

        state = (await http.get("readyz")).json()

    assert state["ready"]
    assert abs(state["hub"].pop("clock_ahead_s")) < CLOCK_OFF_S
    assert state["hub"] == {"version": "6.1.1", "missing_scopes": [], "needless_scopes": [], "fault": None}


async def test_a_users_token_launches_on_their_own_account_and_events_arrive_live(managed: ManagedHub) -> None:
    name = await managed.new_user()
    token, _ = await managed.token(name, ACCESS)

    async def open_gate(event: dict[str, Any]) -> None:
        if event["message"] == STARTING:
            managed.open_gate(name)  # the server does not start until a follower has this event

    async with managed.caller(token) as http:
        accepted = await launch(http, image=GATED_IMAGE)
        events = await follow(http, accepted["id"], at=open_gate)

    assert accepted["username"] == name
    assert accepted["events_url"].startswith(f"/services/launcher/launch/{accepted['id']}/events")
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["phase"] == "ready"
    assert events[-1]["token"] is None
    assert events[-1]["open_url"] == events[-1]["url"] == f"{managed.url}user/{name}/"
    assert await managed.running(name) == [""]
    assert token not in managed.log
    assert accepted["secret"] not in managed.log


@pytest.mark.parametrize("name", ["ann.o'neil+x@example.org", "Jörg Müller", "50%25"])
async def test_users_may_have_any_name_that_the_hub_accepts(managed: ManagedHub, name: str) -> None:
    token, _ = await managed.token(await managed.new_user(name))
    async with managed.caller(token) as http:
        accepted, last = await ready(http)
        opened = await http.get(last["open_url"])

        await cancel(http, accepted["id"])

    assert accepted["username"] == name
    assert (opened.status_code, opened.json().keys()) == (200, {"version"})
    assert await managed.running(name) == []


async def test_the_caller_may_cancel_a_launch_and_stays_a_user_of_the_hub(managed: ManagedHub) -> None:
    name = await managed.new_user()
    token, _ = await managed.token(name)
    async with managed.caller(token) as http:
        accepted, _ = await ready(http)

        await cancel(http, accepted["id"])

        shown = (await http.get(f"launch/{accepted['id']}")).json()
        assert (shown["status"], shown["stopped_by"]) == ("stopped", "caller")
        assert await managed.has_user(name)
        again, _ = await ready(http)
        assert again["id"] != accepted["id"]


async def test_an_admin_sees_everything_except_urls_and_token_and_may_cancel(managed: ManagedHub) -> None:
    owner, _ = await managed.token(await managed.new_user())
    (await managed.api.post(f"users/{ADMIN}")).raise_for_status()
    admin, _ = await managed.token(ADMIN, ACCESS)
    async with managed.caller(owner) as http:
        accepted, _ = await ready(http)

    async with managed.caller(admin) as http:
        session = (await http.get("session")).json()
        shown = (await http.get(f"launch/{accepted['id']}")).json()
        listed = (await http.get("launch", params={"everybody": True})).json()
        await cancel(http, accepted["id"])

    assert session == {
        "kind": "hub",
        "name": ADMIN,
        "is_admin": True,
        "access": ["hub"],
        "images": ["*"],
        "invitation": None,
    }
    assert (shown["username"], shown["image"]) == (accepted["username"], IMAGE)
    assert {"token", "open_url", "url"}.isdisjoint(shown)
    assert accepted["id"] in [launch["id"] for launch in listed["launches"]]
    assert await managed.running(accepted["username"]) == []


async def test_named_servers_run_side_by_side_and_each_is_removed_with_its_launch(managed: ManagedHub) -> None:
    name = await managed.new_user()
    token, _ = await managed.token(name)
    async with managed.caller(token, service="named") as http:
        chosen, of_chosen = await ready(http, repo_url="https://github.com/org/repo")
        named, of_named = await ready(http, server_name="mine")
        taken = await http.post("launch", json={"image": IMAGE, "server_name": "mine"})
        running = await managed.running(name)

        await cancel(http, named["id"])
        left = await managed.servers(name)

    assert chosen["server_name"]
    assert set(running) == {chosen["server_name"], "mine"}
    assert of_chosen["open_url"] == f"{managed.url}user/{name}/{chosen['server_name']}/"
    assert of_named["open_url"] == f"{managed.url}user/{name}/mine/"
    assert taken.status_code == 409
    assert set(left) - {""} == {chosen["server_name"]}


async def test_a_token_without_the_scope_is_forbidden_and_a_wrong_one_is_unauthenticated(managed: ManagedHub) -> None:
    without, _ = await managed.token(await managed.new_user(), "self")
    for_another_service, _ = await managed.token(await managed.new_user(), "access:services!service=named")

    for token, status in ((without, 403), (for_another_service, 403), ("wrong", 401), ("", 401)):
        async with managed.caller(token) as http:
            answer = await http.post("launch", json={"image": IMAGE})
            assert answer.status_code == status, answer.text


async def test_a_user_deleted_during_a_launch_makes_only_that_launch_fail(managed: ManagedHub) -> None:
    name = await managed.new_user()
    token, _ = await managed.token(name)

    async def delete_user(event: dict[str, Any]) -> None:
        if event["message"] == STARTING:
            # The Hub deletes no user whose server is starting.
            (await managed.api.delete(f"users/{name}/server")).raise_for_status()
            (await managed.api.delete(f"users/{name}")).raise_for_status()

    async with managed.caller(token) as http:
        accepted = await launch(http, image=GATED_IMAGE)
        events = await follow(http, accepted["id"], at=delete_user)

    other, _ = await managed.token(await managed.new_user())
    async with managed.caller(other) as http:
        await ready(http)
    assert events[-1]["phase"] == "failed"
    assert events[-1]["problem"]["code"] == "cancelled_at_hub"
    assert not await managed.has_user(name)
    assert "Traceback" not in managed.log


async def test_a_token_with_only_the_access_scope_brings_the_users_groups(managed: ManagedHub) -> None:
    token, _ = await managed.token(LOGINS[0], ACCESS)

    identity = await managed.identify(token)

    assert identity is not None
    assert identity.groups == {GROUP}
