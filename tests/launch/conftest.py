"""A store, and a browser's reading of URLs."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Generator
from pathlib import Path

import pytest

from hublaunch.demo.proxy import node_and_npm
from hublaunch.store.sql import SqlLaunchStore
from tests.support.launching import SEALER


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlLaunchStore]:
    async with SqlLaunchStore(f"sqlite:///{tmp_path}/l.sqlite", sealer=SEALER) as store, asyncio.timeout(30):
        yield store


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
