"""The whole API against its own document: nothing that is sent breaks it or gets an answer that is not documented."""

import asyncio
import sys
from pathlib import Path

import pytest

from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.served import Service, serve

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


async def schemathesis(service: Service, *arguments: str) -> tuple[int, str]:
    """Its exit status and what it said, run as a process of its own beside the service."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{str(service.http.base_url).rstrip('/')}/openapi.json"),
        *("--checks", CHECKS, "--max-examples", "20", "--seed", "1", "--no-shrink", "--request-timeout", "10"),
        *("--phases", "examples,coverage,fuzzing", "--no-color", "--generation-database", "none"),
        *("--warnings", "off", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@pytest.mark.parametrize("kind", ["anonymous", "hub", "key"])
async def test_nothing_that_is_sent_breaks_it_or_gets_an_undocumented_answer(
    settings: Settings, hub: FakeHub, tmp_path: Path, kind: str
) -> None:
    hub.create_user("ada")
    token = hub.tokens.add("ada", ["access:services!service=hublaunch"], "", None).token
    _, key = add_key(tmp_path / "keys.json", name="ci", may_name_user=True, is_admin=True)
    credentials = {"anonymous": (), "hub": ("-H", f"Authorization:Bearer {token}")}
    credentials["key"] = ("-H", f"Authorization:Bearer {key}")
    changed = {"access": (kind,), "api_keys_file": tmp_path / "keys.json"}
    async with serve(settings.model_copy(update=changed)) as service:
        status, said = await schemathesis(service, *credentials[kind])

    assert status == 0, said
    assert hub.asked("start_server"), "none of what was sent was a launch"
