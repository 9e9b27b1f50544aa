"""`hublaunch doctor` on the Hub: its version, clock, token and scopes, and what its API does not tell."""

from collections.abc import AsyncGenerator, Generator
from datetime import UTC, datetime

import httpx
from ulid import ULID

from hublaunch.doctor.finding import Finding, ahead_s, clock
from hublaunch.hub.check import missing_scopes, needed_scopes, needless_scopes
from hublaunch.hub.client import HubClient
from hublaunch.hub.paths import quoted
from hublaunch.launch.errors import HubError, HubRefused
from hublaunch.settings import Settings
from hublaunch.wiring.access import makes_temporary_users

_HUBS = (4, 6)
"""The oldest and the newest major version of JupyterHub that hublaunch is tested with."""


async def examine_hub(settings: Settings, hub: HubClient) -> AsyncGenerator[Finding]:
    """Yield findings on the Hub's API; no more than the first fault that leaves nothing to ask."""
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
    yield clock("Hub's clock", ahead_s(answer.headers.get("Date"), datetime.now(UTC)))
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
    if settings.allow_named_servers:
        yield await _named_servers(settings, hub)
    for finding in _not_told(settings):
        yield finding


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


async def _named_servers(settings: Settings, hub: HubClient) -> Finding:
    """Return whether the Hub allows named servers.

    Its API tells that only to requests for a named server of a user who exists: here for the removal of a server that
    there cannot be, which changes nothing.
    """
    check = "named servers"
    for username in settings.admins:
        try:
            await hub.request("DELETE", f"users/{quoted(username)}/servers/{ULID()}")
        except HubRefused as refusal:
            if refusal.status == 400:
                told = "LAUNCHER_ALLOW_NAMED_SERVERS is true, and the Hub allows none: launches will fail."
                advice = (
                    "Set c.JupyterHub.allow_named_servers = True (z2jh: hub.allowNamedServers: true), or leave "
                    "LAUNCHER_ALLOW_NAMED_SERVERS out."
                )
                return Finding(check=check, state="fault", told=told, advice=advice)
            if "no server named" in str(refusal):
                return Finding(check=check, state="ok", told="The Hub allows them.")
        except HubError:
            break
    told = "LAUNCHER_ALLOW_NAMED_SERVERS is true. Whether the Hub allows them it tells only of a user whom it knows."
    advice = (
        "Look for c.JupyterHub.allow_named_servers = True (z2jh: hub.allowNamedServers: true) in its configuration, or "
        "name a Hub user in LAUNCHER_ADMINS."
    )
    return Finding(check=check, state="unknown", told=told, advice=advice)


def _not_told(settings: Settings) -> Generator[Finding]:
    """Yield what launches depend on and the Hub's API does not tell."""
    yield _unknown(
        "slow_spawn_timeout",
        "A stock Hub has 10 s, z2jh 0. Launches work with both; 0 spares calls.",
        'Look into the Hub\'s configuration for c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}.',
    )
    yield _unknown(
        "image",
        "Not every spawner uses the image of a launch. KubeSpawner needs an apply_user_options, and no profile_list.",
        "Launch an image that is not the Hub's default, and look which one the server runs. docs/hub-setup.md has the "
        "lines for the Hub's configuration.",
    )
    if settings.hub_guard != "off":
        limit = settings.hub_failure_limit
        yield _unknown(
            "failure limit",
            f"LAUNCHER_HUB_FAILURE_LIMIT is {limit}, which fits a consecutive_failure_limit of {limit + 1}. z2jh has "
            "5; a stock Hub has 0, no limit.",
            "Look into the Hub's configuration for c.Spawner.consecutive_failure_limit (z2jh: "
            "hub.consecutiveFailureLimit). Where it is 0, set LAUNCHER_HUB_GUARD=off.",
        )
    if makes_temporary_users(settings) and settings.token_mode == "hub" and settings.token_in_url:
        yield _unknown(
            "token in URL",
            "Visitors enter by an open_url with a token, which servers refuse by default.",
            'Look into the Hub\'s configuration for JUPYTERHUB_ALLOW_TOKEN_IN_URL: "1" in c.Spawner.environment (z2jh: '
            "singleuser.extraEnv). If servers must not take tokens so, set LAUNCHER_TOKEN_IN_URL=false.",
        )


def _unknown(check: str, told: str, advice: str) -> Finding:
    return Finding(check=check, state="unknown", told=f"The Hub's API does not tell it. {told}", advice=advice)


def _sentence(error: HubError) -> str:
    return f"{str(error).rstrip('.')}."
