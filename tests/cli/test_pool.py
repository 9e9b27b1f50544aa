"""`hublaunch pool`: the warm pools, from the database of a running service."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from hublaunch.settings import Settings
from tests.cli.commands import Ended, in_thread
from tests.support.served import Service, serve
from tests.support.warm import write_warm


@pytest.fixture
async def warm(settings: Settings, tmp_path: Path) -> AsyncGenerator[Service]:
    """A service that keeps one server of `scipy` warm."""
    path = tmp_path / "catalogue.yaml"
    write_warm(path, "{keep: 1}")
    changes = {"catalogue_file": path, "audit_log": tmp_path / "audit.jsonl"}
    async with serve(settings.model_copy(update=changes)) as service:
        yield service


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> "Run":
    return Run(settings, tmp_path)


class Run:
    """Runs `hublaunch pool` with the settings of the service."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self._variables = {
            "LAUNCHER_HUB_URL": settings.hub_url,
            "LAUNCHER_HUB_API_TOKEN": settings.hub_api_token.get_secret_value(),
            "LAUNCHER_DATABASE_URL": settings.database_url,
            "LAUNCHER_CATALOGUE_FILE": str(directory / "catalogue.yaml"),
            "LAUNCHER_AUDIT_LOG": str(directory / "audit.jsonl"),
        }
        self.audit = directory / "audit.jsonl"

    async def __call__(self, *arguments: str) -> Ended:
        return await in_thread("pool", *arguments, **self._variables)

    async def state(self) -> dict[str, object]:
        [state] = json.loads((await self("list", "--json")).out)
        assert isinstance(state, dict)
        return state

    async def until(self, **expected: object) -> dict[str, object]:
        """Return the pool once it has these values."""
        while True:
            state = await self.state()
            if expected.items() <= state.items():
                return state


async def test_a_pool_is_listed_with_its_servers_and_its_hits(warm: Service, run: Run) -> None:
    await run.until(wanted=1, ready=1, waits_for=None)

    accepted = (await warm.http.post("/launch", json={"environment": "scipy"})).json()
    await warm.events(accepted["events_url"])
    state = await run.until(ready=1)
    listed = await run("list")

    assert (state["pool"], state["hits"], state["misses"], state["is_drained"]) == ("scipy", 1, {}, False)
    heading, row = listed.out.splitlines()
    assert " ".join(heading.split()) == "POOL WANTED READY STARTING RETIRING HITS MISSES LOST WASTED REFILL"
    assert " ".join(row.split()) == "scipy 1 1 0 0 1 0 0 0 s -"


async def test_a_drained_pool_stays_empty_until_it_is_filled(warm: Service, run: Run) -> None:
    await run.until(ready=1)

    drained = await run("drain", "scipy")
    empty = await run.until(ready=0, retiring=0)
    filled = await run("fill", "scipy")
    await run.until(ready=1)

    assert drained.out == "scipy is drained. Servers that are being stopped: 1.\n"
    assert (empty["wanted"], empty["starting"], empty["waits_for"]) == (0, 0, "operator")
    assert filled.out == "scipy is being filled.\n"
    orders = [record for line in run.audit.read_text().splitlines() if "pool" in (record := json.loads(line))]
    assert [(each["action"], each["pool"], each.get("retired")) for each in orders] == [
        ("pool_drained", "scipy", 1),
        ("pool_filled", "scipy", None),
    ]


async def test_an_unknown_pool_is_refused_with_the_names_of_those_that_exist(warm: Service, run: Run) -> None:
    refused = await run("drain", "sicpy")

    assert refused.status == 1
    assert "there is no warm pool of this name. The pools are: scipy" in refused.err


async def test_without_a_warm_pool_the_list_says_so(service: Service, run: Run, tmp_path: Path) -> None:
    write_warm(tmp_path / "catalogue.yaml", "null")

    assert (await run("list")).out.startswith("There is no warm pool")
    assert (await run("list", "--json")).out == "[]\n"
