"""`POST /launch`, `GET /launch/{id}`, `GET /launch/{id}/events`, `DELETE /launch/{id}`."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query
from starlette.responses import JSONResponse, Response

from app.api.dependencies import CallerDep, ShownSecretDep, Web, WebDep
from app.api.errors import documented
from app.api.schemas import AcceptedLaunch, LaunchBase, LaunchBody, LaunchEvent
from app.api.sse import EventStream, event_blocks
from app.launch.errors import SecretRequired
from app.launch.model import Launch
from app.launch.request import launch_request

router = APIRouter(tags=["launch"])

LaunchId = Annotated[str, Path(description="The launch's id.")]
LastEventId = Annotated[str | None, Header(description="The last event that was received; wins over `after`.")]
After = Annotated[int, Query(ge=0, description="The same, for a first request.")]

_STREAM_EXAMPLE = (
    "retry: 2112\n\n"
    'id: 1\ndata: {"launch_id":"01JDB9Z3N8Q4V7R2M5X6C1T0YK","seq":1,"at":"2026-11-23T08:00:00.000Z",'
    '"phase":"waiting","message":"Accepted","progress":0,"attempt":1}\n\n'
    "event: heartbeat\ndata: {}\n\n"
)
_EVENT_SCHEMA = LaunchEvent.model_json_schema(ref_template="#/components/schemas/{model}")
del _EVENT_SCHEMA["$defs"]
_STREAM: dict[str, Any] = {
    "description": "The events from the first, or from after the cursor, to the last (ready, failed or cancelled). "
    "Stored events are unnamed and carry an `id`; `heartbeat` is named and carries none. A reconnect with "
    "`Last-Event-ID` misses and repeats nothing.",
    "content": {
        "text/event-stream": {
            "schema": {"type": "string"},
            "x-event-data": _EVENT_SCHEMA,
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
        200: {**_STREAM, "description": "With `Accept: text/event-stream`. " + _STREAM["description"]},
        202: {
            "description": "Accepted: the launch goes on whether or not anybody follows it.",
            "headers": {"Location": {"description": "The launch.", "schema": {"type": "string"}}},
        },
        **documented(400, 403, 408, 413, 415, 421, 422, 500, 503),
    },
)
async def post_launch(
    body: LaunchBody, web: WebDep, caller: CallerDep, accept: Annotated[str, Header()] = "*/*"
) -> Response:
    """Ask for a ready server of an image. The answer is the launch, or with `Accept: text/event-stream` its events."""
    request = launch_request(
        image=body.image,
        repo_url=body.repo_url,
        extra_args=body.extra_args,
        allowed_extra_args=web.allowed_extra_args,
    )
    launch = await web.service.start(request, caller)
    secret = web.secrets.of(launch.id)
    headers = {"Location": web.views.location(launch.id), "X-Launch-Secret": secret}
    if _wants_stream(accept):
        return _stream(web, launch, after=0, private=True, headers=headers)
    shown = web.views.launch(launch, private=True)
    shown |= {"secret": secret, "events_url": f"{shown['events_url']}?secret={secret}"}
    return JSONResponse(shown, 202, {"Cache-Control": "no-store", **headers})


@router.get(
    "/launch/{launch_id}",
    summary="A launch as it stands",
    response_model=LaunchBase,
    responses=documented(404, 421, 422, 500),
)
async def get_launch(launch_id: LaunchId, web: WebDep, shown_secret: ShownSecretDep) -> Response:
    """Its private fields are shown to who sends its secret."""
    launch = await web.service.get(launch_id)
    shown = web.views.launch(launch, private=web.secrets.opens(launch_id, shown_secret))
    return JSONResponse(shown, 200, {"Cache-Control": "no-store"})


@router.get(
    "/launch/{launch_id}/events",
    summary="Follow a launch",
    response_class=Response,
    responses={
        200: _STREAM,
        204: {"description": "All was delivered; stop following."},
        **documented(404, 421, 422, 500),
    },
)
async def get_events(
    launch_id: LaunchId,
    web: WebDep,
    shown_secret: ShownSecretDep,
    last_event_id: Annotated[
        str | None, Header(description="The last event that was received; wins over `after`.")
    ] = None,
    after: Annotated[int, Query(ge=0, description="The same, for a first request.")] = 0,
) -> Response:
    """Its events, stored ones first, then as they come. Reading starts nothing and may be repeated."""
    launch = await web.service.get(launch_id)
    cursor, last = _cursor(last_event_id, after), launch.last_event
    if cursor > last.seq:
        cursor = 0
    headers = {"X-Launch-Cursor": str(cursor)}
    if cursor == last.seq and last.phase.ends_stream:
        return Response(status_code=204, headers=headers)
    private = web.secrets.opens(launch_id, shown_secret)
    return _stream(web, launch, after=cursor, private=private, headers=headers)


@router.delete(
    "/launch/{launch_id}",
    summary="Cancel a launch",
    status_code=204,
    response_class=Response,
    responses={
        202: {"description": "Under way; ask again until 204.", "model": LaunchBase},
        204: {"description": "It has ended: after a 202, the Hub has confirmed that."},
        **documented(403, 404, 421, 422, 500),
    },
)
async def delete_launch(launch_id: LaunchId, web: WebDep, shown_secret: ShownSecretDep) -> Response:
    """Stop its spawn or its server and delete what it created. Safe to repeat; needs the launch's secret."""
    launch = await web.service.get(launch_id)
    if not web.secrets.opens(launch_id, shown_secret):
        raise SecretRequired
    if await web.service.cancel(launch_id):
        return Response(status_code=204)
    return JSONResponse(web.views.launch(launch, private=True), 202, {"Retry-After": "1", "Cache-Control": "no-store"})


def _wants_stream(accept: str) -> bool:
    return any(part.partition(";")[0].strip() == "text/event-stream" for part in accept.lower().split(","))


def _cursor(last_event_id: str | None, after: int) -> int:
    """A `Last-Event-ID` that is none of ours reads from the start, as an `EventSource` would die of a 400."""
    if last_event_id is None:
        return after
    return (
        int(last_event_id) if last_event_id.isascii() and last_event_id.isdecimal() and len(last_event_id) < 10 else 0
    )


def _stream(web: Web, launch: Launch, *, after: int, private: bool, headers: dict[str, str]) -> EventStream:
    blocks = event_blocks(web.feed, web.views, launch, after=after, private=private)
    return EventStream(blocks, headers=headers)
