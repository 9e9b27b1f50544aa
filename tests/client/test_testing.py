"""`hublaunch.testing`: the courses of a launch that the fake service can play, and its likeness to the real one."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from hublaunch.client import LaunchClient, Refused, ServiceUnavailable, TooManyLaunches
from hublaunch.launch import errors
from hublaunch.settings import Settings
from hublaunch.testing import FakeHublaunch, FakeLaunch
from tests.client.worlds import FakeWorld, World, followed, real_world
from tests.fakes.hub import FakeHub
from tests.support.served import IMAGE, REPO

Shape = Mapping[str, Any]


def fields(shown: Mapping[str, Any]) -> Shape:
    """Return the names of all fields, without `operator_advice`, which only admins see."""
    return {name: fields(value) if name == "problem" and value else None for name, value in shown.items()}


async def conversation(world: World) -> Sequence[Shape]:
    """Return the fields of everything that the service of this world shows to a caller."""
    shown: list[Mapping[str, Any]] = []
    async with (
        LaunchClient(world.url, transport=world.transport) as client,
        LaunchClient(world.url, transport=world.transport) as stranger,
    ):
        for fails in ("", "boom"):
            world.plan(fails=fails)
            launch = await client.launch(IMAGE, repo_url=REPO)
            for caller in (client, stranger):
                events = await followed(caller, launch.id)
                first_at_hub = next(event for event in events if event.phase == "launching")
                shown += [events[0].shown, first_at_hub.shown, events[-1].shown, (await caller.get(launch.id)).shown]
            shown.append(launch.shown)
        shown.append((await client.session()).shown)
        shown += [environment.shown for environment in (await client.catalogue()).environments]
        shown.append((await client.launch(environment="scipy")).shown)
        for refused in (client.launch("No Image"), client.get("01FAKE"), stranger.cancel(launch.id)):
            with pytest.raises(Refused) as refusal:
                await refused
            shown.append(refusal.value.problem.shown)
        await world.fill()
        launch = await client.launch(IMAGE)
        async with aclosing(client.updates(launch.id)) as updates:
            shown += [(await anext(updates)).shown for _ in range(2)]
        world.release()
    return [fields(each) for each in shown]


async def test_the_fake_shows_the_same_fields_as_the_real_service(
    settings: Settings, hub: FakeHub, tmp_path: Path
) -> None:
    async with real_world(settings, hub, tmp_path) as world:
        real = await conversation(world)

    assert await conversation(FakeWorld()) == real


def test_the_problems_of_the_fake_are_those_of_the_service() -> None:
    codes = {each.code for each in vars(errors).values() if hasattr(each, "code")}

    assert {
        "already_running",
        "idempotency_key_reused",
        "invalid_request",
        "launch_not_found",
        "nothing_to_extend",
        "secret_required",
        "session_limit_reached",
        "unauthenticated",
    } <= codes


@pytest.mark.parametrize(
    ("status", "code", "kind"), [(429, "quota_reached", TooManyLaunches), (503, "queue_full", ServiceUnavailable)]
)
async def test_the_next_request_is_refused(status: int, code: str, kind: type[Refused]) -> None:
    fake = FakeHublaunch()
    fake.refuse(code, status=status, detail="There is no room.", advice="Wait a minute.")

    async with LaunchClient(fake.url, transport=fake.transport) as client:
        with pytest.raises(kind, match=r"There is no room\. Wait a minute\.") as refusal:
            await client.launch(IMAGE)
        launch = await client.launch(IMAGE)

    assert refusal.value.code == code
    assert [each.id for each in fake.launches] == [launch.id]


async def test_a_refusal_with_retry_after_is_retried() -> None:
    fake = FakeHublaunch()
    fake.refuse("rate_limited", status=429, retry_after_s=0)

    async with LaunchClient(fake.url, transport=fake.transport) as client:
        await client.launch(IMAGE)

    assert [request.method for request in fake.requests] == ["POST", "POST"]


async def test_a_launch_goes_through_the_queue_to_a_failure() -> None:
    def play(launch: FakeLaunch) -> None:
        launch.queue(2, 5, eta_s=30)

    fake = FakeHublaunch(play=play)
    positions = []
    async with LaunchClient(fake.url, transport=fake.transport) as client:
        launch = await client.launch(IMAGE, repo_url=REPO, extra_args={"cpu": 2})
        events = []
        async for event in client.follow(launch.id, on_position=lambda each: positions.append(each.position)):
            events.append(event)
            if event.message == "Accepted":
                fake.launches[0].queue(1, 5)
                fake.launches[0].report("Pulling the image", progress=20, stage="pulling")
                fake.launches[0].fail("image_pull_failed", title="The image could not be pulled")

    assert fake.launches[0].request == {"image": IMAGE, "repo_url": REPO, "extra_args": {"cpu": 2}}
    assert positions[-1] == 0
    assert [(event.phase, event.progress) for event in events] == [("waiting", 0), ("launching", 20), ("failed", 20)]
    assert str(events[-1].problem) == "The image could not be pulled."


async def test_a_launch_says_when_it_will_probably_be_ready_once_a_test_lets_it_expect_that() -> None:
    def play(launch: FakeLaunch) -> None:
        launch.expect(40, 90, count=12)
        launch.report("Starting")
        launch.report("Still starting")

    fake = FakeHublaunch(play=play)
    async with LaunchClient(fake.url, transport=fake.transport) as client:
        launch = await client.launch(IMAGE)
        current = await client.get(launch.id)
        fake.launches[0].expect(300, 400, of_pulls=True)
        fake.launches[0].report("Pulling", stage="pulling")
        fake.launches[0].ready()
        events = await followed(client, launch.id)
        ended = await client.get(launch.id)

    assert launch.expected_basis is ended.expected_basis is None
    assert current.expected_basis is not None
    assert (current.expected_basis.count, current.expected_basis.p50_s, current.expected_basis.p90_s) == (12, 40, 90)
    assert current.expected_ready_at is not None
    assert 39 < (current.expected_ready_at - current.created_at).total_seconds() < 70
    assert [event.expected_basis and event.expected_basis.of_pulls for event in events] == [
        *(None, False, None, True, None)
    ]


async def test_a_launch_is_stalled_until_its_next_event() -> None:
    def play(launch: FakeLaunch) -> None:
        launch.report("No room", stage="scheduling", progress=20)
        launch.stall("Waiting for a machine for 3 minutes.", reason="no_machine")

    fake = FakeHublaunch(play=play)
    async with LaunchClient(fake.url, transport=fake.transport) as client:
        launch = await client.launch(IMAGE)
        stalled = await client.get(launch.id)
        fake.launches[0].ready()
        *_, news, told, last = await followed(client, launch.id)
        ready = await client.get(launch.id)

    assert (stalled.stalled_since, stalled.stalled_reason) == (told.stalled_since, told.stalled_reason)
    assert (told.stalled_since, told.stalled_reason) == (news.at, "no_machine")
    assert (told.message, told.stage, told.progress) == ("Waiting for a machine for 3 minutes.", "scheduling", 20)
    assert news.stalled_since is last.stalled_since is ready.stalled_since is None


async def test_only_a_launch_at_the_hub_stalls() -> None:
    fake = FakeHublaunch(play=lambda launch: launch.queue(1, 2))
    async with LaunchClient(fake.url, transport=fake.transport) as client:
        await client.launch(IMAGE)

    with pytest.raises(ValueError, match="Only a launch at JupyterHub can stall: it is waiting"):
        fake.launches[0].stall()


async def test_clients_pass_on_a_stage_that_a_later_service_adds() -> None:
    def play(launch: FakeLaunch) -> None:
        launch.report("Up", stage="levitating")

    fake = FakeHublaunch(play=play)
    async with LaunchClient(fake.url, transport=fake.transport) as client:
        launch = await client.launch(IMAGE)
        current = await client.get(launch.id)
        fake.launches[0].ready()
        events = await followed(client, launch.id)

    assert (launch.stage, current.stage) == ("queued", "levitating")
    assert [event.stage for event in events] == ["queued", "levitating", None]


async def test_a_launch_that_has_ended_takes_no_more_events() -> None:
    fake = FakeHublaunch()
    async with LaunchClient(fake.url, transport=fake.transport) as client:
        await client.launch(IMAGE)

    with pytest.raises(ValueError, match="The launch has ended: it is ready"):
        fake.launches[0].report("Pulling")


async def test_a_test_stops_the_server_of_a_ready_launch() -> None:
    fake = FakeHublaunch(play=lambda launch: launch.ready(session_s=60))

    async with LaunchClient(fake.url, transport=fake.transport) as client:
        launch = await client.launch(IMAGE)
        before = await client.get(launch.id)
        fake.launches[0].stop()
        after = await client.get(launch.id)

    assert (before.status, before.will_end_at is None) == ("ready", False)
    assert (after.status, after.stopped_by, after.will_end_at) == ("stopped", "session_end", None)
    with pytest.raises(ValueError, match="it is stopped"):
        fake.launches[0].stop("hub")
