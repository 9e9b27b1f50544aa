"""Checks that JupyterHub leaves room and time for warm servers, as far as its configuration can be known."""

from collections.abc import Generator, Sequence
from pathlib import Path

from pydantic import BaseModel, Field

from hublaunch.doctor.finding import Finding
from hublaunch.doctor.profiles import ValuesFault
from hublaunch.files.catalogue import CatalogueFault, read_catalogue
from hublaunch.files.yaml_file import read_yaml
from hublaunch.launch.rules.pool import Pool, refill_most
from hublaunch.settings import Settings
from hublaunch.wiring.pools import pools_wanted
from hublaunch.wiring.rules import session_terms_of

_CHECK = "warm servers"
_IDLE_LEAST_S = 60
"""The shortest idle time after which a culler may stop a server: hublaunch reports warm servers twice a minute."""


class _Cull(BaseModel):
    enabled: bool = True
    timeout: float = 3600
    max_age: float = Field(0, alias="maxAge")


class _Hub(BaseModel):
    active_server_limit: int | None = Field(None, alias="activeServerLimit")
    concurrent_spawn_limit: int | None = Field(64, alias="concurrentSpawnLimit")


class _Values(BaseModel):
    """The values of z2jh that matter to warm servers, with z2jh's defaults."""

    hub: _Hub = _Hub()
    cull: _Cull = _Cull()


def examine_warm(settings: Settings, z2jh_values: Path | None) -> Generator[Finding]:
    """Yield what may keep warm servers from starting or waiting; nothing if the catalogue keeps none."""
    try:
        catalogue = None if settings.catalogue_file is None else read_catalogue(settings.catalogue_file)
        pools = [] if catalogue is None else pools_wanted(settings, catalogue)
        if not pools:
            return
        if z2jh_values is None:
            yield _not_revealed(settings, pools)
            return
        subject = f"The values of z2jh in {z2jh_values} are"
        values = read_yaml(z2jh_values, _Values.model_validate, subject=subject, fault=ValuesFault)
    except (CatalogueFault, ValuesFault):
        return  # reported with the configuration, or with the profiles
    found = [*_room(settings, values.hub, pools), *_culler(settings, values.cull, pools)]
    yield from found
    if not found:
        message = f"The values of z2jh leave room and time for up to {_most(settings, pools)} warm servers."
        yield Finding(check=_CHECK, state="ok", message=message)


def _most(settings: Settings, pools: Sequence[Pool]) -> int:
    """Return the largest number of servers that the pools can keep at once."""
    each = [max(pool.warm.keep, pool.warm.most, *(one.keep for one in pool.warm.windows), 0) for pool in pools]
    return min(settings.max_warm_servers, sum(each))


def _not_revealed(settings: Settings, pools: Sequence[Pool]) -> Finding:
    message = (
        f"The pools keep up to {_most(settings, pools)} servers ready. The Hub's API does not show whether "
        "active_server_limit leaves room for them, or when a culler would stop them."
    )
    advice = (
        "Check c.JupyterHub.active_server_limit, c.JupyterHub.concurrent_spawn_limit and the settings of "
        "jupyterhub-idle-culler (docs/warm-pool.md#what-a-culler-does). For z2jh, --z2jh-values checks them."
    )
    return Finding(check=_CHECK, state="unknown", message=message, advice=advice)


def _room(settings: Settings, hub: _Hub, pools: Sequence[Pool]) -> Generator[Finding]:
    most, limit = _most(settings, pools), hub.active_server_limit
    if limit and most >= limit:
        message = (
            f"The pools keep up to {most} servers ready. hub.activeServerLimit is {limit}, so none is left for people."
        )
        yield _warning(message, "Raise hub.activeServerLimit, or lower LAUNCHER_MAX_WARM_SERVERS.")
    spawns = settings.max_concurrent_spawns + refill_most(settings.max_concurrent_spawns)
    if hub.concurrent_spawn_limit and spawns > hub.concurrent_spawn_limit:
        message = (
            f"With warm servers, up to {spawns} servers may be starting at the same time, but hub.concurrentSpawnLimit "
            f"is {hub.concurrent_spawn_limit}. JupyterHub may then refuse a launch, which waits in the queue again."
        )
        yield _warning(message, "Raise hub.concurrentSpawnLimit, or lower LAUNCHER_MAX_CONCURRENT_SPAWNS.")


def _culler(settings: Settings, cull: _Cull, pools: Sequence[Pool]) -> Generator[Finding]:
    if not cull.enabled:
        return
    if cull.timeout < _IDLE_LEAST_S:
        message = f"cull.timeout is {cull.timeout:.0f} s, so the culler stops warm servers that wait."
        yield _warning(
            message, f"Set cull.timeout to at least {_IDLE_LEAST_S}, as hublaunch reports them twice a minute."
        )
    needed_s = max(pool.warm.max_age_s for pool in pools) + session_terms_of(settings).longest_s
    if 0 < cull.max_age < needed_s:
        message = (
            f"cull.maxAge is {cull.max_age:.0f} s, counted from the start of a server. A server can wait in a pool and "
            f"then run for up to {needed_s:.0f} s, so the culler can stop it while it is in use."
        )
        yield _warning(message, "Raise cull.maxAge, or lower max_age_s in the catalogue or LAUNCHER_MAX_SESSION_S.")


def _warning(message: str, advice: str) -> Finding:
    return Finding(check=_CHECK, state="warning", message=message, advice=advice)
