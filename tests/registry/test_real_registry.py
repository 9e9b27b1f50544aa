"""A real registry is asked, by a real hublaunch."""

import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.registry.real import RealRegistry, filled
from tests.support.served import Service, serve

pytestmark = pytest.mark.registry


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncGenerator[RealRegistry]:
    async with filled(tmp_path) as registry:
        yield registry


@pytest.fixture
def of_registry(settings: Settings, registry: RealRegistry) -> Settings:
    return settings.model_copy(update={"preflight": "auto", "allowed_images": (f"{registry.name}/*",)})


async def launched(service: Service, **body: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return an accepted launch as it is in the end, and its events."""
    accepted = await service.launch(**body)
    events = await service.events(accepted["events_url"])
    headers = {"X-Launch-Secret": accepted["secret"]}
    return (await service.http.get(f"/launch/{accepted['id']}", headers=headers)).json(), events


async def test_an_image_that_the_registry_lacks_is_refused_before_the_hub_is_asked(
    of_registry: Settings, registry: RealRegistry, hub: FakeHub
) -> None:
    async with serve(of_registry) as service:
        answer = await service.http.post("/launch", json={"image": registry.image("2")})

    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "image_not_found"
    assert problem["errors"] == [{"field": "image", "reason": problem["detail"]}]
    assert not hub.asked("create_user")


async def test_19_of_20_absent_images_are_refused_within_600_ms(of_registry: Settings, registry: RealRegistry) -> None:
    took_s = []
    async with serve(of_registry) as service:
        for number in range(40):
            began_at = time.perf_counter()
            answer = await service.http.post("/launch", json={"image": registry.image(f"no-{number}")})
            took_s.append(time.perf_counter() - began_at)
            assert answer.json()["code"] == "image_not_found"

    assert sorted(took_s)[37] < 0.6


async def test_200_launches_of_one_image_at_once_ask_the_registry_once(
    of_registry: Settings, registry: RealRegistry, hub: FakeHub
) -> None:
    lookups_before = registry.lookups()
    body = {"image": registry.image()}
    async with serve(of_registry.model_copy(update={"max_concurrent_spawns": 200})) as service:
        answers = await asyncio.gather(*(service.http.post("/launch", json=body) for _ in range(200)))

    assert {answer.status_code for answer in answers} == {202}
    assert {answer.json()["image_digest"] for answer in answers} == {registry.digest}
    assert registry.lookups() - lookups_before == 1


async def test_the_digest_of_an_image_is_stored_with_its_launch(of_registry: Settings, registry: RealRegistry) -> None:
    async with serve(of_registry) as service:
        launch, events = await launched(service, image=registry.image())

    assert events[-1]["phase"] == "ready"
    assert launch["image"] == registry.image()
    assert launch["image_digest"] == registry.digest
