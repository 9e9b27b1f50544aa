"""Whether the files of the repository are in a server that has just become ready."""

import math
from dataclasses import replace
from typing import Any

import pytest

from hublaunch.hub.client import HubClient
from hublaunch.launch.course.content import NO_NBGITPULLER
from hublaunch.launch.model import Content, LaunchRequest, Status
from tests.fakes.hub import FakeHub
from tests.support.attempted import ATTEMPT, REQUEST, Attempted

PULLED = replace(REQUEST, content=Content.NBGITPULLER, opens="lab")
FETCHED = replace(REQUEST, content=Content.SPAWNER, opens="lab", ref="v1")
NOTE = "api/contents/b/CONTENT-FAILED.md"


async def fault_of(attempted: Attempted, request: LaunchRequest) -> str | None:
    """Run the attempt, and return the fault that the event `ready` names."""
    await attempted.run(request=request)
    ready = attempted.steps[-1]
    assert ready.phase is Status.READY
    assert ready.message == "The server is ready" + (
        f", but without the repository. {ready.content_fault}" if ready.content_fault else ""
    )
    return ready.content_fault


async def test_an_image_without_nbgitpuller_is_ready_and_says_so(hub: FakeHub, attempted: Attempted) -> None:
    assert await fault_of(attempted, PULLED) == NO_NBGITPULLER


async def test_nbgitpuller_asks_for_a_repository_where_it_is_installed(hub: FakeHub, attempted: Attempted) -> None:
    hub.pages["git-pull"] = (400, {"message": "Missing argument repo"})

    assert await fault_of(attempted, PULLED) is None


@pytest.mark.parametrize("answer", [403, 302, 200, 500])
async def test_any_other_answer_proves_nothing(hub: FakeHub, attempted: Attempted, answer: int) -> None:
    hub.pages["git-pull"] = (answer, {})

    assert await fault_of(attempted, PULLED) is None


@pytest.mark.parametrize("fault", [{"how": "reset"}, {"status": 503}, {"how": "hang"}, {"body": b"x" * 20_000}])
async def test_a_server_that_does_not_answer_in_time_opens_through_nbgitpuller(
    hub: FakeHub, attempted: Attempted, fault: dict[str, Any]
) -> None:
    hub.fail_on("read_server", times=math.inf, **fault)

    assert await fault_of(attempted, PULLED) is None


async def test_the_spawner_gets_ref_and_folder_only_if_it_is_to_fetch_the_repository(
    hub: FakeHub, attempted: Attempted
) -> None:
    assert await fault_of(attempted, FETCHED) is None

    options = hub.users["alice"].servers[""].user_options or {}
    assert (options["repo_url"], options["ref"], options["content_dir"]) == (REQUEST.repo_url, "v1", "b")


@pytest.mark.parametrize("request_", [REQUEST, PULLED])
async def test_a_spawner_that_fetches_nothing_gets_no_folder(
    hub: FakeHub, attempted: Attempted, request_: LaunchRequest
) -> None:
    await attempted.run(request=request_)

    assert "content_dir" not in (hub.users["alice"].servers[""].user_options or {})


async def test_the_spawners_note_says_why_the_files_are_missing(hub: FakeHub, attempted: Attempted) -> None:
    hub.pages[NOTE] = (200, {"content": "# Not here\n\nfatal: https://ada:secret@example.org/a is gone\n"})

    assert await fault_of(attempted, FETCHED) == "# Not here fatal: https://example.org/a is gone"


@pytest.mark.parametrize("page", [[], {}, {"content": None}, {"content": ""}, {"content": [1]}, "x" * 20_000])
async def test_an_unreadable_note_is_not_a_fault(hub: FakeHub, attempted: Attempted, page: object) -> None:
    hub.pages[NOTE] = (200, page)

    assert await fault_of(attempted, FETCHED) is None


@pytest.mark.parametrize("mode", ["none", "user_options"])
async def test_a_server_is_asked_only_with_a_token_of_the_launch(hub: FakeHub, client: HubClient, mode: str) -> None:
    attempted = Attempted(hub, client, token_mode=mode)

    assert await fault_of(attempted, PULLED) is None
    assert len(hub.asked("read_server")) == (mode == "user_options")


async def test_the_token_goes_to_no_other_host(hub: FakeHub, client: HubClient) -> None:
    hub.create_user("alice")
    await hub.start_server("alice", "", {})

    answers = [
        await client.read_server(ATTEMPT.username, "", url, "git-pull", token="secret")
        for url in ("http://elsewhere.test/user/alice/", f"{hub.url}user/bob/", f"{hub.url}elsewhere/")
    ]

    assert answers == [None, None, None]
    assert hub.asked("read_server") == []
