"""`GET /build/{provider}/{spec}`: a launch for whoever talks to a BinderHub, such as Thebe and binderhub-client.

The one GET that acts. What keeps it from acting twice is in docs/decisions/0014-binderhub-clients.md.
"""

import re
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from hublaunch.api.counting import count_launch, too_many_invalid
from hublaunch.api.dependencies import DOCUMENTED_CREDENTIALS, Web, WebDep
from hublaunch.api.errors import DOCUMENTED_EVERYWHERE, documented, problem_of_status
from hublaunch.api.origin import came_by_tls
from hublaunch.api.rate_headers import DOCUMENTED_RATES, rate_headers
from hublaunch.api.sse import EventStream, wants_stream
from hublaunch.binderhub.stream import REFUSED, Words, built_blocks, launch_blocks, refused_blocks
from hublaunch.launch.errors import (
    AlreadyLaunching,
    InvalidRequest,
    LaunchError,
    ServerAlreadyRunning,
    ServerStopped,
    SpecNotMapped,
    Unauthenticated,
)
from hublaunch.launch.model import Caller, Launch, LaunchRequest, Problem, Status
from hublaunch.launch.rules.binder_spec import BinderSpec

PATH = "/build/"
RECENT_S = 600.0
"""How old the ready launch of a Hub user may be to be theirs again when they ask for it anew."""

_EVENT_ID = re.compile(r"([0-7][0-9A-HJKMNP-TV-Z]{25})\.([0-9]{1,9})\.([A-Za-z0-9_-]{43})")
_OWN_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,255}")
"""A token that the client has made for itself. BinderHub's own have dots, and many visitors can have the same one."""

router = APIRouter(tags=["binder"], dependencies=[DOCUMENTED_CREDENTIALS], responses=DOCUMENTED_EVERYWHERE)

_BUILD_TOKEN = (
    "22 to 255 random characters of base64url: the same request with the same ones, sent however often, is one launch, "
    "and whoever has them is shown it. Anything else, such as a BinderHub's own token, is ignored."
)
_STREAM: dict[str, Any] = {
    "description": "BinderHub's events: `phase` (waiting, built, launching, ready or failed), `message`, `progress`; "
    "with `built` the `imageName`; with `ready` the `url`, `token`, `image`, `repo_url` and `binder_…`. A refusal is a "
    "`failed` event too. Comments keep the connection alive.",
    "content": {
        "text/event-stream": {
            "schema": {"type": "string"},
            "example": "id: 01JDB9Z3N8Q4V7R2M5X6C1T0YK.1.mfGb7o…\n"
            'data: {"phase":"waiting","message":"Accepted\\n"}\n\n',
        }
    },
    "headers": DOCUMENTED_RATES,
}


async def _is_on(web: WebDep) -> None:
    """SpecNotMapped where nothing is mapped: then this is no path of the service."""
    if not web.binder_images.is_on:
        raise SpecNotMapped


@router.get(
    f"{PATH}{{provider}}/{{spec:path}}",
    summary="Launch as a BinderHub would",
    response_class=Response,
    dependencies=[Depends(_is_on)],
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
    accept: Annotated[str | None, Header()] = None,
    last_event_id: Annotated[
        str | None, Header(description="The last event that was received: its launch goes on, and no other begins.")
    ] = None,
    build_token: Annotated[str | None, Query(description=_BUILD_TOKEN)] = None,
    *,
    build_only: Annotated[bool, Query(description="Tell the image and launch nothing.")] = False,
) -> Response:
    """Launch the image that LAUNCHER_BINDER_IMAGES has for this repository, and stream the events.

    Refusals are events too, for people to read: an EventSource shows a page neither status nor body, and
    binderhub-client the status alone. Wrong credentials and other media types are answered by a status.
    """
    if accept is None:
        return _refused(request, problem_of_status(406))
    if not wants_stream(accept):
        raise HTTPException(406)
    if resumed := await _resumed(request, web, last_event_id or ""):
        return resumed
    known = await web.callers.known(request)  # who reconnects needs no credentials, so theirs may have ended
    try:
        wanted = web.binder_images.request(_spec(request, web.prefix))
        if build_only:
            return EventStream(built_blocks(web.feed, wanted), headers={})
        launch = await _launched(request, web, wanted, known or await web.callers.caller(request), build_token)
    except Unauthenticated:
        raise
    except LaunchError as error:
        if isinstance(error, InvalidRequest | SpecNotMapped):
            error = await too_many_invalid(request) or error
        return _refused(request, Problem.of(error))
    return _followed(request, web, launch, after=0)


async def _resumed(request: Request, web: Web, last_event_id: str) -> Response | None:
    """The answer to a client that comes back with the id of an event; None if the id is none of ours."""
    if last_event_id == REFUSED:
        return Response(status_code=204)
    found = _EVENT_ID.fullmatch(last_event_id)
    if found is None or not web.secrets.opens(found[1], found[3]):
        return None
    return _followed(request, web, await web.service.get(found[1]), after=int(found[2]))


def _refused(request: Request, problem: Problem) -> Response:
    request.state.problem = problem  # as a ProblemResponse keeps it
    return EventStream(refused_blocks(problem), headers=dict(rate_headers(request)))


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


def _followed(request: Request, web: Web, launch: Launch, *, after: int) -> Response:
    """The launch's events; none of them where all were delivered, and not those that lead to a server that is gone."""
    last = launch.last_event
    if after == last.seq and last.phase.ends_stream:
        return Response(status_code=204)
    if launch.status is Status.STOPPED:
        return _refused(request, Problem.of(ServerStopped()))
    words = Words(
        web.views, launch, secret=web.secrets.of(launch.id), launch_host=_launch_host(request.headers, web.prefix)
    )
    blocks = launch_blocks(web.feed, words, launch, after=after if after <= last.seq else 0)
    return EventStream(blocks, headers=dict(rate_headers(request)))


def _launch_host(headers: Headers, prefix: str) -> str:
    """The address of this service as the client has asked for it, ending in `/`."""
    return f"{'https' if came_by_tls(headers) else 'http'}://{headers.get('Host', '')}{prefix}/"


@router.get("/health", include_in_schema=False)
async def get_health(web: WebDep) -> Response:
    """Answer as a BinderHub does whether launches can be served."""
    report = await web.health.report()
    checks = [
        {"service": "JupyterHub API", "ok": not report["hub"]["fault"]},
        {"service": "hublaunch", "ok": report["ready"]},
    ]
    ok = all(check["ok"] for check in checks)
    return JSONResponse({"ok": ok, "checks": checks}, 200 if ok else 503, {"Cache-Control": "no-store"})
