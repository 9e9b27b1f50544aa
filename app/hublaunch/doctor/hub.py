"""Checks of the Hub: version, clock, token and scopes, and reminders of settings that its API does not reveal."""

from collections.abc import AsyncGenerator, Generator
from datetime import UTC, datetime

import httpx
from ulid import ULID

from hublaunch.doctor.finding import Finding, ahead_s, clock
from hublaunch.hub.check import missing_scopes, needed_scopes, needless_scopes
from hublaunch.hub.client import HubClient
from hublaunch.hub.paths import quoted
from hublaunch.launch.errors import HubError, HubRefused
from hublaunch.launch.rules.condition import SLOW_S, Condition
from hublaunch.settings import Settings
from hublaunch.wiring.access import makes_temporary_users

_HUBS = (4, 6)
"""The oldest and the newest major version of JupyterHub that hublaunch is tested with."""


async def examine_hub(settings: Settings, hub: HubClient) -> AsyncGenerator[Finding]:
    """Yield findings on the Hub's API, up to the first fault that makes further requests useless."""
    try:
        answer = await hub.request("GET", "")
    except HubError as error:
        advice = "Check that the Hub runs, and that LAUNCHER_HUB_URL_LOCAL (or LAUNCHER_HUB_URL) is its address."
        message = f"{_words(error)}: {settings.hub_api_url}: {_sentence(error)}"
        yield Finding(check="Hub", state="fault", message=message, advice=advice)
        return
    version = _version(settings.hub_api_url, answer)
    yield version
    if version.state == "fault":
        return
    yield clock("Hub's clock", ahead_s(answer.headers.get("Date"), datetime.now(UTC)))
    try:
        info = await hub.info()
    except HubError as error:
        yield Finding(
            check="token",
            state="fault",
            message=f"{_words(error)}: {_sentence(error)}",
            advice=error.operator_advice or error.advice,
        )
        return
    if info.answered_in_s >= SLOW_S:
        yield Finding(
            check="Hub's speed",
            state="warning",
            message=f"{Condition.HUB_SLOW.words}: it took {info.answered_in_s:.1f} s to report its version.",
            advice="Look at the load of the Hub's machine and of its database.",
        )
    yield Finding(check="token", state="ok", message="The Hub accepts the token.")
    yield _scopes(settings, info.scopes)
    if settings.allow_named_servers:
        yield await _named_servers(settings, hub)
    for finding in _not_revealed(settings):
        yield finding


def _version(hub_api_url: str, answer: httpx.Response) -> Finding:
    try:
        version = str(answer.json()["version"])
    except (ValueError, TypeError, KeyError):
        message = f"The server at {hub_api_url} is not JupyterHub."
        advice = "Set LAUNCHER_HUB_URL_LOCAL (or LAUNCHER_HUB_URL) to the Hub's address, without hub/."
        return Finding(check="Hub", state="fault", message=message, advice=advice)
    message = f"JupyterHub {version} answers at {hub_api_url}."
    major = version.partition(".")[0]
    oldest, newest = _HUBS
    if major.isdecimal() and oldest <= int(major) <= newest:
        return Finding(check="Hub", state="ok", message=message)
    advice = (
        f"hublaunch is tested with JupyterHub {oldest}.1 to {newest}.x. Try a launch before you rely on this version."
    )
    return Finding(check="Hub", state="warning", message=message, advice=advice)


def _scopes(settings: Settings, scopes: frozenset[str]) -> Finding:
    needed = needed_scopes(temporary_users=makes_temporary_users(settings), mints_tokens=settings.token_mode == "hub")
    if missing := missing_scopes(scopes, needed):
        message = f"{Condition.HUB_FORBIDDEN.words}: the role is missing these scopes: {', '.join(missing)}."
        return Finding(check="scopes", state="fault", message=message, advice="Add them in c.JupyterHub.load_roles.")
    if needless := needless_scopes(scopes, needed):
        message = f"The role has scopes that hublaunch does not need: {', '.join(needless)}."
        return Finding(
            check="scopes", state="warning", message=message, advice="Remove them from c.JupyterHub.load_roles."
        )
    return Finding(
        check="scopes",
        state="ok",
        message=f"The role has the scopes that it needs, and no others: {', '.join(sorted(needed))}.",
    )


async def _named_servers(settings: Settings, hub: HubClient) -> Finding:
    """Return the finding on whether the Hub allows named servers.

    Its API reveals that only in answers about a named server of an existing user. So this asks to remove a server that
    cannot exist, which changes nothing.
    """
    check = "named servers"
    for username in settings.admins:
        try:
            await hub.request("DELETE", f"users/{quoted(username)}/servers/{ULID()}")
        except HubRefused as refusal:
            if refusal.status == 400:
                message = (
                    "LAUNCHER_ALLOW_NAMED_SERVERS is true, but the Hub allows no named servers. Launches will fail."
                )
                advice = (
                    "Set c.JupyterHub.allow_named_servers = True (z2jh: hub.allowNamedServers: true), or remove "
                    "LAUNCHER_ALLOW_NAMED_SERVERS."
                )
                return Finding(check=check, state="fault", message=message, advice=advice)
            if "no server named" in str(refusal):
                return Finding(check=check, state="ok", message="The Hub allows named servers.")
        except HubError:
            break
    message = "LAUNCHER_ALLOW_NAMED_SERVERS is true. Whether the Hub allows named servers could not be checked."
    advice = (
        "Check that the Hub's configuration has c.JupyterHub.allow_named_servers = True (z2jh: "
        "hub.allowNamedServers: true). Or name a Hub user in LAUNCHER_ADMINS, so that this check can ask the Hub."
    )
    return Finding(check=check, state="unknown", message=message, advice=advice)


def _not_revealed(settings: Settings) -> Generator[Finding]:
    """Yield reminders of things that launches depend on but the Hub's API does not show."""
    yield _unknown(
        "slow_spawn_timeout",
        "its value",
        "The default is 10 s, and 0 on z2jh. Launches work with both, and 0 saves requests.",
        'Consider c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0} in the Hub\'s configuration.',
    )
    yield _unknown(
        "image",
        "whether the spawner uses the image of a launch",
        "KubeSpawner needs apply_user_options, and no profile_list.",
        "Launch an image that is not the Hub's default, and check that the server runs it. docs/hub-setup.md has the "
        "configuration for the Hub.",
    )
    if settings.hub_guard != "off":
        limit = settings.hub_failure_limit
        yield _unknown(
            "failure limit",
            "the Hub's own limit",
            f"LAUNCHER_HUB_FAILURE_LIMIT is {limit}, which fits a consecutive_failure_limit of {limit + 1}. The "
            "default of z2jh is 5; that of JupyterHub is 0, which means no limit.",
            "Check c.Spawner.consecutive_failure_limit (z2jh: hub.consecutiveFailureLimit) in the Hub's configuration. "
            "If it is 0, set LAUNCHER_HUB_GUARD=off.",
        )
    if makes_temporary_users(settings) and settings.token_mode == "hub" and settings.token_in_url:
        yield _unknown(
            "token in URL",
            "whether servers accept the token in open_url",
            "By default they refuse it, and visitors cannot enter.",
            'Check that c.Spawner.environment (z2jh: singleuser.extraEnv) has JUPYTERHUB_ALLOW_TOKEN_IN_URL: "1". If '
            "servers must not accept tokens in URLs, set LAUNCHER_TOKEN_IN_URL=false.",
        )


def _unknown(check: str, hidden: str, message: str, advice: str) -> Finding:
    return Finding(
        check=check, state="unknown", message=f"The Hub's API does not show {hidden}. {message}", advice=advice
    )


def _words(error: HubError) -> str:
    """Return the error as the problem of a launch has it."""
    return f"{error.title} ({error.code})"


def _sentence(error: HubError) -> str:
    return f"{str(error).rstrip('.')}."
