"""One run: start everything, apply the planned faults, wait until all is quiet, and judge."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from tests.chaos.clients import WARM, Client, Final, ask_final, session
from tests.chaos.hub import ChaosHub
from tests.chaos.notes import Notes
from tests.chaos.plan import Scale, draw_plan, stream
from tests.chaos.proxy import ChaosProxy
from tests.chaos.replicas import Replicas
from tests.chaos.verdict import Evidence, Verdict, judge
from tests.fakes.hub import FakeHub

_CATALOGUE = """
environments:
  %s: {title: Warm, image: quay.io/chaos/warm:1, content: nbgitpuller, warm: {keep: %d, max_age_s: 60}}
"""
"""Members of the pool are retired all the time, as they get old soon."""
_GRACE_S = 60.0
"""How long a client waits for the end of its launch, beyond the launch timeout."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """The outcome of a run."""

    verdict: Verdict
    evidence: Evidence
    seconds: float
    done: dict[str, int]
    """The number of times each fault happened, to processes, the Hub and connections."""


async def run(seed: int, scale: Scale, *, database_url: str, module: str, directory: Path) -> Run:
    """Run the plan. Processes log into `directory`. Everything started has ended on return, even when cancelled."""
    plan, begin = draw_plan(seed, scale), time.monotonic()
    catalogue = directory / "catalogue.yaml"
    catalogue.write_text(_CATALOGUE % (WARM, scale.warm))
    async with (
        FakeHub() as hub,
        ChaosProxy(hub.url, stream=partial(stream, seed)) as proxy,
        Replicas(
            1 if database_url.startswith("sqlite") else scale.replicas,
            module=module,
            environment=_environment(scale, database_url, proxy, hub)
            | ({"LAUNCHER_CATALOGUE_FILE": str(catalogue)} if scale.warm else {}),
            directory=directory,
        ) as replicas,
        session() as http,
    ):
        chaos = ChaosHub(hub, plan)
        await replicas.until_ready(http)
        if scale.warm:
            await hub.until(lambda: hub.count("server_ready") >= scale.warm, timeout=scale.settle_s)
        urls = [replica.url for replica in replicas.each]
        clients = [
            Client(launch, http=http, urls=urls, numbers=stream(seed, f"client/{launch.number}"))
            for launch in plan.launches
        ]
        await _suffer(
            [
                *(_later(fault.at_s, partial(replicas.suffer, fault, http)) for fault in plan.processes),
                *(_later(restart.at_s, partial(chaos.restart, restart)) for restart in plan.hub_restarts),
                *(_later(at_s, partial(proxy.outage, seconds)) for at_s, seconds in plan.outages),
                *(_later(at_s, partial(chaos.add_foreign, n)) for n, at_s in enumerate(plan.foreign_at_s)),
            ],
            clients,
            culler=chaos.cull(),
            timeout_s=scale.window_s + scale.launch_timeout_s + _GRACE_S,
        )
        chaos.heal()
        proxy.calm = True
        catalogue.write_text(_CATALOGUE % (WARM, 0))  # which empties the pool
        await replicas.until_ready(http)
        finals = await _finals(http, urls, [client.notes for client in clients])
        for number, final in finals.items():
            chaos.hits[number] += chaos.member_hits.get(final.launch.get("username", ""), [])
        await _settle(hub, chaos, finals, scale.settle_s)
        evidence = Evidence(
            notes=[client.notes for client in clients],
            finals=finals,
            journal=list(hub.journal),
            users=set(hub.users),
            servers=hub.active_servers,
            foreign=set(chaos.foreign),
            culled=chaos.culled,
            hits=chaos.hits,
            kills=replicas.kills,
            max_concurrent_spawns=scale.pending_most,
            surprises=replicas.surprises,
        )
        done = {
            **{f"{what} a process": count for what, count in replicas.done.items()},
            "restart the Hub": chaos.restarts[True],
            "restart the Hub without its state": chaos.restarts[False],
            "break a connection to the Hub": proxy.breaks,
            "break a request for a warm server": sum(map(len, chaos.member_hits.values())),
            "cull a warm server": len(chaos.culled),
        }
    return Run(verdict=judge(evidence), evidence=evidence, seconds=time.monotonic() - begin, done=done)


def _environment(scale: Scale, database_url: str, proxy: ChaosProxy, hub: FakeHub) -> dict[str, str]:
    return {
        "LAUNCHER_HUB_URL": f"{proxy.url}/",
        "LAUNCHER_HUB_API_TOKEN": hub.api_token,
        "LAUNCHER_ALLOWED_IMAGES": "*",
        "LAUNCHER_ANONYMOUS_QUOTA": "0",
        "LAUNCHER_ALLOWED_EXTRA_ARGS": "test_spawn",
        "LAUNCHER_DATABASE_URL": database_url,
        "LAUNCHER_SECRET_KEY": "chaos" * 8,
        "LAUNCHER_LEASE_S": str(scale.lease_s),
        "LAUNCHER_HUB_GUARD": "off",  # more spawns of this Hub fail in a row than the guard allows
        "LAUNCHER_LAUNCH_TIMEOUT": str(scale.launch_timeout_s),
        "LAUNCHER_MAX_CONCURRENT_SPAWNS": str(scale.max_concurrent_spawns),
        "LAUNCHER_RETRY_DELAY": "0.2",
        "LAUNCHER_DRAIN_S": "2",
        "LAUNCHER_CULL_AFTER_S": "5",
    }


# --- faults -----------------------------------------------------------------------------------------------------------


async def _suffer(
    troubles: Sequence[Coroutine[Any, Any, None]],
    clients: Sequence[Client],
    *,
    culler: Coroutine[Any, Any, None],
    timeout_s: float,
) -> None:
    """Return once all faults are over and all clients are done or out of time. The culler stops at the end."""
    async with asyncio.TaskGroup() as group:
        culling = group.create_task(culler)
        for trouble in troubles:
            group.create_task(trouble)
        working = [group.create_task(_guarded(client)) for client in clients]
        _, left = await asyncio.wait(working, timeout=timeout_s)
        for task in (*left, culling):
            task.cancel()


async def _later(at_s: float, do: Callable[[], Awaitable[None]]) -> None:
    await asyncio.sleep(at_s)
    await do()


async def _guarded(client: Client) -> None:
    """Run a client. An error in it is a finding, and does not end the other clients' runs."""
    try:
        await client.run()
    except Exception as error:  # noqa: BLE001 - whatever it is
        client.notes.surprises.append(f"its client broke off: {error!r}")


# --- after the faults -------------------------------------------------------------------------------------------------


async def _finals(http: aiohttp.ClientSession, urls: Sequence[str], notes: Sequence[Notes]) -> dict[int, Final]:
    """Return every accepted launch with all its events. Consecutive launches are read from different replicas."""
    return {
        client.plan.number: await ask_final(http, urls[n % len(urls)], client)
        for n, client in enumerate(notes)
        if client.ids
    }


async def _settle(hub: FakeHub, chaos: ChaosHub, finals: dict[int, Final], seconds: float) -> None:
    """Return once the Hub holds only what it should, or when the time is up; the verdict then reports what is left."""
    ready = {final.launch["username"] for final in finals.values() if final.launch.get("status") == "ready"}
    with contextlib.suppress(TimeoutError):
        await hub.until(lambda: hub.users.keys() <= ready | chaos.foreign.keys(), timeout=seconds)
