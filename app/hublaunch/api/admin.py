"""What admins see and switch: `GET /admin/events`, `PUT /admin/drain`, `DELETE /admin/guard`."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from hublaunch.api.dependencies import DOCUMENTED_CREDENTIALS, WebDep, known_caller_of
from hublaunch.api.parameters import Text
from hublaunch.api.problems.openapi import DOCUMENTED_EVERYWHERE, documented
from hublaunch.api.schemas import DrainBody
from hublaunch.api.sse import EventStreamResponse
from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import AccessDenied, HubError, Unauthenticated
from hublaunch.launch.rules.image import IMAGE_MAX

router = APIRouter(
    prefix="/admin", tags=["admin"], dependencies=[DOCUMENTED_CREDENTIALS], responses=DOCUMENTED_EVERYWHERE
)


async def _admin(request: Request) -> Caller:
    caller = await known_caller_of(request)
    if caller is None:
        raise Unauthenticated("Only admins may see and do this.")
    if not caller.is_admin:
        raise AccessDenied("Only admins may see and do this.")
    return caller


async def _is_still_admin(request: Request) -> bool:
    """Return False once the credentials are refused. While JupyterHub cannot be asked, they count as they did."""
    try:
        await _admin(request)
    except (Unauthenticated, AccessDenied):
        return False
    except HubError:
        return True
    return True


_EXAMPLE = 'event: overview\ndata: {"at":"2026-12-01T12:00:00.000Z","counts":{"waiting":3,"launching":20}}\n\n'
AdminDep = Annotated[Caller, Depends(_admin)]


@router.get(
    "/events",
    operation_id="followService",
    summary="Follow the service",
    response_class=Response,
    responses={
        200: {
            "description": "The overviews, as they change, with heartbeats in between.",
            "content": {"text/event-stream": {"example": _EXAMPLE}},
        },
        **documented(401, 403, 502, 503),
    },
)
async def get_overview(request: Request, web: WebDep, admin: AdminDep) -> Response:  # noqa: ARG001 - checked
    """Stream what the service does, as `event: overview`: now, and whenever it changes, at most once a second.

    The data are those of `hublaunch top --json`; the lists have at most 500 entries. The stream ends when the caller
    is no longer an admin, for example because the time of an admin link is over.
    """
    return EventStreamResponse(web.overview.blocks(partial(_is_still_admin, request)), headers={})


@router.put(
    "/drain",
    operation_id="setDrain",
    summary="Refuse or accept new launches",
    status_code=204,
    response_class=Response,
    responses=documented(400, 401, 403, 408, 413, 415, 422, 502, 503),
)
async def put_drain(body: DrainBody, web: WebDep, admin: AdminDep) -> Response:
    """Refuse new launches and hold the queue, on all replicas, or accept them again. Ready servers keep running."""
    change = web.operation.start_drain if body.is_draining else web.operation.end_drain
    await change(by=admin)
    return Response(status_code=204)


@router.delete(
    "/guard",
    operation_id="clearGuard",
    summary="Clear the Hub guard",
    status_code=204,
    response_class=Response,
    responses=documented(400, 401, 403, 422, 502, 503),
)
async def delete_guard(
    web: WebDep,
    admin: AdminDep,
    image: Annotated[Text | None, Query(max_length=IMAGE_MAX, description="Admit only this image again.")] = None,
) -> Response:
    """Count failed spawns from zero, as JupyterHub does when it restarts, or admit one image again. Safe to repeat."""
    await web.operation.clear_guard(image, by=admin)
    return Response(status_code=204)
