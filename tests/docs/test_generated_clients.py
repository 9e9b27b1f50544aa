"""Clients that generators make from the OpenAPI document compile strictly, and launch with the programs of the docs."""

import asyncio
import os
import re
import shlex
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from tests.docs.pages import DOCS, TESTED, blocks
from tests.fakes.hub import FakeHub
from tests.support.node import PACKAGES, run
from tests.support.served import PREFIXES, Service, serve

PAGE = DOCS / "generated-clients.md"
STRICT = ("--strict", "--noUncheckedIndexedAccess", "--skipLibCheck", "--target", "es2022", "--module", "esnext")
"""For `tsc`, which checks the generated files as well as the program, but not the declarations that come with it."""
MYPY = """
[mypy]
[mypy-hublaunch_api.client]
# The generator passes *args of __exit__ on as objects, whatever the document says.
disable_error_code = arg-type
[mypy-httpx._main]
# Checking httpx's command line, with rich, click and pygments, takes as long as all the rest.
follow_imports = skip
"""
FOLLOW = """
import sys
from hublaunch_api import Client
from hublaunch_api.api.launch import follow_launch

url, launch_id = sys.argv[1:]
print(follow_launch.sync(launch_id, client=Client(base_url=url)))
"""


def program(name: str, service: Service) -> str:
    """Return the one program of the page that has `name` in it, with the address of this service."""
    (text,) = [block.text for block in blocks(PAGE) if block.mark == TESTED and name in block.text]
    return text.replace("https://hub.example.org/services/hublaunch", str(service.http.base_url).rstrip("/"))


def arguments(command: str) -> list[str]:
    """Return the arguments that the page gives to a generator."""
    (text,) = [block.text for block in blocks(PAGE) if block.language == "sh" and command in block.text]
    return shlex.split(text.partition(f"{command} ")[2])


@pytest.fixture
def key(tmp_path: Path) -> str:
    """Return an API key of the service."""
    return add_key(tmp_path / "keys.json", name="ci")[1]


@pytest.fixture
async def service(settings: Settings, key: str, tmp_path: Path) -> AsyncGenerator[Service]:
    """Serve below a prefix, which belongs to the base URL of a client."""
    settings = settings.model_copy(update={"access": ("anonymous", "key"), "prefix": PREFIXES[0]})
    async with serve(settings, api_keys_file=tmp_path / "keys.json") as service:
        yield service


@pytest.fixture
async def directory(service: Service, tmp_path: Path) -> Path:
    """Return a directory with the document of the running service, and the packages from npm."""
    (tmp_path / "openapi.json").write_bytes((await service.http.get("/openapi.json")).content)
    (tmp_path / "node_modules").symlink_to(PACKAGES / "node_modules")
    return tmp_path


async def python(*arguments: str, cwd: Path, token: str = "") -> str:
    """Run Python, and return its output. If it fails, the AssertionError has the output."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the generator calls ruff
    variables = os.environ | {"PATH": path, "NO_PROXY": "127.0.0.1", "HUBLAUNCH_TOKEN": token}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=cwd, env=variables, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


async def node(directory: Path) -> str:
    """Compile `program.ts` strictly, run it, and return its output."""
    checks = (*STRICT, "--noEmit", "--moduleResolution", "bundler", "--lib", "es2022,dom,dom.iterable")
    await run("typescript/bin/tsc", *checks, "program.ts", cwd=directory)
    bundle = ("--bundle", "--format=esm", "--platform=node", "--outfile=program.mjs")
    await run("esbuild/bin/esbuild", "program.ts", *bundle, cwd=directory)
    return await run(str(directory / "program.mjs"), cwd=directory)


async def assert_launched_and_stopped(said: str, hub: FakeHub) -> None:
    """Check that the program followed one launch to its server, and stopped the server."""
    first, *_, last = said.strip().splitlines()
    assert first.startswith("waiting Accepted")
    assert re.fullmatch(rf"ready The server is ready {re.escape(hub.url)}user/\S+\?token=\S+", last)
    assert len(hub.asked("start_server")) == 1
    async with asyncio.timeout(10):
        await hub.until(lambda: not hub.active_servers)


async def test_the_client_of_openapi_python_client(directory: Path, service: Service, hub: FakeHub, key: str) -> None:
    generate = arguments("openapi-python-client generate")
    (directory / "program.py").write_text(program("hublaunch_api", service))
    (directory / "mypy.ini").write_text(MYPY)

    await python("-m", "openapi_python_client", "generate", *generate, "--fail-on-warning", cwd=directory)
    await python("-m", "mypy", "--strict", "hublaunch_api", "program.py", cwd=directory)
    said = await python("program.py", cwd=directory, token=key)

    await assert_launched_and_stopped(said, hub)
    assert not list((directory / "hublaunch_api" / "models").glob("*[0-9].py"))
    another = await service.launch()
    stream = await python("-c", FOLLOW, str(service.http.base_url), another["id"], cwd=directory)
    assert '"phase":"ready"' in stream


async def test_the_client_of_openapi_typescript_and_openapi_fetch(
    directory: Path, service: Service, hub: FakeHub
) -> None:
    (directory / "program.ts").write_text(program("openapi-fetch", service))

    await run("openapi-typescript/bin/cli.js", *arguments("npx openapi-typescript"), cwd=directory)
    said = await node(directory)

    await assert_launched_and_stopped(said, hub)


async def test_the_client_of_hey_api(directory: Path, service: Service, hub: FakeHub) -> None:
    (directory / "program.ts").write_text(program("client.gen", service))

    await run("@hey-api/openapi-ts/bin/run.js", *arguments("npx openapi-ts"), cwd=directory)
    said = await node(directory)

    await assert_launched_and_stopped(said, hub)
    types = (directory / "hublaunch" / "types.gen.ts").read_text()
    assert not re.findall(r"export type \w*\d+ ", types)
