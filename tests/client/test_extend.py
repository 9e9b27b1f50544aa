"""Extensions by both clients, on the real service and on `hublaunch.testing`'s fake."""

import pytest

from hublaunch.client import Conflict, InvalidRequest, Launch
from tests.client.worlds import Client, World, followed
from tests.support.served import IMAGE


async def ready(client: Client, world: World) -> Launch:
    """Launch, and return the launch once it is ready."""
    world.plan()
    launch = await client.launch(IMAGE)
    await followed(client, launch.id)
    return await client.get(launch.id)


def later(launch: Launch, before: Launch) -> float:
    """Return how many seconds later than before the server will be stopped."""
    assert launch.will_end_at
    assert before.will_end_at
    return (launch.will_end_at - before.will_end_at).total_seconds()


async def test_a_ready_launch_is_extended_up_to_its_limit(client: Client, world: World) -> None:
    launch = await ready(client, world)

    extended = await client.extend(launch.id, 1800)
    with pytest.raises(Conflict) as refusal:
        await client.extend(launch.id, 1801)
    last = await client.extend(launch.id, 1800)

    assert launch.is_temporary
    assert (later(extended, launch), refusal.value.code) == (1800, "session_limit_reached")
    assert (last.will_end_at, last.extendable_until) == (launch.extendable_until, None)


async def test_an_extension_whose_answer_is_lost_counts_once(client: Client, world: World) -> None:
    launch = await ready(client, world)

    world.lose_answers(1)
    extended = await client.extend(launch.id, 600)

    assert later(extended, launch) == 600


async def test_a_key_extends_once(client: Client, world: World) -> None:
    launch = await ready(client, world)

    first, second = [await client.extend(launch.id, 600, idempotency_key="a-key") for _ in range(2)]
    with pytest.raises(InvalidRequest) as refusal:
        await client.extend(launch.id, 900, idempotency_key="a-key")

    assert first.will_end_at == second.will_end_at
    assert refusal.value.code == "idempotency_key_reused"


async def test_a_stopped_server_has_nothing_to_extend(client: Client, world: World) -> None:
    launch = await ready(client, world)
    await client.cancel(launch.id)

    with pytest.raises(Conflict) as refusal:
        await client.extend(launch.id, 600)

    assert refusal.value.code == "nothing_to_extend"
    assert (await client.get(launch.id)).will_end_at is None
