"""A transport that lets others see what is asked of the Hub, and how long that takes."""

from collections.abc import Callable, Sequence
from enum import StrEnum

import httpx

from hublaunch.hub.operations import OTHER
from hublaunch.hub.rest import NOT_SENT


class Outcome(StrEnum):
    """How a request to the Hub ended."""

    ANSWERED = "answered"  # also by 404: that something is not there is an answer
    REFUSED = "refused"  # another 4xx
    BUSY = "busy"  # 429
    FAILED = "failed"  # 5xx
    UNREACHABLE = "unreachable"  # the Hub never saw it
    BROKEN = "broken"  # no answer, or half of one; the Hub may have acted
    GIVEN_UP = "given_up"  # not waited for any longer


CallListener = Callable[[str, httpx.Headers], Callable[[Outcome], None]]
"""Called with the kind of a request that begins, and its headers, to which it may add; gives what to call at its end.

An end is told once the head of the answer is there: a progress stream goes on after it. Neither may raise.
"""


class ObservedTransport(httpx.AsyncBaseTransport):
    """Passes requests on to another transport, and tells listeners of them. Errors pass through as they are."""

    def __init__(self, transport: httpx.AsyncBaseTransport, listeners: Sequence[CallListener]) -> None:
        self._transport = transport
        self._listeners = listeners

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        kind = request.extensions.get("kind", OTHER)
        tell_end = [begin(kind, request.headers) for begin in self._listeners]
        outcome = Outcome.GIVEN_UP
        try:
            response = await self._transport.handle_async_request(request)
            outcome = _outcome(response.status_code)
        except NOT_SENT:
            outcome = Outcome.UNREACHABLE
            raise
        except httpx.HTTPError:
            outcome = Outcome.BROKEN
            raise
        finally:
            for tell in tell_end:
                tell(outcome)
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()


def _outcome(status: int) -> Outcome:
    if status == 429:
        return Outcome.BUSY
    if status >= 500:
        return Outcome.FAILED
    return Outcome.REFUSED if status >= 400 and status != 404 else Outcome.ANSWERED
