"""The metrics of the warm pools."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from hublaunch.launch.caller import Caller
from hublaunch.launch.news import Accepted
from hublaunch.launch.ports import Capacity, PoolState
from hublaunch.observe.metrics import Metrics
from hublaunch.observe.pool_metrics import PoolMetrics
from hublaunch.settings import Settings
from tests.observe.test_metrics import scrape, value
from tests.store.launches import new_launch
from tests.support.served import Service, serve
from tests.support.warm import write_warm


async def launched(service: Service, **body: object) -> None:
    accepted = (await service.http.post("/launch", json={"environment": "scipy", **body})).json()
    await service.events(accepted["events_url"])


async def test_hits_misses_and_the_time_of_a_claim_are_counted(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.yaml"
    write_warm(path, "{keep: 1}")
    changes = {"catalogue_file": path, "metrics_public": True, "allowed_extra_args": ("cpu",)}
    async with serve(settings.model_copy(update=changes)) as service:
        async with asyncio.timeout(10):
            while value(await scrape(service), "pool_members", pool="scipy", state="ready") < 1:
                pass

        await launched(service)
        await launched(service, extra_args={"cpu": 4})
        samples = await scrape(service)

    assert value(samples, "pool_hits_total") == 1
    assert value(samples, "pool_misses_total", reason="options") == 1
    assert value(samples, "pool_misses_total", reason="empty") == 0
    assert value(samples, "pool_claim_seconds_count") == 1
    assert value(samples, "pool_wanted", pool="scipy") == 1
    assert value(samples, "launches_accepted_total") == 2, "members are nobody's launches"


async def test_a_pool_that_is_gone_and_a_silent_database_leave_no_values_behind() -> None:
    registry, pools = CollectorRegistry(), [PoolState(name="a", wanted=2, ready=1), PoolState(name="b", lost=3)]

    async def read() -> list[PoolState]:
        return pools

    metrics = PoolMetrics(registry, read=read)

    def found() -> list[float | None]:
        wanted = registry.get_sample_value("hublaunch_pool_wanted", {"pool": "a"})
        ready = registry.get_sample_value("hublaunch_pool_members", {"pool": "a", "state": "ready"})
        return [wanted, ready, registry.get_sample_value("hublaunch_pool_lost", {"pool": "b"})]

    await metrics.refresh(can_read=True)
    assert found() == [2, 1, 3]
    del pools[1]
    await metrics.refresh(can_read=True)
    assert found() == [2, 1, None]
    await metrics.refresh(can_read=False)
    assert found() == [None, None, None]


def test_members_and_claims_that_another_process_adopts_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hublaunch.observe.metrics._MEMBERS_MAX", 2)
    monkeypatch.setattr("hublaunch.observe.pool_metrics._CLAIMS_MAX", 2)
    metrics = Metrics(codes=(), kinds=(), capacity=nothing, followers=lambda: 0, loops=dict)
    pools = PoolMetrics(metrics.registry, read=no_pools)

    for _ in range(5):
        metrics.on_news(Accepted(launch=new_launch(caller=Caller(kind="pool", key="scipy"))))
        pools.on_news(Accepted(launch=new_launch(claimed_from="a member")))

    assert (len(metrics._members), len(pools._claims)) == (2, 2)


async def nothing() -> Capacity:
    raise AssertionError("not read")


async def no_pools() -> list[PoolState]:
    return []


async def test_pools_that_cannot_be_read_do_not_fail_a_scrape(caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> list[PoolState]:
        raise RuntimeError("no database")

    await PoolMetrics(CollectorRegistry(), read=broken).refresh(can_read=True)

    assert "The warm pools could not be read" in caplog.text
