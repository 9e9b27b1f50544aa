"""`POST /launch/{id}/extend`."""

from typing import Annotated

from fastapi import APIRouter, Header
from starlette.responses import JSONResponse, Response

from hublaunch.api.dependencies import DOCUMENTED_CREDENTIALS, ReaderDep, WebDep
from hublaunch.api.parameters import LaunchId
from hublaunch.api.problems.openapi import DOCUMENTED_EVERYWHERE, documented
from hublaunch.api.schemas import ExtensionBody, LaunchBase

router = APIRouter(tags=["launch"], dependencies=[DOCUMENTED_CREDENTIALS], responses=DOCUMENTED_EVERYWHERE)

_KEY = (
    "Requests with the same key extend the launch once, however often they are sent. Without a key, each request "
    "extends it."
)


@router.post(
    "/launch/{launch_id}/extend",
    operation_id="extendLaunch",
    summary="Extend a launch",
    response_model=LaunchBase,
    responses=documented(400, 401, 403, 404, 408, 409, 410, 413, 415, 422, 502, 503),
)
async def post_extend(
    launch_id: LaunchId,
    body: ExtensionBody,
    web: WebDep,
    reader: ReaderDep,
    idempotency_key: Annotated[
        str | None, Header(description=_KEY, examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"])
    ] = None,
) -> Response:
    """Let the server of a ready launch run longer, up to the launch's `extendable_until`. Return the launch.

    Allowed for the launch's caller, for requests with its secret, and for admins.
    """
    visibility = reader.in_control(await web.service.get(launch_id))
    by = reader.caller or reader.anonymous
    await web.extensions.extend(launch_id, seconds=body.seconds, key=idempotency_key, by=by)
    launch = await web.service.get(launch_id)
    return JSONResponse(web.views.launch(launch, visibility=visibility), 200, {"Cache-Control": "no-store"})
