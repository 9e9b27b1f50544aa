"""What routes ask for, and the words by which they ask.

The functions are coroutines because FastAPI sends plain ones to a thread.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Depends, Header, Query, Request, Security
from fastapi.security import HTTPBearer

from hublaunch.api.callers.auth import Callers, LaunchSecrets
from hublaunch.api.counting import count_launch
from hublaunch.api.health import Health
from hublaunch.api.status import CapacityReport
from hublaunch.api.views import Views
from hublaunch.api.visibility import Sight, sight
from hublaunch.binderhub.images import BinderImages
from hublaunch.launch.acceptance.rate_limiter import RateLimiter
from hublaunch.launch.acceptance.service import LaunchService
from hublaunch.launch.feed import Feed
from hublaunch.launch.model import Caller, Launch
from hublaunch.launch.rules.policy import Policy


@dataclass(frozen=True, kw_only=True, slots=True)
class Web:
    """What `main` builds for the routes."""

    service: LaunchService
    feed: Feed
    views: Views
    secrets: LaunchSecrets
    callers: Callers
    health: Health
    capacity: CapacityReport
    limiter: RateLimiter
    address: Callable[[Request], str]
    """Of a request's client."""
    policy: Policy
    access: Sequence[str]
    """The kinds of callers that may launch."""
    allowed_extra_args: frozenset[str]
    binder_images: BinderImages
    prefix: str
    """The path under which the API is served; `""` at the root."""


async def _web(request: Request) -> Web:
    return _web_of(request)


def _web_of(request: Request) -> Web:
    """For other dependencies: FastAPI works out anew what each of them depends on, for a good part of a request."""
    web: Web = request.state.web
    return web


WebDep = Annotated[Web, Depends(_web)]

DOCUMENTED_CREDENTIALS = Security(
    HTTPBearer(auto_error=False, description="A token of your JupyterHub user, or an API key of this service.")
)
"""Puts the header into the OpenAPI document; it is `Callers` that reads it."""


async def _caller(request: Request) -> Caller:
    return await _web_of(request).callers.caller(request)


async def _known_caller(request: Request) -> Caller | None:
    return await _web_of(request).callers.known(request)


CallerDep = Annotated[Caller, Depends(_caller)]
KnownCallerDep = Annotated[Caller | None, Depends(_known_caller)]


async def _count(request: Request, caller: CallerDep) -> Callable[[], Awaitable[None]]:
    return partial(count_launch, request, caller)


CountDep = Annotated[Callable[[], Awaitable[None]], Depends(_count)]
"""`count_launch` for this request and its caller."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks about a launch."""

    web: Web
    caller: Caller | None
    """None unless they are known."""
    address: Caller
    """Them by their address alone."""
    shown_secret: str | None

    def sight(self, launch: Launch) -> Sight:
        """How much of this launch they see."""
        return sight(launch, caller=self.caller, shows_secret=self.web.secrets.opens(launch.id, self.shown_secret))


async def _reader(
    request: Request,
    x_launch_secret: Annotated[str | None, Header(description="The launch's secret.")] = None,
    secret: Annotated[str | None, Query(description="The same, as `EventSource` can send no header.")] = None,
) -> Reader:
    callers = (web := _web_of(request)).callers
    return Reader(web, await callers.known(request), callers.anonymous(request), x_launch_secret or secret)


ReaderDep = Annotated[Reader, Depends(_reader)]
