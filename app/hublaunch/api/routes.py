"""`POST` and `GET /launch`, `GET` and `DELETE /launch/{id}`, `GET /launch/{id}/events`, `GET /session`."""

from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import JSONResponse, Response

from hublaunch.api.dependencies import (
    DOCUMENTED_CREDENTIALS,
    CallerDep,
    CountDep,
    KnownCallerDep,
    ReaderDep,
    Web,
    WebDep,
)
from hublaunch.api.event_schemas import DOCUMENTED_STREAM
from hublaunch.api.parameters import ULID, LaunchId, Since, Text, cursor_of
from hublaunch.api.problems.openapi import DOCUMENTED_EVERYWHERE, documented
from hublaunch.api.rate_headers import DOCUMENTED_RATES, rate_headers
from hublaunch.api.schemas import AcceptedLaunch, LaunchBase, LaunchBody, LaunchPage, Session
from hublaunch.api.sse import EventStreamResponse, event_blocks, wants_stream
from hublaunch.api.views import rfc3339
from hublaunch.api.visibility import Visibility, visibility_of
from hublaunch.launch.acceptance.account import NAME_MAX
from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import AccessDenied, AlreadyRunning, Unauthenticated
from hublaunch.launch.model import Launch, Status
from hublaunch.launch.ports import LaunchFilter
from hublaunch.launch.rules.image import IMAGE_MAX
from hublaunch.launch.rules.invitation import Invitation
from hublaunch.launch.rules.repo_url import REPO_URL_MAX
from hublaunch.launch.rules.request import launch_request

router = APIRouter(tags=["launch"], dependencies=[DOCUMENTED_CREDENTIALS], responses=DOCUMENTED_EVERYWHERE)

_KEY = (
    "Requests with the same key and content are one launch, however often they are sent. Without credentials, use at "
    "least 22 random characters, because anyone who has the key can see the launch."
)


@router.post(
    "/launch",
    operation_id="launch",
    summary="Launch a server",
    status_code=202,
    response_model=AcceptedLaunch,
    responses={
        200: {
            **DOCUMENTED_STREAM,
            "description": "With `Accept: text/event-stream`: "
            + DOCUMENTED_STREAM["description"]
            + " With any other `Accept` and `if_running: reuse`: the launch that you already have.",
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/AcceptedLaunch"}},
                # Generated clients merge the two types. Without a schema for this one, they would know neither.
                "text/event-stream": {
                    **DOCUMENTED_STREAM["content"]["text/event-stream"],
                    "schema": {"type": "string"},
                },
            },
            "headers": {**DOCUMENTED_STREAM["headers"], **DOCUMENTED_RATES},
        },
        204: {"description": "The stream was requested again with its key, and all of its events had been delivered."},
        202: {
            "description": "Accepted. The launch continues whether or not anyone follows it.",
            "headers": {
                "Location": {"description": "The path of the launch.", "schema": {"type": "string"}},
                **DOCUMENTED_RATES,
            },
        },
        **documented(400, 401, 403, 408, 409, 413, 415, 422, 429, 502, 503),
    },
)
async def post_launch(
    http_request: Request,
    body: LaunchBody,
    web: WebDep,
    caller: CallerDep,
    count: CountDep,
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
    idempotency_key: Annotated[
        str | None, Header(description=_KEY, examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"])
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="The last event received, for a stream that is requested again with its key.")
    ] = None,
) -> Response:
    """Launch a server from an environment of the catalogue, or from an image.

    The answer is the launch or, with `Accept: text/event-stream`, its events.
    """
    request = launch_request(
        image=body.image,
        repo_url=body.repo_url,
        ref=body.ref,
        extra_args=body.extra_args,
        allowed_extra_args=web.allowed_extra_args,
        username=body.username,
        server_name=body.server_name,
        path=body.path,
        environment=body.environment,
        size=body.size,
    )
    only_one = body.if_running != "new"
    try:
        launch = await web.service.start(request, caller, key=idempotency_key, count=count, only_one=only_one)
        status = 202
    except AlreadyRunning as refusal:
        if body.if_running == "refuse":
            raise
        path = web.catalogue().resolve(request, caller).path
        launch = _with_path(await web.service.get(refusal.launch_id), path)
        status = 200
    secret = web.secrets.of(launch.id)
    headers = {"Location": web.views.location(launch.id), "X-Launch-Secret": secret, **rate_headers(http_request)}
    visibility = visibility_of(launch, caller=caller, has_secret=True)
    if wants_stream(accept):
        return _events(web, launch, cursor=cursor_of(last_event_id, 0), visibility=visibility, headers=headers)
    shown = web.views.launch(launch, visibility=visibility)
    shown |= {"secret": secret, "events_url": f"{shown['events_url']}?secret={secret}"}
    return JSONResponse(shown, status, {"Cache-Control": "no-store", **headers})


@router.get(
    "/launch",
    operation_id="listLaunches",
    summary="List your launches",
    response_model=LaunchPage,
    responses=documented(401, 403, 422, 502, 503),
)
async def get_launches(
    request: Request,
    web: WebDep,
    caller: KnownCallerDep,
    status: Annotated[Status | None, Query(description="Only with this status.")] = None,
    repo_url: Annotated[Text | None, Query(max_length=REPO_URL_MAX, description="Only of this repository.")] = None,
    image: Annotated[Text | None, Query(max_length=IMAGE_MAX, description="Only of this image.")] = None,
    environment: Annotated[
        Text | None, Query(max_length=NAME_MAX, description="Only of this environment of the catalogue, by its name.")
    ] = None,
    username: Annotated[Text | None, Query(max_length=NAME_MAX, description="Only for this Hub user.")] = None,
    since: Annotated[Since | None, Query(description="Only launches accepted since then.")] = None,
    cursor: Annotated[str | None, Query(pattern=f"^{ULID}$", description="Continue after this launch.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    invitation: Annotated[
        Text | None,
        Query(max_length=NAME_MAX, description="The launches of everybody who holds this invitation. Only for admins."),
    ] = None,
    *,
    everybody: Annotated[bool, Query(description="List everybody's launches. Only for admins.")] = False,
) -> Response:
    """List the caller's launches, newest first. New launches do not affect the pages that `next` leads to."""
    of_others = everybody or invitation is not None
    if of_others and (caller is None or caller.is_shared) and not {"hub", "key"} & set(web.access):
        raise AccessDenied(
            "Only admins can list everybody's launches, and this service has no admins.",
            operator_advice="To list them, add `hub` or `key` to LAUNCHER_ACCESS, and name an admin.",
        )
    if caller is None or caller.is_shared:
        raise Unauthenticated("Only Hub users and API keys can list their launches.")
    if of_others and not caller.is_admin:
        raise AccessDenied("Only admins can list everybody's launches.")
    if invitation is not None:
        selected: Caller | None = Caller(kind="invitation", key=invitation)
    else:
        selected = None if everybody else caller
    wanted = LaunchFilter(
        caller=selected,
        status=status,
        repo_url=repo_url,
        image=image,
        environment=environment,
        username=username,
        since=since,
        before=cursor,
    )
    found = await web.service.page(wanted, limit=limit + 1)  # one more shows whether there is a next page
    page = found[:limit]
    shown = []
    for launch in page:
        visibility = visibility_of(launch, caller=caller, has_secret=False)
        shown.append(web.views.launch(launch, visibility=visibility))
    more = "?" + urlencode({**request.query_params, "cursor": page[-1].id}) if len(found) > limit else None
    return JSONResponse({"launches": shown, "next": more}, 200, {"Cache-Control": "no-store"})


@router.get(
    "/launch/{launch_id}",
    operation_id="getLaunch",
    summary="Get a launch",
    response_model=LaunchBase,
    responses=documented(401, 403, 404, 410, 422, 502, 503),
)
async def get_launch(launch_id: LaunchId, web: WebDep, reader: ReaderDep) -> Response:
    """Return the launch's current state.

    Its caller, and readers with its secret, see its private fields. Admins see them too, except the URLs and the token.
    """
    launch = await web.service.get(launch_id)
    shown = web.views.launch(launch, visibility=reader.visibility(launch))
    return JSONResponse(shown, 200, {"Cache-Control": "no-store"})


@router.get(
    "/launch/{launch_id}/events",
    operation_id="followLaunch",
    summary="Follow a launch",
    response_class=Response,
    responses={
        200: DOCUMENTED_STREAM,
        204: {"description": "All events were delivered. Stop reconnecting."},
        **documented(401, 403, 404, 410, 422, 502, 503),
    },
)
async def get_events(
    launch_id: LaunchId,
    web: WebDep,
    reader: ReaderDep,
    last_event_id: Annotated[
        str | None, Header(description="The last event received. Takes precedence over `after`.")
    ] = None,
    after: Annotated[int, Query(ge=0, description="Start after this event.")] = 0,
) -> Response:
    """Stream the launch's events: first the stored ones, then new ones as they happen. Reading has no side effects."""
    launch = await web.service.get(launch_id)
    visibility = reader.visibility(launch)
    return _events(web, launch, cursor=cursor_of(last_event_id, after), visibility=visibility, headers={})


@router.delete(
    "/launch/{launch_id}",
    operation_id="cancelLaunch",
    summary="Cancel a launch",
    status_code=204,
    response_class=Response,
    responses={
        202: {"description": "In progress. Repeat the request until the answer is 204.", "model": LaunchBase},
        204: {"description": "The launch has ended. After a 202, the Hub has confirmed that the server is gone."},
        **documented(401, 403, 404, 410, 422, 502, 503),
    },
)
async def delete_launch(launch_id: LaunchId, web: WebDep, reader: ReaderDep) -> Response:
    """Stop the launch's spawn or server, and delete everything that it created. Safe to repeat.

    Allowed for the launch's caller, for requests with its secret, and for admins.
    """
    launch = await web.service.get(launch_id)
    visibility = reader.in_control(launch)
    if await web.service.cancel(launch_id, by=reader.caller or reader.anonymous):
        return Response(status_code=204)
    shown = web.views.launch(launch, visibility=visibility)
    return JSONResponse(shown, 202, {"Retry-After": "1", "Cache-Control": "no-store"})


@router.get(
    "/session",
    operation_id="getSession",
    summary="Get the current caller",
    response_model=Session,
    responses=documented(401, 403, 502, 503),
)
async def get_session(web: WebDep, caller: KnownCallerDep) -> Response:
    """Return the current caller, and the images that they may launch.

    The caller is the Hub user, API key or invitation whose credentials the request carries, or `anonymous` without
    credentials.
    """
    shown: dict[str, Any] = {"kind": "anonymous", "name": None, "is_admin": False, "access": web.access, "images": []}
    shown["invitation"] = None
    if caller is not None:
        shown |= {"kind": caller.kind, "name": caller.key, "is_admin": caller.is_admin}
        shown["images"] = web.policy.allowed(allowed_images=caller.allowed_images, groups=caller.groups)
        shown["invitation"] = _invitation(caller.invitation) if caller.invitation is not None else None
    elif "anonymous" in web.access:
        shown["images"] = web.policy.allowed()
    return JSONResponse(shown, 200, {"Cache-Control": "no-store"})


def _invitation(invitation: Invitation) -> dict[str, Any]:
    """Return what the holder of an invitation sees of it."""
    fixed = {"repo_url": invitation.repo_url, "ref": invitation.ref, "path": invitation.path}
    return {"name": invitation.name, "until": rfc3339(invitation.until), **fixed}


def _with_path(launch: Launch, path: str) -> Launch:
    """Return the launch with the path of a later request, which may ask for another page of the same server."""
    return replace(launch, request=replace(launch.request, path=path))


def _events(web: Web, launch: Launch, *, cursor: int, visibility: Visibility, headers: dict[str, str]) -> Response:
    """Return the events after the cursor, all of them if it is beyond the end, or 204 if all were delivered."""
    last = launch.last_event
    after = cursor if cursor <= last.seq else 0
    headers = {"X-Launch-Cursor": str(after), **headers}
    if after == last.seq and last.phase.ends_stream:
        return Response(status_code=204, headers=headers)
    blocks = event_blocks(web.feed, web.views, launch, after=after, visibility=visibility)
    return EventStreamResponse(blocks, headers=headers)
