"""Request and response bodies, as the OpenAPI document shows them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

_LAUNCH_ID = "01JDB9Z3N8Q4V7R2M5X6C1T0YK"


class LaunchBody(BaseModel):
    """What to launch."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "image": "quay.io/jupyter/minimal-notebook:latest",
                    "repo_url": "https://github.com/binder-examples/requirements",
                }
            ]
        },
    )

    image: str = Field(description="Image reference: `[registry/]repository[:tag][@digest]`.")
    repo_url: str = Field("", description="Where the content comes from; names the server and reaches its spawner.")
    extra_args: dict[str, Any] = Field({}, description="Further `user_options`, by keys that the operator allows.")
    username: str = Field("", description="Whose account it is for, where the caller may name somebody else.")
    server_name: str = Field("", description="The named server to make on an existing account; chosen if not given.")
    if_running: Literal["reuse", "new", "refuse"] = Field(
        "new",
        description="If you already have a launch of this image and repository, ready or under way: `reuse` answers "
        "200 with it, `refuse` 409, `new` launches another. Without credentials you have none.",
    )
    path: str = Field(
        "",
        description="What `open_url` opens, relative to the server's root; may have a query and a fragment.",
        examples=["lab/tree/index.ipynb"],
    )


class UsedUp(BaseModel):
    """A limit on launches at once."""

    scope: str = Field(description="caller, repository, image or total: what launches are counted by")
    together: bool = Field(description="Whether those of others that are like it count too.")
    most: int = Field(description="How many may be under way or ready.")
    active: int = Field(description="How many are.")


class ProblemBody(BaseModel):
    """Why something was refused or failed (RFC 9457)."""

    type: str = Field(examples=["urn:hublaunch:problem:image_not_allowed"])
    title: str
    detail: str | None = Field(None, description="Left out of a launch's problem for readers without its secret.")
    code: str = Field(description="Stable and machine-readable.", examples=["image_not_allowed"])
    advice: str = Field(description="What you can do next.")
    operator_advice: str | None = Field(None, description="For admins: what the operator of the service can do.")
    status: int | None = Field(None, description="The status of this answer; not in a launch's problem.")
    url: str | None = Field(None, description="With `server_already_running`: the server.")
    open_url: str | None = Field(None, description="With `server_already_running`: what opens `path` in that server.")
    errors: list[dict[str, str]] | None = Field(None, description="With 422: each `field` and the `reason`.")
    violated_policies: list[str] | None = Field(
        None,
        alias="violated-policies",
        description="With `rate_limited`: those of `RateLimit-Policy` that leave no room.",
    )
    limit: UsedUp | None = Field(None, description="With `quota_reached`: which limit, and how far it is used up.")
    launch_id: str | None = Field(None, description="With `already_running`: the launch that you have.")


_LAUNCH: JsonDict = {
    "id": _LAUNCH_ID,
    "status": "launching",
    "phase": "launching",
    "progress": 50,
    "message": "Spawning server...",
    "attempt": 1,
    "created_at": "2026-11-23T08:00:00.000Z",
    "ended_at": None,
    "stopped_at": None,
    "stopped_by": None,
    "durations": {"waiting_s": 0.004, "spawning_s": None, "total_s": None},
    "events_url": f"/launch/{_LAUNCH_ID}/events",
    "image": "quay.io/jupyter/minimal-notebook:latest",
    "repo_url": "https://github.com/binder-examples/requirements",
    "username": "binder-examples-requirements-1a2b3c4d",
    "server_name": "",
    "path": "lab/tree/index.ipynb",
}
_SECRET = "mfGb7o-BZGjbG6_boCxm_VutszIuuawCP2_a5HuT6uY"


class LaunchBase(BaseModel):
    """A launch as it stands. The fields from `image` on are there for who shows the launch's secret."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LAUNCH]})

    id: str = Field(examples=[_LAUNCH_ID])
    status: str = Field(description="waiting, launching, ready, failed, cancelled or stopped")
    phase: str = Field(description="The phase of the last event.")
    progress: int = Field(ge=0, le=100)
    message: str
    attempt: int = Field(description="From 1.")
    created_at: str = Field(examples=["2026-11-23T08:00:00.000Z"])
    ended_at: str | None = Field(description="When it was ready, failed or cancelled.")
    stopped_at: str | None
    stopped_by: str | None
    durations: dict[str, float | None] = Field(
        description="Seconds: `waiting_s` until the Hub was asked, `spawning_s` from then to the end, `total_s`."
    )
    events_url: str = Field(examples=[f"/launch/{_LAUNCH_ID}/events"])
    problem: ProblemBody | None = None
    image: str | None = None
    repo_url: str | None = None
    username: str | None = None
    server_name: str | None = None
    path: str | None = Field(None, description="What `open_url` opens, relative to the server's root.")
    url: str | None = Field(None, description="When ready: the server's root, absolute, ending in `/`.")
    open_url: str | None = Field(
        None, description="When ready: what to open in a browser: `url`, then `path`, and the token in its query."
    )
    token: str | None = Field(None, description="When ready: lets its bearer into this server alone.")
    token_expires_at: str | None = None


class AcceptedLaunch(LaunchBase):
    """The answer to `POST /launch`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                _LAUNCH
                | {"status": "waiting", "phase": "waiting", "progress": 0, "message": "Accepted"}
                | {"events_url": f"/launch/{_LAUNCH_ID}/events?secret={_SECRET}", "secret": _SECRET}
            ]
        }
    )

    secret: str = Field(description="Shows the launch's private fields and cancels it; keep it.")
    events_url: str = Field(
        description="The events with their private fields.", examples=[f"/launch/{_LAUNCH_ID}/events?secret=…"]
    )


class LaunchPage(BaseModel):
    """Launches, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"launches": [_LAUNCH], "next": None}]})

    launches: list[LaunchBase]
    next: str | None = Field(description="The query of the next page; null on the last one.")


class Session(BaseModel):
    """Who the caller is to this service."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "hub",
                    "name": "ada",
                    "is_admin": False,
                    "access": ["anonymous", "hub"],
                    "images": ["quay.io/jupyter/minimal-notebook:*"],
                }
            ]
        }
    )

    kind: str = Field(description="anonymous, hub or key")
    name: str | None = Field(description="The name of the Hub user or the API key.")
    is_admin: bool = Field(description="Whether everybody's launches are shown and may be cancelled.")
    access: list[str] = Field(description="The kinds of callers that may launch here: anonymous, hub, key.")
    images: list[str] = Field(description="The patterns of the images that this caller may launch.")


class LaunchEvent(BaseModel):
    """The data of one server-sent event; its `id` is `seq`."""

    launch_id: str
    seq: int = Field(description="From 1, without gaps.")
    at: str
    phase: str = Field(description="waiting, launching, ready, failed or cancelled; the last three end the stream")
    message: str
    progress: int = Field(ge=0, le=100)
    attempt: int
    problem: ProblemBody | None = None
    url: str | None = None
    open_url: str | None = None
    token: str | None = None
    token_expires_at: str | None = None
    image: str | None = None
    repo_url: str | None = None
