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
class ServiceWithAdmin:
    """A service, the headers of an admin, and those of another caller."""

    service: Service
    headers: Mapping[str, dict[str, str]]


@pytest.fixture
async def with_admin(settings: Settings, tmp_path: Path) -> AsyncGenerator[ServiceWithAdmin]:
    keys = tmp_path / "keys.json"
    headers = {
        "admin": {"Authorization": f"Bearer {add_key(keys, name='admin', is_admin=True)[1]}"},
        "caller": {"Authorization": f"Bearer {add_key(keys, name='plain')[1]}"},
        "nobody": dict[str, str](),
    }
    changed = {"access": ("anonymous", "key"), "api_keys_file": keys, "allowed_images": ("quay.io/*",)}
    async with serve(settings.model_copy(update=changed)) as service:
        yield ServiceWithAdmin(service, headers)


@pytest.mark.parametrize(("caller", "is_told"), [("admin", True), ("caller", False), ("nobody", False)])
@pytest.mark.parametrize(
    ("body", "setting"),
    [
        ({"image": "ghcr.io/a/b"}, "LAUNCHER_ALLOWED_IMAGES"),
        (BODY | {"extra_args": {"cpu": 2}}, "LAUNCHER_ALLOWED_EXTRA_ARGS"),
    ],
)
async def test_only_admins_see_operator_advice_in_a_refusal(
    with_admin: ServiceWithAdmin, body: dict[str, object], setting: str, caller: str, is_told: bool
) -> None:
    answer = await with_admin.service.http.post("/launch", json=body, headers=with_admin.headers[caller])

    assert (setting in answer.json().get("operator_advice", "")) is is_told
    assert ("LAUNCHER_" in answer.text) is is_told


@pytest.mark.parametrize(
    ("caller", "is_told"), [("admin", True), ("admin with the secret", True), ("secret", False), ("nobody", False)]
)
async def test_only_admins_see_advice_in_a_failed_launch(
    with_admin: ServiceWithAdmin, hub: FakeHub, caller: str, is_told: bool
) -> None:
    hub.spawn_plan(None, SpawnPlan(fails='Failed to pull image "quay.io/x": not found'))
    accepted = await with_admin.service.launch()
    headers = with_admin.headers.get(caller.partition(" ")[0], {})
    if "secret" in caller:
        headers = headers | {"X-Launch-Secret": accepted["secret"]}

    async with with_admin.service.http.stream("GET", f"/launch/{accepted['id']}/events", headers=headers) as stream:
        failed = [event async for event in read_events(stream)][-1]
    launch = (await with_admin.service.http.get(f"/launch/{accepted['id']}", headers=headers)).json()

    for shown in (failed, launch):
        assert shown["problem"]["code"] == "image_pull_failed"
        assert ("operator_advice" in shown["problem"]) is is_told


async def test_the_log_has_operator_advice_on_refusals_and_failed_launches(
    with_admin: ServiceWithAdmin, hub: FakeHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    hub.spawn_plan(None, SpawnPlan(fails='Failed to pull image "quay.io/x": not found'))

    await with_admin.service.http.post("/launch", json={"image": "ghcr.io/a/b"})
    await with_admin.service.events((await with_admin.service.launch())["events_url"])

    assert "add a pattern for it to LAUNCHER_ALLOWED_IMAGES" in caplog.text
    assert "The registry may limit pulls." in caplog.text
