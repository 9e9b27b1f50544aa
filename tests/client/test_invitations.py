"""The link of an invitation, in the Python client and on the command line."""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

import httpx
import pytest

from hublaunch.client import AccessDenied, LaunchClient, Refused, Unauthenticated
from hublaunch.settings import Settings
from tests.cli.commands import CommandLine
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.catalogue import catalogue_in
from tests.support.invitations import invited, revoke
from tests.support.served import Service, serve


@pytest.fixture
async def service(settings: Settings, tmp_path: Path) -> AsyncGenerator[Service]:
    async with serve(settings, access=("hub", "invitation"), catalogue_file=catalogue_in(tmp_path)) as service:
        yield service


def url_of(service: Service) -> str:
    return f"{str(service.http.base_url).rstrip('/')}/"


async def test_the_link_takes_the_place_of_address_and_token(service: Service, settings: Settings) -> None:
    code = invited(settings.database_url)
    for client in (LaunchClient(f"{url_of(service)}#invitation={code}"), LaunchClient(url_of(service), token=code)):
        async with client:
            session, catalogue = await client.session(), await client.catalogue()
            launch = await client.launch(environment="scipy")
            events = [event async for event in client.follow(launch.id)]

        assert client.url == url_of(service)
        assert (session.kind, session.name) == ("invitation", "pycon")
        assert [size.name for size in catalogue.environments[0].sizes] == ["small"]
        assert (launch.invitation, events[-1].phase) == ("pycon", "ready")


async def test_a_launch_is_followed_and_stopped_after_its_invitation_has_ended(
    service: Service, settings: Settings, hub: FakeHub
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with LaunchClient(f"{url_of(service)}#invitation={invited(settings.database_url)}") as client:
        launch = await client.launch(environment="scipy")
        await hub.until(lambda: hub.active_servers)
        revoke(settings.database_url)
        with pytest.raises(AccessDenied) as refusal:
            await client.launch(environment="scipy")
        hub.release(next(iter(hub.users)))
        events = [event async for event in client.follow(launch.id)]
        stopped = await client.cancel(launch.id)

    assert refusal.value.problem.code == "invitation_ended"
    assert events[-1].token
    assert stopped


async def test_a_wrong_link_and_a_full_invitation_are_refused_in_words(service: Service, settings: Settings) -> None:
    code = invited(settings.database_url, most=1)
    async with LaunchClient(f"{url_of(service)}#invitation={code}x") as client:
        with pytest.raises(Unauthenticated, match="There is no such invitation"):
            await client.launch(environment="scipy")
    async with LaunchClient(f"{url_of(service)}#invitation={code}", patience_s=0) as client:
        await client.launch(environment="scipy")
        with pytest.raises(Refused, match=r"Servers in use: 1 of 1\."):
            await client.launch(environment="scipy")


def test_a_link_and_a_token_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="Leave out one of them"):
        LaunchClient("http://127.0.0.1:8083/#invitation=hli_x", token="hl_x")


def test_another_fragment_is_not_the_link_of_an_invitation() -> None:
    with pytest.raises(ValueError, match="must not contain credentials, a query or a fragment"):
        LaunchClient("http://127.0.0.1:8083/#top")


@pytest.mark.parametrize("path", ["launch/", "services/launch/"])
async def test_only_requests_that_need_the_code_get_it(path: str) -> None:
    sent: dict[str, str | None] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        sent[request.url.path.removeprefix(f"/{path}")] = request.headers.get("Authorization")
        headers = {"Content-Type": "application/problem+json"}
        return httpx.Response(404, json={"code": "launch_not_found", "title": "", "status": 404}, headers=headers)

    link = f"http://hub.test/{path}#invitation=hli_x"
    async with LaunchClient(link, patience_s=0, transport=httpx.MockTransport(answer)) as client:
        for call in (
            partial(client.launch, "a"),
            client.session,
            client.catalogue,
            partial(client.get, "A"),
            partial(client.cancel, "B"),
        ):
            with pytest.raises(Refused):
                await call()

    assert sent == {
        **dict.fromkeys(("launch", "session", "catalogue"), "Bearer hli_x"),
        **dict.fromkeys(("launch/A", "launch/B")),
    }


async def test_the_command_line_launches_with_a_link(service: Service, settings: Settings, tmp_path: Path) -> None:
    code = await asyncio.to_thread(invited, settings.database_url)
    shell = CommandLine(f"{url_of(service)}#invitation={code}", tmp_path / "state")

    catalogue = await shell.run("catalogue")
    launched = await shell.run("launch", "scipy", "--no-wait")
    watched = await shell.run("watch", launched.out.strip(), "--json")
    listed = await shell.run("list", "--json")
    both = await shell.run("launch", "scipy", HUBLAUNCH_TOKEN="hl_x")

    assert "scipy" in catalogue.out
    assert (launched.status, watched.objects()[-1]["phase"]) == (0, "ready")
    assert [launch["id"] for launch in listed.objects()] == [launched.out.strip()]
    assert both.status == 2
    assert code not in f"{catalogue}{launched}{watched}{listed}{both}"
