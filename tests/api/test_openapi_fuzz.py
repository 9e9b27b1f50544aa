"""The API against its OpenAPI document: random requests get only documented answers."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.catalogue import catalogue_in
from tests.support.invitations import invited
from tests.support.served import Service, serve

pytestmark = pytest.mark.thorough

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


DRAIN = "setDrain"
"""Asked last, because a service that drains refuses every launch with 503."""


async def document_without_schemas_of_streams(service: Service) -> str:
    """Return the document with `itemSchema` alone for streams.

    Generators of clients read `schema` as the type of one event. Schemathesis reads it as the type of the list of all
    events.
    """
    document = (await service.http.get("/openapi.json")).json()
    document["components"]["schemas"]["LaunchRequest"]["examples"].append({"environment": "scipy"})
    for operations in document["paths"].values():
        for operation in operations.values():
            for answer in operation["responses"].values():
                for media_type in answer.get("content", {}).values():
                    if "itemSchema" in media_type:
                        del media_type["schema"]
    return json.dumps(document)


async def schemathesis(service: Service, document: Path, *arguments: str) -> tuple[int, str]:
    """Run schemathesis as a process, and return its exit status and output."""
    text = await document_without_schemas_of_streams(service)
    await asyncio.to_thread(document.write_text, text)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", str(document), "--url", str(service.http.base_url)),
        *("--checks", CHECKS, "--max-examples", "20", "--seed", "1", "--no-shrink", "--request-timeout", "10"),
        *("--phases", "examples,coverage,fuzzing", "--no-color", "--generation-database", "none"),
        *("--warnings", "off", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@pytest.mark.parametrize("kind", ["anonymous", "hub", "invitation", "key"])
async def test_random_requests_get_documented_answers(
    settings: Settings, hub: FakeHub, tmp_path: Path, kind: str
) -> None:
    token = hub.token_of("ada")
    _, key = add_key(tmp_path / "keys.json", name="ci", may_name_user=True, is_admin=True)
    credentials = {"anonymous": (), "hub": ("-H", f"Authorization:Bearer {token}")}
    credentials["key"] = ("-H", f"Authorization:Bearer {key}")
    credentials["invitation"] = ("-H", f"Authorization:Bearer {invited(settings.database_url)}")
    files = {"api_keys_file": tmp_path / "keys.json", "catalogue_file": catalogue_in(tmp_path)}
    changed = {"access": (kind,), **files}
    async with serve(settings.model_copy(update=changed)) as service:
        document = tmp_path / "openapi.json"
        others = await schemathesis(service, document, *credentials[kind], "--exclude-operation-id", DRAIN)
        drain = await schemathesis(service, document, *credentials[kind], "--include-operation-id", DRAIN)

    assert (others[0], drain[0]) == (0, 0), others[1] + drain[1]
    assert hub.asked("start_server"), "no request was accepted as a launch"
