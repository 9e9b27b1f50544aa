"""Private images in a real registry, with and without credentials: Basic authentication, and tokens over TLS."""

from pathlib import Path

import pytest

from hublaunch.launch.rules.preflight import RegistryOutcome
from tests.fakes.certificates import server_context, write_certificate
from tests.fakes.wire import WireServer
from tests.registry.asking import Names, answering, ask, client_of
from tests.registry.real import REPOSITORY, filled, htpasswd, write_config
from tests.registry.tokens import TokenServer

pytestmark = pytest.mark.registry

HOST, AUTH = "registry.example.test", "auth.example.test"


async def test_basic_authentication(tmp_path: Path) -> None:
    async with filled(tmp_path, auth=htpasswd(tmp_path)) as registry:
        right = write_config(tmp_path / "right.json", registry.name)
        wrong = write_config(tmp_path / "wrong.json", registry.name, password="wrong")
        for config, tag, outcome in (
            (None, "1", RegistryOutcome.DENIED),
            (wrong, "1", RegistryOutcome.DENIED),
            (None, "2", RegistryOutcome.DENIED),
            (right, "1", RegistryOutcome.FOUND),
            (right, "2", RegistryOutcome.ABSENT),
        ):
            async with client_of(f"{registry.name}/*", config=config) as client:
                told = await ask(client, registry.image(tag))

            assert told.outcome is outcome, (config, tag)
            assert told.digest == (registry.digest if outcome is RegistryOutcome.FOUND else None)


async def test_tokens_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = write_certificate(tmp_path, "all", HOST, AUTH)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    names, tokens = Names(**{HOST: ["127.0.0.1"], AUTH: ["127.0.0.1"]}), TokenServer(certificate, key)
    server = WireServer(answering(tokens.respond), ssl_context=server_context(certificate, key))
    auth = tokens.configuration(f"https://{AUTH}:{server.url.rpartition(':')[2]}/token")
    tls = {"certificate": str(certificate), "key": str(key)}
    async with filled(tmp_path, auth=auth, http={"tls": tls}) as registry, server:
        name = f"{HOST}:{registry.port}"
        right = write_config(tmp_path / "right.json", name)
        for config, tag, outcome in (
            (None, "1", RegistryOutcome.DENIED),
            (right, "1", RegistryOutcome.FOUND),
            (right, "2", RegistryOutcome.ABSENT),
        ):
            async with client_of(f"{name}/*", names=names, config=config) as client:
                told = await ask(client, f"{name}/{REPOSITORY}:{tag}")

            assert told.outcome is outcome, (config, tag)
            assert told.digest == (registry.digest if outcome is RegistryOutcome.FOUND else None)

    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("platforms", "outcome"),
    [
        ((), RegistryOutcome.FOUND),
        (("linux/arm64",), RegistryOutcome.FOUND),
        (("linux/s390x", "linux/amd64"), RegistryOutcome.FOUND),
        (("linux/s390x",), RegistryOutcome.WRONG_PLATFORM),
    ],
)
async def test_an_image_for_two_platforms(tmp_path: Path, platforms: tuple[str, ...], outcome: RegistryOutcome) -> None:
    async with (
        filled(tmp_path) as registry,
        client_of(f"{registry.name}/*", platforms=platforms) as client,
    ):
        told = await ask(client, registry.image())

    assert told.outcome is outcome
    assert told.platforms == (("linux/amd64", "linux/arm64") if outcome is RegistryOutcome.WRONG_PLATFORM else ())
