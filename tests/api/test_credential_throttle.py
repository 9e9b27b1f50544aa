"""Wrong credentials: how many are tried, and that they lock nobody out."""

import asyncio
from collections.abc import AsyncGenerator
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from hublaunch.api.callers.credential_throttle import AT_ONCE, REMEMBERED_MAX, RIGHT_S, WRONG_S, CredentialThrottle
from hublaunch.files.keys import add_key
from hublaunch.launch.acceptance.rate_limiter import MemoryRateCounts, RateLimiter, Rates
from hublaunch.launch.errors import AccessDenied, HubUnavailable, RateLimited, Unauthenticated
from hublaunch.launch.rules.rate_limit import Rate
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.clock import Clock
from tests.support.served import Service, serve

SCOPE = "access:services!service=hublaunch"
MOST, HOUR = 3, 3600


@pytest.fixture
def clock() -> Clock:
    return Clock()


def throttle_that_wait(clock: Clock, wait_s: float) -> CredentialThrottle:
    """Return a throttle that allows three wrong credentials a year, so that none are forgiven during a test."""
    rates = Rates(caller=None, address=None, credentials=Rate(MOST, 365 * 86400), own={})
    limiter = RateLimiter(MemoryRateCounts(clock), rates)
    return CredentialThrottle(limiter, address=lambda _: "192.0.2.1", now=clock, wait_s=wait_s)


@pytest.fixture
def throttle(clock: Clock) -> CredentialThrottle:
    return throttle_that_wait(clock, 30)


async def attempt_result(throttle: CredentialThrottle, credential: str, outcome: Exception | None = None) -> str:
    """Return how an attempt with this outcome is answered."""
    try:
        async with throttle.attempt(Request({"type": "http"}), credential):
            if outcome is not None:
                raise outcome
    except (Unauthenticated, AccessDenied, HubUnavailable, RateLimited) as error:
        return error.code
    return "known"


WRONG = Unauthenticated("no")


async def test_after_too_many_wrong_credentials_only_correct_ones_work(throttle: CredentialThrottle) -> None:
    answers = [await attempt_result(throttle, f"wrong {n}", WRONG) for n in range(MOST + 2)]

    assert answers == ["unauthenticated"] * MOST + ["rate_limited"] * 2
    assert await attempt_result(throttle, "correct, but new") == "known"
    assert await attempt_result(throttle, "correct, but may not", AccessDenied("no scope")) == "access_denied"
    assert await attempt_result(throttle, "wrong again", WRONG) == "rate_limited"


async def test_a_throttled_attempt_is_refused_if_its_turn_does_not_come(clock: Clock) -> None:
    throttle = throttle_that_wait(clock, 0.05)
    for n in range(MOST):
        await attempt_result(throttle, f"wrong {n}", WRONG)
    trying, most = 0, 0
    some_are_in, done = asyncio.Event(), asyncio.Event()

    async def guess(n: int) -> str:
        nonlocal trying, most
        try:
            async with throttle.attempt(Request({"type": "http"}), f"new {n}"):
                trying += 1
                most = max(most, trying)
                some_are_in.set()
                await done.wait()
                trying -= 1
        except RateLimited as error:
            return error.code
        return "known"

    first = [asyncio.create_task(guess(n)) for n in range(AT_ONCE)]
    await some_are_in.wait()
    waited = await guess(AT_ONCE)
    done.set()

    assert waited == "rate_limited"
    assert await asyncio.gather(*first) == ["known"] * AT_ONCE
    assert most == AT_ONCE
    assert await guess(AT_ONCE) == "known"
    assert throttle._turns == {}


async def test_recently_correct_credentials_do_not_wait(clock: Clock) -> None:
    throttle = throttle_that_wait(clock, 0.0)
    await attempt_result(throttle, "correct")
    for n in range(MOST):
        await attempt_result(throttle, f"wrong {n}", WRONG)
    in_all_turns = [throttle.attempt(Request({"type": "http"}), f"new {n}") for n in range(AT_ONCE)]
    for turn in in_all_turns:
        await turn.__aenter__()

    clock.now += RIGHT_S - 1
    assert await attempt_result(throttle, "correct") == "known"
    clock.now += RIGHT_S
    assert await attempt_result(throttle, "correct") == "rate_limited"
    for turn in in_all_turns:
        await turn.__aexit__(None, None, None)


async def test_revoked_credentials_count_once_they_are_wrong(throttle: CredentialThrottle) -> None:
    await attempt_result(throttle, "revoked later")
    for n in range(MOST - 1):
        await attempt_result(throttle, f"wrong {n}", WRONG)

    answers = [await attempt_result(throttle, "revoked later", WRONG), await attempt_result(throttle, "new", WRONG)]

    assert answers == ["unauthenticated", "rate_limited"]


async def test_the_same_wrong_credentials_count_once_in_30_seconds(throttle: CredentialThrottle, clock: Clock) -> None:
    answers = [await attempt_result(throttle, "wrong", WRONG) for _ in range(50)]
    assert answers == ["unauthenticated"] * 50
    assert await attempt_result(throttle, "correct") == "known"
    for _ in range(MOST - 1):
        clock.now += WRONG_S
        await attempt_result(throttle, "wrong", WRONG)

    assert await attempt_result(throttle, "another", WRONG) == "rate_limited"


@pytest.mark.parametrize(
    "outcome", [None, AccessDenied("no scope"), HubUnavailable("identify the token", "it did not answer")], ids=type
)
async def test_only_wrong_credentials_count(throttle: CredentialThrottle, outcome: Exception | None) -> None:
    for n in range(50):
        await attempt_result(throttle, f"token {n}", outcome)

    assert await attempt_result(throttle, "another", WRONG) == "unauthenticated"


async def test_simultaneous_wrong_credentials_all_count_afterwards(throttle: CredentialThrottle, clock: Clock) -> None:
    all_are_in = asyncio.Barrier(50)

    async def guess(n: int) -> None:
        async with throttle.attempt(Request({"type": "http"}), f"wrong {n}"):
            await all_are_in.wait()
            raise WRONG

    await asyncio.gather(*(guess(n) for n in range(50)), return_exceptions=True)

    clock.now += 365 * 86400
    assert await attempt_result(throttle, "another", WRONG) == "rate_limited"


async def test_the_number_of_remembered_results_is_limited(throttle: CredentialThrottle) -> None:
    for n in range(REMEMBERED_MAX + 100):
        await attempt_result(throttle, f"token {n}")

    assert len(throttle._results) == REMEMBERED_MAX
    assert not any("token" in repr(digest) for digest in throttle._results)


# --- over HTTP --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "database"])
async def service(settings: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncGenerator[Service]:
    add_key(tmp_path / "keys.json", name="unused")
    changed = {
        "access": ("anonymous", "hub", "key"),
        "api_keys_file": tmp_path / "keys.json",
        "rate_limit_credentials": (MOST, HOUR),
        "rate_limit_store": request.param,
        "trusted_proxies": (ip_network("127.0.0.1"),),
    }
    async with serve(settings.model_copy(update=changed)) as service:
        yield service


async def session(service: Service, credential: str, *, address: str = "198.51.100.1") -> httpx.Response:
    headers = {"Authorization": f"Bearer {credential}", "X-Forwarded-For": address}
    return await service.http.get("/session", headers=headers)


@pytest.mark.parametrize("prefix", ["", "hl_"], ids=["Hub token", "API key"])
async def test_guessing_gets_429_and_sends_no_keys_to_the_hub(service: Service, hub: FakeHub, prefix: str) -> None:
    answers = [await session(service, f"{prefix}guess-{n}") for n in range(MOST + 3)]

    assert [answer.status_code for answer in answers] == [401] * MOST + [429] * 3
    refused_by_the_hub = [asked for asked in hub.asked("whoami") if asked.status == 403]
    assert len(refused_by_the_hub) == (0 if prefix else MOST + 3)
    refused = answers[-1]
    assert refused.json()["code"] == "rate_limited"
    assert refused.json()["violated-policies"] == ["credentials"]
    assert refused.headers["RateLimit-Policy"] == f'"credentials";q={MOST};w={HOUR}'
    assert refused.headers["RateLimit"] == f'"credentials";r=0;t={refused.headers["Retry-After"]}'
    assert "guess" not in refused.text


async def test_guessing_locks_nobody_out(service: Service, hub: FakeHub, tmp_path: Path) -> None:
    token = hub.token_of("ada")
    _, key = add_key(tmp_path / "keys.json", name="course")
    for n in range(MOST + 1):
        await session(service, f"guess-{n}")

    same_address = await session(service, token)
    by_key = await session(service, key)
    anonymous = await service.http.get("/session", headers={"X-Forwarded-For": "198.51.100.1"})

    assert same_address.json()["name"] == "ada"
    assert by_key.json()["name"] == "course"
    assert anonymous.json()["kind"] == "anonymous"


@pytest.mark.parametrize("code", ["correct", "wrong"])
async def test_wrong_credentials_do_not_prevent_a_login(service: Service, hub: FakeHub, code: str) -> None:
    hub.oauth_client_id = "service-hublaunch"
    hub.create_user("ada")
    for n in range(MOST + 1):
        await session(service, f"guess-{n}", address="127.0.0.1")
    answers = []
    for _ in range(MOST + 1):
        login = await service.http.get("/oauth_login")
        told = httpx.URL(login.headers["Location"]).params
        given = hub.confirm_login(
            "ada", scopes=[SCOPE], redirect_uri=told["redirect_uri"], code_challenge=told["code_challenge"]
        )
        answers.append(
            await service.http.get(
                "/oauth_callback", params={"code": given if code == "correct" else "x", "state": told["state"]}
            )
        )

    assert [answer.status_code for answer in answers] == [303 if code == "correct" else 401] * (MOST + 1)
    assert len(hub.asked("exchange_code")) == MOST + 1
