"""Advice for operators reaches admins and the log, and nobody else."""

import logging
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import BODY, Service, read_events, serve


@dataclass(frozen=True)
class Desk:
    """Yield a service, the headers of an admin, and those of another caller."""

    service: Service
    headers: Mapping[str, dict[str, str]]


@pytest.fixture
async def desk(settings: Settings, tmp_path: Path) -> AsyncGenerator[Desk]:
    keys = tmp_path / "keys.json"
    headers = {
        "admin": {"Authorization": f"Bearer {add_key(keys, name='admin', is_admin=True)[1]}"},
        "caller": {"Authorization": f"Bearer {add_key(keys, name='plain')[1]}"},
        "nobody": dict[str, str](),
    }
    changed = {"access": ("anonymous", "key"), "api_keys_file": keys, "allowed_images": ("quay.io/*",)}
    async with serve(settings.model_copy(update=changed)) as service:
        yield Desk(service, headers)


@pytest.mark.parametrize(("caller", "is_told"), [("admin", True), ("caller", False), ("nobody", False)])
@pytest.mark.parametrize(
    ("body", "setting"),
    [
        ({"image": "ghcr.io/a/b"}, "LAUNCHER_ALLOWED_IMAGES"),
        (BODY | {"extra_args": {"cpu": 2}}, "LAUNCHER_ALLOWED_EXTRA_ARGS"),
    ],
)
async def test_only_admins_see_operator_advice_in_a_refusal(
    desk: Desk, body: dict[str, object], setting: str, caller: str, is_told: bool
) -> None:
    answer = await desk.service.http.post("/launch", json=body, headers=desk.headers[caller])

    assert (setting in answer.json().get("operator_advice", "")) is is_told
    assert ("LAUNCHER_" in answer.text) is is_told


@pytest.mark.parametrize(
    ("caller", "is_told"), [("admin", True), ("admin with the secret", True), ("secret", False), ("nobody", False)]
)
async def test_only_admins_see_advice_in_a_failed_launch(desk: Desk, hub: FakeHub, caller: str, is_told: bool) -> None:
    hub.spawn_plan(None, SpawnPlan(fails='Failed to pull image "quay.io/x": not found'))
    accepted = await desk.service.launch()
    headers = desk.headers.get(caller.partition(" ")[0], {})
    if "secret" in caller:
        headers = headers | {"X-Launch-Secret": accepted["secret"]}

    async with desk.service.http.stream("GET", f"/launch/{accepted['id']}/events", headers=headers) as stream:
        failed = [event async for event in read_events(stream)][-1]
    launch = (await desk.service.http.get(f"/launch/{accepted['id']}", headers=headers)).json()

    for shown in (failed, launch):
        assert shown["problem"]["code"] == "image_pull_failed"
        assert ("operator_advice" in shown["problem"]) is is_told


async def test_the_log_has_operator_advice_on_refusals_and_failed_launches(
    desk: Desk, hub: FakeHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    hub.spawn_plan(None, SpawnPlan(fails='Failed to pull image "quay.io/x": not found'))

    await desk.service.http.post("/launch", json={"image": "ghcr.io/a/b"})
    await desk.service.events((await desk.service.launch())["events_url"])

    assert "add a pattern for it to LAUNCHER_ALLOWED_IMAGES" in caplog.text
    assert "The registry may limit pulls." in caplog.text
