"""Counts requests for launches against the rate limits."""

from collections.abc import Callable

from starlette.requests import Request

from hublaunch.api.rate_headers import is_counted, note_verdict
from hublaunch.api.visibility import known_caller
from hublaunch.launch.acceptance.rate_limiter import RateLimiter
from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import RateLimited


class LaunchCounter:
    """Counts requests for launches, invalid ones too: finding a request's fault costs more than refusing it."""

    def __init__(self, limiter: RateLimiter, *, address: Callable[[Request], str]) -> None:
        """`address` gives the address of a request's client."""
        self._limiter = limiter
        self._address = address

    async def count(self, request: Request, caller: Caller) -> None:
        """Count a request for a launch, and note the result for the headers of its answer. Raises RateLimited."""
        verdict = await self._limiter.launch(caller, self._address(request))
        note_verdict(request, verdict)
        verdict.check()

    async def too_many_invalid(self, request: Request) -> RateLimited | None:
        """Count an invalid request unless it was counted before. Return RateLimited if it exceeds a limit."""
        if is_counted(request):
            return None
        try:
            await self.count(request, known_caller(request) or Caller(kind="anonymous", key=self._address(request)))
        except RateLimited as refusal:
            return refusal
        return None
