"""`hublaunch admin-link`: a link from an operator's shell opens the page for admins."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hublaunch.settings import Settings
from tests.cli.commands import Ended, in_thread
from tests.support.callers import bearer
from tests.support.served import BODY, Service


async def admin_link(settings: Settings, tmp_path: Path, *arguments: str, **changes: str) -> Ended:
    variables = {
        "LAUNCHER_HUB_URL": "https://hub.example.org/",
        "LAUNCHER_HUB_API_TOKEN": settings.hub_api_token.get_secret_value(),
        "LAUNCHER_DATABASE_URL": settings.database_url,
        "LAUNCHER_PREFIX": "/services/hublaunch",
        "LAUNCHER_AUDIT_LOG": str(tmp_path / "audit.jsonl"),
    }
    return await in_thread("admin-link", *arguments, **variables | changes)


async def test_the_link_of_an_operator_sees_and_switches_but_launches_nothing(
    service: Service, settings: Settings, tmp_path: Path
) -> None:
    done = await admin_link(settings, tmp_path, "--hours", "2")

    link = re.fullmatch(r"https://hub\.example\.org/services/hublaunch/admin#link=(hla_[\w=-]+)\n", done.out)
    assert link, done.out
    headers = bearer(link[1])
    async with service.http.stream("GET", "/admin/events", headers=headers) as stream:
        seen = stream.status_code
    drained = await service.http.put("/admin/drain", json={"is_draining": True}, headers=headers)
    launched = await service.http.post("/launch", json=BODY, headers=headers)
    assert (seen, drained.status_code, launched.status_code) == (200, 204, 403)


async def test_the_audit_log_has_the_links_name_and_end_but_not_its_credential(
    service: Service, settings: Settings, tmp_path: Path
) -> None:
    before = datetime.now(UTC)

    done = await admin_link(settings, tmp_path)

    (entry,) = map(json.loads, (tmp_path / "audit.jsonl").read_text().splitlines())
    assert entry["action"] == "admin_link_created"
    assert timedelta(minutes=59) < datetime.fromisoformat(entry["until"]) - before < timedelta(minutes=61)
    assert "hla_" not in json.dumps(entry)
    assert re.search(r"It works until .+ UTC\.", done.err)


@pytest.mark.parametrize("hours", ["25", "0", "-1", "soon"])
async def test_a_link_lasts_a_day_at_most(settings: Settings, tmp_path: Path, hours: str) -> None:
    done = await admin_link(settings, tmp_path, "--hours", hours)

    assert (done.status, done.out) == (2, "")


async def test_a_link_of_another_service_does_not_work(service: Service, settings: Settings, tmp_path: Path) -> None:
    done = await admin_link(settings, tmp_path, LAUNCHER_SECRET_KEY="k" * 40)

    credential = done.out.strip().partition("#link=")[2]
    answer = await service.http.get("/admin/events", headers=bearer(credential))
    assert (answer.status_code, answer.json()["code"]) == (401, "admin_link_ended")
