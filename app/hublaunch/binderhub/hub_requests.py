"""Requests to the Hub's API in tornado's form, for `hublaunch.binderhub.Launcher.api_request`."""

import asyncio
import logging

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse

from hublaunch.hub.address import HubPace
from hublaunch.hub.refusals import retry_after_s

log = logging.getLogger(__name__)


async def fetch(request: HTTPRequest, *, pace: HubPace) -> HTTPResponse:
    """Send a request up to `pace.tries` times, and return the response if it is a 2xx.

    A 5xx, a 429 or a failed connection is retried, after the `Retry-After` if a 429 has one. A 409 to a repeated
    request means that an earlier one took effect, so it counts as success. Raises HTTPClientError, whose code
    is 599 if there was no response.
    """
    attempt = 1
    while True:
        try:
            return await _fetch_once(request)
        except HTTPClientError as error:
            if attempt > 1 and error.code == 409 and error.response is not None:
                return error.response
            if attempt >= pace.tries or (error.code < 500 and error.code != 429):
                raise
            pause_s = _pause_s(error, attempt, pace)
            log.warning("JupyterHub: %s. Retrying in %.1f s (%d of %d).", error, pause_s, attempt + 1, pace.tries)
        await asyncio.sleep(pause_s)
        attempt += 1


async def _fetch_once(request: HTTPRequest) -> HTTPResponse:
    try:
        return await AsyncHTTPClient().fetch(request)
    except OSError as error:
        raise HTTPClientError(599, str(error)) from error


def _pause_s(error: HTTPClientError, attempt: int, pace: HubPace) -> float:
    asked_s = None
    if error.code == 429 and error.response is not None:
        asked_s = retry_after_s(error.response.headers.get("Retry-After", ""), *pace.retry_after_s)
    return pace.retry_delay_s * 2.0 ** (attempt - 1) if asked_s is None else asked_s
