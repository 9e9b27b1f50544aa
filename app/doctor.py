"""What `hublaunch doctor` looks at, for operators: the settings, the Hub, the clocks and the database."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import httpx

from app.access import check_access, makes_temporary_users
from app.guarding import guard_state
from app.hub.check import missing_scopes, needed_scopes, needless_scopes
from app.hub.client import HubClient
from app.hub.connect import connect_hub
from app.launch.errors import HubError, HubRefused
from app.launcher import policy_of
from app.settings import Settings, SettingsFault
from app.store.errors import StoreError
from app.store.look import look

CLOCK_OFF_S = 5.0
"""By which clocks may differ: a `Date` is cut to the second, and takes its time."""
SERVICE_TIMEOUT_S = 5.0
_HUBS = (4, 6)
"""The oldest and the newest major version of JupyterHub that hublaunch is tested with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    state: Literal["ok", "warning", "fault", "unknown"]
    told: str
    advice: str = ""
    """What to do; `""` if nothing has to be done."""


async def examine(settings: Settings, *, port: int) -> AsyncGenerator[Finding]:
    """One finding after the other. Nothing is launched, made or changed anywhere.

    `port`: where the service listens on this machine, should it run.
    """
    yield _settings(settings)
    try:
        # Asked once: whoever examines wants to hear of a fault, not to have it waited out.
        async with connect_hub(settings.model_copy(update={"retries": 1})) as hub:
            async for finding in _hub(settings, hub):
                yield finding
    except SettingsFault as fault:
        yield Finding(check="Hub", state="fault", told=str(fault), advice="Correct the files for TLS.")
    async for finding in _database(settings):
        yield finding
    if guard := await asyncio.to_thread(_guard, settings):
        yield guard
    yield await _proxies(port)


def _settings(settings: Settings) -> Finding:
    try:
        check_access(settings)
        policy_of(settings)
    except SettingsFault as fault:
        return Finding(check="settings", state="fault", told=" ".join(fault.sentences), advice="See .env.example.")
    if not settings.allowed_images and not settings.group_allowed_images:
        return Finding(
            check="settings",
            state="warning",
            told="LAUNCHER_ALLOWED_IMAGES is empty, so every launch is refused.",
            advice="Name the images that may be launched, such as quay.io/jupyter/*.",
        )
    return Finding(check="settings", state="ok", told=f"Callers: {', '.join(settings.access)}.")


async def _hub(settings: Settings, hub: HubClient) -> AsyncGenerator[Finding]:
    """Reachable, version, clock, token, scopes, slow_spawn_timeout; no more than the first that fails."""
    try:
        answer = await hub.request("GET", "")
    except HubError as error:
        advice = (
            "See whether the Hub runs, and whether LAUNCHER_HUB_URL_LOCAL, or else LAUNCHER_HUB_URL, is its address."
        )
        yield Finding(check="Hub", state="fault", told=f"{settings.hub_api_url}: {_sentence(error)}", advice=advice)
        return
    version = _version(settings.hub_api_url, answer)
    yield version
    if version.state == "fault":
        return
    yield _clock("Hub's clock", _ahead_s(answer.headers.get("Date"), datetime.now(UTC)))
    try:
        info = await hub.info()
    except HubError as error:
        is_unknown = isinstance(error, HubRefused) and error.status in (401, 403)
        advice = "Give LAUNCHER_HUB_API_TOKEN the api_token that c.JupyterHub.services has for hublaunch."
        yield Finding(
            check="token",
            state="fault",
            told=_sentence(error),
            advice=advice if is_unknown else error.operator_advice or error.advice,
        )
        return
    yield Finding(check="token", state="ok", told="The Hub knows the token.")
    yield _scopes(settings, info.scopes)
    yield Finding(
        check="slow_spawn_timeout",
        state="unknown",
        told="The Hub's API does not tell it. A stock Hub has 10 s, z2jh 0. Launches work with both; 0 spares calls.",
        advice='Look into the Hub\'s configuration for c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}; or '
        "start a server by POST /hub/api/users/NAME/server: with 0 the Hub answers 202 at once.",
    )


def _version(hub_api_url: str, answer: httpx.Response) -> Finding:
    try:
        version = str(answer.json()["version"])
    except (ValueError, TypeError, KeyError):
        told = f"What answers at {hub_api_url} is not JupyterHub."
        advice = "Give LAUNCHER_HUB_URL_LOCAL, or else LAUNCHER_HUB_URL, the Hub's address without hub/."
        return Finding(check="Hub", state="fault", told=told, advice=advice)
    told = f"JupyterHub {version} answers at {hub_api_url}"
    major = version.partition(".")[0]
    oldest, newest = _HUBS
    if major.isdecimal() and oldest <= int(major) <= newest:
        return Finding(check="Hub", state="ok", told=told)
    advice = f"hublaunch is tested with JupyterHub {oldest}.1 to {newest}.x: try a launch before you rely on this one."
    return Finding(check="Hub", state="warning", told=told, advice=advice)


def _scopes(settings: Settings, scopes: frozenset[str]) -> Finding:
    needed = needed_scopes(temporary_users=makes_temporary_users(settings), mints_tokens=settings.token_mode == "hub")
    if missing := missing_scopes(scopes, needed):
        told = f"The role of this service lacks {', '.join(missing)}: launches will fail."
        return Finding(check="scopes", state="fault", told=told, advice="Add them in c.JupyterHub.load_roles.")
    if needless := needless_scopes(scopes, needed):
        told = f"The role of this service has more than it needs: {', '.join(needless)}."
        return Finding(check="scopes", state="warning", told=told, advice="Take them out of c.JupyterHub.load_roles.")
    return Finding(check="scopes", state="ok", told=f"{', '.join(sorted(needed))}: all that is needed, and no more.")


def _clock(check: str, ahead_s: float | None) -> Finding:
    if ahead_s is None:
        return Finding(check=check, state="unknown", told="It was not told.")
    if abs(ahead_s) <= CLOCK_OFF_S:
        return Finding(check=check, state="ok", told="It agrees with this machine's.")
    told = f"It is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's."
    return Finding(check=check, state="warning", told=told, advice="Have both set their clocks by NTP.")


def _ahead_s(date: str | None, now: datetime) -> float | None:
    """By how many seconds an answer's `Date` is ahead of now; None if it has none."""
    try:
        return (parsedate_to_datetime(date or "") - now).total_seconds()
    except (TypeError, ValueError):
        return None


async def _database(settings: Settings) -> AsyncGenerator[Finding]:
    try:
        found = await asyncio.to_thread(look, settings.database_url)
    except StoreError as error:
        advice = "Set LAUNCHER_DATABASE_URL, or see to it that the database can be used."
        yield Finding(check="database", state="fault", told=str(error), advice=advice)
        return
    tables = "its tables are yet to be made" if found.version is None else f"tables of version {found.version}"
    later = "" if found.is_current else "; the next start brings them up to date"
    yield Finding(check="database", state="ok", told=f"{found.described}: {tables}{later}.")
    if found.free_bytes is not None:
        yield _disk(found.free_bytes // 1024**2, least_mib=settings.min_free_space)
    if found.clock_ahead_s is not None:
        yield _clock("database's clock", found.clock_ahead_s)


def _disk(free_mib: int, *, least_mib: int) -> Finding:
    told = f"The volume of the database has {free_mib} MiB of disk space left."
    if free_mib >= least_mib:
        return Finding(check="disk", state="ok", told=told)
    advice = f"No launch is accepted below LAUNCHER_MIN_FREE_SPACE={least_mib}: make room on the volume."
    return Finding(check="disk", state="fault", told=told, advice=advice)


def _guard(settings: Settings) -> Finding | None:
    """Whether launches are held back; None where there are no records that tell."""
    try:
        state, lines = guard_state(settings)
    except StoreError:
        return None
    told = f"{lines[0].removeprefix('Guard').strip().capitalize()}."
    if state in ("open", "off"):
        return Finding(check="Hub guard", state="ok", told=told)
    advice = (
        "Find out why servers fail to start, then run `hublaunch guard clear` or restart the Hub. "
        "hub.consecutiveFailureLimit: 0 in z2jh's values (c.Spawner.consecutive_failure_limit) ends the danger."
    )
    return Finding(check="Hub guard", state="fault" if state == "paused" else "warning", told=told, advice=advice)


async def _proxies(port: int) -> Finding:
    """Whether a proxy forwards callers to the running service that the settings do not name."""
    check, url = "proxies", f"http://127.0.0.1:{port}/readyz"
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=SERVICE_TIMEOUT_S) as http:
            address = (await http.get(url)).json()["unnamed_proxy"]
    except (httpx.HTTPError, ValueError, TypeError, KeyError):
        told = (
            f"No hublaunch answers at {url}, which would tell of proxies that LAUNCHER_TRUSTED_PROXIES does not name."
        )
        return Finding(check=check, state="unknown", told=told, advice="Run this where it runs, with its --port.")
    if address is None:
        return Finding(
            check=check, state="ok", told="No proxy forwards callers that LAUNCHER_TRUSTED_PROXIES does not name."
        )
    told = f"{address} forwards callers, and LAUNCHER_TRUSTED_PROXIES does not name it: they all count as one address."
    advice = "If it is your proxy, add its address, or a network that has no other machines than your proxies."
    return Finding(check=check, state="warning", told=told, advice=advice)


def _sentence(error: HubError) -> str:
    return f"{str(error).rstrip('.')}."
