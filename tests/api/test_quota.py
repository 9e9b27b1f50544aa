"""Quotas of API keys."""

import asyncio
from pathlib import Path

from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import BODY, serve


async def test_each_key_has_its_own_quota_or_none(settings: Settings, hub: FakeHub, tmp_path: Path) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    path = tmp_path / "keys.json"
    keys = {name: add_key(path, name=name, max_active=most)[1] for name, most in (("a", 1), ("b", 2), ("c", None))}
    async with serve(settings, access=("key",), api_keys_file=path) as service:

        async def accepted(key: str) -> int:
            headers = {"Authorization": f"Bearer {key}"}
            answers = await asyncio.gather(
                *(service.http.post("/launch", json=BODY, headers=headers) for _ in range(5))
            )
            return [answer.status_code for answer in answers].count(202)

        counts = dict(zip(keys, await asyncio.gather(*map(accepted, keys.values())), strict=True))

    assert counts == {"a": 1, "b": 2, "c": 5}
