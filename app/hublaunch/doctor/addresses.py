"""Checks that LAUNCHER_HUB_URL and LAUNCHER_PROXY_URL lead to the Hub's proxy."""

from collections.abc import AsyncGenerator

import httpx

from hublaunch.doctor.finding import Finding
from hublaunch.hub.connect import connect_web
from hublaunch.hub.operations import Operation
from hublaunch.settings import Settings
from hublaunch.wire.peer import Answer, AnswerTooLarge, Peer, Timeouts

_ANSWER_BYTES_MAX = 65_536
_TIMEOUTS: Timeouts = {"connect": 10, "write": 10, "read": 10}


async def examine_addresses(settings: Settings) -> AsyncGenerator[Finding]:
    """Yield a finding for each of LAUNCHER_HUB_URL and LAUNCHER_PROXY_URL that differs from the API's address."""
    addresses = {"LAUNCHER_HUB_URL": settings.hub_url, "LAUNCHER_PROXY_URL": settings.proxy_url}
    async with connect_web(settings) as web:
        for variable, url in addresses.items():
            if url is not None and f"{url}hub/api/" != settings.hub_api_url:
                yield await _examine(web, variable, url)


async def _examine(web: httpx.AsyncBaseTransport, variable: str, url: str) -> Finding:
    check = {"LAUNCHER_HUB_URL": "Hub URL", "LAUNCHER_PROXY_URL": "proxy URL"}[variable]
    try:
        answer = await _answer(web, url)
    except httpx.HTTPError:
        message = f"{variable} ({url}) cannot be reached from here, so it could not be checked."
        advice = (
            "Open it in a browser. hublaunch itself needs to reach LAUNCHER_PROXY_URL or, if that is not set, "
            "LAUNCHER_HUB_URL."
        )
        return Finding(check=check, state="warning", message=message, advice=advice)
    if answer.status == 200 and b'"version"' in answer.content:
        return Finding(check=check, state="ok", message=f"JupyterHub answers at {url}.")
    location = answer.headers.get("Location", "").partition("?")[0][:200]
    what = f"redirects to {location}" if location else f"answers {answer.status}, which is not JupyterHub's answer"
    message = f"{variable} is {url}, but {url}hub/api/ {what}. Launches would fail, or lead nowhere."
    advice = (
        f"Set {variable} to the address of the Hub's proxy, including the Hub's base_url. If z2jh's own proxy "
        "terminates TLS, set LAUNCHER_PROXY_URL to http://proxy-http:8000/."
    )
    return Finding(check=check, state="fault", message=message, advice=advice)


async def _answer(web: httpx.AsyncBaseTransport, url: str) -> Answer:
    """Ask the Hub that would be at this URL for its version. A longer body counts as empty."""
    peer = Peer(web, url)
    try:
        request = peer.request("GET", "hub/api/", timeouts=_TIMEOUTS, kind=Operation.GET_VERSION.kind)
        return await peer.send(request, bytes_max=_ANSWER_BYTES_MAX)
    except AnswerTooLarge as error:
        return error.head
