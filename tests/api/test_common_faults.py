"""The ten common faults of docs/runbook.md: every place that names one has the title and the code of the table."""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from hublaunch.api.pace import WebPace
from hublaunch.launch.pace import Pace
from hublaunch.settings import Settings
from tests.cli.commands import in_thread
from tests.docs.pages import DOCS
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import BODY, IMAGE, Service, serve

NO_ROOM = "0/3 nodes are available: 3 Insufficient memory."
NO_IMAGE = 'Failed to pull image "a/b:9": manifest unknown'


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    title: str
    code: str
    doctor: str
    show: str
    read_on: str
    metric: str
    entry: str


def rows() -> dict[str, Row]:
    """Return the table by the codes."""
    table = (DOCS / "runbook.md").read_text().partition("## Ten common faults")[2].partition("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")
    ]
    found = {}
    for named, *others in cells[2:]:
        title, code = re.fullmatch(r"(.+) \(`(\w+)`\)", named).groups()  # type: ignore[union-attr]
        found[code] = Row(title, code, *(cell.replace("`", "") for cell in others))
    return found


@dataclass
class Fault:
    """How a fault is made: settings, what is wrong with the Hub, and what happens once the service runs."""

    changes: Mapping[str, object] = field(default_factory=dict)
    hub: Callable[[FakeHub], object] = lambda hub: None
    then: Callable[[Path, Service], Awaitable[object]] | None = None


async def break_limits(directory: Path, service: Service) -> None:
    (directory / "limits.yaml").write_text("callers: 7\n")
    while not (await service.http.get("/readyz")).json()["limits"]["fault"]:
        pass


async def use_the_quota(_: Path, service: Service) -> None:
    accepted = await service.launch()
    await service.events(accepted["events_url"])


def without_answers(hub: FakeHub) -> None:
    hub.fail_on("get_version", how="reset", times=99)
    hub.fail_on("create_user", how="reset", times=99)
    hub.fail_on("get_user", how="reset", times=99)


def slow(hub: FakeHub) -> None:
    hub.fail_on("get_version", how="late", hangs_s=1.1, times=2)
    hub.fail_on("create_user", how="late", hangs_s=1.1)


FAULTS = {
    "hub_token_unknown": Fault({"hub_api_token": SecretStr("a-wrong-token")}),
    "hub_forbidden": Fault(hub=lambda hub: setattr(hub, "scopes", ["admin:users", "tokens"])),
    "hub_unavailable": Fault({"retries": 1}, hub=without_answers),
    "hub_slow": Fault(hub=slow),
    "image_not_found": Fault(hub=lambda hub: hub.spawn_plan(None, SpawnPlan(fails=NO_IMAGE))),
    "no_room": Fault(hub=lambda hub: hub.spawn_plan(None, SpawnPlan(fails=NO_ROOM))),
    "quota_reached": Fault({"anonymous_quota": 1}, then=use_the_quota),
    "limits_unusable": Fault({"limits_file": "limits.yaml"}, then=break_limits),
    "storage_full": Fault({"min_free_space": 10**9}),
    "clock_off": Fault(hub=lambda hub: setattr(hub, "clock_ahead_s", 90)),
}


@asynccontextmanager
async def faulty(fault: Fault, settings: Settings, directory: Path) -> AsyncGenerator[tuple[Settings, Service]]:
    """Serve with the fault."""
    settings = settings.model_copy(update=dict(fault.changes) | {"metrics_public": True})
    if settings.limits_file is not None:
        settings = settings.model_copy(update={"limits_file": directory / settings.limits_file})
        (directory / "limits.yaml").write_text("{}\n")
    pace = replace(Pace(), read_files_s=0.01, note_calls_s=0)
    async with serve(settings, pace=pace, web_pace=WebPace(status_kept_s=0)) as service:
        if fault.then:
            await fault.then(directory, service)
        yield settings, service


async def doctor_says(settings: Settings, service: Service) -> Mapping[str, Any]:
    """Return the doctor's findings by their checks."""
    given = {
        "LAUNCHER_HUB_URL": settings.hub_url,
        "LAUNCHER_HUB_API_TOKEN": settings.hub_api_token.get_secret_value(),
        "LAUNCHER_DATABASE_URL": settings.database_url,
        "LAUNCHER_ALLOWED_IMAGES": "*",
        "LAUNCHER_MIN_FREE_SPACE": str(settings.min_free_space),
        "HUBLAUNCH_URL": str(service.http.base_url),
    }
    if settings.limits_file is not None:
        given["LAUNCHER_LIMITS_FILE"] = str(settings.limits_file)
    done = await in_thread("doctor", "--json", "--launch", IMAGE, **given)
    return {finding["check"]: finding for finding in done.objects()}


async def show_says(settings: Settings, launch_id: str) -> str:
    """Return what `hublaunch show` prints."""
    given = {
        "LAUNCHER_HUB_URL": settings.hub_url,
        "LAUNCHER_HUB_API_TOKEN": settings.hub_api_token.get_secret_value(),
        "LAUNCHER_DATABASE_URL": settings.database_url,
    }
    return (await in_thread("show", launch_id, **given)).out


async def samples(service: Service) -> Mapping[str, float]:
    """Return the metrics that have a value, by `name code` of those labeled with a code."""
    text = (await service.http.get("/metrics")).text
    return {
        f"{sample.name} {code}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for label, code in sample.labels.items()
        if label in ("cause", "code", "condition") and sample.value
    }


async def problem_of(service: Service, accepted: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the problem with which a launch ends; an empty one if it is ready."""
    problem: Mapping[str, Any] = (await service.events(accepted["events_url"]))[-1].get("problem", {})
    return problem


async def status_with(service: Service, condition: str | None) -> Mapping[str, Any]:
    """Return `/status` once it has the condition. The service learns about the Hub in the background."""
    async with asyncio.timeout(10):
        while True:
            status: Mapping[str, Any] = (await service.http.get("/status")).json()
            if condition in (None, *status["conditions"]):
                return status


def test_the_table_has_exactly_the_faults_that_are_made_here() -> None:
    assert rows().keys() == FAULTS.keys()


@pytest.mark.parametrize("code", FAULTS)
async def test_every_place_names_the_fault_by_its_title_and_code(
    settings: Settings, hub: FakeHub, tmp_path: Path, code: str
) -> None:
    fault, row = FAULTS[code], rows()[code]
    fault.hub(hub)
    async with faulty(fault, settings, tmp_path) as (changed, service):
        answer = await service.http.post("/launch", json=BODY)
        accepted = answer.json() if answer.status_code == 202 else None
        problem = answer.json() if accepted is None else await problem_of(service, accepted)
        status = await status_with(service, code if "/admin" in row.read_on else None)
        measured = await samples(service)
        shown = await show_says(changed, accepted["id"]) if accepted else ""
        fault.hub(hub)  # a fault that passes, for the doctor
        found = await doctor_says(changed, service)

    words = f"{row.title} ({code})"
    assert words in found[row.doctor]["message"]
    assert found[row.doctor]["state"] in ("fault", "warning")
    if row.show:
        heading = next(line for line in shown.splitlines() if line.startswith(row.show))
        assert words in heading
    is_shown = {
        "the launch": accepted is not None and problem.get("title") == row.title,
        "the form": accepted is None and problem.get("title") == row.title,
        "/admin": f"{row.title}." in status["reasons"] and code in status["conditions"],
    }
    assert [place for place, shows in is_shown.items() if shows] == row.read_on.split(", ")
    assert {one.split()[0] for one in measured if one.endswith(f" {code}")} == {*row.metric.split(", ")}
