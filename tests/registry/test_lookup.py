"""Lookups are shared, kept for a while, and bounded."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from hublaunch.launch.rules.image import ImageReference
from hublaunch.launch.rules.preflight import RegistryAnswer, RegistryOutcome
from hublaunch.registry.lookup import ABSENT_S, AT_ONCE, BURST, FOUND_S, KEPT_MAX, UNKNOWN_S, RegistryLookups
from tests.fakes.wire import WireConnection, WireServer
from tests.registry.asking import UNKNOWN_MANIFEST, answering, client_of, found, name_of, response
from tests.support.clock import Clock


@dataclass
class House:
    """Lookups at a registry, on a clock that stands still."""

    lookups: RegistryLookups
    server: WireServer
    clock: Clock
    heard: list[tuple[RegistryOutcome, float]] = field(default_factory=list)

    async def look_up(self, image: str = "image:1") -> RegistryAnswer:
        return await self.lookups.look_up(ImageReference.parse(f"{name_of(self.server)}/org/{image}"))

    @property
    def heads(self) -> int:
        return sum(request.startswith(b"HEAD") for request in self.server.requests)


@asynccontextmanager
async def house(answer: bytes, *, released: asyncio.Event | None = None) -> AsyncGenerator[House]:
    """Run a registry that answers once it is `released`."""

    async def script(connection: WireConnection) -> None:
        if released is not None:
            await released.wait()
        await answering(lambda *_: answer)(connection)

    clock, heard = Clock(1000), list[tuple[RegistryOutcome, float]]()

    def hear(outcome: RegistryOutcome, seconds: float) -> None:
        heard.append((outcome, seconds))

    async with (
        WireServer(script) as server,
        client_of(f"{name_of(server)}/*") as client,
        aclosing(RegistryLookups(client=client, listeners=(hear,), now=clock)) as lookups,
    ):
        yield House(lookups, server, clock, heard)


async def test_200_callers_at_once_share_one_look() -> None:
    async with house(found()) as at:
        answers = await asyncio.gather(*(at.look_up() for _ in range(200)))

        assert len(at.server.requests) == 1
        assert {answer.outcome for answer in answers} == {RegistryOutcome.FOUND}
        assert at.heard == [(RegistryOutcome.FOUND, 0.0)]


@pytest.mark.parametrize(
    ("answer", "kept_s"),
    [(found(), FOUND_S), (response(404, UNKNOWN_MANIFEST), ABSENT_S), (response(500), UNKNOWN_S)],
    ids=["found", "absent", "unknown"],
)
async def test_an_answer_is_repeated_for_a_while(answer: bytes, kept_s: float) -> None:
    async with house(answer) as at:
        first = await at.look_up()
        at.clock.now += kept_s - 1
        assert (await at.look_up(), at.heads) == (first, 1)

        at.clock.now += 1
        assert (await at.look_up(), at.heads) == (first, 2)


async def test_a_tag_beside_a_digest_does_not_make_another_look() -> None:
    digest = f"sha256:{'ab' * 32}"
    async with house(found(digest)) as at:
        await at.look_up(f"image@{digest}")
        await at.look_up(f"image:1@{digest}")

        assert at.heads == 1


async def test_a_caller_that_gives_up_leaves_the_look_to_the_others() -> None:
    released = asyncio.Event()
    async with house(found(), released=released) as at:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await at.look_up()
        released.set()
        answer = await at.look_up()

        assert answer.outcome is RegistryOutcome.FOUND
        assert at.heads == 1


async def test_random_tags_are_looked_at_a_few_at_a_time() -> None:
    released = asyncio.Event()
    async with house(response(404, UNKNOWN_MANIFEST), released=released) as at:
        asking = [asyncio.create_task(at.look_up(f"image:{number}")) for number in range(50)]
        _, waiting = await asyncio.wait(asking, timeout=0.1)
        released.set()
        outcomes = [answer.outcome for answer in await asyncio.gather(*asking)]

        assert len(waiting) == AT_ONCE
        assert outcomes == [RegistryOutcome.ABSENT] * AT_ONCE + [RegistryOutcome.TOO_MANY] * (50 - AT_ONCE)
        assert at.heads == AT_ONCE


async def test_random_tags_are_looked_at_once_a_second_in_the_long_run() -> None:
    async with house(response(404, UNKNOWN_MANIFEST)) as at:
        outcomes = [(await at.look_up(f"image:{number}")).outcome for number in range(BURST + 5)]
        at.clock.now += 3
        outcomes += [(await at.look_up(f"later:{number}")).outcome for number in range(5)]

        absent, too_many = RegistryOutcome.ABSENT, RegistryOutcome.TOO_MANY
        assert outcomes == [absent] * BURST + [too_many] * 5 + [absent] * 3 + [too_many] * 2
        assert at.heads == BURST + 3


async def test_answers_are_forgotten_beyond_a_certain_number() -> None:
    async with house(found()) as at:
        for number in range(KEPT_MAX + 1):
            at.clock.now += 0.1
            at.lookups._keep(ImageReference.parse(f"x/{number}"), RegistryAnswer(outcome=RegistryOutcome.FOUND))

        assert len(at.lookups._kept) == KEPT_MAX


async def test_closing_ends_the_looks_in_progress() -> None:
    async with house(found(), released=asyncio.Event()) as at:
        asking = asyncio.create_task(at.look_up())
        await asyncio.wait({asking}, timeout=0.05)
        await at.lookups.aclose()
        await asyncio.wait({asking})

        assert asking.cancelled()
        assert at.lookups._running == {}


async def test_a_registry_that_no_pattern_names_costs_nothing() -> None:
    async with house(found()) as at:
        answer = await at.lookups.look_up(ImageReference.parse("quay.io/org/image"))

        assert answer.outcome is RegistryOutcome.NOT_NAMED
        assert (at.lookups._kept, at.lookups._bounds, at.heard) == ({}, {}, [])
