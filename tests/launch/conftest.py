"""A store, the core on it, and a browser's reading of URLs."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Generator
from functools import partial
from pathlib import Path

import pytest

from hublaunch.demo.proxy import node_and_npm
from hublaunch.hub.client import HubClient
from hublaunch.store.sql import SqlLaunchStore
from tests.fakes.hub import FakeHub
from tests.support.launching import SEALER, Launching, OpenCore, launching
from tests.support.sqlite import migrated


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlLaunchStore]:
    async with SqlLaunchStore(migrated(tmp_path / "l.sqlite"), sealer=SEALER) as store, asyncio.timeout(30):
        yield store


@pytest.fixture
def open_core(hub: FakeHub, client: HubClient, store: SqlLaunchStore) -> OpenCore:
    """Return `launching` for the Hub and the store of the test; it takes the same options."""
    return partial(launching, hub, client, store)


@pytest.fixture
async def core(open_core: OpenCore) -> AsyncIterator[Launching]:
    async with open_core() as core:
        yield core


@pytest.fixture(scope="module")
def opens() -> Generator[Callable[[str], str]]:
    """Return a function that parses a URL with Node.js, which does it as browsers do (https://url.spec.whatwg.org/)."""
    program = (
        "require('readline').createInterface({input: process.stdin})"
        ".on('line', line => console.log(JSON.stringify(new URL(JSON.parse(line)).href)))"
    )
    node, _ = node_and_npm()
    with subprocess.Popen([node, "-e", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        written, read = process.stdin, process.stdout

        def ask(url: str) -> str:
            written.write(json.dumps(url) + "\n")
            written.flush()
            href: str = json.loads(read.readline())
            return href

        yield ask
        written.close()
