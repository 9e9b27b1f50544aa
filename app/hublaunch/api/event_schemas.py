"""The event stream, as the OpenAPI document describes it: a schema for the data of each kind of event."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hublaunch.api.schemas import CONTENT_FAULT, ExpectedBasis, ProblemBody, Timestamp
from hublaunch.launch.model import Status


class LaunchEvent(BaseModel):
    """The data of a stored event, which has no name. The `id` of its server-sent event is `seq`."""

    launch_id: str
    seq: int = Field(description="From 1, without gaps.")
    at: Timestamp
    phase: Status = Field(description="Never `stopped`. `ready`, `failed` and `cancelled` end the stream.")
    stage: str | None = Field(
        description="What the launch waits for: queued, scheduling, pulling, starting or opening; null at the end. "
        "Later releases may add stages: treat an unknown one as starting."
    )
    message: str
    progress: int = Field(ge=0, le=100)
    attempt: int
    stalled_since: Timestamp | None = Field(
        None, description="Only if the event says that the launch is stalled: when JupyterHub last said something new."
    )
    stalled_reason: str | None = Field(None, description="With `stalled_since`, as in the launch.")
    problem: ProblemBody | None = None
    url: str | None = None
    open_url: str | None = None
    token: str | None = None
    token_expires_at: Timestamp | None = None
    content_fault: str | None = Field(None, description=CONTENT_FAULT)
    expected_ready_at: Timestamp | None = Field(
        None,
        description="When the launch will probably be ready, in the first event after its admission and at the first "
        "pull of its image. Null if fewer than 5 comparable launches have become ready here.",
    )
    expected_basis: ExpectedBasis | None = Field(
        None, description="What the estimate is based on, in the same events. Null if there is no estimate."
    )
    image: str | None = None
    image_bytes: int | None = Field(None, description="The image's size, once it has been pulled and is known.")
    repo_url: str | None = None


class QueuePosition(BaseModel):
    """The data of the event `position`, which tells followers that a launch has moved in the queue."""

    position: int = Field(ge=0, description="1 is the next launch. 0 comes once: the launch has been admitted.")
    queue_size: int = Field(ge=0, description="Launches in the queue.")
    eta_s: int | None = Field(description="Seconds until admission; null if they cannot be estimated.")
    eta_basis: str | None = Field(description="How `eta_s` was estimated, or why it could not be.")


class Heartbeat(BaseModel):
    """The data of the event `heartbeat`, which comes after 15 s without another event: an empty object."""

    model_config = ConfigDict(extra="forbid")  # so that generated types tell it from a LaunchEvent


def stream_schema(*models: type[BaseModel]) -> dict[str, Any]:
    """Return a schema for generators that read no `itemSchema`: the data of an event, or the whole stream as text."""
    return {"anyOf": [*map(_reference, models), {"type": "string"}]}


def stream_item(model: type[BaseModel], **fields: Any) -> dict[str, Any]:
    """Return the schema of a server-sent event whose data is the model as JSON. `fields` are its other fields."""
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": _reference(model)}
    retry = {"type": "integer", "minimum": 0}
    return {"type": "object", "properties": {**fields, "data": data, "retry": retry}, "required": [*fields, "data"]}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


_STREAM_EXAMPLE = (
    'retry: 2112\nid: 1\ndata: {"launch_id":"01JDB9Z3N8Q4V7R2M5X6C1T0YK","seq":1,"at":"2026-11-23T08:00:00.000Z",'
    '"phase":"waiting","stage":"queued","message":"Accepted","progress":0,"attempt":1}\n\n'
    "event: heartbeat\ndata: {}\n\n"
)
DOCUMENTED_STREAM: dict[str, Any] = {  # as OpenAPI 3.2 documents server-sent events
    "description": "The events from the first, or from after the cursor, to the last (ready, failed or cancelled). "
    "Stored events are unnamed and have an `id`; their data is a `LaunchEvent`. `heartbeat` (`Heartbeat`) and, in the "
    "queue, `position` (`QueuePosition`) have a name and no `id`. A client that reconnects with `Last-Event-ID` misses "
    "nothing and gets nothing twice.",
    "content": {
        "text/event-stream": {
            "schema": stream_schema(LaunchEvent, QueuePosition, Heartbeat),
            "itemSchema": {
                "oneOf": [
                    stream_item(LaunchEvent, id={"type": "string"}),
                    stream_item(QueuePosition, event={"const": "position"}),
                    stream_item(Heartbeat, event={"const": "heartbeat"}),
                ]
            },
            "example": _STREAM_EXAMPLE,
        },
    },
    "headers": {
        "X-Launch-Cursor": {
            "description": "The number of the event after which this stream begins.",
            "schema": {"type": "integer"},
        }
    },
}
