"""The real Hub for tests shows why it does not start, and leaves nothing behind."""

import asyncio
import sys
from pathlib import Path

import httpx
import pytest

from tests.hubs.process import RealHub

_ROOT = Path(__file__).parents[2]
_TELL_AND_WAIT = """
from tests.hubs.process import RealHub
with RealHub() as hub:
    print(hub.url, flush=True)
    input()
"""


def test_a_hub_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'No module named jupyterhub'\nexit 1\n")
    python.chmod(0o700)

    with (
        pytest.raises(RuntimeError, match=r"did not start\. Its log:\nNo module named jupyterhub"),
        RealHub(python=str(python)),
    ):
        pass


@pytest.mark.real_hub
async def test_a_hub_ends_even_when_the_tests_are_killed() -> None:
    tests = await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", _TELL_AND_WAIT],
        cwd=_ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert tests.stdout is not None
    async with asyncio.timeout(40):
        url = (await tests.stdout.readline()).decode().strip()
    async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as client:
        assert (await client.get("hub/api/")).status_code == 200

        tests.kill()
        await tests.wait()

        async with asyncio.timeout(10):
            await _until_refused(client)


async def _until_refused(client: httpx.AsyncClient) -> None:
    while True:
        try:
            await client.get("hub/api/", headers={"Connection": "close"})
        except httpx.TransportError:
            return
        await asyncio.sleep(0.01)
