"""Requests for a launch are counted by the rate limits, those that are not valid too."""

from typing import TYPE_CHECKING

from starlette.requests import Request

from hublaunch.api.rate_headers import is_counted, note_verdict
from hublaunch.api.visibility import known_caller
from hublaunch.launch.errors import RateLimited
from hublaunch.launch.model import Caller

if TYPE_CHECKING:
    from hublaunch.api.dependencies import Web


async def count_launch(request: Request, caller: Caller) -> None:
    """Count a request as one for a launch; RateLimited."""
    web: Web = request.state.web
    verdict = await web.limiter.launch(caller, web.address(request))
    note_verdict(request, verdict)
    verdict.check()


async def too_many_invalid(request: Request) -> RateLimited | None:
    """Count a request for a launch that is not valid, unless it was counted before. Return RateLimited if too many are.

    To find out what is wrong with a request costs more than to refuse it.
    """
    if is_counted(request):
        return None
    web: Web = request.state.web
    try:
        await count_launch(request, known_caller(request) or web.callers.anonymous(request))
    except RateLimited as refusal:
        return refusal
    return None
