"""Wrong credentials are counted by address: many of them slow guessing down, and shut nobody out."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from starlette.requests import Request

from hublaunch.api.rate_headers import note_verdict
from hublaunch.launch.acceptance.rate_limiter import RateLimiter
from hublaunch.launch.errors import AccessDenied, Unauthenticated
from hublaunch.launch.rules.rate_limit import Verdict

RIGHT_S = 3600.0
"""For so long credentials that were right are tried at once, whatever else comes from their address."""
WRONG_S = 30.0
"""For so long the same wrong credentials count once: who sends them over and over guesses nothing."""
TRIED_MAX = 10_000
AT_ONCE = 4
"""So many are tried at once of those from an address that has sent too many wrong ones."""
WAIT_S = 10.0
"""So long each of them waits for its turn."""


@dataclass(frozen=True, slots=True)
class _Tried:
    was_right: bool
    until: float


@dataclass(slots=True)
class _Turns:
    """Those who wait at one address."""

    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    waiting: int = 0


class Guesses:
    """Has credentials tried: any number from an address, until too many of them were wrong; then a few at a time.

    Right credentials are never refused for the wrong ones of others, as one address may be a university's, or that of
    a proxy. Nobody can guess 128 random bits; what is limited is how much JupyterHub is asked. Credentials that were
    tried lately wait for nobody: which those were, by their SHA-256, each process remembers for itself.
    """

    def __init__(
        self,
        limiter: RateLimiter,
        *,
        address: Callable[[Request], str],
        now: Callable[[], float],
        wait_s: float = WAIT_S,
    ) -> None:
        self._limiter = limiter
        self._address = address
        self._now = now
        self._wait_s = wait_s
        self._tried: OrderedDict[bytes, _Tried] = OrderedDict()
        self._turns: dict[str, _Turns] = {}

    @asynccontextmanager
    async def guess(self, request: Request, credential: str) -> AsyncGenerator[None]:
        """Within it the credential is tried: Unauthenticated says that it is wrong.

        That is raised as RateLimited if too many were. RateLimited also if its turn to be tried does not come.
        """
        digest = hashlib.sha256(credential.encode()).digest()
        before = self._lately(digest)
        verdict = await self._limiter.credentials(self._address(request)) if before is None else None
        async with AsyncExitStack() as stack:
            if verdict is not None and not verdict.allowed:
                await stack.enter_async_context(self._turn(request, verdict))
            try:
                yield
            except Unauthenticated:
                if verdict is not None:
                    _check(request, verdict)
                if before is None or before.was_right:
                    self._remember(digest, was_right=False)
                    await self._limiter.count_wrong_credentials(self._address(request))
                raise
            except AccessDenied:
                self._remember(digest, was_right=True)
                raise
            self._remember(digest, was_right=True)

    @asynccontextmanager
    async def _turn(self, request: Request, verdict: Verdict) -> AsyncGenerator[None]:
        place = verdict.refusing[-1].limit.subject
        turns = self._turns.setdefault(place, _Turns())
        turns.waiting += 1
        try:
            try:
                async with asyncio.timeout(self._wait_s):
                    await turns.free.acquire()
            except TimeoutError:
                _check(request, verdict)
            try:
                yield
            finally:
                turns.free.release()
        finally:
            turns.waiting -= 1
            if not turns.waiting:
                del self._turns[place]

    def _lately(self, digest: bytes) -> _Tried | None:
        tried = self._tried.get(digest)
        return tried if tried is not None and tried.until > self._now() else None

    def _remember(self, digest: bytes, *, was_right: bool) -> None:
        self._tried[digest] = _Tried(was_right, self._now() + (RIGHT_S if was_right else WRONG_S))
        self._tried.move_to_end(digest)
        if len(self._tried) > TRIED_MAX:
            self._tried.popitem(last=False)


def _check(request: Request, verdict: Verdict) -> None:
    """RateLimited, of which the answer tells in its headers, if the address has sent too many wrong ones."""
    if not verdict.allowed:
        note_verdict(request, verdict)
        verdict.check()
