"""The metrics, parsed as Prometheus parses them."""

import asyncio
import math
import socket
from collections.abc import AsyncGenerator, Mapping
from itertools import product
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hublaunch.launch.errors import LaunchError
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.news import Accepted
from hublaunch.launch.ports import Capacity
from hublaunch.launch.problem import Problem
from hublaunch.observe.metrics import Metrics
from hublaunch.observe.scrape import exposition
from hublaunch.settings import Settings, SettingsFault
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.store.launches import new_launch
from tests.support.catalogue import catalogue_in
from tests.support.postgres import Postgres
from tests.support.processes import free_port
from tests.support.served import Service, serve

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"metrics_public": True, "retries": 2})


async def scrape(service: Service) -> Samples:
    answer = await service.http.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((f"hublaunch_{name}", frozenset(labels.items())), 0.0)


async def ended(service: Service, **body: object) -> str:
    """Launch and return the last phase, once the stream has ended."""
    accepted = await service.launch(**body)
    phase: str = (await service.events(accepted["events_url"]))[-1]["phase"]
    return phase


async def test_a_ready_launch_and_its_stop_by_the_caller_are_counted(service: Service) -> None:
    accepted = await service.launch()
    assert (await service.events(accepted["events_url"]))[-1]["phase"] == "ready"

    samples = await scrape(service)

    assert value(samples, "launches_accepted_total") == 1
    assert value(samples, "launches_ended_total", outcome="ready", cause="") == 1
    assert value(samples, "launches_ready_first_attempt_total") == 1
    assert value(samples, "launches_ready") == 1
    assert value(samples, "launch_duration_seconds_count", outcome="ready") == 1
    assert value(samples, "launch_queue_seconds_count") == 1
    assert value(samples, "events_appended_total", phase="waiting") == 1
    assert value(samples, "events_appended_total", phase="ready") == 1
    await service.cancel(accepted)
    assert value(await scrape(service), "launches_stopped_total", by="caller") == 1


async def test_launches_by_name_are_counted_by_environment_and_size(settings: Settings, tmp_path: Path) -> None:
    async with serve(settings, catalogue_file=catalogue_in(tmp_path)) as service:
        await service.launch()
        for size in ("", "small", "large"):
            answer = await service.http.post("/launch", json={"environment": "scipy", "size": size})
            assert answer.status_code == 202
        samples = await scrape(service)

    assert value(samples, "launches_accepted_total") == 4
    assert value(samples, "environment_launches_total", environment="scipy", size="small") == 2
    assert value(samples, "environment_launches_total", environment="scipy", size="large") == 1


async def test_environments_beyond_the_limit_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hublaunch.observe.metrics._ENVIRONMENTS_MAX", 2)
    metrics = Metrics(codes=(), kinds=(), capacity=nothing, followers=lambda: 0, loops=dict)
    for name in ("a", "b", "c", "d", "a"):
        launch = new_launch(request=LaunchRequest(image="python", environment=name))
        metrics.on_news(Accepted(launch=launch))

    read = metrics.registry.get_sample_value
    counts = {
        name: read("hublaunch_environment_launches_total", {"environment": name, "size": "" if name in "ab" else name})
        for name in ("a", "b", "other")
    }
    assert counts == {"a": 2, "b": 1, "other": 2}


async def nothing() -> Capacity:
    raise OSError("no test asks for this")


async def test_a_failed_launch_is_counted_by_cause_and_with_its_duration(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="boom"))

    assert await ended(service) == "failed"

    samples = await scrape(service)
    assert value(samples, "launches_ended_total", outcome="failed", cause="spawn_failed") == 1
    assert value(samples, "launch_duration_seconds_count", outcome="failed") == 1
    assert value(samples, "launches_ready_first_attempt_total") == 0


async def test_every_outcome_is_exported_from_the_start(service: Service) -> None:
    samples = await scrape(service)

    ends = {labels for name, labels in samples if name == "hublaunch_launches_ended_total"}
    assert frozenset({("outcome", "failed"), ("cause", "spawn_failed")}) in ends
    assert frozenset({("outcome", "cancelled"), ("cause", "")}) in ends


async def test_a_launch_ready_after_a_retry_is_not_a_first_attempt_success(service: Service, hub: FakeHub) -> None:
    hub.fail_on("start_server", status=503, body="json")

    assert await ended(service) == "ready"

    samples = await scrape(service)
    assert value(samples, "launches_ended_total", outcome="ready", cause="") == 1
    assert value(samples, "launches_ready_first_attempt_total") == 0


async def test_a_requeue_is_counted(service: Service, hub: FakeHub) -> None:
    hub.fail_on("start_server", status=429, headers={"Retry-After": "0"})

    assert await ended(service) == "ready"

    assert value(await scrape(service), "launch_requeues_total") == 1


async def test_launching_launches_and_followers_are_exported(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))
    accepted = await service.launch()
    async with service.http.stream("GET", accepted["events_url"]) as stream:
        lines = stream.aiter_lines()
        while "Pulling" not in await anext(lines):
            pass

        samples = await scrape(service)

    assert value(samples, "launches_launching") == 1
    assert value(samples, "queue_size") == 0
    assert value(samples, "followers") == 1
    assert value(samples, "database_up") == 1
    await service.cancel(accepted)
    assert value(await scrape(service), "launches_launching") == 0


async def test_queue_size_and_oldest_age_are_exported(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with serve(settings, max_concurrent_spawns=1) as service:
        first, second = await service.launch(), await service.launch()
        await hub.until(lambda: hub.count("spawn_started"))

        samples = await scrape(service)

        assert (value(samples, "launches_launching"), value(samples, "queue_size")) == (1, 1)
        assert 0 < value(samples, "queue_oldest_seconds") < 20
        await service.cancel(second)
        await service.cancel(first)


async def test_replicas_export_the_same_shared_values(settings: Settings, hub: FakeHub, postgres: Postgres) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    shared = settings.model_copy(update={"database_url": postgres.database(), "lease_s": 30})
    given = Settings.model_validate({**shared.model_dump(), "secret_key": "k" * 40})
    async with serve(given) as one, serve(given) as other:
        accepted = await one.launch()
        await hub.until(lambda: hub.count("spawn_started"))

        values = [value(await scrape(each), "launches_launching") for each in (one, other)]

        assert values == [1, 1]
        await one.cancel(accepted)


async def test_the_state_of_the_guard_is_exported(service: Service, hub: FakeHub) -> None:
    before = await scrape(service)
    hub.spawn_plan(None, SpawnPlan(fails="boom"))
    for number in range(3):
        await ended(service, image=f"a/b:{number}")

    after = await scrape(service)

    assert value(before, "guard_state", state="open") == 1
    assert (value(before, "guard_failures"), value(before, "guard_window")) == (0, 4)
    assert (value(after, "guard_state", state="open"), value(after, "guard_state", state="proven_only")) == (0, 1)
    assert (value(after, "guard_failures"), value(after, "guard_window")) == (3, 1)


async def test_requests_to_the_hub_are_measured_by_kind(service: Service, hub: FakeHub) -> None:
    hub.fail_on("create_user", status=502, act=True, body="html")

    assert await ended(service) == "ready"

    samples = await scrape(service)
    for kind in ("create_user", "start_server", "mint_token", "progress", "reach_server", "get_version", "get_page"):
        assert value(samples, "hub_request_seconds_count", kind=kind) >= 1, kind
    assert value(samples, "hub_request_seconds_count", kind="other") == 0
    assert value(samples, "hub_request_errors_total", kind="create_user", error="failed") == 1


async def test_an_unreachable_hub_is_counted_by_kind(service: Service, hub: FakeHub) -> None:
    await hub.kill()

    assert await ended(service) == "failed"

    samples = await scrape(service)
    errors = {
        labels: count for (name, labels), count in samples.items() if name == "hublaunch_hub_request_errors_total"
    }
    assert sum(count for labels, count in errors.items() if ("error", "unreachable") in labels) >= 1
    assert value(samples, "launches_ended_total", outcome="failed", cause="hub_unavailable") == 1


async def test_refusals_are_counted_by_code(service: Service) -> None:
    await service.http.post("/launch", json={"image": "!"})
    await service.http.post("/launch", content="{}", headers={"Content-Type": "text/plain"})
    await service.http.get("/nothing")
    await service.http.get("/launch", headers={"Host": "elsewhere.example.org"})

    samples = await scrape(service)

    for code in ("invalid_request", "unsupported_media_type", "not_found", "unknown_host"):
        assert value(samples, "refusals_total", code=code) == 1, code


async def test_a_refusal_in_a_build_stream_is_counted(settings: Settings) -> None:
    mapped = settings.model_copy(update={"binder_images": {"gh/*/*/*": "quay.io/a/b"}, "allowed_images": ()})
    async with serve(mapped) as service:
        answer = await service.http.get("/build/gh/org/repo/HEAD", headers={"Accept": "text/event-stream"})
        samples = await scrape(service)

    assert answer.status_code == 200
    assert value(samples, "refusals_total", code="image_not_allowed") == 1


@pytest.fixture
async def unguarded(settings: Settings) -> AsyncGenerator[Service]:
    """A service whose guard ignores failures."""
    async with serve(settings, hub_guard="off") as service:
        yield service


async def test_callers_cannot_create_new_series(unguarded: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="boom"))
    service = unguarded
    await ended(service)
    await service.http.post("/launch", json={"image": "!"})
    await service.http.get("/nothing")
    before = set(await scrape(service))
    images = [f"registry-{n}.example.org/image-{n}:{n}" for n in range(5)] + ["!", "", "x" * 5000]
    repositories = [f"https://example.org/org-{n}/repo-{n}" for n in range(3)] + ["no url", "https://u:p@example.org/"]
    for number, (image, repo) in enumerate(product(images, repositories)):
        hub.spawn_plan(None, SpawnPlan(fails=f"cause {number}: {image[:50]}"))
        answer = await service.http.post("/launch", json={"image": image, "repo_url": repo})
        if answer.status_code == 202:
            await service.events(answer.json()["events_url"])
        await service.http.get(f"/{number}/{number}?q={number}", headers={"X-Request-ID": f"id-{number}"})

    after = set(await scrape(service))

    grown = {name for name, _ in after - before}
    assert grown <= {"hublaunch_hub_request_errors_total"}
    assert len(after - before) <= 2


async def test_every_problem_code_is_a_cause_and_unknown_codes_are_other(service: Service) -> None:
    metrics = service.state["metrics"]

    def leaves(kind: type[LaunchError]) -> set[type[LaunchError]]:
        return {leaf for below in kind.__subclasses__() for leaf in leaves(below) | {below}}

    for kind in leaves(LaunchError):
        if hasattr(kind, "code"):
            assert metrics._known(kind.code) == kind.code
    assert metrics._known(Problem(code="new_one", title="", detail="", advice="").code) == "other"


async def test_the_metrics_port_serves_only_metrics(settings: Settings) -> None:
    port, accepting = free_port(), {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with (
        serve(settings, metrics_public=False, metrics_port=port) as service,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
    ):
        answers = [await http.get(path) for path in ("/metrics", "/healthz", "/launch")]
        openmetrics = await http.get("/metrics", headers=accepting)
        beside = await service.http.get("/metrics")

    assert [answer.status_code for answer in (*answers, beside)] == [200, 404, 404, 404]
    assert "hublaunch_build_info" in answers[0].text
    assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert openmetrics.text.endswith("# EOF\n")


async def test_metrics_are_off_by_default(settings: Settings) -> None:
    async with serve(settings, metrics_public=False) as service:
        answer = await service.http.get("/metrics")

    assert (answer.status_code, service.state["metrics"]) == (404, None)


async def test_a_metrics_port_in_use_stops_startup(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsFault, match=f"LAUNCHER_METRICS_PORT: cannot listen on 127.0.0.1:{port}"):
            async with serve(settings, metrics_port=port):
                pass


async def test_a_database_that_does_not_answer_does_not_fail_the_scrape() -> None:
    async def broken() -> Capacity:
        raise OSError("the database is gone")

    metrics = Metrics(codes=(), kinds=(), capacity=broken, followers=lambda: 0, loops=dict)

    await exposition(metrics, "")

    read = metrics.registry.get_sample_value
    assert read("hublaunch_database_up") == 0
    assert math.isnan(read("hublaunch_queue_size") or 0)
    assert read("hublaunch_launches_accepted_total") == 0


async def test_concurrent_scrapes_are_all_answered(service: Service) -> None:
    assert len(await asyncio.gather(*(scrape(service) for _ in range(5)))) == 5
