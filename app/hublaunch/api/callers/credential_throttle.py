"""Slows down attempts with wrong credentials from one address, without locking anybody out."""

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
"""How long correct credentials are checked without waiting, even if the address that sends them also sends wrong
ones."""
WRONG_S = 30.0
"""How long identical wrong credentials count only once: repeating them is not guessing."""
REMEMBERED_MAX = 10_000
AT_ONCE = 4
"""How many attempts from an address proceed at the same time once it has sent too many wrong credentials."""
WAIT_S = 10.0
"""How long each further attempt waits for its turn."""


@dataclass(frozen=True, slots=True)
class _Result:
    was_right: bool
    until: float


@dataclass(slots=True)
class _Turns:
    """The attempts of one throttled address."""

    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    waiting: int = 0


class CredentialThrottle:
    """Lets credentials be tried freely until an address has sent too many wrong ones, then a few at a time.

    Correct credentials are not refused because of other callers' wrong ones: a whole university can share one address.
    Nobody can guess 128 random bits; the throttle limits the requests to JupyterHub. Credentials that were tried
    recently do not wait. Each process keeps its own record of their SHA-256 hashes.
    """

    def __init__(
        self,
        limiter: RateLimiter,
        *,
        address: Callable[[Request], str],
        now: Callable[[], float],
        wait_s: float = WAIT_S,
    ) -> None:
        """`address` gives the address of a request's client; `now` is a monotonic clock in seconds."""
        self._limiter = limiter
        self._address = address
        self._now = now
        self._wait_s = wait_s
        self._results: OrderedDict[bytes, _Result] = OrderedDict()
        self._turns: dict[str, _Turns] = {}

    @asynccontextmanager
    async def attempt(self, request: Request, credential: str) -> AsyncGenerator[None]:
        """Wrap an attempt with the credential, which raises Unauthenticated if it is wrong.

        Unauthenticated becomes RateLimited if the address has sent too many wrong credentials. Also raises RateLimited
        if the attempt's turn does not come within `wait_s`.
        """
        digest = hashlib.sha256(credential.encode()).digest()
        before = self._recent(digest)
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
        address = verdict.refusing[-1].limit.subject
        turns = self._turns.setdefault(address, _Turns())
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
                del self._turns[address]

    def _recent(self, digest: bytes) -> _Result | None:
        result = self._results.get(digest)
        return result if result is not None and result.until > self._now() else None

    def _remember(self, digest: bytes, *, was_right: bool) -> None:
        self._results[digest] = _Result(was_right, self._now() + (RIGHT_S if was_right else WRONG_S))
        self._results.move_to_end(digest)
        if len(self._results) > REMEMBERED_MAX:
            self._results.popitem(last=False)


def _check(request: Request, verdict: Verdict) -> None:
    """Raise RateLimited, with its headers on the answer, if the address has sent too many wrong credentials."""
    if not verdict.allowed:
        note_verdict(request, verdict)
        verdict.check()
