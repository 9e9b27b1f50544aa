"""How often wrong credentials may come from one address, so that guessing is slow and the Hub is not asked for it."""

import hashlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import Request

from app.api.rate_headers import note_verdict
from app.launch.errors import AccessDenied, Unauthenticated
from app.launch.limiter import RateLimiter

RIGHT_S = 3600.0
"""For so long credentials that were right are tried whatever else comes from their address."""
WRONG_S = 30.0
"""For so long the same wrong credentials count once: who sends them over and over guesses nothing."""
TRIED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class _Tried:
    was_right: bool
    until: float


class Guesses:
    """Lets credentials be tried, until too many from one address were wrong.

    Where one address is a university's, one program with a wrong token shuts nobody out: credentials that were tried
    lately are no guess. Which those were, by their SHA-256, each process remembers for itself.
    """

    def __init__(self, limiter: RateLimiter, *, address: Callable[[Request], str], now: Callable[[], float]) -> None:
        self._limiter = limiter
        self._address = address
        self._now = now
        self._tried: OrderedDict[bytes, _Tried] = OrderedDict()

    @asynccontextmanager
    async def guess(self, request: Request, credential: str) -> AsyncGenerator[None]:
        """Within it the credential is tried: Unauthenticated says that it is wrong.

        RateLimited, and it is not tried, if too many were.
        """
        digest = hashlib.sha256(credential.encode()).digest()
        before = self._lately(digest)
        if before is None:
            await self._check(request)
        try:
            yield
        except Unauthenticated:
            if before is None or before.was_right:
                self._remember(digest, was_right=False)
                await self._count(request)
            raise
        except AccessDenied:
            self._remember(digest, was_right=True)
            raise
        self._remember(digest, was_right=True)

    @asynccontextmanager
    async def guess_once(self, request: Request) -> AsyncGenerator[None]:
        """As `guess`, for what is good for one time only: whoever sends it again has no reason to."""
        await self._check(request)
        try:
            yield
        except Unauthenticated:
            await self._count(request)
            raise

    async def _check(self, request: Request) -> None:
        verdict = await self._limiter.credentials(self._address(request))
        if not verdict.allowed:
            note_verdict(request, verdict)
        verdict.check()

    async def _count(self, request: Request) -> None:
        await self._limiter.count_wrong_credentials(self._address(request))

    def _lately(self, digest: bytes) -> _Tried | None:
        tried = self._tried.get(digest)
        return tried if tried is not None and tried.until > self._now() else None

    def _remember(self, digest: bytes, *, was_right: bool) -> None:
        self._tried[digest] = _Tried(was_right, self._now() + (RIGHT_S if was_right else WRONG_S))
        self._tried.move_to_end(digest)
        if len(self._tried) > TRIED_MAX:
            self._tried.popitem(last=False)
