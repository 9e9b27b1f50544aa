"""A registry, a name or a caller that wants this service to connect to somewhere else."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from hublaunch.launch.rules.preflight import RegistryOutcome
from tests.fakes.certificates import server_context, write_certificate
from tests.fakes.wire import WireConnection, WireServer
from tests.registry.asking import Names, answering, ask, client_of, found, name_of, response
from tests.registry.real import write_config

REGISTRY, AUTH, ELSEWHERE = "registry.example.test", "auth.example.test", "elsewhere.test"


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A certificate of all hosts of these tests, which this service trusts."""
    files = write_certificate(tmp_path, "registry", REGISTRY, AUTH, ELSEWHERE)
    monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    return files


def port_of(server: WireServer) -> str:
    return server.url.rpartition(":")[2]


# --- who is asked -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["quay.io/*", "*", "*/org/*"])
async def test_a_registry_that_no_pattern_names_is_not_asked(pattern: str) -> None:
    async with WireServer(answering(lambda *_: found())) as server, client_of(pattern) as client:
        told = await ask(client, f"{name_of(server)}/org/image:1")

    assert told.outcome is RegistryOutcome.NOT_NAMED
    assert server.connections == 0


async def test_a_name_is_not_even_resolved_unless_a_pattern_names_it() -> None:
    names = Names(evil_test=["127.0.0.1"])
    async with client_of("quay.io/*", names=names) as client:
        await ask(client, "evil.test/org/image:1")

    assert names.asked == []


async def test_a_registry_is_asked_over_tls() -> None:
    async def plain(connection: WireConnection) -> None:
        await connection.send(found())

    names = Names(**{REGISTRY: ["127.0.0.1"]})
    async with WireServer(plain) as server:
        registry = f"{REGISTRY}:{port_of(server)}"
        async with client_of(f"{registry}/*", names=names) as client:
            told = await ask(client, f"{registry}/org/image:1")

    assert told.outcome is RegistryOutcome.UNREACHABLE
    assert server.requests == []


@pytest.mark.parametrize("registry", ["localhost", "10.0.0.1:5000", "registry.localhost:5000"])
async def test_plain_http_is_only_for_a_loopback_host_with_its_port(registry: str) -> None:
    names = Names(**{"localhost": [], "registry.localhost": []})
    urls = []
    async with client_of(f"{registry}/*", names=names) as client:

        async def note(request: object) -> None:
            urls.append(str(getattr(request, "url")))  # noqa: B009
            raise OSError

        client.transport.handle_async_request = note  # type: ignore[method-assign,assignment]
        with pytest.raises(OSError):  # noqa: PT011
            await ask(client, f"{registry}/org/image:1")

    assert urls[0].startswith(f"https://{registry}/")


async def test_a_certificate_of_another_host_ends_the_look(trusted: tuple[Path, Path]) -> None:
    names = Names(**{"other.test": ["127.0.0.1"]})
    async with WireServer(answering(lambda *_: found()), ssl_context=server_context(*trusted)) as server:
        registry = f"other.test:{port_of(server)}"
        async with client_of(f"{registry}/*", names=names) as client:
            told = await ask(client, f"{registry}/org/image:1")

    assert told.outcome is RegistryOutcome.UNREACHABLE
    assert server.requests == []


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["10.0.0.7"], ["169.254.169.254"], ["3.220.246.207", "127.0.0.1"]]
)
async def test_a_name_below_a_named_domain_does_not_lead_into_the_cluster(
    trusted: tuple[Path, Path], addresses: list[str]
) -> None:
    names = Names(**{REGISTRY: addresses})
    async with WireServer(answering(lambda *_: found()), ssl_context=server_context(*trusted)) as server:
        registry = f"{REGISTRY}:{port_of(server)}"
        async with client_of(f"*.example.test:{port_of(server)}/*", names=names) as client:
            told = await ask(client, f"{registry}/org/image:1")

    assert told.outcome is RegistryOutcome.FORBIDDEN_ADDRESS
    assert server.connections == 0


async def test_a_registry_named_in_full_may_be_in_the_cluster(trusted: tuple[Path, Path]) -> None:
    names = Names(**{REGISTRY: ["127.0.0.1"]})
    async with WireServer(answering(lambda *_: found()), ssl_context=server_context(*trusted)) as server:
        registry = f"{REGISTRY}:{port_of(server)}"
        async with client_of(f"{registry}/*", names=names) as client:
            told = await ask(client, f"{registry}/org/image:1")

    assert told.outcome is RegistryOutcome.FOUND


async def test_the_address_that_was_checked_is_the_one_connected_to(trusted: tuple[Path, Path]) -> None:
    """A name whose answer changes between two lookups is looked up once for each connection, and checked then."""

    class Rebinding(Names):
        async def __call__(self, host: str) -> Sequence[str]:
            found = await super().__call__(host)
            self.addresses[REGISTRY] = ["10.0.0.7"]
            return found

    names = Rebinding(**{REGISTRY: ["127.0.0.1"]})
    async with WireServer(answering(lambda *_: found()), ssl_context=server_context(*trusted)) as server:
        registry = f"{REGISTRY}:{port_of(server)}"
        async with client_of(f"{registry}/*", names=names) as client:
            told = await ask(client, f"{registry}/org/image:1")

    assert told.outcome is RegistryOutcome.FOUND
    assert names.asked == [REGISTRY]


@pytest.mark.parametrize("registry", ["169.254.169.254:80", "[fe80::1]:80", "169.254.169.254"])
async def test_a_link_local_address_is_never_asked_although_a_pattern_names_it(registry: str) -> None:
    async with client_of(f"{registry}/*") as client:
        told = await ask(client, f"{registry}/org/image:1")

    assert told.outcome is RegistryOutcome.FORBIDDEN_ADDRESS


async def test_a_number_that_the_system_reads_as_an_address_is_checked_too() -> None:
    names = Names(**{"2130706433.example.test": ["127.0.0.1"]})
    async with client_of("*.example.test:5000/*", names=names) as client:
        told = await ask(client, "2130706433.example.test:5000/org/image:1")

    assert told.outcome is RegistryOutcome.FORBIDDEN_ADDRESS


# --- redirects --------------------------------------------------------------------------------------------------------


async def test_a_redirect_within_the_registry_is_followed() -> None:
    def respond(method: str, target: str, headers: dict[str, str]) -> bytes:
        return found() if target == "/moved" else response(307, Location="/moved")

    async with WireServer(answering(respond)) as server, client_of(f"{name_of(server)}/*") as client:
        told = await ask(client, f"{name_of(server)}/org/image:1")

    assert told.outcome is RegistryOutcome.FOUND


@pytest.mark.parametrize("kind", ["another host", "another port", "https", "user", "endless", "garbage"])
async def test_a_redirect_to_elsewhere_is_not_followed(kind: str) -> None:
    async with WireServer(answering(lambda *_: found())) as other:

        def respond(method: str, target: str, headers: dict[str, str]) -> bytes:
            locations = {
                "another host": other.url.replace("127.0.0.1", "localhost"),
                "another port": f"{other.url}/v2/org/image/manifests/1",
                "https": f"https://{name_of(server)}/",
                "user": f"http://evil@{name_of(server)}/",
                "endless": target,
                "garbage": "http://[",
            }
            return response(302, Location=locations[kind])

        async with WireServer(answering(respond)) as server, client_of(f"{name_of(server)}/*", "*/x") as client:
            told = await ask(client, f"{name_of(server)}/org/image:1")

    assert told.outcome is RegistryOutcome.ELSEWHERE
    assert other.connections == 0
    assert len(server.requests) <= 4


async def test_a_redirect_gets_no_credentials_of_another_host(tmp_path: Path) -> None:
    def respond(method: str, target: str, headers: dict[str, str]) -> bytes:
        if "authorization" in headers:
            return response(302, Location=f"{other.url}/")
        return response(401, WWW_Authenticate='Basic realm="r"')

    async with WireServer(answering(lambda *_: found())) as other, WireServer(answering(respond)) as server:
        config = write_config(tmp_path / "config.json", name_of(server))
        async with client_of(f"{name_of(server)}/*", config=config) as client:
            told = await ask(client, f"{name_of(server)}/org/image:1")

    assert told.outcome is RegistryOutcome.ELSEWHERE
    assert other.connections == 0


# --- realms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("realm", ["http", "elsewhere", "user", "none", "garbage"])
async def test_a_token_is_not_fetched_from_elsewhere(trusted: tuple[Path, Path], tmp_path: Path, realm: str) -> None:
    names = Names(**{REGISTRY: ["127.0.0.1"], AUTH: ["127.0.0.1"], ELSEWHERE: ["127.0.0.1"]})
    context = server_context(*trusted)
    async with WireServer(answering(lambda *_: response(200, b'{"token":"t"}')), ssl_context=context) as tokens:
        realms = {
            "http": f"http://{AUTH}:{port_of(tokens)}/token",
            "elsewhere": f"https://{ELSEWHERE}:{port_of(tokens)}/token",
            "user": f"https://evil@{AUTH}:{port_of(tokens)}/token",
            "none": "",
            "garbage": "https://[",
        }
        refusal = response(401, WWW_Authenticate=f'Bearer realm="{realms[realm]}",service="s"')
        async with WireServer(answering(lambda *_: refusal), ssl_context=context) as server:
            registry = f"{REGISTRY}:{port_of(server)}"
            config = write_config(tmp_path / "config.json", registry)
            async with client_of(f"{registry}/*", f"{ELSEWHERE}/*", names=names, config=config) as client:
                told = await ask(client, f"{registry}/org/image:1")

    assert told.outcome is RegistryOutcome.ELSEWHERE
    assert tokens.connections == 0


async def test_the_realm_of_a_registry_that_is_not_named_in_full_must_have_a_public_address(
    trusted: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(**{REGISTRY: ["127.0.0.1"], AUTH: ["127.0.0.1"]})
    monkeypatch.setattr("hublaunch.registry.hosts.NamedHosts.may_be_private", lambda _, host: host == REGISTRY)
    context = server_context(*trusted)
    async with WireServer(answering(lambda *_: response(200, b'{"token":"t"}')), ssl_context=context) as tokens:
        refusal = response(401, WWW_Authenticate=f'Bearer realm="https://{AUTH}:{port_of(tokens)}/token"')
        async with WireServer(answering(lambda *_: refusal), ssl_context=context) as server:
            registry = f"{REGISTRY}:{port_of(server)}"
            async with client_of(f"{registry}/*", names=names) as client:
                told = await ask(client, f"{registry}/org/image:1")

    assert told.outcome is RegistryOutcome.FORBIDDEN_ADDRESS
    assert tokens.connections == 0


# --- tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (response(200, b'{"token": "t0k3n"}'), RegistryOutcome.FOUND),
        (response(200, b'{"access_token": "t0k3n"}'), RegistryOutcome.FOUND),
        (response(200, b'{"token": "a\\r\\nX-Evil: 1"}'), RegistryOutcome.UNREADABLE),
        (response(200, b'{"token": 7}'), RegistryOutcome.UNREADABLE),
        (response(200, b"[]"), RegistryOutcome.UNREADABLE),
        (response(200, b"<html>"), RegistryOutcome.UNREADABLE),
        (response(200, b"[" * 100_000), RegistryOutcome.UNREADABLE),
        (response(200, b'{"token": "' + b"t" * 20_000 + b'"}'), RegistryOutcome.UNREADABLE),
        (response(302, Location="/elsewhere"), RegistryOutcome.ELSEWHERE),
        (response(401), RegistryOutcome.DENIED),
        (response(403), RegistryOutcome.DENIED),
        (response(404), RegistryOutcome.UNREADABLE),
        (response(429), RegistryOutcome.BUSY),
        (response(500), RegistryOutcome.FAILED),
    ],
)
async def test_a_token_server_may_say_anything(
    trusted: tuple[Path, Path], answer: bytes, outcome: RegistryOutcome
) -> None:
    names = Names(**{REGISTRY: ["127.0.0.1"], AUTH: ["127.0.0.1"]})
    context = server_context(*trusted)
    async with WireServer(answering(lambda *_: answer), ssl_context=context) as tokens:
        challenge = f'Bearer realm="https://{AUTH}:{port_of(tokens)}/token?a=b",service="s p",scope="repository:*:*"'

        def respond(method: str, target: str, headers: dict[str, str]) -> bytes:
            is_known = headers.get("authorization") == "bearer t0k3n"
            return found() if is_known else response(401, WWW_Authenticate=challenge)

        async with WireServer(answering(respond), ssl_context=context) as server:
            registry = f"{REGISTRY}:{port_of(server)}"
            async with client_of(f"{registry}/*", names=names) as client:
                told = await ask(client, f"{registry}/org/image:1")

    assert told.outcome is outcome
    (request,) = tokens.requests
    assert request.startswith(b"GET /token?a=b&service=s+p&scope=repository%3Aorg%2Fimage%3Apull HTTP/1.1\r\n")
