"""A guard on the cost of a launch: calls of Python functions, as a ratio to bare aiohttp's in the same run.

Calls vary far less than seconds do. The library had 1.35 on a very busy machine, where events arrive in more and
smaller reads. The service had 4.75 to 5.0 while it called the Hub through aiohttp. The limits are a little above.
Raise them if you make a launch more expensive on purpose. `make bench` measures the time that the calls take.
"""

import cProfile
import json
from pathlib import Path

from benchmarks.drivers import calls
from benchmarks.launches import drive
from hublaunch.settings import Settings
from tests.support.programs import fake_hub, process
from tests.support.served import serve
from tests.support.sqlite import migrated

LAUNCHES = 50


async def calls_by(driver: str) -> float:
    """Return the function calls per launch of this driver, which runs in a process of its own."""
    return float((await drive(driver, LAUNCHES, "--count"))["calls"])


async def calls_in_the_service(tmp_path: Path) -> float:
    """Return the function calls per launch of the service, on asyncio's own loop. All others are in other processes."""
    async with fake_hub("--spawn-s", "1", "--events", "5", "--slow-spawn-timeout", "0") as hub:
        settings = Settings(
            hub_url=hub["url"],
            hub_api_token=hub["token"],
            allowed_images=("*",),
            max_concurrent_spawns=1000,
            database_url=migrated(tmp_path / "hublaunch.sqlite"),
        )
        async with (
            serve(settings) as service,
            process(
                *("benchmarks.drivers", "service", "--launches", str(LAUNCHES)),
                stdin=json.dumps({"url": str(service.http.base_url)}),
            ) as client,
        ):
            assert client.stdout
            assert await client.stdout.readline() == b"warm\n"
            with cProfile.Profile() as profile:
                assert json.loads(await client.stdout.readline())
    return calls(profile) / LAUNCHES


async def test_a_launch_by_the_library_makes_few_more_calls_than_bare_aiohttp() -> None:
    ratio = await calls_by("library") / await calls_by("aiohttp")

    assert ratio < 1.55


async def test_a_launch_by_the_service_makes_only_a_few_times_as_many_calls_as_bare_aiohttp(tmp_path: Path) -> None:
    ratio = await calls_in_the_service(tmp_path) / await calls_by("aiohttp")

    assert ratio < 5.4
