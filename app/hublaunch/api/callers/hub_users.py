"""Hub users as callers: whom a Hub token belongs to, asked of the Hub and remembered for a while."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from hublaunch.launch.errors import AccessDenied, Unauthenticated
from hublaunch.launch.model import Caller
from hublaunch.launch.ports import Identity

LIFETIME_S = 30.0
"""So long a token that was revoked is still taken."""
TOKENS_MAX = 4096


@dataclass(frozen=True, slots=True)
class _Answer:
    identity: asyncio.Task[Identity | None]
    expires_at: float


class HubUsers:
    """Tells which Hub user a token belongs to, and whether they may use this service.

    A token's answer is kept for 30 s by its SHA-256, at most 4,096 of them, and asked for once however many wait. That
    the Hub does not know a token is such an answer too; that the Hub cannot say is none, and is asked again.
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
        """Unauthenticated if the Hub does not know the token, AccessDenied without the scope, or a HubError."""
        identity = await self._identity(token)
        if identity is None:
            raise Unauthenticated("The token or key is not one that is known here; it may have been revoked.")
        if identity.kind != "user":
            raise AccessDenied("The token belongs to a service of JupyterHub, and services call with an API key.")
        if identity.scopes.isdisjoint((self._scope, "access:services")):
            raise AccessDenied(f"The token lacks the scope {self._scope}.")
        return Caller(
            kind="hub",
            key=identity.name,
            groups=identity.groups,
            # Unfiltered: whoever may stop everybody's servers at the Hub may do so here.
            is_admin=identity.name in self._admins or "delete:servers" in identity.scopes,
        )

    async def _identity(self, token: str) -> Identity | None:
        key = hashlib.sha256(token.encode()).digest()
        answer = self._answers.get(key)
        if answer is None or answer.expires_at <= self._now():
            asking = asyncio.create_task(self._ask(key, token))
            asking.add_done_callback(_hear)
            answer = _Answer(asking, self._now() + LIFETIME_S)
            self._answers[key] = answer
            self._answers.move_to_end(key)
            if len(self._answers) > TOKENS_MAX:
                self._answers.popitem(last=False)
        return await asyncio.shield(answer.identity)  # a caller who leaves takes no answer from the others

    async def _ask(self, key: bytes, token: str) -> Identity | None:
        try:
            return await self._identify(token)
        except BaseException:
            self._answers.pop(key, None)
            raise


def _hear(asking: asyncio.Task[Identity | None]) -> None:
    """An error is raised to whoever waits; if all of them have left, it is nobody's."""
    if not asking.cancelled():
        asking.exception()
