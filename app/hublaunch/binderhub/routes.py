"""`GET /build/{provider}/{spec}`: launches for BinderHub's clients, such as Thebe and binderhub-client.

This GET starts a launch. docs/decisions/0014-binderhub-clients.md says what keeps it from starting a second one.
"""

import re
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from hublaunch.api.dependencies import DOCUMENTED_CREDENTIALS, Web, WebDep
from hublaunch.api.middleware.origin import came_over_tls
from hublaunch.api.problems.openapi import DOCUMENTED_EVERYWHERE, documented
from hublaunch.api.problems.types import HTTP_PROBLEMS
from hublaunch.api.rate_headers import rate_headers
from hublaunch.api.sse import EventStreamResponse, wants_stream
from hublaunch.binderhub.schemas import DOCUMENTED_BUILD
from hublaunch.binderhub.stream import REFUSED, BinderEvents, built_blocks, launch_blocks, refused_blocks
from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import (
    AlreadyLaunching,
    InvalidRequest,
    LaunchError,
    ServerAlreadyRunning,
    ServerStopped,
    SpecNotMapped,
    Unauthenticated,
)
from hublaunch.launch.model import Launch, LaunchRequest, Status
from hublaunch.launch.problem import Problem
from hublaunch.launch.rules.binder_spec import BinderSpec

PATH = "/build/"

_EVENT_ID = re.compile(r"([0-7][0-9A-HJKMNP-TV-Z]{25})\.([0-9]{1,9})\.([A-Za-z0-9_-]{43})")
_OWN_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,255}")
"""A token that the client made for itself. BinderHub's own tokens contain dots, and visitors can share them."""

router = APIRouter(tags=["binder"], dependencies=[DOCUMENTED_CREDENTIALS], responses=DOCUMENTED_EVERYWHERE)

_BUILD_TOKEN = (
    "22 to 255 random characters of base64url. Requests with the same token and spec are one launch, and anyone who "
    "has the token can see it. Anything else, such as BinderHub's own token, is ignored."
)


async def _is_on(web: WebDep) -> None:
    """Raise SpecNotMapped if there are no mappings, which means that `/build` is off."""
    if not web.binder_images.is_on:
        raise SpecNotMapped


@router.get(
    f"{PATH}{{provider}}/{{spec:path}}",
    operation_id="launchForBinder",
    summary="Launch for BinderHub's clients",
    response_class=Response,
    dependencies=[Depends(_is_on)],
    responses={
        200: DOCUMENTED_BUILD,
        204: {"description": "All events were delivered. Stop reconnecting."},
        **documented(401, 403, 404, 406, 410, 422, 429, 502, 503),
    },
)
async def get_build(
    provider: Annotated[str, Path(description="gh, gist, gl, git, zenodo, figshare, dataverse, hydroshare or ckan.")],  # noqa: ARG001
    spec: Annotated[str, Path(description="The repository and ref, as in BinderHub's addresses.")],  # noqa: ARG001
    request: Request,
    web: WebDep,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
    last_event_id: Annotated[
        str | None, Header(description="The last event received. Its launch continues, and no new one starts.")
    ] = None,
    build_token: Annotated[str | None, Query(description=_BUILD_TOKEN)] = None,
    *,
    build_only: Annotated[bool, Query(description="Return the image without launching.")] = False,
) -> Response:
    """Launch the image that this service has for the repository, and stream the events.

    Refusals are events too, because an EventSource gives a page neither status nor body, and binderhub-client shows
    only the status. Wrong credentials and other media types are answered with a status.
    """
    if accept is None:
        return _refused(request, HTTP_PROBLEMS[406])
    if not wants_stream(accept):
        raise HTTPException(406)
    if resumed := await _resumed(request, web, last_event_id or ""):
        return resumed
    known = await web.callers.known(request)  # not earlier, because reconnects work with expired credentials
    try:
        wanted = web.binder_images.request(_spec(request, web.prefix))
        if build_only:
            wanted = web.catalogue().resolve(wanted, known or Caller(kind="anonymous", key=""))
            return EventStreamResponse(built_blocks(web.feed, wanted, linger_s=web.pace.build_linger_s), headers={})
        launch = await _launched(request, web, wanted, known or await web.callers.caller(request), build_token)
    except Unauthenticated:
        raise
    except LaunchError as error:
        if isinstance(error, InvalidRequest | SpecNotMapped):
            error = await web.counter.too_many_invalid(request) or error
        return _refused(request, Problem.of(error))
    return _followed(request, web, launch, after=0)


async def _resumed(request: Request, web: Web, last_event_id: str) -> Response | None:
    """Return the answer to a client that reconnects with the id of an event; None for an unknown id."""
    if last_event_id == REFUSED:
        return Response(status_code=204)
    found = _EVENT_ID.fullmatch(last_event_id)
    if found is None or not web.secrets.opens(found[1], found[3]):
        return None
    return _followed(request, web, await web.service.get(found[1]), after=int(found[2]))


def _refused(request: Request, problem: Problem) -> Response:
    request.state.problem = problem  # for the metrics and the log, as in ProblemResponse
    return EventStreamResponse(refused_blocks(problem), headers=dict(rate_headers(request)))


def _spec(request: Request, prefix: str) -> BinderSpec:
    """Parse the raw path, because decoding loses the difference between `%2F` and `/`. Raises SpecNotMapped."""
    path: bytes = request.scope["raw_path"]
    start = f"{prefix}{PATH}".encode()
    if not path.isascii() or not path.startswith(start):
        raise SpecNotMapped
    return BinderSpec.parse(path.removeprefix(start).decode())


async def _launched(
    request: Request, web: Web, wanted: LaunchRequest, caller: Caller, build_token: str | None
) -> Launch:
    """Return the client's existing launch, or a new one.

    A client finds its launch with a build token of its own, or as a Hub user, who is one person. An address can be
    shared, and an API key serves many people.
    """
    count = partial(web.counter.count, request, caller)
    if build_token is not None and _OWN_TOKEN.fullmatch(build_token):
        return await web.service.start(wanted, caller, key=build_token, count=count)
    if caller.kind != "hub":
        return await web.service.start(wanted, caller, count=count)
    recent_s = web.pace.build_recent_s
    recent = await web.service.recent(wanted, caller, within_s=recent_s)
    if recent is not None:
        return recent
    try:
        return await web.service.start(wanted, caller, count=count)
    except (AlreadyLaunching, ServerAlreadyRunning):  # most often by the same user in another tab
        recent = await web.service.recent(wanted, caller, within_s=recent_s)
        if recent is None:
            raise
        return recent


def _followed(request: Request, web: Web, launch: Launch, *, after: int) -> Response:
    """Return the launch's events, 204 if all were delivered, or a refusal if its server has stopped."""
    last = launch.last_event
    if after == last.seq and last.phase.ends_stream:
        return Response(status_code=204)
    if launch.status is Status.STOPPED:
        return _refused(request, Problem.of(ServerStopped()))
    launch_host = _launch_host(request.headers, web.prefix)
    events = BinderEvents(web.views, launch, secret=web.secrets.of(launch.id), launch_host=launch_host)
    after = after if after <= last.seq else 0
    blocks = launch_blocks(web.feed, events, launch, after=after, linger_s=web.pace.build_linger_s)
    return EventStreamResponse(blocks, headers=dict(rate_headers(request)))


def _launch_host(headers: Headers, prefix: str) -> str:
    """Return the address of this service as the client sees it, ending in `/`."""
    return f"{'https' if came_over_tls(headers) else 'http'}://{headers.get('Host', '')}{prefix}/"


@router.get("/health", include_in_schema=False)
async def get_health(web: WebDep) -> Response:
    """Report whether launches can be served, in BinderHub's format."""
    report = await web.health.report()
    checks = [
        {"service": "JupyterHub API", "ok": not report["hub"]["fault"]},
        {"service": "hublaunch", "ok": report["ready"]},
    ]
    ok = all(check["ok"] for check in checks)
    return JSONResponse({"ok": ok, "checks": checks}, 200 if ok else 503, {"Cache-Control": "no-store"})
