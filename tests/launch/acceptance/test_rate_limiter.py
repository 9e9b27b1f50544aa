"""The limits that apply to a request, and the counts in memory."""

import tracemalloc

import pytest

from hublaunch.launch.acceptance.rate_limiter import KEYS_MAX, MemoryRateCounts, RateLimiter, Rates
from hublaunch.launch.caller import Caller
from hublaunch.launch.rules.rate_limit import Limit, Rate
from tests.support.clock import Clock

ADA, KEY, ANYBODY = Caller(kind="hub", key="ada"), Caller(kind="key", key="course"), Caller(kind="anonymous", key="")
HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def counts(clock: Clock) -> MemoryRateCounts:
    return MemoryRateCounts(clock, keys_max=100)


def limiter(counts: MemoryRateCounts, **changed: object) -> RateLimiter:
    """Allow two launches of a caller, three from an address, and two wrong credentials."""
    rates = {"caller": Rate(2, 60), "address": Rate(3, 60), "credentials": Rate(2, 60), "own": {}}
    return RateLimiter(counts, Rates(**{**rates, **changed}))  # type: ignore[arg-type]


async def allowed(limits: RateLimiter, *requests: tuple[Caller, str]) -> list[bool]:
    return [(await limits.launch(caller, address)).allowed for caller, address in requests]


async def test_a_caller_is_counted_over_all_addresses(counts: MemoryRateCounts) -> None:
    answers = await allowed(limiter(counts), (ADA, HERE), (ADA, THERE), (ADA, HERE), (KEY, HERE))

    assert answers == [True, True, False, True]


async def test_an_address_is_counted_over_all_callers(counts: MemoryRateCounts) -> None:
    answers = await allowed(limiter(counts), (ADA, HERE), (KEY, HERE), (ANYBODY, HERE), (ANYBODY, HERE), (KEY, THERE))

    assert answers == [True, True, True, False, True]


async def test_an_ipv6_network_of_64_bits_is_one_address(counts: MemoryRateCounts) -> None:
    limits = limiter(counts)

    answers = await allowed(limits, *[(ANYBODY, f"2001:db8::{n}") for n in range(4)], (ANYBODY, "2001:db8:0:1::1"))

    assert answers == [True, True, True, False, True]


async def test_a_wider_ipv6_network_has_the_limit_of_a_few_addresses(counts: MemoryRateCounts) -> None:
    limits = limiter(counts)

    spread = [(await limits.launch(ANYBODY, f"2001:db8:1:{n:x}00::1")) for n in range(13)]
    near = [(await limits.launch(ANYBODY, f"2001:db8:2:{n:x}::1")) for n in range(7)]

    assert [verdict.allowed for verdict in spread] == [True] * 12 + [False]
    assert [room.limit.name for room in spread[12].refusing] == ["address/48"]
    assert [verdict.allowed for verdict in near] == [True] * 6 + [False]
    assert [room.limit.name for room in near[6].refusing] == ["address/56"]


async def test_wrong_credentials_from_a_wider_ipv6_network_are_counted_together(counts: MemoryRateCounts) -> None:
    limits = limiter(counts)

    for n in range(8):
        await limits.count_wrong_credentials(f"2001:db8:1:{n:x}00::1")

    assert not (await limits.credentials("2001:db8:1:9900::1")).allowed
    assert (await limits.credentials("2001:db8:2::1")).allowed


async def test_callers_and_addresses_may_have_limits_of_their_own(counts: MemoryRateCounts) -> None:
    own = {"key:course*": Rate(1, 60), "key:*": Rate(9, 60), f"address:{HERE}": None}

    answers = await allowed(limiter(counts, own=own), *[(KEY, HERE)] * 2, *[(ANYBODY, HERE)] * 9)

    assert answers == [True, False] + [True] * 9


async def test_without_rates_nothing_is_limited_or_reported(counts: MemoryRateCounts) -> None:
    limits = limiter(counts, caller=None, address=None, credentials=None)
    await limits.count_wrong_credentials(HERE)

    verdict = await limits.launch(ADA, HERE)

    assert (verdict.allowed, verdict.allowances) == (True, [])
    assert (await limits.credentials(HERE)).allowed


async def test_wrong_credentials_are_counted_separately_by_address(counts: MemoryRateCounts, clock: Clock) -> None:
    limits = limiter(counts)
    for _ in range(4):
        await limits.count_wrong_credentials(HERE)

    assert not (await limits.credentials(HERE)).allowed
    assert (await limits.credentials(THERE)).allowed
    assert await allowed(limits, (ANYBODY, HERE)) == [True]
    clock.now += 90
    assert (await limits.credentials(HERE)).allowed


async def test_unused_limits_are_forgotten(counts: MemoryRateCounts, clock: Clock) -> None:
    await allowed(limiter(counts), (ANYBODY, HERE))
    clock.now += 10
    await allowed(limiter(counts), (ANYBODY, THERE))
    clock.now += 10

    await counts.prune()

    assert list(counts._free_at) == [f"address address:{THERE}"]


async def test_memory_is_bounded_and_keeps_the_latest_addresses(counts: MemoryRateCounts) -> None:
    limits = limiter(counts)
    await allowed(limits, *[(ANYBODY, HERE)] * 3)
    for n in range(500):
        await allowed(limits, *[(ANYBODY, f"2001:db8:{n:x}::1")] * 3)
        assert len(counts._free_at) <= 100

    assert await allowed(limits, (ANYBODY, HERE), (ANYBODY, "2001:db8:1f3::1")) == [True, False]


async def test_a_caller_who_keeps_changing_addresses_is_not_forgotten(counts: MemoryRateCounts) -> None:
    answers = await allowed(limiter(counts), *[(ADA, f"2001:db8:{n:x}::1") for n in range(500)])

    assert answers == [True, True] + [False] * 498


async def test_an_address_takes_little_memory(clock: Clock) -> None:
    addresses, rate = 5000, Rate(1, 60)
    tracemalloc.start()
    counts = MemoryRateCounts(clock)
    for n in range(addresses):
        await counts.take([Limit(name="address", subject=f"address:2001:db8:{n:x}::/64", rate=rate)])

    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(counts._free_at) == addresses
    assert used / addresses * KEYS_MAX < 20_000_000
