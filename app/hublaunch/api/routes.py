"""`POST` and `GET /launch`, `GET` and `DELETE /launch/{id}`, `GET /launch/{id}/events`, `GET /session`."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Path, Query, Request
from pydantic import AfterValidator, AwareDatetime
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
from hublaunch.api.errors import DOCUMENTED_EVERYWHERE, documented
from hublaunch.api.rate_headers import DOCUMENTED_RATES, rate_headers
from hublaunch.api.schemas import AcceptedLaunch, LaunchBase, LaunchBody, LaunchEvent, LaunchPage, Session
from hublaunch.api.sse import EventStream, event_blocks, wants_stream
from hublaunch.api.visibility import Sight, sight
from hublaunch.launch.acceptance.account import NAME_MAX
from hublaunch.launch.errors import AccessDenied, AlreadyRunning, LaunchNotFound, SecretRequired, Unauthenticated
from hublaunch.launch.model import Launch, Status
from hublaunch.launch.ports import Wanted
from hublaunch.launch.rules.image import IMAGE_MAX
from hublaunch.launch.rules.repo_url import REPO_URL_MAX
from hublaunch.launch.rules.request import launch_request

router = APIRouter(tags=["launch"], dependencies=[DOCUMENTED_CREDENTIALS], responses=DOCUMENTED_EVERYWHERE)

_ULID = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")


def _launch_id(text: str) -> str:
    """What is no ULID is no launch, and the database need not be asked; LaunchNotFound."""
    if not _ULID.fullmatch(text):
        raise LaunchNotFound
    return text


LaunchId = Annotated[str, Path(description="The launch's id."), AfterValidator(_launch_id)]


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is no time that a launch can have") from None


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must have printable characters only")
    return text


Since = Annotated[AwareDatetime, AfterValidator(_utc)]
Text = Annotated[str, AfterValidator(_printable)]

_KEY = (
    "The same request with the same key, sent however often, is one launch. For callers without credentials at least "
    "22 random characters, as whoever has the key is shown the launch."
)
_STREAM_EXAMPLE = (
    'retry: 2112\nid: 1\ndata: {"launch_id":"01JDB9Z3N8Q4V7R2M5X6C1T0YK","seq":1,"at":"2026-11-23T08:00:00.000Z",'
    '"phase":"waiting","message":"Accepted","progress":0,"attempt":1}\n\n'
    "event: heartbeat\ndata: {}\n\n"
)
_EVENT_SCHEMA = LaunchEvent.model_json_schema(ref_template="#/components/schemas/{model}")
del _EVENT_SCHEMA["$defs"]
_STREAM: dict[str, Any] = {  # as OpenAPI 3.2 documents server-sent events
    "description": "The events from the first, or from after the cursor, to the last (ready, failed or cancelled). "
    "Stored events are unnamed and carry an `id`; `heartbeat` and, in the queue, `position` (`position`, `queue_size`, "
    "`eta_s`, `eta_basis`; 0 once admitted) are named and carry none. A reconnect with "
    "`Last-Event-ID` misses and repeats nothing.",
    "content": {
        "text/event-stream": {
            "itemSchema": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "event": {"type": "string", "description": "`heartbeat` or `position`; absent for a stored event."},
                    "data": {
                        "type": "string",
                        "contentMediaType": "application/json",
                        "contentSchema": _EVENT_SCHEMA,
                    },
                    "retry": {"type": "integer", "minimum": 0},
                },
            },
            "example": _STREAM_EXAMPLE,
        },
    },
    "headers": {
        "X-Launch-Cursor": {"description": "The event after which this stream begins.", "schema": {"type": "integer"}}
    },
}


@router.post(
    "/launch",
    summary="Launch a server",
    status_code=202,
    response_model=AcceptedLaunch,
    responses={
        200: {
            **_STREAM,
            "description": "With `Accept: text/event-stream`. "
            + _STREAM["description"]
            + " Otherwise with `if_running: reuse`: the launch that you already have.",
            "content": {
                **_STREAM["content"],
                "application/json": {"schema": {"$ref": "#/components/schemas/AcceptedLaunch"}},
            },
            "headers": {**_STREAM["headers"], **DOCUMENTED_RATES},
        },
        204: {"description": "A stream was asked for again by its key, and all of it was delivered."},
        202: {
            "description": "Accepted: the launch goes on whether or not anybody follows it.",
            "headers": {"Location": {"description": "The launch.", "schema": {"type": "string"}}, **DOCUMENTED_RATES},
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
    accept: Annotated[str, Header()] = "*/*",
    idempotency_key: Annotated[
        str | None, Header(description=_KEY, examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"])
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="With a stream that is asked for again by its key: where it was.")
    ] = None,
) -> Response:
    """Ask for a ready server of an image. The answer is the launch, or with `Accept: text/event-stream` its events."""
    request = launch_request(
        image=body.image,
        repo_url=body.repo_url,
        extra_args=body.extra_args,
        allowed_extra_args=web.allowed_extra_args,
        username=body.username,
        server_name=body.server_name,
        path=body.path,
    )
    only_one = body.if_running != "new"
    try:
        launch = await web.service.start(request, caller, key=idempotency_key, count=count, only_one=only_one)
        status = 202
    except AlreadyRunning as refusal:
        if body.if_running == "refuse":
            raise
        launch = _opened_at(await web.service.get(refusal.launch_id), request.path)
        status = 200
    secret = web.secrets.of(launch.id)
    headers = {"Location": web.views.location(launch.id), "X-Launch-Secret": secret, **rate_headers(http_request)}
    seen = sight(launch, caller=caller, shows_secret=True)
    if wants_stream(accept):
        return _events(web, launch, cursor=_cursor(last_event_id, 0), sight=seen, headers=headers)
    shown = web.views.launch(launch, sight=seen)
    shown |= {"secret": secret, "events_url": f"{shown['events_url']}?secret={secret}"}
    return JSONResponse(shown, status, {"Cache-Control": "no-store", **headers})


@router.get(
    "/launch",
    summary="Your launches",
    response_model=LaunchPage,
    responses=documented(401, 403, 422, 502, 503),
)
async def get_launches(
    request: Request,
    web: WebDep,
    caller: KnownCallerDep,
    status: Annotated[Status | None, Query(description="Only those of this status.")] = None,
    repo_url: Annotated[Text | None, Query(max_length=REPO_URL_MAX, description="Only those of this one.")] = None,
    image: Annotated[Text | None, Query(max_length=IMAGE_MAX, description="Only those of this one.")] = None,
    username: Annotated[
        Text | None, Query(max_length=NAME_MAX, description="Only those on the account of this Hub user.")
    ] = None,
    since: Annotated[Since | None, Query(description="Only those accepted then or later.")] = None,
    cursor: Annotated[
        str | None, Query(pattern=f"^{_ULID.pattern}$", description="Go on from here; see `next`.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    *,
    everybody: Annotated[bool, Query(description="Everybody's, for admins.")] = False,
) -> Response:
    """A page of the caller's launches, the newest first; `next` leads on, also while new ones are accepted."""
    if caller is None and everybody and tuple(web.access) == ("anonymous",):
        raise AccessDenied(
            "Nobody can list everybody's launches here: this service knows its callers by address alone.",
            operator_advice="To list them, add `hub` or `key` to LAUNCHER_ACCESS, and name an admin.",
        )
    if caller is None:
        raise Unauthenticated("Only a Hub user or an API key has a list of launches.")
    if everybody and not caller.is_admin:
        raise AccessDenied("Only an admin sees everybody's launches.")
    wanted = Wanted(
        caller=None if everybody else caller,
        status=status,
        repo_url=repo_url,
        image=image,
        username=username,
        since=since,
        before=cursor,
    )
    found = await web.service.page(wanted, limit=limit + 1)  # one more tells whether there is a next page
    page = found[:limit]
    shown: dict[str, Any] = {
        "launches": [
            web.views.launch(launch, sight=sight(launch, caller=caller, shows_secret=False)) for launch in page
        ],
        "next": None,
    }
    if len(found) > limit:
        query = {**request.query_params, "cursor": page[-1].id}
        shown["next"] = "?" + urlencode(query)
    return JSONResponse(shown, 200, {"Cache-Control": "no-store"})


@router.get(
    "/launch/{launch_id}",
    summary="A launch as it stands",
    response_model=LaunchBase,
    responses=documented(401, 403, 404, 410, 422, 502, 503),
)
async def get_launch(launch_id: LaunchId, web: WebDep, reader: ReaderDep) -> Response:
    """Its private fields are shown to its caller and to who sends its secret; but for the entry, to admins too."""
    launch = await web.service.get(launch_id)
    shown = web.views.launch(launch, sight=reader.sight(launch))
    return JSONResponse(shown, 200, {"Cache-Control": "no-store"})


@router.get(
    "/launch/{launch_id}/events",
    summary="Follow a launch",
    response_class=Response,
    responses={
        200: _STREAM,
        204: {"description": "All was delivered; stop following."},
        **documented(401, 403, 404, 410, 422, 502, 503),
    },
)
async def get_events(
    launch_id: LaunchId,
    web: WebDep,
    reader: ReaderDep,
    last_event_id: Annotated[
        str | None, Header(description="The last event that was received; wins over `after`.")
    ] = None,
    after: Annotated[int, Query(ge=0, description="The same, for a first request.")] = 0,
) -> Response:
    """Its events, stored ones first, then as they come. Reading starts nothing and may be repeated."""
    launch = await web.service.get(launch_id)
    return _events(web, launch, cursor=_cursor(last_event_id, after), sight=reader.sight(launch), headers={})


@router.delete(
    "/launch/{launch_id}",
    summary="Cancel a launch",
    status_code=204,
    response_class=Response,
    responses={
        202: {"description": "Under way; ask again until 204.", "model": LaunchBase},
        204: {"description": "It has ended: after a 202, the Hub has confirmed that."},
        **documented(401, 403, 404, 410, 422, 502, 503),
    },
)
async def delete_launch(launch_id: LaunchId, web: WebDep, reader: ReaderDep) -> Response:
    """Stop its spawn or its server and delete what it created. Safe to repeat.

    For the launch's caller, who shows its secret, and admins.
    """
    launch = await web.service.get(launch_id)
    seen = reader.sight(launch)
    if seen is Sight.PUBLIC:
        raise SecretRequired
    if await web.service.cancel(launch_id, by=reader.caller or reader.address):
        return Response(status_code=204)
    return JSONResponse(web.views.launch(launch, sight=seen), 202, {"Retry-After": "1", "Cache-Control": "no-store"})


@router.get("/session", summary="Who you are here", response_model=Session, responses=documented(401, 403, 502, 503))
async def get_session(web: WebDep, caller: KnownCallerDep) -> Response:
    """The Hub user or the API key whose credentials the request carries, `anonymous` if it carries none; and what they
    may launch.
    """
    shown: dict[str, Any] = {"kind": "anonymous", "name": None, "is_admin": False, "access": web.access, "images": []}
    if caller is not None:
        shown |= {"kind": caller.kind, "name": caller.key, "is_admin": caller.is_admin}
        shown["images"] = web.policy.allowed(allowed_images=caller.allowed_images, groups=caller.groups)
    elif "anonymous" in web.access:
        shown["images"] = web.policy.allowed()
    return JSONResponse(shown, 200, {"Cache-Control": "no-store"})


def _cursor(last_event_id: str | None, after: int) -> int:
    """A `Last-Event-ID` that is none of ours reads from the start, as an `EventSource` would die of a 400."""
    if last_event_id is None:
        return after
    return (
        int(last_event_id) if last_event_id.isascii() and last_event_id.isdecimal() and len(last_event_id) < 10 else 0
    )


def _opened_at(launch: Launch, path: str) -> Launch:
    """An earlier launch as it is shown to who asks for it again, and may want another page of its server."""
    return replace(launch, request=replace(launch.request, path=path))


def _events(web: Web, launch: Launch, *, cursor: int, sight: Sight, headers: dict[str, str]) -> Response:
    """The events after the cursor, or from the first if it is beyond the end; 204 if the last was delivered."""
    last = launch.last_event
    after = cursor if cursor <= last.seq else 0
    headers = {"X-Launch-Cursor": str(after), **headers}
    if after == last.seq and last.phase.ends_stream:
        return Response(status_code=204, headers=headers)
    return EventStream(event_blocks(web.feed, web.views, launch, after=after, sight=sight), headers=headers)
