"""A transport that reports requests to the Hub, and how long they take, to listeners."""

from collections.abc import Callable, Sequence
from enum import StrEnum

import httpx

from hublaunch.hub.operations import OTHER
from hublaunch.hub.refusals import NOT_SENT


class CallOutcome(StrEnum):
    """How a request to the Hub ended."""

    ANSWERED = "answered"
    """With success, or with a 404, which answers that something does not exist."""
    REFUSED = "refused"
    """With another 4xx."""
    BUSY = "busy"
    """With 429."""
    FAILED = "failed"
    """With a 5xx."""
    UNREACHABLE = "unreachable"
    """The Hub never saw the request."""
    BROKEN = "broken"
    """Without a complete answer; the Hub may have acted."""
    GIVEN_UP = "given_up"
    """Cancelled by this service."""


CallListener = Callable[[str, httpx.Headers], Callable[[CallOutcome], None]]
"""Called with the kind and the headers of each request; may add headers. Returns a function for the request's end.

That function is called once the headers of the answer have arrived: a progress stream continues after that. Neither
function may raise.
"""


class ObservedTransport(httpx.AsyncBaseTransport):
    """Passes requests on to another transport and reports them to listeners. Errors pass through unchanged."""

    def __init__(self, transport: httpx.AsyncBaseTransport, listeners: Sequence[CallListener]) -> None:
        self._transport = transport
        self._listeners = listeners

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        kind = request.extensions.get("kind", OTHER)
        ends = [begin(kind, request.headers) for begin in self._listeners]
        outcome = CallOutcome.GIVEN_UP
        try:
            response = await self._transport.handle_async_request(request)
            outcome = _outcome(response.status_code)
        except NOT_SENT:
            outcome = CallOutcome.UNREACHABLE
            raise
        except httpx.HTTPError:
            outcome = CallOutcome.BROKEN
            raise
        finally:
            for end in ends:
                end(outcome)
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()


def _outcome(status: int) -> CallOutcome:
    if status == 429:
        return CallOutcome.BUSY
    if status >= 500:
        return CallOutcome.FAILED
    return CallOutcome.REFUSED if status >= 400 and status != 404 else CallOutcome.ANSWERED
