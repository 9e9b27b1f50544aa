"""The dependencies of routes: the services, the caller, and the reader of a launch.

All are coroutines, because FastAPI runs plain functions in a thread.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Depends, Header, Query, Request, Security
from fastapi.security import HTTPBearer

from hublaunch.api.callers.auth import Callers
from hublaunch.api.health import Health
from hublaunch.api.launch_counter import LaunchCounter
from hublaunch.api.launch_secrets import LaunchSecrets
from hublaunch.api.overview import OverviewFeed
from hublaunch.api.pace import WebPace
from hublaunch.api.site import Site
from hublaunch.api.status import StatusReport
from hublaunch.api.views import Views
from hublaunch.api.visibility import Visibility, visibility_of
from hublaunch.binderhub.images import BinderImages
from hublaunch.launch.acceptance.extension import Extensions
from hublaunch.launch.acceptance.service import LaunchService
from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import SecretRequired
from hublaunch.launch.feed import Feed
from hublaunch.launch.model import Launch
from hublaunch.launch.ports import Operation
from hublaunch.launch.rules.catalogue import Catalogue
from hublaunch.launch.rules.policy import Policy


@dataclass(frozen=True, kw_only=True, slots=True)
class Web:
    """The services and facts that routes use, as `request.state.web`."""

    service: LaunchService
    extensions: Extensions
    feed: Feed
    views: Views
    secrets: LaunchSecrets
    callers: Callers
    counter: LaunchCounter
    health: Health
    status: StatusReport
    overview: OverviewFeed
    operation: Operation
    binder_images: BinderImages
    policy: Policy
    catalogue: Callable[[], Catalogue]
    """Returns the current catalogue."""
    address: Callable[[Request], str]
    """Returns the address of a request's client."""
    access: Sequence[str]
    """The kinds of callers that may launch."""
    allowed_extra_args: frozenset[str]
    prefix: str
    """The path under which the API is served; `""` at the root."""
    site: Site
    """What every page shows of the operator."""
    pace: WebPace


async def _web(request: Request) -> Web:
    return _web_of(request)


def _web_of(request: Request) -> Web:
    """Return the services. Dependencies call this, because FastAPI is slow to resolve dependencies of dependencies."""
    web: Web = request.state.web
    return web


WebDep = Annotated[Web, Depends(_web)]

DOCUMENTED_CREDENTIALS = Security(
    HTTPBearer(
        auto_error=False,
        description="A token of your JupyterHub user, an API key of this service, or the code of an invitation.",
    )
)
"""Puts the header into the OpenAPI document; `Callers` reads it."""


async def _caller(request: Request) -> Caller:
    return await _web_of(request).callers.caller(request)


async def known_caller_of(request: Request) -> Caller | None:
    """Return the caller whose credentials the request carries, or None. Raises the errors of `Callers.known`."""
    return await _web_of(request).callers.known(request)


CallerDep = Annotated[Caller, Depends(_caller)]
KnownCallerDep = Annotated[Caller | None, Depends(known_caller_of)]


async def _count(request: Request, caller: CallerDep) -> Callable[[], Awaitable[None]]:
    return partial(_web_of(request).counter.count, request, caller)


CountDep = Annotated[Callable[[], Awaitable[None]], Depends(_count)]
"""Counts this request against the rate limits of its caller."""


@dataclass(frozen=True, slots=True)
class Reader:
    """The reader of a launch, and their credentials."""

    web: Web
    caller: Caller | None
    """The known caller, or None."""
    anonymous: Caller
    """The caller by their address alone."""
    secret: str | None
    """The launch secret that the request carries."""

    def visibility(self, launch: Launch) -> Visibility:
        """Return the parts of this launch that the reader sees."""
        return visibility_of(launch, caller=self.caller, has_secret=self.web.secrets.opens(launch.id, self.secret))

    def in_control(self, launch: Launch) -> Visibility:
        """Return the parts for a reader who may cancel or extend this launch. Raises SecretRequired for any other."""
        visibility = self.visibility(launch)
        if visibility is Visibility.PUBLIC:
            raise SecretRequired
        return visibility


async def _reader(
    request: Request,
    x_launch_secret: Annotated[str | None, Header(description="The launch's secret.")] = None,
    secret: Annotated[
        str | None, Query(description="The launch's secret, for an `EventSource`, which cannot send headers.")
    ] = None,
) -> Reader:
    callers = (web := _web_of(request)).callers
    return Reader(web, await callers.known(request), callers.anonymous(request), x_launch_secret or secret)


ReaderDep = Annotated[Reader, Depends(_reader)]
