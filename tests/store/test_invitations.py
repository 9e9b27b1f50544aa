"""Invitations in SQL: found by their code, refused once they are over, and counted over all processes."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import InvalidRequest, InvitationEnded, InvitationUnknown, QuotaReached
from hublaunch.launch.model import Launch
from hublaunch.launch.rules.quota_rules import QuotaRules
from hublaunch.store import invitations
from hublaunch.store.database import transaction_beside_service
from hublaunch.store.sql import SqlLaunchStore
from tests.store.databases import postgresql_only
from tests.store.launches import CANCELLED, new_launch
from tests.support.invitations import invitation, invited, revoke

pytestmark = pytest.mark.timeout(60)


def of_holder(**changes: Any) -> Launch:
    holder = Caller(kind="invitation", key="pycon", max_active=3, invitation=invitation())
    return new_launch(caller=holder, **changes)


def quotas_of(launch: Launch) -> Any:
    return QuotaRules().quotas(launch.caller, launch.request, at=launch.created_at)


async def test_an_invitation_is_found_by_its_code_alone(store: SqlLaunchStore, url: str) -> None:
    code = await asyncio.to_thread(invited, url, sizes=("small", "large"), repo_url="https://example.org/a", ref="v1")

    found = await store.invitations.find(code)

    assert (found.name, found.sizes, found.repo_url, found.ref) == (
        *("pycon", ("small", "large")),
        *("https://example.org/a", "v1"),
    )
    for wrong in (f"{code}x", code[:-1], "pycon", ""):
        with pytest.raises(InvitationUnknown):
            await store.invitations.find(wrong)


async def test_the_database_has_no_code(store: SqlLaunchStore, url: str) -> None:
    code = await asyncio.to_thread(invited, url)

    def rows() -> str:
        with transaction_beside_service(url, writes=False) as connection:
            return str(connection.execute(text("SELECT * FROM invitations")).all())

    assert code not in await asyncio.to_thread(rows)


async def test_a_change_and_a_revocation_hold_for_the_next_request(store: SqlLaunchStore, url: str) -> None:
    code = await asyncio.to_thread(invited, url)
    until = datetime(2099, 1, 1, tzinfo=UTC)

    def change() -> None:
        with transaction_beside_service(url, writes=True) as connection:
            invitations.change(connection, "pycon", most=7, until=until)

    await asyncio.to_thread(change)
    changed = await store.invitations.find(code)
    await asyncio.to_thread(revoke, url)

    assert (changed.most, changed.until) == (7, until)
    with pytest.raises(InvitationEnded):
        await store.invitations.find(code)
    with pytest.raises(InvalidRequest, match="revoked"):
        await asyncio.to_thread(change)


async def test_an_invitation_ends_when_its_time_is_over(store: SqlLaunchStore, url: str) -> None:
    code = await asyncio.to_thread(invited, url, until=datetime.now(UTC) - timedelta(seconds=1))

    with pytest.raises(InvitationEnded):
        await store.invitations.find(code)


async def test_the_name_of_an_invitation_that_is_over_is_free(store: SqlLaunchStore, url: str) -> None:
    first = await asyncio.to_thread(invited, url)
    with pytest.raises(InvalidRequest, match="in use"):
        await asyncio.to_thread(invited, url)

    await asyncio.to_thread(revoke, url)
    second = await asyncio.to_thread(invited, url, most=5)

    assert (await store.invitations.find(second)).most == 5
    with pytest.raises(InvitationUnknown):
        await store.invitations.find(first)


async def test_holders_together_have_at_most_as_many_active_launches_as_the_invitation(store: SqlLaunchStore) -> None:
    async def accept(launch: Launch) -> Launch:
        return await store.intake.accept(launch, quotas=quotas_of(launch))

    answers = await asyncio.gather(*(accept(of_holder()) for _ in range(20)), return_exceptions=True)
    accepted = [answer for answer in answers if isinstance(answer, Launch)]
    await store.log.append(accepted[0], CANCELLED)
    again = await accept(of_holder())

    assert len(accepted) == 3
    assert {type(answer) for answer in answers} == {Launch, QuotaReached}
    assert again.caller.key == "pycon"


async def test_the_use_counts_launches_of_this_invitation_that_are_active(store: SqlLaunchStore, url: str) -> None:
    for name in ("pycon", "other"):
        await asyncio.to_thread(invited, url, name)
    for launch in (of_holder(), of_holder(), new_launch(caller=Caller(kind="key", key="pycon"))):
        await store.intake.accept(launch)

    uses = await store.invitations.in_use(10)

    assert {use.invitation.name: use.active for use in uses} == {"pycon": 2, "other": 0}


@postgresql_only
async def test_processes_share_the_maximum_of_an_invitation(store: SqlLaunchStore, other: SqlLaunchStore) -> None:
    async def accept(at: SqlLaunchStore) -> bool:
        launch = of_holder()
        try:
            await at.intake.accept(launch, quotas=quotas_of(launch))
        except QuotaReached:
            return False
        return True

    accepted = await asyncio.gather(*(accept(at) for _ in range(15) for at in (store, other)))

    assert accepted.count(True) == 3
