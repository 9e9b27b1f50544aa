"""What each answer of a registry means."""

import hashlib
import json
from pathlib import Path

import pytest

from hublaunch.launch.rules.preflight import RegistryOutcome
from hublaunch.registry.client import BYTES_MAX
from tests.fakes.wire import Flood, Script, WireConnection, WireServer, dripping
from tests.registry.asking import (
    DIGEST,
    MANIFEST,
    UNKNOWN_MANIFEST,
    answering,
    ask,
    client_of,
    found,
    name_of,
    response,
)
from tests.registry.real import write_config

INDEX = "application/vnd.oci.image.index.v1+json"
ANSWERED = [
    pytest.param(response(429, Retry_After="60"), RegistryOutcome.BUSY, id="429"),
    pytest.param(response(500, b"oh"), RegistryOutcome.FAILED, id="500"),
    pytest.param(response(503), RegistryOutcome.FAILED, id="503"),
    pytest.param(response(401), RegistryOutcome.DENIED, id="401-without-a-challenge"),
    pytest.param(response(401, WWW_Authenticate="Negotiate"), RegistryOutcome.DENIED, id="401-by-another-scheme"),
    pytest.param(response(403), RegistryOutcome.DENIED, id="403"),
    pytest.param(response(404, UNKNOWN_MANIFEST), RegistryOutcome.ABSENT, id="404-by-a-registry"),
    pytest.param(
        response(404, b'{"errors":[{"code":"NAME_UNKNOWN"}]}'), RegistryOutcome.ABSENT, id="404-for-the-repository"
    ),
    pytest.param(response(404, b"<h1>Not Found</h1>"), RegistryOutcome.UNREADABLE, id="404-by-another-web-server"),
    pytest.param(
        response(404, b'{"errors":[{"code":"UNSUPPORTED"}]}'), RegistryOutcome.UNREADABLE, id="404-with-another-code"
    ),
    pytest.param(response(404, b'{"errors": "MANIFEST_UNKNOWN"}'), RegistryOutcome.UNREADABLE, id="404-with-no-list"),
    pytest.param(response(410, UNKNOWN_MANIFEST), RegistryOutcome.UNREADABLE, id="another-status"),
    pytest.param(response(200, b"<html>Welcome</html>"), RegistryOutcome.UNREADABLE, id="a-page"),
    pytest.param(response(200, b'{"schemaVersion":' * 9_999), RegistryOutcome.UNREADABLE, id="nested-deeply"),
    pytest.param(response(404, b"[" * 100_000), RegistryOutcome.UNREADABLE, id="404-nested-deeply"),
    pytest.param(response(200, b"\xff\x00{"), RegistryOutcome.UNREADABLE, id="bytes"),
    pytest.param(response(200, b'{"schemaVersion": 1}'), RegistryOutcome.UNREADABLE, id="a-manifest-of-version-1"),
    pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", RegistryOutcome.UNREACHABLE, id="another-protocol"),
    pytest.param(found(), RegistryOutcome.FOUND, id="a-digest"),
    pytest.param(found("sha256:short"), RegistryOutcome.UNREADABLE, id="no-digest-and-no-manifest"),
]


@pytest.mark.parametrize(("answer", "outcome"), ANSWERED)
async def test_each_answer_has_its_outcome(answer: bytes, outcome: RegistryOutcome) -> None:
    async with WireServer(answering(lambda *_: answer)) as server, client_of(f"{name_of(server)}/*") as client:
        told = await ask(client, f"{name_of(server)}/org/image:1")

    assert told.outcome is outcome
    assert told.digest == (DIGEST if outcome is RegistryOutcome.FOUND else None)


async def test_an_image_that_exists_costs_one_request_without_a_body() -> None:
    async with WireServer(answering(lambda *_: found())) as server, client_of(f"{name_of(server)}/*") as client:
        await ask(client, f"{name_of(server)}/org/image:1")

    (request,) = server.requests
    assert request.startswith(b"HEAD /v2/org/image/manifests/1 HTTP/1.1\r\n")
    assert MANIFEST.encode() in request
    assert b"authorization" not in request.lower()


async def test_without_a_digest_in_the_headers_the_manifest_is_read_and_digested() -> None:
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST}).encode()
    async with (
        WireServer(answering(lambda *_: response(200, manifest))) as server,
        client_of(f"{name_of(server)}/*") as client,
    ):
        told = await ask(client, f"{name_of(server)}/org/image:1")

    assert told.digest == f"sha256:{hashlib.sha256(manifest).hexdigest()}"


async def test_a_digest_that_is_asked_for_must_be_the_one_that_is_found() -> None:
    async with WireServer(answering(lambda *_: found())) as server, client_of(f"{name_of(server)}/*") as client:
        same = await ask(client, f"{name_of(server)}/org/image:1@{DIGEST}")
        other = await ask(client, f"{name_of(server)}/org/image@sha256:{'cd' * 32}")

    assert server.requests[0].startswith(f"HEAD /v2/org/image/manifests/{DIGEST} ".encode())
    assert same.outcome is RegistryOutcome.FOUND
    assert other.outcome is RegistryOutcome.UNREADABLE


@pytest.mark.parametrize(
    ("wanted", "outcome"),
    [
        ((), RegistryOutcome.FOUND),
        (("linux/amd64",), RegistryOutcome.FOUND),
        (("linux/arm",), RegistryOutcome.FOUND),
        (("linux/arm/v7",), RegistryOutcome.FOUND),
        (("linux/s390x", "linux/amd64"), RegistryOutcome.FOUND),
        (("linux/arm/v6",), RegistryOutcome.WRONG_PLATFORM),
        (("linux/am",), RegistryOutcome.WRONG_PLATFORM),
        (("linux/s390x",), RegistryOutcome.WRONG_PLATFORM),
        (("unknown/unknown",), RegistryOutcome.WRONG_PLATFORM),
    ],
)
async def test_an_index_must_have_one_of_the_wanted_platforms(
    wanted: tuple[str, ...], outcome: RegistryOutcome
) -> None:
    platforms = [
        {"os": "linux", "architecture": "amd64"},
        {"os": "linux", "architecture": "arm", "variant": "v7"},
        {"os": "unknown", "architecture": "unknown"},
    ]
    index = json.dumps({"schemaVersion": 2, "manifests": [{"platform": one} for one in platforms]}).encode()
    answer = response(200, index, Docker_Content_Digest=DIGEST, Content_Type=INDEX)
    async with (
        WireServer(answering(lambda *_: answer)) as server,
        client_of(f"{name_of(server)}/*", platforms=wanted) as client,
    ):
        told = await ask(client, f"{name_of(server)}/org/image:1")

    assert told.outcome is outcome
    assert told.platforms == (("linux/amd64", "linux/arm/v7") if outcome is RegistryOutcome.WRONG_PLATFORM else ())


async def test_a_manifest_of_one_platform_does_not_say_which_and_is_accepted() -> None:
    async with (
        WireServer(answering(lambda *_: found())) as server,
        client_of(f"{name_of(server)}/*", platforms=["linux/s390x"]) as client,
    ):
        told = await ask(client, f"{name_of(server)}/org/image:1")

    assert told.outcome is RegistryOutcome.FOUND


async def test_a_registry_that_takes_too_long_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hublaunch.registry.client.LOOK_S", 0.1)

    async def silent(connection: WireConnection) -> None:
        await connection.read_request()
        await connection.until_closed()

    async with WireServer(silent) as server, client_of(f"{name_of(server)}/*") as client:
        told = await ask(client, f"{name_of(server)}/org/image:1")
        await server.closed_by_client.wait()

    assert told.outcome is RegistryOutcome.SLOW


def after_head(script: Script) -> Script:
    """Return a script that refuses HEAD on the first connection, and runs the other script on the next."""

    async def run(connection: WireConnection) -> None:
        if connection._server.connections > 1:
            await script(connection)
        elif await connection.read_request():
            await connection.send(response(405, Connection="close"))

    return run


async def test_a_registry_that_sends_a_byte_at_a_time_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hublaunch.registry.client.LOOK_S", 0.3)
    drip = dripping(b"HTTP/1.1 404 Not Found\r\nContent-Length: 1000000\r\n\r\n")
    async with WireServer(after_head(drip)) as server, client_of(f"{name_of(server)}/*") as client:
        told = await ask(client, f"{name_of(server)}/org/image:1")

    assert told.outcome is RegistryOutcome.SLOW
    assert any(request.startswith(b"GET") for request in server.requests)


async def test_only_the_first_megabyte_of_a_manifest_of_100_mb_is_read() -> None:
    flood = Flood(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
    async with WireServer(after_head(flood)) as server, client_of(f"{name_of(server)}/*") as client:
        told = await ask(client, f"{name_of(server)}/org/image:1")

    assert told.outcome is RegistryOutcome.UNREADABLE
    assert any(request.startswith(b"GET") for request in server.requests)
    assert flood.sent < 24 * BYTES_MAX  # what the sockets' buffers hold comes on top


async def test_a_registry_where_nothing_listens_is_unreachable() -> None:
    async with WireServer(answering(lambda *_: found())) as server:
        name = name_of(server)
    async with client_of(f"{name}/*") as client:
        told = await ask(client, f"{name}/org/image:1")

    assert told.outcome is RegistryOutcome.UNREACHABLE


# --- credentials ------------------------------------------------------------------------------------------------------


def wants_basic(method: str, target: str, headers: dict[str, str]) -> bytes:
    return found() if "authorization" in headers else response(401, WWW_Authenticate='Basic realm="registry"')


async def test_credentials_are_sent_once_the_registry_asks_for_them(tmp_path: Path) -> None:
    async with WireServer(answering(wants_basic)) as server:
        config = write_config(tmp_path / "config.json", name_of(server))
        async with client_of(f"{name_of(server)}/*", config=config) as client:
            told = await ask(client, f"{name_of(server)}/org/image:1")

    assert told.outcome is RegistryOutcome.FOUND
    first, second = (request.lower() for request in server.requests)
    assert b"authorization" not in first
    assert b"authorization: basic " in second


async def test_credentials_of_another_registry_are_not_sent(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config.json", "quay.io", "127.0.0.1:1")
    async with (
        WireServer(answering(wants_basic)) as server,
        client_of(f"{name_of(server)}/*", config=config) as client,
    ):
        told = await ask(client, f"{name_of(server)}/org/image:1")

    assert told.outcome is RegistryOutcome.DENIED
    assert len(server.requests) == 1


async def test_wrong_credentials_are_sent_once(tmp_path: Path) -> None:
    refusal = response(401, WWW_Authenticate='Basic realm="registry"')
    async with WireServer(answering(lambda *_: refusal)) as server:
        config = write_config(tmp_path / "config.json", name_of(server))
        async with client_of(f"{name_of(server)}/*", config=config) as client:
            told = await ask(client, f"{name_of(server)}/org/image:1")

    assert told.outcome is RegistryOutcome.DENIED
    assert len(server.requests) == 2
