"""`hublaunch show`: everything about one launch, from the database."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hublaunch.api.pace import WebPace
from hublaunch.cli import cli
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import IMAGE, REPO, Service, serve
from tests.support.sqlite import execute
from tests.support.warm import write_warm

MISSING = 'Failed to pull image "a/b:9": manifest unknown'


@pytest.fixture(autouse=True)
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of an operator's shell."""
    monkeypatch.setenv("LAUNCHER_HUB_URL", settings.hub_url)
    monkeypatch.setenv("LAUNCHER_HUB_API_TOKEN", settings.hub_api_token.get_secret_value())
    monkeypatch.setenv("LAUNCHER_DATABASE_URL", settings.database_url)


async def show(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, cli, ["show", *arguments])


async def shown(*arguments: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((await show(*arguments, "--json")).stdout)
    return record


def lines(result: Result) -> dict[str, str]:
    """Return the first line of each heading."""
    assert result.exit_code == 0, result.output
    headed = [line for line in result.stdout.splitlines() if not line.startswith(" ")]
    width = max(len(line) - len(line.split("  ", 1)[-1].lstrip()) for line in headed)
    return {line[:width].strip(): line[width:].strip() for line in headed}


async def test_a_failed_launch_is_shown_with_its_cause_its_names_and_its_clean_up(
    service: Service, hub: FakeHub
) -> None:
    hub.spawn_plan(None, SpawnPlan(fails=MISSING))
    accepted = await service.launch(path="lab")
    events = await service.events(accepted["events_url"])
    await hub.until(lambda: not hub.users)

    result = await show(accepted["id"])

    told = lines(result)
    username = hub.asked("create_user")[0].username
    assert told["Launch"] == accepted["id"]
    assert told["Status"].startswith("failed. ")
    assert told["Problem"] == "The image does not exist, or access to it is denied (image_not_found)"
    assert MISSING in result.stdout
    assert "For the caller: Check the image's registry, name and tag" in result.stdout
    assert told["Caller"] == "anonymous, at 127.0.0.1"
    assert (told["Image"], told["Repository"], told["Path"]) == (IMAGE, REPO, "lab")
    assert told["Attempt 1"].endswith(f": temporary user {username}, default server")
    assert "nothing of it is left at JupyterHub" in result.stdout
    assert all(event["message"] in result.stdout for event in events)


async def test_calls_to_the_hub_that_failed_are_shown_even_if_the_launch_went_on(
    settings: Settings, hub: FakeHub
) -> None:
    hub.fail_on("create_user", status=502, times=2)
    async with serve(settings) as service:
        accepted = await service.launch()
        events = await service.events(accepted["events_url"])

    words, record = await show(accepted["id"]), await shown(accepted["id"])

    assert events[-1]["phase"] == "ready"
    noted = [(calls["attempt"], calls["kind"], calls["outcome"], calls["count"]) for calls in record["hub_calls"]]
    assert noted == [(1, "create_user", "failed", 1), (2, "create_user", "failed", 1)]
    assert "attempt 1, create_user: failed (5xx), once, after " in lines(words)["Hub calls"]


async def test_the_json_has_everything_but_tokens_and_the_values_of_arguments(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with serve(settings, allowed_extra_args=["password"]) as service:
        accepted = await service.launch(extra_args={"password": "hunter2"})
        await hub.until(lambda: hub.open_streams)
        starting, words = await shown(accepted["id"]), await show(accepted["id"])
        hub.release(next(iter(hub.users)))
        events = await service.events(accepted["events_url"])

        ready = await shown(accepted["id"])

    assert (starting["status"], ready["status"]) == ("launching", "ready")
    assert starting["request"] | {"image_digest": None} == ready["request"] | {"image_digest": None}
    assert starting["request"]["extra_args"] == ["password"]
    assert [event["seq"] for event in ready["events"]] == [event["seq"] for event in events]
    (attempt,) = ready["attempts"]
    assert (attempt["username"], attempt["clean_at"]) == (next(iter(hub.users)), None)
    assert [one["what"] for one in starting["due"]] == ["the launch timeout"]
    assert ready["due"] == []
    for text in (json.dumps(starting), json.dumps(ready), words.output):
        assert not any(secret in text for secret in ("hunter2", accepted["secret"], events[-1]["token"]))


async def test_a_launch_of_a_process_that_was_stopped_is_due_for_adoption_and_cancellation(
    settings: Settings, hub: FakeHub
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    hub.fail_on("stop_server", how="hang")
    async with serve(settings) as service:
        accepted = await service.launch()
        await hub.until(lambda: hub.open_streams)
        await service.http.delete(f"/launch/{accepted['id']}", headers={"X-Launch-Secret": accepted["secret"]})
        await hub.until(lambda: hub.asked("stop_server"))

    record = await shown(accepted["id"])

    assert record["leased_until"] is None
    assert [one["what"] for one in record["due"]] == [
        "the cancellation that was requested",
        "the launch timeout",
        "the adoption by another process",
    ]


async def test_a_stopped_launch_says_why_it_stopped_and_when_its_record_goes(service: Service) -> None:
    accepted = await service.launch()
    await service.events(accepted["events_url"])
    await service.cancel(accepted)

    told = lines(await show(accepted["id"]))

    assert told["Status"].startswith("stopped: it was ready, and its server is gone. ")
    assert told["Stopped"].endswith(" UTC: cancelled")
    assert told["Due"].startswith("the removal of this record, at the latest: ")


async def test_a_launch_and_its_warm_server_name_each_other(settings: Settings, tmp_path: Path) -> None:
    write_warm(tmp_path / "catalogue.yaml", "{keep: 1}")
    changes = {"catalogue_file": tmp_path / "catalogue.yaml"}
    async with serve(settings.model_copy(update=changes), web_pace=WebPace(status_kept_s=0)) as service:
        async with asyncio.timeout(10):
            while not (await service.http.get("/status")).json()["pools"][0]["ready"]:
                pass
        accepted = (await service.http.post("/launch", json={"environment": "scipy"})).json()
        await service.events(accepted["events_url"])

    record = await shown(accepted["id"])
    told, member = lines(await show(accepted["id"])), await show(record["claimed_from"])
    of_member = lines(member)

    assert told["Warm server"] == f"taken over from {record['claimed_from']}"
    assert of_member["Status"].startswith("stopped: it was ready, and a launch took over its server. ")
    assert of_member["Stopped"].endswith(" UTC: a launch took over its server")
    assert f"temporary user {record['attempts'][0]['username']}" in of_member["Attempt 1"]
    assert "another launch deletes the user" in member.stdout
    assert "nothing of it is left at JupyterHub" not in member.stdout


@pytest.mark.parametrize(
    ("stopped_by", "words"),
    [
        ("hub", "JupyterHub no longer has the server"),
        ("session_end", "its time was over"),
        ("operator", "an operator stopped all servers"),
        ("claim", "a launch took over its server"),
        ("pool", "nobody needed it in the warm pool anymore"),
        ("a_later_release", "a_later_release"),
    ],
)
async def test_a_stopped_launch_names_what_stopped_it(
    service: Service, settings: Settings, stopped_by: str, words: str
) -> None:
    accepted = await service.launch()
    await service.events(accepted["events_url"])
    await service.cancel(accepted)
    execute(settings.database_url, f"UPDATE launches SET stopped_by = '{stopped_by}'")

    told = lines(await show(accepted["id"]))

    assert told["Stopped"].endswith(f" UTC: {words}")


async def test_a_launch_whose_session_is_over_was_not_cancelled(service: Service, settings: Settings) -> None:
    accepted = await service.launch()
    await service.events(accepted["events_url"])
    await service.cancel(accepted)
    execute(settings.database_url, "UPDATE launches SET will_end_at = cancel_requested_at")

    told = lines(await show(accepted["id"]))

    assert "Session over" in told
    assert "Cancelled" not in told


async def test_an_unknown_id_is_reported(service: Service) -> None:
    await service.launch()

    result = await show("01JDB9Z3N8Q4V7R2M5X6C1T0YK")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "no launch with the id 01JDB9Z3N8Q4V7R2M5X6C1T0YK" in result.stderr
