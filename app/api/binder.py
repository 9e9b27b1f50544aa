"""`GET /build/{provider}/{spec}`: a launch for whoever talks to a BinderHub, such as Thebe and binderhub-client.

The one GET that acts. What keeps it from acting twice is in docs/decisions/0014-binderhub-clients.md.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.api.binder_stream import REFUSED, built_blocks, launch_blocks, refused_blocks
from app.api.counting import count_launch
from app.api.dependencies import DOCUMENTED_CREDENTIALS, Web, WebDep
from app.api.errors import DOCUMENTED_EVERYWHERE, documented
from app.api.rate_headers import DOCUMENTED_RATES, rate_headers
from app.api.sse import EventStream, wants_stream
from app.launch.binder_spec import BinderSpec
from app.launch.errors import (
    AlreadyLaunching,
    LaunchError,
    ServerAlreadyRunning,
    ServerStopped,
    SpecNotMapped,
    Unauthenticated,
)
from app.launch.model import Caller, Launch, LaunchRequest, Problem, Status

PATH = "/build/"
RECENT_S = 600.0
"""How old the ready launch of a Hub user may be to be theirs again when they ask for it anew."""

_EVENT_ID = re.compile(r"([0-7][0-9A-HJKMNP-TV-Z]{25})\.([0-9]{1,9})\.([A-Za-z0-9_-]{43})")
_OWN_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,255}")
"""A token that the client has made for itself. BinderHub's own have dots, and many visitors can have the same one."""
_TOLD_BY_STATUS = (SpecNotMapped, Unauthenticated)
"""Where a client has come to the wrong address. All else that is refused is told by an event, for people to read: an
EventSource shows a page neither status nor body, and binderhub-client the status alone."""

router = APIRouter(tags=["binder"], dependencies=[DOCUMENTED_CREDENTIALS], responses=DOCUMENTED_EVERYWHERE)

_BUILD_TOKEN = (
    "22 to 255 random characters of base64url: the same request with the same ones, sent however often, is one launch, "
    "and whoever has them is shown it. Anything else, such as a BinderHub's own token, is ignored."
)
_STREAM: dict[str, Any] = {
    "description": "BinderHub's events: `phase` (waiting, built, launching, ready or failed), `message`, `progress`; "
    "with `built` the `imageName`; with `ready` the `url`, `token`, `image` and `repo_url`. What keeps a launch from "
    "being accepted is told by `failed` too. Comments keep the connection alive.",
    "content": {
        "text/event-stream": {
            "schema": {"type": "string"},
            "example": "id: 01JDB9Z3N8Q4V7R2M5X6C1T0YK.1.mfGb7o…\n"
            'data: {"phase":"waiting","message":"Accepted\\n"}\n\n',
        }
    },
    "headers": DOCUMENTED_RATES,
}


@router.get(
    f"{PATH}{{provider}}/{{spec:path}}",
    summary="Launch as a BinderHub would",
    response_class=Response,
    responses={
        200: _STREAM,
        204: {"description": "All was delivered; stop following."},
        **documented(401, 403, 404, 406, 410, 422, 429, 502, 503),
    },
)
async def get_build(
    provider: Annotated[str, Path(description="gh, gist, gl, git, zenodo, figshare, dataverse, hydroshare or ckan.")],  # noqa: ARG001
    spec: Annotated[str, Path(description="What of it, as BinderHub's addresses have it.")],  # noqa: ARG001
    request: Request,
    web: WebDep,
    accept: Annotated[str, Header()] = "*/*",
    last_event_id: Annotated[
        str | None, Header(description="The last event that was received: its launch goes on, and no other begins.")
    ] = None,
    build_token: Annotated[str | None, Query(description=_BUILD_TOKEN)] = None,
    *,
    build_only: Annotated[bool, Query(description="Tell the image and launch nothing.")] = False,
) -> Response:
    """A launch of the image that LAUNCHER_BINDER_IMAGES has for this repository, and its events."""
    if not wants_stream(accept):
        raise HTTPException(406)
    if last_event_id == REFUSED:
        return Response(status_code=204)
    if resumed := _EVENT_ID.fullmatch(last_event_id or ""):
        launch_id, seq, secret = resumed.groups()
        if web.secrets.opens(launch_id, secret):
            return _followed(web, await web.service.get(launch_id), after=int(seq), headers={})
    known = await web.callers.known(request)  # who reconnects needs no credentials, so theirs may have ended
    try:
        wanted = web.binder_images.request(_spec(request, web.prefix))
        if build_only:
            return EventStream(built_blocks(web.feed, wanted), headers={})
        launch = await _launched(request, web, wanted, known or await web.callers.caller(request), build_token)
    except _TOLD_BY_STATUS:
        raise
    except LaunchError as error:
        request.state.problem = Problem.of(error)  # as a ProblemResponse keeps it
        return EventStream(refused_blocks(error), headers=dict(rate_headers(request)))
    return _followed(web, launch, after=0, headers=rate_headers(request))


def _spec(request: Request, prefix: str) -> BinderSpec:
    """As it was written: in a decoded path an encoded slash could not be told from a plain one. SpecNotMapped."""
    path: bytes = request.scope["raw_path"]
    start = f"{prefix}{PATH}".encode()
    if not path.isascii() or not path.startswith(start):
        raise SpecNotMapped
    return BinderSpec.parse(path.removeprefix(start).decode())


async def _launched(
    request: Request, web: Web, wanted: LaunchRequest, caller: Caller, build_token: str | None
) -> Launch:
    """A launch that is the client's already, by something that only they have, or else a new one.

    A token of their own stands for one launch; a Hub user is one person. An address is shared, a key is a backend's.
    """
    count = partial(count_launch, request, caller)
    if build_token is not None and _OWN_TOKEN.fullmatch(build_token):
        return await web.service.start(wanted, caller, key=build_token, count=count)
    if caller.kind != "hub":
        return await web.service.start(wanted, caller, count=count)
    recent = await web.service.recent(wanted, caller, within_s=RECENT_S)
    if recent is not None:
        return recent
    try:
        return await web.service.start(wanted, caller, count=count)
    except (AlreadyLaunching, ServerAlreadyRunning):  # by the same click in another tab, mostly
        recent = await web.service.recent(wanted, caller, within_s=RECENT_S)
        if recent is None:
            raise
        return recent


def _followed(web: Web, launch: Launch, *, after: int, headers: Mapping[str, str]) -> Response:
    """The launch's events; none of them where all were delivered, and not those that lead to a server that is gone."""
    last = launch.last_event
    if after == last.seq and last.phase.ends_stream:
        return Response(status_code=204)
    if launch.status is Status.STOPPED:
        return EventStream(refused_blocks(ServerStopped()), headers={})
    blocks = launch_blocks(
        web.feed, web.views, launch, after=after if after <= last.seq else 0, secret=web.secrets.of(launch.id)
    )
    return EventStream(blocks, headers=dict(headers))
