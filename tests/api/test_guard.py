"""The Hub guard, as callers and operators see it."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hublaunch.cli import cli
from hublaunch.hub.check import HubCheck
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import BODY, IMAGE, Service

EXITED = "the server process ended with status 1 before it was ready"


@pytest.fixture(autouse=True)
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of an operator's shell."""
    monkeypatch.setenv("LAUNCHER_HUB_URL", settings.hub_url)
    monkeypatch.setenv("LAUNCHER_HUB_API_TOKEN", settings.hub_api_token.get_secret_value())
    monkeypatch.setenv("LAUNCHER_DATABASE_URL", settings.database_url)


async def guard(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, cli, ["guard", *arguments])


async def failed(service: Service, **body: str) -> dict[str, str]:
    """Launch, and return the problem that the launch ends with."""
    accepted = await service.launch(**body)
    events = await service.events(accepted["events_url"])
    problem: dict[str, str] = events[-1]["problem"]
    return problem


async def test_an_image_that_failed_twice_is_refused_without_asking_the_hub(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails=EXITED))
    first = [await failed(service) for _ in range(2)]
    users = hub.count("user_created")

    answer = await service.http.post("/launch", json=BODY)

    assert [problem["code"] for problem in first] == ["server_exited"] * 2
    assert (answer.status_code, answer.json()["code"]) == (409, "image_failing")
    assert "The server ended before it was ready" in answer.json()["detail"]
    assert 590 < int(answer.headers["Retry-After"]) <= 600
    assert hub.count("user_created") == users


async def test_waiting_launches_of_a_failing_image_end_and_others_continue(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(seconds=1, fails=EXITED))
    accepted = await asyncio.gather(*[service.launch() for _ in range(10)])

    codes = [(await service.events(one["events_url"]))[-1]["problem"]["code"] for one in accepted]
    hub.spawn_plan(None, SpawnPlan())
    other = await service.launch(image="a/sound-one")

    assert sorted(codes) == ["image_failing"] * 8 + ["server_exited"] * 2
    assert hub.count("spawn_started") == 2
    assert (await service.events(other["events_url"]))[-1]["phase"] == "ready"


async def test_an_operator_can_allow_a_failing_image_immediately(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails=EXITED))
    for _ in range(2):
        await failed(service)
    hub.spawn_plan(None, SpawnPlan())
    shown = await guard()

    cleared = await guard("clear", "--image", IMAGE)
    accepted = await service.launch()

    assert f"Refused     {IMAGE}: The server ended before it was ready; until " in shown.output
    assert cleared.output == f"{IMAGE} is admitted again.\n"
    assert (await service.events(accepted["events_url"]))[-1]["phase"] == "ready"


async def test_an_operator_can_resume_launches_after_too_many_failures(
    service: Service, hub: FakeHub, caplog: pytest.LogCaptureFixture
) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="the volume is gone"))
    for n in range(3):
        await failed(service, image=f"a/{n}")
    hub.spawn_plan(None, SpawnPlan())
    waiting = await service.launch(image="a/sound-one")
    shown = await guard()

    cleared = await guard("clear")

    assert "only proven images (ready within the last hour) are launched" in shown.output
    assert "Failures    at most 3 in a row; launches pause at 4" in shown.output
    assert cleared.output == "Earlier failed spawns no longer count.\n"
    async with asyncio.timeout(10):
        assert (await service.events(waiting["events_url"]))[-1]["phase"] == "ready"
    assert "One more failed spawn would pause all launches" in caplog.text


async def test_launches_continue_after_a_restart_of_the_hub(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="the volume is gone"))
    for n in range(3):
        await failed(service, image=f"a/{n}")
    hub.spawn_plan(None, SpawnPlan())
    waiting = await service.launch(image="a/sound-one")

    check: HubCheck = service.state["web"].health.hub
    await check.until_answered()
    await hub.restart()
    await check.until_answered()

    async with asyncio.timeout(30):
        assert (await service.events(waiting["events_url"]))[-1]["phase"] == "ready"


def test_without_a_database_the_command_says_where_to_run_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere.sqlite"
    monkeypatch.setenv("LAUNCHER_DATABASE_URL", f"sqlite:///{elsewhere}")

    results = [CliRunner().invoke(cli, ["guard", *arguments]) for arguments in ((), ("clear",))]

    assert [result.exit_code for result in results] == [1, 1]
    assert all(
        "has no tables of this release of hublaunch. Run this command where the service" in r.output for r in results
    )
    assert not elsewhere.exists()
