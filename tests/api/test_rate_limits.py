"""Rate limits, as callers see them."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from http_sfv.list import List

from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import BODY, Service, serve

HOUR = 3600
KEY = {"Idempotency-Key": "1d1f3c0e-7a1e-4d0c-9d40-2f6f9f7d9a51"}
NAMES = ("RateLimit", "RateLimit-Policy")

Serve = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture(params=["memory", "database"])
def served(settings: Settings, hub: FakeHub, request: pytest.FixtureRequest) -> Serve:
    """Serve hublaunch with two launches an hour for an address, or as given. Launches never end."""
    hub.spawn_plan(None, SpawnPlan(never=True))

    @asynccontextmanager
    async def served(**changed: object) -> AsyncGenerator[Service]:
        limits = {"rate_limit_store": request.param, "rate_limit_address": (2, HOUR)}
        async with serve(settings.model_copy(update=limits | changed)) as service:
            yield service

    return served


async def post(service: Service, body: object = BODY, **headers: str) -> httpx.Response:
    return await service.http.post("/launch", json=body, headers=headers)


def limits_in(answer: httpx.Response, name: str) -> dict[str, dict[str, Any]]:
    """Return the parameters of each item of a structured header, by the item's string."""
    field = List()
    field.parse(answer.headers[name].encode())
    assert all(type(item.value) is str for item in field)
    return {item.value: dict(item.params) for item in field}


async def test_answers_report_the_rest_and_a_refusal_says_when_to_retry(served: Serve, hub: FakeHub) -> None:
    async with served() as service:
        *answers, refused = [await post(service) for _ in range(3)]
        await hub.until(lambda: len(hub.users) == 2)

    assert [answer.status_code for answer in answers] == [202, 202]
    assert [limits_in(answer, "RateLimit-Policy") for answer in (*answers, refused)] == [
        {"address": {"q": 2, "w": HOUR}}
    ] * 3
    assert limits_in(answers[0], "RateLimit") == {"address": {"r": 1, "t": HOUR // 2}}
    last = limits_in(answers[1], "RateLimit")["address"]
    assert last["r"] == 0
    assert HOUR // 2 - 10 <= last["t"] <= HOUR // 2
    problem, wait = refused.json(), int(refused.headers["Retry-After"])
    assert (refused.status_code, problem["code"]) == (429, "rate_limited")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert problem["violated-policies"] == ["address"]
    assert f"{wait} s" in problem["detail"]
    assert limits_in(refused, "RateLimit") == {"address": {"r": 0, "t": wait}}
    assert HOUR // 2 - 10 <= wait <= HOUR // 2


async def test_windows_in_a_refusal_end_before_retry_after(served: Serve, tmp_path: Path) -> None:
    _, key = add_key(tmp_path / "keys.json", name="ci")
    limits = {"rate_limit_caller": (1, 60), "rate_limit_address": (9, HOUR)}
    async with served(access=("key",), api_keys_file=tmp_path / "keys.json", **limits) as service:
        allowed, refused = [await post(service, Authorization=f"Bearer {key}") for _ in range(2)]

    assert list(limits_in(allowed, "RateLimit")) == ["caller", "address"]
    assert list(limits_in(refused, "RateLimit-Policy")) == ["caller", "address"]
    assert limits_in(refused, "RateLimit") == {"caller": {"r": 0, "t": int(refused.headers["Retry-After"])}}


async def test_the_reported_remainder_per_window_does_not_exceed_the_rate(served: Serve) -> None:
    async with served(rate_limit_address=(100, 60)) as service:
        left = limits_in(await post(service), "RateLimit")["address"]

    assert left["r"] / left["t"] <= 100 / 60


async def test_a_stream_and_a_refused_request_count_and_have_the_headers(served: Serve) -> None:
    async with served(allowed_images=("quay.io/*",)) as service:
        accept = {"Accept": "text/event-stream"}
        async with service.http.stream("POST", "/launch", json=BODY, headers=accept) as stream:
            assert limits_in(stream, "RateLimit")["address"]["r"] == 1
        refused = await post(service, BODY | {"image": "example.org/another"})

    assert refused.status_code == 403
    assert limits_in(refused, "RateLimit")["address"]["r"] == 0


@pytest.mark.parametrize(
    "body", [{"image": 1}, {}, {"image": "A B"}, BODY | {"imaeg": "a"}, BODY | {"path": "?://" + "*" * 1985 + "://a@"}]
)
async def test_an_invalid_request_counts_as_a_request_for_a_launch(served: Serve, body: dict[str, object]) -> None:
    async with served() as service:
        answers = [await post(service, body) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [422, 422, 429]
    assert limits_in(answers[0], "RateLimit")["address"]["r"] == 1
    assert answers[-1].json()["code"] == "rate_limited"


async def test_an_invalid_request_counts_for_its_known_caller(served: Serve, tmp_path: Path) -> None:
    _, key = add_key(tmp_path / "keys.json", name="site")
    limits = {"rate_limit_caller": (1, HOUR), "rate_limit_address": None}
    async with served(access=("key",), api_keys_file=tmp_path / "keys.json", **limits) as service:
        answers = [await post(service, {}, Authorization=f"Bearer {key}") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [422, 429]


async def test_a_request_without_a_json_body_does_not_count(served: Serve) -> None:
    async with served() as service:
        refused = await service.http.post("/launch", content=b"{}")
        accepted = await post(service)

    assert refused.status_code == 415
    assert not any(name in refused.headers for name in NAMES)
    assert limits_in(accepted, "RateLimit")["address"]["r"] == 1


async def test_a_repeated_request_with_its_key_does_not_count(served: Serve) -> None:
    """So a frontend can always resume its stream with the same POST."""
    async with served(rate_limit_address=(1, HOUR)) as service:
        first = await post(service, **KEY)
        answers = [await post(service, **KEY) for _ in range(20)]
        other = await post(service)

    assert {answer.status_code for answer in answers} == {202}
    assert {answer.json()["id"] for answer in answers} == {first.json()["id"]}
    assert other.status_code == 429


async def test_callers_over_the_limit_can_still_read_follow_and_cancel(served: Serve) -> None:
    async with served(rate_limit_address=(1, HOUR)) as service:
        accepted = (await post(service)).json()
        assert (await post(service)).status_code == 429

        statuses = set()
        for _ in range(50):
            async with service.http.stream("GET", accepted["events_url"]) as stream:
                statuses.add(stream.status_code)
            statuses.add((await service.http.get(f"/launch/{accepted['id']}")).status_code)
        await service.cancel(accepted)

    assert statuses == {200}


async def test_behind_a_trusted_proxy_each_client_is_counted_by_its_own_address(served: Serve) -> None:
    async with served(trusted_proxies=(ip_network("127.0.0.1"),)) as service:
        spoofed = [await post(service, **{"X-Forwarded-For": f"203.0.113.{n}, 198.51.100.1"}) for n in range(3)]
        other = await post(service, **{"X-Forwarded-For": "198.51.100.2"})
        of_one_network = [await post(service, **{"X-Forwarded-For": f"2001:db8::{n}"}) for n in range(3)]

    assert [answer.status_code for answer in spoofed] == [202, 202, 429]
    assert other.status_code == 202
    assert [answer.status_code for answer in of_one_network] == [202, 202, 429]


async def test_off_means_no_limits_and_no_headers(settings: Settings) -> None:
    changed = {"rate_limit_store": "off", "rate_limit_address": (1, HOUR), "rate_limit_caller": (1, HOUR)}
    async with serve(settings.model_copy(update=changed)) as service:
        answers = [await post(service) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 202]
    assert not any(name in answer.headers for answer in answers for name in NAMES)


async def test_an_allowed_origin_may_read_the_headers(settings: Settings) -> None:
    frontend = "https://book.example.org"
    async with serve(settings, cors_origins=(frontend,)) as service:
        answer = await post(service, Origin=frontend)

    exposed = {name.strip() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= exposed
