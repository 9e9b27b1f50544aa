"""Pre-flight in a running service: what callers see, and when the Hub is asked."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hublaunch.files.keys import add_key
from hublaunch.settings import Settings, SettingsFault, load_settings
from tests.fakes.hub import FakeHub
from tests.fakes.wire import WireConnection, WireServer
from tests.registry.asking import DIGEST, UNKNOWN_MANIFEST, answering, found, name_of, response
from tests.registry.real import write_config
from tests.support.served import Service, serve


@dataclass
class OneRegistry:
    """A registry that gives one answer, once it is released."""

    answer: bytes
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def script(self, connection: WireConnection) -> None:
        await self.released.wait()
        await answering(lambda *_: self.answer)(connection)


@dataclass
class World:
    service: Service
    registry: OneRegistry
    server: WireServer
    image: str

    async def post(self) -> tuple[int, dict[str, Any]]:
        answer = await self.service.http.post("/launch", json={"image": self.image})
        return answer.status_code, answer.json()

    async def launched(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Launch, and return the launch as it is in the end, and its events."""
        accepted = await self.service.launch(image=self.image)
        return await self.ended(accepted)

    async def ended(self, accepted: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        events = await self.service.events(accepted["events_url"])
        headers = {"X-Launch-Secret": accepted["secret"]}
        return (await self.service.http.get(f"/launch/{accepted['id']}", headers=headers)).json(), events


Opens = Callable[..., Any]


@pytest.fixture
def world(settings: Settings) -> Opens:
    @asynccontextmanager
    async def opened(answer: bytes, *, at_once: bool = True, **more: Any) -> AsyncGenerator[World]:
        registry = OneRegistry(answer)
        if at_once:
            registry.released.set()
        async with WireServer(registry.script) as server:
            if keys := more.get("api_keys_file"):
                add_key(keys, name="other")
            update = {"preflight": "auto", "allowed_images": (f"{name_of(server)}/*",), **more}
            async with serve(settings.model_copy(update=update)) as service:
                yield World(service, registry, server, f"{name_of(server)}/org/image:1")

    return opened


def images_started(hub: FakeHub) -> list[str]:
    """Return the images that the Hub was asked to start."""
    bodies = (json.loads(request.body) for request in hub.asked("start_server"))
    return [body.get("user_options", body)["image"] for body in bodies]


async def test_a_late_answer_that_the_image_is_absent_fails_the_launch_before_the_hub_is_asked(
    world: Opens, hub: FakeHub
) -> None:
    async with world(response(404, UNKNOWN_MANIFEST), at_once=False) as at:
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        accepted = await at.service.launch(image=at.image)
        took_s = loop.time() - began_at
        at.registry.released.set()
        launch, events = await at.ended(accepted)

    assert 0.4 < took_s < 1.5
    assert [event["phase"] for event in events] == ["waiting", "failed"]
    assert events[-1]["problem"]["code"] == launch["problem"]["code"] == "image_not_found"
    assert not hub.asked("create_user")


async def test_a_late_digest_is_stored_before_the_hub_is_asked(world: Opens, hub: FakeHub) -> None:
    async with world(found(), at_once=False, pin_digest=True) as at:
        accepted = await at.service.launch(image=at.image)
        at.registry.released.set()
        launch, events = await at.ended(accepted)

    assert accepted["image_digest"] is None
    assert events[-1]["phase"] == "ready"
    assert launch["image_digest"] == DIGEST
    assert images_started(hub) == [f"{at.image.removesuffix(':1')}@{DIGEST}"]


async def test_a_registry_that_does_not_answer_delays_a_launch_and_no_more(
    world: Opens, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hublaunch.registry.client.LOOK_S", 0.8)
    async with world(found(), at_once=False) as at:
        launch, events = await at.launched()

    assert events[-1]["phase"] == "ready"
    assert launch["image_digest"] is None


async def test_an_image_that_was_ready_within_the_hour_is_launched_though_the_registry_lost_it(world: Opens) -> None:
    async with world(response(500)) as at:
        _, events = await at.launched()
        assert events[-1]["phase"] == "ready"
        at.registry.answer = response(404, UNKNOWN_MANIFEST)
        at.service.state["web"].service.acceptance.checks.preflight.registry._kept.clear()

        launch, events = await at.launched()

    assert events[-1]["phase"] == "ready"
    assert launch["image_digest"] is None


@pytest.mark.parametrize(("mode", "status"), [("off", 202), ("auto", 202), ("require", 503)])
async def test_only_require_mode_refuses_an_image_that_could_not_be_checked(
    world: Opens, mode: str, status: int
) -> None:
    async with world(response(500), preflight=mode) as at:
        answered, body = await at.post()

    assert answered == status
    assert len(at.server.requests) == (0 if mode == "off" else 1)
    if status == 503:
        assert body["code"] == "image_unchecked"
        assert body["detail"] == "It is unknown whether the image exists: its registry has a fault (5xx)."


async def test_require_waits_for_a_late_answer_before_it_asks_the_hub(world: Opens, hub: FakeHub) -> None:
    async with world(response(429), at_once=False, preflight="require") as at:
        accepted = await at.service.launch(image=at.image)
        at.registry.released.set()
        _, events = await at.ended(accepted)

    assert events[-1]["problem"]["code"] == "image_unchecked"
    assert not hub.asked("create_user")


@pytest.mark.parametrize(("pulls", "status"), [(False, 202), (True, 422)])
async def test_a_hidden_image_is_refused_if_the_spawner_pulls_with_the_same_credentials(
    world: Opens, tmp_path: Path, pulls: bool, status: int
) -> None:
    config = write_config(tmp_path / "config.json", "quay.io")
    async with world(response(403), registry_config=config, registry_config_pulls=pulls) as at:
        answered, body = await at.post()

    assert answered == status
    assert not pulls or body["code"] == "image_not_found"


async def test_a_pinned_launch_has_its_digest_at_the_hub_and_is_recognized_there(world: Opens, hub: FakeHub) -> None:
    async with world(found(), pin_digest=True) as at:
        launch, events = await at.launched()
        unpinned = f"{at.image.removesuffix(':1')}@{DIGEST}"

    assert launch["image"] == at.image
    assert launch["image_digest"] == DIGEST
    assert events[-1]["image"] == at.image
    assert images_started(hub) == [unpinned]


async def test_without_pinning_the_spawner_gets_the_tag(world: Opens, hub: FakeHub) -> None:
    async with world(found()) as at:
        await at.launched()

    assert images_started(hub) == [at.image]


async def test_the_digest_is_in_the_audit_log_and_the_metrics(world: Opens, tmp_path: Path) -> None:
    record = tmp_path / "audit.jsonl"
    async with world(found(), audit_log=record, metrics_public=True) as at:
        accepted = await at.service.launch(image=at.image)
        await at.ended(accepted)
        metrics = (await at.service.http.get("/metrics")).text

    assert json.loads(record.read_text().splitlines()[0])["image_digest"] == DIGEST
    assert 'hublaunch_launches_digest_total{found="at_once"} 1.0' in metrics
    assert 'hublaunch_registry_lookup_seconds_count{outcome="found"} 1.0' in metrics


async def test_the_patterns_of_a_key_name_registries_too_and_its_list_shows_the_digests(
    world: Opens, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    async with world(found(), allowed_images=("*",), access=("anonymous", "key"), api_keys_file=keys) as at:
        before = await at.service.launch(image=at.image)
        _, key = add_key(keys, name="course", allowed_images=[f"{name_of(at.server)}/org/*"])
        at.service.http.headers["Authorization"] = f"Bearer {key}"
        accepted = await at.service.launch(image=at.image)
        await at.service.events(accepted["events_url"])
        (listed,) = (await at.service.http.get("/launch")).json()["launches"]

    assert before["image_digest"] is None
    assert listed["image_digest"] == accepted["image_digest"] == DIGEST


async def test_a_late_digest_is_in_the_audit_log_and_the_metrics(world: Opens, tmp_path: Path) -> None:
    record = tmp_path / "audit.jsonl"
    async with world(found(), at_once=False, audit_log=record, metrics_public=True) as at:
        accepted = await at.service.launch(image=at.image)
        at.registry.released.set()
        await at.ended(accepted)
        metrics = (await at.service.http.get("/metrics")).text

    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert [(line["action"], line.get("image_digest")) for line in lines] == [
        ("launch_accepted", None),
        ("launch_digest_found", DIGEST),
        ("launch_ended", None),
    ]
    assert 'hublaunch_launches_digest_total{found="later"} 1.0' in metrics


async def test_the_secrets_of_registries_are_in_no_log(
    world: Opens, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = write_config(tmp_path / "config.json", "127.0.0.1", password="hunter2hunter2")
    with caplog.at_level("DEBUG"):
        async with world(response(401, WWW_Authenticate="Basic"), registry_config=config) as at:
            await at.launched()

    assert "hunter2" not in caplog.text


def test_a_digest_cannot_be_pinned_without_looking_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("HUB_URL", "http://hub/"),
        ("HUB_API_TOKEN", "t" * 9),
        ("PIN_DIGEST", "1"),
        ("PREFLIGHT", "off"),
    ):
        monkeypatch.setenv(f"LAUNCHER_{name}", value)

    with pytest.raises(SettingsFault, match="LAUNCHER_PIN_DIGEST: needs LAUNCHER_PREFLIGHT=auto or require"):
        load_settings()


@pytest.mark.parametrize("platforms", ["amd64", "linux", "linux/amd64/", "Linux/amd64", "linux/amd64 linux/arm64"])
def test_a_platform_is_an_os_and_an_architecture(monkeypatch: pytest.MonkeyPatch, platforms: str) -> None:
    for name, value in (("HUB_URL", "http://hub/"), ("HUB_API_TOKEN", "t" * 9), ("PLATFORMS", platforms)):
        monkeypatch.setenv(f"LAUNCHER_{name}", value)

    with pytest.raises(SettingsFault, match="LAUNCHER_PLATFORMS: each must be a platform such as linux/amd64"):
        load_settings()
