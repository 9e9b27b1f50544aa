"""`hublaunch drain` beside running replicas: nothing new is accepted, and nothing is left."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hublaunch.cli import cli
from hublaunch.settings import Settings
from hublaunch.store.database import transaction_beside_service
from hublaunch.store.drain import end
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.processes import Replica, launch, replica, started
from tests.support.served import BODY, serve

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hublaunch.sqlite'}"
    url: str = request.getfixturevalue("postgres").database()
    return url


@pytest.fixture
async def replicas(hub: FakeHub, database_url: str) -> AsyncGenerator[list[Replica]]:
    """Two replicas on PostgreSQL, one on SQLite; at most two launches at the Hub."""
    limit = {"LAUNCHER_MAX_CONCURRENT_SPAWNS": "2"}
    async with replica(hub, database_url, **limit) as one:
        if database_url.startswith("sqlite"):
            yield [one]
        else:
            async with replica(hub, database_url, **limit) as other:
                yield [one, other]


@pytest.fixture
def variables(hub: FakeHub, database_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment of the operator's shell."""
    return {
        "LAUNCHER_HUB_URL": hub.url,
        "LAUNCHER_HUB_API_TOKEN": hub.api_token,
        "LAUNCHER_DATABASE_URL": database_url,
        "LAUNCHER_SECRET_KEY": "0123456789abcdef0123456789abcdef",
        "LAUNCHER_MAX_CONCURRENT_SPAWNS": "2",
        "LAUNCHER_AUDIT_LOG": str(tmp_path / "audit.jsonl"),
    }


async def drain(*arguments: str, **variables: str) -> tuple[int | None, list[str]]:
    async with asyncio.timeout(60), started("hublaunch.cli", "drain", *arguments, **variables) as process:
        said = (await process.communicate())[0].decode()
    return process.returncode, said.splitlines()


async def ready(at: Replica) -> None:
    accepted = await launch(at)
    async with at.http.stream("GET", accepted["events_url"]) as stream:
        await stream.aread()


async def test_a_drain_of_everything_stops_servers_and_ends_queued_and_starting_launches(
    hub: FakeHub, replicas: list[Replica], variables: dict[str, str], tmp_path: Path
) -> None:
    """Starting launches are cleaned up a second time, 65 s and a lease later. The test does not wait for that."""
    for _ in range(3):
        await ready(replicas[0])
    hub.spawn_plan(None, SpawnPlan(never=True))
    for at in (replicas[0], replicas[-1]) * 2:  # two at the Hub, two in the queue
        await launch(at)
    await hub.until(lambda: len(hub.users) == 5)

    said = ""
    async with asyncio.timeout(60), started("hublaunch.cli", "drain", "--all", **variables) as process:
        assert process.stdout
        while "0 in the queue, 0 starting, 0 ready, 2 to clean up" not in said:
            said += (await process.stdout.readline()).decode()

    refused = [await at.http.post("/launch", json=BODY) for at in replicas]
    probes = [await at.http.get("/readyz") for at in replicas]
    audited = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert said.startswith("New launches are refused, and the queue is held, until `hublaunch drain --undo`.\n")
    assert hub.users == {}
    assert {(one.status_code, one.json()["code"]) for one in refused} == {(503, "service_draining")}
    assert {one.headers["Retry-After"] for one in refused} == {"60"}
    assert {one.status_code for one in probes} == {200}
    assert {one.json()["draining"]["type"] for one in probes} == {"urn:hublaunch:problem:service_draining"}
    assert [(one["action"], one["stops_servers"]) for one in audited] == [("drain_started", True)]


async def test_an_interrupted_drain_is_continued_by_the_next_call(
    hub: FakeHub, replicas: list[Replica], variables: dict[str, str]
) -> None:
    for _ in range(2):
        await ready(replicas[0])
    async with started("hublaunch.cli", "drain", "--all", **variables) as first:
        assert first.stdout
        await first.stdout.readline()
        first.kill()

    refused = await replicas[-1].http.post("/launch", json=BODY)
    status, said = await drain("--all", **variables)

    assert refused.json()["code"] == "service_draining"
    assert (status, said[-1]) == (0, "Nothing that hublaunch started is left at JupyterHub."), said
    assert hub.users == {}


async def test_a_drain_alone_leaves_servers_and_holds_the_queue_until_undo(
    hub: FakeHub, replicas: list[Replica], variables: dict[str, str]
) -> None:
    await ready(replicas[0])
    hub.spawn_plan(None, SpawnPlan(never=True))
    waiting = [await launch(replicas[0]) for _ in range(3)]
    await hub.until(lambda: len(hub.users) == 3)
    async with started("hublaunch.cli", "drain", **variables) as process:
        assert process.stdout
        await process.stdout.readline()  # from here on, the queue is held
        for user in list(hub.users)[1:]:
            hub.release(user)
        said = (await process.communicate())[0].decode().splitlines()
    status = (await replicas[-1].http.get("/status")).json()

    undone, words = await drain("--undo", **variables)

    assert (process.returncode, said[-1]) == (
        0,
        "No server is starting. The queue waits, and ready servers keep running.",
    )
    assert (status["waiting"], status["ready"], status["status"]) == (1, 3, "red")
    assert "service_draining" in status["conditions"]
    assert (undone, words) == (0, ["New launches are accepted again."])
    await hub.until(lambda: len(hub.users) == 4)
    assert len(waiting) == 3


async def test_without_a_running_service_the_command_says_so_and_a_later_call_continues(
    hub: FakeHub, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(settings) as service:
        accepted = await service.launch()
        await service.events(accepted["events_url"])
    monkeypatch.setattr("hublaunch.cli.drain._EVERY_S", 0.01)
    monkeypatch.setenv("LAUNCHER_HUB_URL", settings.hub_url)
    monkeypatch.setenv("LAUNCHER_HUB_API_TOKEN", settings.hub_api_token.get_secret_value())
    monkeypatch.setenv("LAUNCHER_DATABASE_URL", settings.database_url)

    with monkeypatch.context() as impatience:
        impatience.setattr("hublaunch.cli.drain._ALONE_S", 0)
        alone = await asyncio.to_thread(CliRunner().invoke, cli, ["drain", "--all"])
    async with serve(settings):
        served = await asyncio.to_thread(CliRunner().invoke, cli, ["drain", "--all"])

    assert alone.exit_code == 1
    assert "No process of hublaunch runs on this database" in alone.stderr
    assert served.exit_code == 0, served.output
    assert hub.users == {}


async def test_a_drain_that_somebody_else_ends_stops_nothing_more(settings: Settings) -> None:
    async with serve(settings) as service:
        accepted = await service.launch()
        await service.events(accepted["events_url"])
    variables = {
        "LAUNCHER_HUB_URL": settings.hub_url,
        "LAUNCHER_HUB_API_TOKEN": settings.hub_api_token.get_secret_value(),
        "LAUNCHER_DATABASE_URL": settings.database_url,
    }
    async with asyncio.timeout(60), started("hublaunch.cli", "drain", "--all", **variables) as process:
        assert process.stdout
        await process.stdout.readline()  # from here on, launches are refused

        with transaction_beside_service(settings.database_url, writes=True) as connection:
            end(connection)
        said = (await process.communicate())[0].decode()

    assert process.returncode == 1
    assert "Somebody has ended the drain" in said


async def test_undo_and_all_exclude_each_other() -> None:
    ended = await asyncio.to_thread(CliRunner().invoke, cli, ["drain", "--all", "--undo"])

    assert ended.exit_code == 2
