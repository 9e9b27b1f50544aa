"""A real JupyterHub whose spawner repeats itself, as batchspawner does, and then says nothing more."""

from pathlib import Path
from typing import Any

import pytest

from hublaunch.launch.pace import Pace
from hublaunch.settings import Settings
from tests.fakes.spawn_plan import OPTION
from tests.hubs.process import RealHub
from tests.support.served import read_events, serve
from tests.support.sqlite import migrated

pytestmark = [pytest.mark.real_hub, pytest.mark.timeout(120)]

TWO_SECONDS = Pace(stalls_s=0.1, stalled_least_s=2, stalled_default_s=2)
PENDING = "Pending in queue..."


async def test_a_spawner_that_repeats_itself_fills_no_log_and_its_silence_is_reported(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    with RealHub() as hub:
        settings = Settings(
            hub_url=hub.url,
            hub_api_token=hub.api_token,
            allowed_images=("*",),
            allowed_extra_args=(OPTION,),
            preflight="off",
            database_url=migrated(tmp_path / "hublaunch.sqlite"),
        )
        plan = {"messages": [{"message": PENDING}] * 40, "seconds": 1, "never": True}
        async with serve(settings, pace=TWO_SECONDS) as service:
            launch = await service.launch(extra_args={OPTION: plan})
            secret = {"X-Launch-Secret": launch["secret"]}
            async with service.http.stream("GET", launch["events_url"], headers=secret) as stream:
                async for event in read_events(stream):
                    told.append(event)
                    if "stalled_since" in event:
                        break
            await service.cancel(launch)

    assert [event["message"] for event in told] == [
        "Accepted",
        "Asking JupyterHub for a server",
        "Server requested",
        PENDING,
        "Waiting for a machine for 1 minute. The server is in the cluster's queue.",
    ]
    assert told[-1]["stalled_since"] == told[-2]["at"]
