"""Whatever a registry says, and whatever image is asked for, a lookup ends with an answer."""

import json
from collections.abc import Mapping
from dataclasses import replace

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hublaunch.launch.rules.image import ImageReference
from hublaunch.launch.rules.preflight import RegistryAnswer
from hublaunch.registry.client import RegistryClient
from hublaunch.registry.hosts import NamedHosts
from hublaunch.wire.transport import WireTransport

REGISTRY = "registry.example.org"
TEXT = st.text('ab/:@?#[]%. ,="\\\t\x7fä', max_size=12)
LEADS = st.one_of(
    TEXT,
    st.builds(
        "https://{}{}/{}".format, st.sampled_from([REGISTRY, "auth.example.org", "[::1]", "a..b", ""]), TEXT, TEXT
    ),
)
STATUSES = st.sampled_from([200, 204, 301, 307, 400, 401, 403, 404, 405, 410, 429, 500, 599])
DOCUMENTS: st.SearchStrategy[object] = st.sampled_from(
    [
        *(None, 7, "text", [], {}, [{}], {"errors": 7}, {"errors": [7]}, {"errors": [{"code": None}]}),
        *({"schemaVersion": 2}, {"schemaVersion": "2"}, {"schemaVersion": 2, "manifests": {}}),
        *({"schemaVersion": 2, "manifests": [{}, None]}, {"schemaVersion": 2, "manifests": [{"platform": {"os": 1}}]}),
        *({"token": ""}, {"token": []}, {"token": "a b"}, {"token": "\u00e4"}, {"access_token": "t"}),
    ]
)
BODIES = st.binary(max_size=20) | DOCUMENTS.map(lambda document: json.dumps(document).encode())
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Location": LEADS,
        "WWW-Authenticate": st.builds('Bearer realm="{}",service="{}"'.format, LEADS, TEXT) | TEXT,
        "Docker-Content-Digest": TEXT,
        "Content-Type": TEXT | st.just("application/vnd.oci.image.index.v1+json"),
    },
)
ANSWERS = st.lists(st.tuples(STATUSES, HEADERS, BODIES), max_size=6)


class Scripted(httpx.AsyncBaseTransport):
    """Gives these answers, one after the other, then 500."""

    def __init__(self, answers: list[tuple[int, Mapping[str, str], bytes]]) -> None:
        self._answers = iter(answers)
        self.hosts: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.hosts.add(request.url.host)
        status, headers, body = next(self._answers, (500, {}, b""))
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        return httpx.Response(status, headers=encoded, stream=httpx.ByteStream(body))


def client_over(transport: httpx.AsyncBaseTransport, *platforms: str) -> RegistryClient:
    named = NamedHosts([f"{REGISTRY}/*", "*.example.org/*"])
    return RegistryClient(
        transport=transport, named=lambda: named, credentials=lambda _: b"Basic eA==", platforms=platforms
    )


@given(answers=ANSWERS, platforms=st.sampled_from([(), ("linux/amd64",)]))
@example(answers=[(401, {"WWW-Authenticate": f'Bearer realm="https://{REGISTRY}:99999/"'}, b"")], platforms=())
@example(answers=[(401, {"WWW-Authenticate": 'Bearer realm="https://xn--a.example.org/"'}, b"")], platforms=())
@example(answers=[(307, {"Location": "https://[::1"}, b"")], platforms=())
async def test_whatever_a_registry_says_a_look_ends_and_asks_nobody_else(
    answers: list[tuple[int, Mapping[str, str], bytes]], platforms: tuple[str, ...]
) -> None:
    transport = Scripted(answers)

    told = await client_over(transport, *platforms).look_up(ImageReference.parse(f"{REGISTRY}/org/image:1"))

    assert isinstance(told, RegistryAnswer)
    assert {".".join(host.split(".")[-2:]) for host in transport.hosts} <= {"example.org"}


@pytest.mark.parametrize("registry", ["xn--a.example.org", f"{'a' * 70}.example.org", "a.example.org:99999"])
async def test_a_registry_with_an_impossible_name_gives_an_answer_too(registry: str) -> None:
    async with WireTransport() as transport:
        client = replace(client_over(transport), named=lambda: NamedHosts([f"{registry}/*"]))
        told = await client.look_up(ImageReference.parse(f"{registry}/org/image:1"))

    assert told.outcome.is_unknown
