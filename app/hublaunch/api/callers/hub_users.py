"""Hub users as callers: asks the Hub for the owner of a token, and remembers the answer for a while."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import AccessDenied, Unauthenticated
from hublaunch.launch.ports import Identity

LIFETIME_S = 30.0
"""How long an answer is kept, and so how long a revoked token still works."""
TOKENS_MAX = 4096


@dataclass(frozen=True, slots=True)
class _Answer:
    identity: asyncio.Task[Identity | None]
    expires_at: float


class HubUsers:
    """Finds the Hub user that a token belongs to, and checks that they may use this service.

    Answers are kept for 30 s by the token's SHA-256, at most 4,096 of them. However many requests wait for an answer,
    the Hub is asked once. Unknown tokens are remembered too; errors of the Hub are not.
    """

    def __init__(
        self,
        identify: Callable[[str], Awaitable[Identity | None]],
        *,
        service_name: str,
        admins: Collection[str],
        now: Callable[[], float],
    ) -> None:
        self._identify = identify
        self._scope = f"access:services!service={service_name}"
        self._admins = frozenset(admins)
        self._now = now
        self._answers: OrderedDict[bytes, _Answer] = OrderedDict()

    async def caller(self, token: str) -> Caller:
        """Return the user.

        Raises Unauthenticated for an unknown token, AccessDenied without the scope, or a HubError.
        """
        identity = await self._identity(token)
        if identity is None:
            raise Unauthenticated("This service does not know this token or key. It may have been revoked.")
        if identity.kind != "user":
            raise AccessDenied("This token belongs to a JupyterHub service. Services must use an API key.")
        if identity.scopes.isdisjoint((self._scope, "access:services")):
            raise AccessDenied(f"The token is missing the scope {self._scope}.")
        return Caller(
            kind="hub",
            key=identity.name,
            groups=identity.groups,
            # The unfiltered scope: users who may stop everybody's servers at the Hub may do so here.
            is_admin=identity.name in self._admins or "delete:servers" in identity.scopes,
        )

    async def _identity(self, token: str) -> Identity | None:
        key = hashlib.sha256(token.encode()).digest()
        answer = self._answers.get(key)
        if answer is None or answer.expires_at <= self._now():
            asking = asyncio.create_task(self._ask(key, token))
            asking.add_done_callback(_retrieve_error)
            answer = _Answer(asking, self._now() + LIFETIME_S)
            self._answers[key] = answer
            self._answers.move_to_end(key)
            if len(self._answers) > TOKENS_MAX:
                self._answers.popitem(last=False)
        return await asyncio.shield(answer.identity)  # a caller who leaves does not cancel it for the others

    async def _ask(self, key: bytes, token: str) -> Identity | None:
        try:
            return await self._identify(token)
        except BaseException:
            self._answers.pop(key, None)
            raise


def _retrieve_error(asking: asyncio.Task[Identity | None]) -> None:
    """Keep asyncio from logging an error that nobody waits for anymore."""
    if not asking.cancelled():
        asking.exception()
