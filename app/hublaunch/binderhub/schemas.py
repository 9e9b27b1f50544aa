"""The answer of `/build`, as the OpenAPI document describes it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hublaunch.api.event_schemas import stream_item, stream_schema
from hublaunch.api.rate_headers import DOCUMENTED_RATES
from hublaunch.api.schemas import ProblemBody


class BuildEvent(BaseModel):
    """The data of an event of `/build`, as BinderHub's clients read it. `ready` has the launch's `extra_args` too."""

    model_config = ConfigDict(extra="allow")

    phase: Literal["waiting", "built", "launching", "ready", "failed"]
    message: str = Field(description="For people. Ends with a line break.")
    progress: int | None = Field(None, ge=0, le=100)
    launch_id: str | None = Field(None, description="Missing in a refusal, and where nothing is launched.")
    image_name: str | None = Field(None, alias="imageName", description="With `built`, and with `build_only`.")
    url: str | None = Field(None, description="With `ready`: the server's root, absolute, ending in `/`.")
    token: str | None = Field(None, description="With `ready`: gives access to this server; empty for a Hub user.")
    image: str | None = Field(None, description="With `ready`.")
    repo_url: str | None = Field(None, description="With `ready`: the repository, or only its DOI.")
    binder_launch_host: str | None = Field(None, description="With `ready`: the address of this service.")
    problem: ProblemBody | None = Field(None, description="With `failed`, unless the launch was cancelled.")


DOCUMENTED_BUILD: dict[str, Any] = {
    "description": "BinderHub's events, all unnamed: their data is a `BuildEvent`. A refusal is a `failed` event too. "
    "Comments keep the connection alive.",
    "content": {
        "text/event-stream": {
            "schema": stream_schema(BuildEvent),
            "itemSchema": stream_item(BuildEvent),
            "example": "id: 01JDB9Z3N8Q4V7R2M5X6C1T0YK.1.mfGb7o…\n"
            'data: {"phase":"waiting","message":"Accepted\\n"}\n\n',
        }
    },
    "headers": DOCUMENTED_RATES,
}
