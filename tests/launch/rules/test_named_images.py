"""Detecting that Kubernetes does not run the image that the launch asked for."""

import asyncio
import logging

import pytest

from hublaunch.hub.client import HubClient
from hublaunch.launch.errors import ImageNotFound
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.rules.named_images import other_image
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.attempted import Attempted
from tests.support.told import steps_of

ASKED = "quay.io/org/image:1.0"
DEFAULT = "quay.io/jupyterhub/k8s-singleuser-sample:4.2.0"
TOOLS = "quay.io/jupyterhub/k8s-network-tools:4.2.0"
DIGEST = f"sha256:{'0' * 64}"
NEVER_STARTED = "pod jhub/jupyter-a did not start in 300 seconds!"
TOLD = f"JupyterHub runs the image {DEFAULT}, not the image that this launch asked for"


def pulling(image: str) -> str:
    return f'2026-11-30T07:00:00.000000Z [Normal] Pulling image "{image}"'


def present(image: str) -> str:
    return f'2026-11-30 07:00:00+00:00 [Normal] Container image "{image}" already present on machine'


@pytest.mark.parametrize(
    ("asked", "told", "other"),
    [
        (ASKED, [pulling(DEFAULT)], DEFAULT),
        (ASKED, [pulling(TOOLS), present(DEFAULT)], DEFAULT),
        (ASKED, [pulling("quay.io/org/image:2.0")], "quay.io/org/image:2.0"),
        (ASKED, [pulling("quay.io/another-org-image:1.0")], "quay.io/another-org-image:1.0"),
        (f"quay.io/a/b@{DIGEST}", [pulling("quay.io/a/b:1")], "quay.io/a/b:1"),
        (ASKED, [pulling(TOOLS), present(ASKED)], None),
        (ASKED, [present(ASKED), pulling(TOOLS)], None),
        (ASKED, [pulling("mirror.example.org/quay.io/org/image:1.0")], None),
        (ASKED, [pulling(f"quay.io/org/image@{DIGEST}")], None),
        (f"quay.io/a/b:1@{DIGEST}", [pulling(f"quay.io/a/b@{DIGEST}")], None),
        ("python", [pulling("docker.io/library/python:latest")], None),
        ("python", [pulling("mirror.example.org/python:latest")], None),
        (ASKED, [f'Pulling image "{DEFAULT}"'], None),
        (ASKED, [pulling("no image at all")], None),
        (ASKED, ["Server requested"], None),
        (ASKED, [], None),
        ("", [pulling(DEFAULT)], None),
    ],
)
def test_another_image_is_noticed_if_no_event_names_the_asked_one(
    asked: str, told: list[str], other: str | None
) -> None:
    assert other_image(asked, steps_of(told)) == other


async def messages(hub: FakeHub, client: HubClient, *reports: str, fails: str | None = None) -> list[str]:
    """Return the messages of a launch whose spawn ends once the last of these reports is recorded."""
    hub.spawn_plan("alice", SpawnPlan(messages=reports, never=True))
    attempted = Attempted(hub, client)
    running = asyncio.create_task(attempted.run(request=LaunchRequest(image=ASKED)))
    await attempted.until_recorded(reports[-1].partition("] ")[2])
    if fails is None:
        hub.release("alice")
        await running
    else:
        hub.fail_spawn("alice", fails)
        with pytest.raises(ImageNotFound):
            await running
    return attempted.messages


async def test_a_launch_reports_that_the_hub_runs_another_image(
    hub: FakeHub, client: HubClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        told = await messages(hub, client, pulling(DEFAULT))

    assert told[-2:] == [TOLD, "The server is ready"]
    assert f"JupyterHub runs the image {DEFAULT} for a launch of {ASKED}" in caplog.text


async def test_a_failed_launch_reports_it_too(hub: FakeHub, client: HubClient) -> None:
    failed = f'2026-11-30T07:00:00Z [Warning] Failed to pull image "{DEFAULT}": rpc error: manifest unknown'

    assert (await messages(hub, client, failed, fails=NEVER_STARTED))[-1] == TOLD


async def test_a_launch_of_the_requested_image_reports_nothing(hub: FakeHub, client: HubClient) -> None:
    told = await messages(hub, client, pulling(TOOLS), pulling(ASKED))

    assert not any("runs the image" in message for message in told)
