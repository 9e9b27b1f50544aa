"""What routes ask for, and the words by which they ask.

The functions are coroutines because FastAPI sends plain ones to a thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from fastapi import Depends, Header, Query, Request

from app.api.auth import LaunchSecrets, anonymous_caller
from app.api.health import Health
from app.api.views import Views
from app.launch.feed import Feed
from app.launch.model import Caller
from app.launch.service import LaunchService


@dataclass(frozen=True, kw_only=True, slots=True)
class Web:
    """What `main` builds for the routes."""

    service: LaunchService
    feed: Feed
    views: Views
    secrets: LaunchSecrets
    health: Health
    trusted_proxies: Sequence[IPv4Network | IPv6Network]
    allowed_extra_args: frozenset[str]


async def _web(request: Request) -> Web:
    web: Web = request.state.web
    return web


WebDep = Annotated[Web, Depends(_web)]


async def _caller(request: Request, web: WebDep) -> Caller:
    return anonymous_caller(request, web.trusted_proxies)


async def _shown_secret(
    x_launch_secret: Annotated[str | None, Header(description="The launch's secret.")] = None,
    secret: Annotated[str | None, Query(description="The same, as `EventSource` can send no header.")] = None,
) -> str | None:
    return x_launch_secret or secret


CallerDep = Annotated[Caller, Depends(_caller)]
ShownSecretDep = Annotated[str | None, Depends(_shown_secret)]
