"""`hublaunch top`: live on a real terminal, plain in a pipe, and JSON."""

import json
import os
import re
import signal
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hublaunch.cli.top.words import stage
from hublaunch.launch.model import Stage, Status
from hublaunch.settings import Settings
from tests.cli.commands import COMMAND, CommandLine, in_thread
from tests.cli.terminal import Terminal, terminal
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.store.launches import new_launch
from tests.support.served import IMAGE, Service, serve

TOP = (*COMMAND, "top", "--interval", "0.3")


@pytest.fixture
async def service(settings: Settings, hub: FakeHub) -> AsyncGenerator[Service]:
    """A service with room for two launches at the Hub."""
    async with serve(settings, max_concurrent_spawns=2, launch_timeout=300) as service:
        yield service


@pytest.fixture
def variables(settings: Settings, shell: CommandLine, tmp_path: Path) -> dict[str, str]:
    """The environment of an operator's shell."""
    return shell.variables | {
        "LAUNCHER_HUB_URL": settings.hub_url,
        "LAUNCHER_HUB_API_TOKEN": settings.hub_api_token.get_secret_value(),
        "LAUNCHER_DATABASE_URL": settings.database_url,
        "LAUNCHER_MAX_CONCURRENT_SPAWNS": "2",
        "LAUNCHER_AUDIT_LOG": str(tmp_path / "audit.jsonl"),
    }


async def busy(service: Service, hub: FakeHub) -> list[dict[str, Any]]:
    """Return four launches: one ready, two at the Hub, one in the queue."""
    first = await service.launch()
    await service.events(first["events_url"])
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling the image"], never=True))
    others = [await service.launch(image=f"quay.io/org/image:{n}") for n in range(3)]
    await hub.until(lambda: hub.open_streams == 2)
    return [first, *others]


async def once(variables: dict[str, str], *arguments: str) -> list[str]:
    done = await in_thread("top", *arguments, **variables)
    assert done.status == 0, done.err
    return done.out.splitlines()


def texts(lines: list[str]) -> dict[str, str]:
    """Return the summary by its headings."""
    return {heading: text.strip() for heading, _, text in (line.partition("  ") for line in lines[:7])}


async def test_a_pipe_gets_plain_tables_of_the_queue_the_hub_and_ready_servers(
    service: Service, hub: FakeHub, variables: dict[str, str]
) -> None:
    ready, *others = await busy(service, hub)

    lines = await once(variables)

    told = texts(lines)
    assert re.fullmatch(r"1 in the queue \(longest \d+ s\), 2 at the Hub, 1 ready", told["Launches"])
    assert re.fullmatch(r"JupyterHub \S+ answered in [\d.]+ ms", told["Hub"])
    assert told["Service"] == "yellow: Launches are waiting in the queue."
    assert told["Ready"] == f"1 {IMAGE}"
    assert told["Processes"].startswith("1, the oldest heartbeat ")
    rows = [line.split()[:2] for line in lines if line[:26] in {one["id"] for one in others}]
    assert rows == [[others[0]["id"], "starting"], [others[1]["id"], "starting"], [others[2]["id"], "queued"]]
    assert ready["id"] not in "\n".join(lines)
    assert "Pulling the image" in "\n".join(lines)


async def test_json_has_the_same_facts_and_no_secret(service: Service, hub: FakeHub, variables: dict[str, str]) -> None:
    launches = await busy(service, hub)

    (line,) = await once(variables, "--json")

    told = json.loads(line)
    assert told["counts"] == {"waiting": 1, "launching": 2, "stalled": 0, "ready": 1}
    assert [one["id"] for one in told["launches"]] == [one["id"] for one in launches[1:]]
    assert told["launches"][0]["caller"] == {"kind": "anonymous", "key": "127.0.0.1"}
    assert told["ready"] == [{"environment": None, "image": IMAGE, "servers": 1}]
    assert [one["launches"] for one in told["processes"]] == [3]
    assert told["hub"]["latency_ms"] > 0
    assert not any(one["secret"] in line for one in launches)


def test_a_launch_with_a_warm_server_is_not_queued() -> None:
    accepted = new_launch()
    opening = replace(accepted.last_event, phase=Status.LAUNCHING, stage=Stage.OPENING)

    assert stage(accepted) == "queued"
    assert stage(replace(accepted, status=Status.LAUNCHING, claimed_from="member", last_event=opening)) == "opening"


async def test_the_database_is_still_shown_without_an_answer_from_the_service(
    service: Service, hub: FakeHub, variables: dict[str, str]
) -> None:
    await busy(service, hub)

    told = texts(await once(variables, "--url", "http://127.0.0.1:9/"))

    assert told["Service"] == "no hublaunch answers at http://127.0.0.1:9/"
    assert told["Hub"] == "latency unknown, because the service does not answer"
    assert "2 at the Hub, 1 ready" in told["Launches"]


async def test_without_a_database_a_single_reading_fails(settings: Settings, tmp_path: Path) -> None:
    done = await in_thread(
        "top",
        "--json",
        LAUNCHER_HUB_URL=settings.hub_url,
        LAUNCHER_HUB_API_TOKEN="a-token-of-the-hub",
        LAUNCHER_DATABASE_URL=f"sqlite:///{tmp_path / 'missing.sqlite'}",
    )

    assert done.status == 1
    assert "missing.sqlite" in done.err
    assert json.loads(done.out)["launches"] is None


@pytest.mark.parametrize("columns", [80, 200])
async def test_a_terminal_shows_everything_at_its_width_and_after_a_resize(
    service: Service, hub: FakeHub, variables: dict[str, str], columns: int
) -> None:
    await busy(service, hub)

    async with terminal(TOP, variables, columns=columns) as window:
        await until_shown(window, "2 at the Hub, 1 ready", "queued", "Pulling the image", "q quit")
        before = await window.screen()
        await window.resize(280 - columns)
        after = await until_shown(window, "REPOSITORY" if columns == 80 else "IMAGE", "q quit")
        await window.type("q")
        await window.until("status 0")

    assert ("REPOSITORY" in "\n".join(before)) == (columns == 200)
    assert max(map(len, before)) <= columns
    assert max(map(len, after)) <= 280 - columns
    assert ("REPOSITORY" in "\n".join(after)) == (columns == 80)


async def until_shown(window: Terminal, *words: str) -> list[str]:
    """Return the screen once it has all words."""
    await window.until(*words)
    return await window.screen()


async def test_a_launch_is_cancelled_after_a_confirmation_by_its_owner_and_audited(
    service: Service, hub: FakeHub, variables: dict[str, str], tmp_path: Path
) -> None:
    _, first, second, _ = await busy(service, hub)

    async with terminal(TOP, variables, columns=120) as window:
        await window.until(f"{first['id']}  127.0.0.1")
        await window.type("j")
        await window.until(f"{second['id']}  127.0.0.1")
        await window.type("c")
        await window.until(f"Cancel launch {second['id']}?")
        await window.type("n")
        await window.until("Nothing was cancelled.")
        await window.type("c", "y")
        await window.until(f"Launch {second['id']} is being cancelled.")
        await hub.until(lambda: bool(hub.asked("stop_server")))
        await window.until("0 in the queue, 2 at the Hub")

    headers = {"X-Launch-Secret": second["secret"]}
    assert (await service.http.get(f"/launch/{second['id']}", headers=headers)).json()["status"] == "cancelled"
    audited = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [(one["action"], one["actor"]["kind"], one["launch_id"]) for one in audited] == [
        ("launch_cancel_requested", "operator", second["id"])
    ]


async def test_keys_filter_sort_and_change_the_list(service: Service, hub: FakeHub, variables: dict[str, str]) -> None:
    _, first, second, queued = await busy(service, hub)

    async with terminal(TOP, variables, columns=200) as window:
        await window.until(first["id"])
        await window.type("r")
        await window.until("reversed", f"{queued['id']}  127.0.0.1")
        await window.type("/", *"image:1")
        await window.until("Filter: image:1")
        await window.type("Enter")
        filtered = "\n".join(await until_shown(window, "only with “image:1”", f"{second['id']}  127.0.0.1"))
        await window.type("Escape", "s")
        await window.until("sorted by age, reversed", first["id"])
        await window.type("Tab")
        ready = "\n".join(await until_shown(window, "SERVERS"))
        await window.type("?")
        await window.until("after a confirmation")

    assert first["id"] not in filtered
    assert IMAGE in ready


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_an_interrupt_restores_the_terminal(
    service: Service, hub: FakeHub, variables: dict[str, str], number: signal.Signals, status: int, tmp_path: Path
) -> None:
    top = 'echo $$ > pid; exec "$@"'
    script = (
        f"cd {tmp_path}; trap : INT; stty -a > before; sh -c '{top}' sh {' '.join(TOP)}; status=$?; stty -a > after"
    )
    (tmp_path / "script").write_text(f"{script}; exit $status\n")

    async with terminal(("sh", str(tmp_path / "script")), variables) as window:
        await window.until("q quit")
        os.kill(int((tmp_path / "pid").read_text()), number)
        text = await window.until(f"status {status}")

    assert (tmp_path / "before").read_text() == (tmp_path / "after").read_text()
    assert "q quit" not in text


async def test_a_database_that_goes_away_is_shown_and_recovered_from(
    service: Service, hub: FakeHub, variables: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    await busy(service, hub)
    moved = tmp_path / "moved"
    moved.mkdir()
    copy = moved / "hublaunch.sqlite"
    done = await in_thread("db", "backup", str(copy), **variables)
    assert done.status == 0, done.err

    async with terminal(TOP, variables | {"LAUNCHER_DATABASE_URL": f"sqlite:///{copy}"}, columns=200) as window:
        await window.until("2 at the Hub, 1 ready")
        copy.rename(moved / "away")
        await window.until("has been unreadable since", "2 at the Hub, 1 ready")
        (moved / "away").rename(copy)
        while "unreadable" in "\n".join(await window.screen()):
            pass
        await window.until(str(copy), "2 at the Hub, 1 ready")
