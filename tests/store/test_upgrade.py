"""A database of an earlier version with launches in progress is upgraded, and its launches continue."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import column, create_engine, delete, insert, select, table

from hublaunch.hub.client import HubClient
from hublaunch.launch.model import Status
from hublaunch.launch.ports import LaunchFilter
from hublaunch.store.migrations import configuration
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.tables import Instant, metadata, queue_turns
from tests.fakes.hub import FakeHub
from tests.support.launching import SEALER, launching

WRITTEN = json.loads(Path(__file__).with_name("written_at_0009.json").read_text())
"""Rows by table, copied from a service at commit 045d9c2: a ready launch, one at the Hub, three in the queue."""


@pytest.fixture
def written(empty_url: str) -> str:
    """A database at version 0009 with those rows, as if written just now."""
    ago = datetime.now(UTC) - max(instant(event["at"]) for event in WRITTEN["launch_events"])
    engine = create_engine(empty_url)
    with engine.begin() as connection:
        command.upgrade(configuration(connection), "0009")
        connection.execute(delete(metadata.tables["admission"]))
        for name, rows in WRITTEN.items():
            if name == "line_turns":
                connection.execute(insert(table(name, column("name"), column("turn"))), rows)
            else:
                for row in rows:
                    connection.execute(insert(metadata.tables[name]), value_of(name, row, ago))
    engine.dispose()
    return empty_url


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def value_of(name: str, row: dict[str, Any], ago: timedelta) -> dict[str, Any]:
    columns = metadata.tables[name].c
    values: dict[str, Any] = dict(row)
    for key, value in row.items():
        if isinstance(columns[key].type, Instant):
            values[key] = instant(value) + ago
    if "sealed_token" in row:
        values["sealed_token"] = row["sealed_token"].encode()
    return values


async def test_launches_continue_after_an_upgrade(written: str, hub: FakeHub, client: HubClient) -> None:
    async with SqlLaunchStore(written, sealer=SEALER) as store:
        with store.database.reading.connect() as connection:
            turns = [row._asdict() for row in connection.execute(select(queue_turns).order_by(queue_turns.c.name))]
        async with launching(hub, client, store, max_concurrent_spawns=1) as core:
            await core.idle()
        launches = await store.log.launches(LaunchFilter(), limit=None)

    at_hub = next(row["id"] for row in WRITTEN["launches"] if row["status"] == "launching")
    assert turns == WRITTEN["line_turns"]
    assert [launch.status for launch in launches] == [Status.READY] * 5
    assert {launch.id for launch in launches if launch.attempt.number == 2} == {at_hub}
    assert hub.count("spawn_started") == 4
