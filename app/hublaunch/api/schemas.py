"""Request and response bodies, as the OpenAPI document describes them."""

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from hublaunch.launch.model import Status

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""A time in UTC (RFC 3339) with milliseconds."""

_LAUNCH_ID = "01JDB9Z3N8Q4V7R2M5X6C1T0YK"


def _request(schema: JsonDict) -> None:
    """Add an example, and remove defaults: TypeScript generators make a field with a default required."""
    schema["examples"] = [
        {
            "image": "quay.io/jupyter/minimal-notebook:latest",
            "repo_url": "https://github.com/binder-examples/requirements",
        }
    ]
    for field in cast("dict[str, JsonDict]", schema["properties"]).values():
        field.pop("default", None)


class LaunchBody(BaseModel):
    """The launch that is requested."""

    model_config = ConfigDict(title="LaunchRequest", extra="forbid", json_schema_extra=_request)

    image: str = Field(
        "", description="Image reference: `[registry/]repository[:tag][@digest]`. Either this or `environment`."
    )
    environment: str = Field(
        "", description="The environment to launch, by its name in `GET /catalogue`. Either this or `image`."
    )
    size: str = Field(
        "",
        description="The size of the server, by its name in `GET /catalogue`. Without it, the environment's first one.",
    )
    repo_url: str = Field(
        "", description="The repository with the content. The server is named after it, and the spawner gets it."
    )
    ref: str = Field(
        "",
        description="The branch, tag or commit of the repository: a name, `refs/heads/…`, `refs/tags/…`, or the full "
        "hash of a commit. If empty, the default branch.",
        examples=["main"],
    )
    extra_args: dict[str, Any] = Field({}, description="More `user_options`, with names that the operator allows.")
    username: str = Field("", description="The Hub user to launch for, if the caller may launch for others.")
    server_name: str = Field(
        "", description="The named server to start for an existing user. Without it, hublaunch chooses a name."
    )
    if_running: Literal["reuse", "new", "refuse"] = Field(
        "new",
        description="What to do if you already have an active launch of this image, repository and ref, and of this "
        "environment and size: `reuse` answers 200 with that launch, `refuse` answers 409, `new` (the default) "
        "launches another. Anonymous callers and holders of an invitation never have an active launch in this sense.",
    )
    path: str = Field(
        "",
        description="The path that `open_url` opens, relative to the server's root, or to the repository if the "
        "environment fetches it. May have a query and a fragment.",
        examples=["lab/tree/index.ipynb"],
    )


class ExtensionBody(BaseModel):
    """How much longer the server may run."""

    model_config = ConfigDict(
        title="ExtensionRequest", extra="forbid", json_schema_extra={"examples": [{"seconds": 3600}]}
    )

    seconds: int = Field(
        strict=True, ge=60, le=31_536_000, description="How much later than `will_end_at` the server will be stopped."
    )


class UsedUp(BaseModel):
    """A quota that is used up."""

    scope: str = Field(
        description="What launches are counted by: caller, invitation, repository, image, size or total."
    )
    together: bool = Field(description="Whether all launches that match the rule are counted together.")
    most: int = Field(description="How many launches may be active at the same time.")
    active: int = Field(description="How many are active now.")


class InvalidField(BaseModel):
    """A field of a request that is not valid."""

    field: str
    reason: str


class ProblemBody(BaseModel):
    """Why something was refused or failed (RFC 9457)."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(examples=["urn:hublaunch:problem:image_not_allowed"])
    title: str
    detail: str | None = Field(None, description="In a launch's problem, only for readers of its private fields.")
    code: str = Field(description="Stable and machine-readable.", examples=["image_not_allowed"])
    advice: str = Field(description="What you can do next.")
    operator_advice: str | None = Field(None, description="Only for admins: what the operator of the service can do.")
    status: int | None = Field(None, description="The HTTP status; not in a launch's problem.")
    url: str | None = Field(None, description="With `server_already_running`: the URL of that server.")
    open_url: str | None = Field(None, description="With `server_already_running`: opens `path` in that server.")
    errors: list[InvalidField] | None = Field(None, description="With 422: the invalid fields.")
    violated_policies: list[str] | None = Field(
        None,
        alias="violated-policies",
        description="With `rate_limited`: the names from `RateLimit-Policy` of the limits that are exceeded.",
    )
    limit: UsedUp | None = Field(
        None, description="With `quota_reached` and `invitation_full`: the quota that is used up."
    )
    launch_id: str | None = Field(None, description="With `already_running`: the launch that you already have.")


class ExpectedBasis(BaseModel):
    """The basis of an estimate: the time from admission to ready of the last launches of the image here."""

    count: int = Field(description="How many launches, 5 to 50.")
    p50_s: float = Field(description="Half of them took at most this many seconds.")
    p90_s: float = Field(description="Nine of ten took at most this many seconds.")
    of_pulls: bool = Field(
        description="Whether only launches that pulled the image are counted, because this launch pulls it too."
    )
    passed_s: float = Field(
        description="Seconds since this launch was admitted. Above `p90_s`, it takes longer than usual."
    )


_LAUNCH: JsonDict = {
    "id": _LAUNCH_ID,
    "status": "launching",
    "phase": "launching",
    "stage": "starting",
    "progress": 50,
    "message": "Spawning server...",
    "stalled_since": None,
    "stalled_reason": None,
    "attempt": 1,
    "warm": False,
    "created_at": "2026-11-23T08:00:00.000Z",
    "ended_at": None,
    "stopped_at": None,
    "stopped_by": None,
    "durations": {"waiting_s": 0.004, "spawning_s": None, "total_s": None},
    "events_url": f"/launch/{_LAUNCH_ID}/events",
    "will_end_at": None,
    "extendable_until": None,
    "is_temporary": True,
    "image": "quay.io/jupyter/minimal-notebook:latest",
    "environment": None,
    "size": None,
    "invitation": None,
    "repo_url": "https://github.com/binder-examples/requirements",
    "ref": "",
    "username": "binder-examples-requirements-1a2b3c4d",
    "server_name": "",
    "path": "lab/tree/index.ipynb",
    "image_digest": f"sha256:{'4b' * 32}",
}
CONTENT_FAULT = (
    "When ready: why the files of the repository are not in the server, although the environment fetches them. "
    "`open_url` then opens the server without them. Otherwise null."
)
_SECRET = "mfGb7o-BZGjbG6_boCxm_VutszIuuawCP2_a5HuT6uY"


class Durations(BaseModel):
    """How long the parts of a launch took, in seconds; null for a part that is not over."""

    waiting_s: float | None = Field(description="In the queue.")
    spawning_s: float | None = Field(description="From then until `ended_at`.")
    total_s: float | None


class LaunchBase(BaseModel):
    """A launch's current state. The fields from `will_end_at` on are private."""

    model_config = ConfigDict(title="Launch", json_schema_extra={"examples": [_LAUNCH]})

    id: str = Field(examples=[_LAUNCH_ID])
    status: Status
    phase: Status = Field(description="The phase of the last event.")
    stage: str | None = Field(description="The stage of the last event, as in its data.", examples=["starting"])
    progress: int = Field(ge=0, le=100)
    message: str
    stalled_since: Timestamp | None = Field(
        description="When JupyterHub last said something new about it, if that is unusually long ago. Else null."
    )
    stalled_reason: str | None = Field(
        description="With `stalled_since`, the reason if it is known: adding_machine, no_machine, batch_queue, "
        "storage, pull_failed or restarting. Later releases may add reasons."
    )
    attempt: int = Field(description="The number of the attempt, from 1.")
    warm: bool = Field(
        description="Whether the launch got a warm server, which was running before the launch claimed it."
    )
    created_at: Timestamp = Field(examples=["2026-11-23T08:00:00.000Z"])
    ended_at: Timestamp | None = Field(description="When it became ready, failed or was cancelled.")
    stopped_at: Timestamp | None
    stopped_by: str | None = Field(
        description="`caller` (cancelled), `hub` (its server was gone), `session_end` (its time was over) or "
        "`operator` (the service was drained). Later releases may add values."
    )
    durations: Durations
    events_url: str = Field(examples=[f"/launch/{_LAUNCH_ID}/events"])
    expected_ready_at: Timestamp | None = Field(
        None,
        description="When the launch will probably be ready. Null in the queue, once it takes longer than usual, "
        "and if fewer than 5 comparable launches have become ready here.",
    )
    expected_basis: ExpectedBasis | None = Field(
        None, description="What the estimate is based on. Null if there is no estimate."
    )
    problem: ProblemBody | None = None
    will_end_at: Timestamp | None = Field(
        None,
        description="When ready: when the server will be stopped; null if no limit is set. In the past while it is "
        "being stopped.",
    )
    extendable_until: Timestamp | None = Field(
        None,
        description="When ready: the latest `will_end_at` that extensions can reach; null if none is allowed.",
    )
    is_temporary: bool | None = Field(
        None, description="Whether the user of the server, and usually their files, are deleted once it has stopped."
    )
    image: str | None = None
    environment: str | None = Field(None, description="The environment of the catalogue; null if none was named.")
    size: str | None = Field(None, description="The size of the server; null if the spawner decides.")
    invitation: str | None = Field(None, description="The name of the invitation that it was launched with, if any.")
    image_digest: str | None = Field(
        None, description="The digest that the registry had for the image before JupyterHub was asked, if it is known."
    )
    repo_url: str | None = None
    ref: str | None = Field(None, description="The branch, tag or commit that was asked for; empty if none was.")
    username: str | None = None
    server_name: str | None = None
    path: str | None = Field(None, description="The path that `open_url` opens, as in the request.")
    url: str | None = Field(None, description="When ready: the server's root, absolute, ending in `/`.")
    open_url: str | None = Field(
        None, description="When ready, for browsers: the address that opens `path`, with the token as query."
    )
    token: str | None = Field(None, description="When ready: gives access to this server only.")
    token_expires_at: Timestamp | None = None
    content_fault: str | None = Field(None, description=CONTENT_FAULT)


class AcceptedLaunch(LaunchBase):
    """The answer to `POST /launch`."""

    model_config = ConfigDict(
        title="AcceptedLaunch",
        json_schema_extra={
            "examples": [
                _LAUNCH
                | {"status": "waiting", "phase": "waiting", "stage": "queued", "progress": 0, "message": "Accepted"}
                | {"events_url": f"/launch/{_LAUNCH_ID}/events?secret={_SECRET}", "secret": _SECRET}
            ]
        },
    )

    secret: str = Field(
        description="Store it: it gives access to the launch's private fields, and can cancel or extend the launch."
    )
    events_url: str = Field(
        description="The events, including private fields.", examples=[f"/launch/{_LAUNCH_ID}/events?secret=…"]
    )


class LaunchPage(BaseModel):
    """A page of launches, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"launches": [_LAUNCH], "next": None}]})

    launches: list[LaunchBase]
    next: str | None = Field(description="The query for the next page; null on the last page.")


class HeldInvitation(BaseModel):
    """The invitation that the caller holds."""

    model_config = ConfigDict(title="Invitation")

    name: str
    until: Timestamp = Field(description="When it ends.")
    repo_url: str = Field(description="The repository that its launches open; empty if you may choose one.")
    ref: str = Field(description="The branch, tag or commit of `repo_url`.")
    path: str = Field(description="The path that its launches open, if `repo_url` is not empty.")


class DrainBody(BaseModel):
    """Whether new launches are to be refused."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"is_draining": True}]})

    is_draining: bool


class Session(BaseModel):
    """The current caller."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "hub",
                    "name": "ada",
                    "is_admin": False,
                    "access": ["anonymous", "hub"],
                    "images": ["quay.io/jupyter/minimal-notebook:*"],
                    "invitation": None,
                }
            ]
        }
    )

    kind: str = Field(description="anonymous, hub, key, invitation or admin_link.")
    name: str | None = Field(description="The name of the Hub user, the API key, the invitation or the admin link.")
    is_admin: bool = Field(description="Whether this caller may see and cancel everybody's launches.")
    access: list[str] = Field(description="The kinds of callers that may launch here: anonymous, hub, key, invitation.")
    images: list[str] = Field(description="The patterns of the images that this caller may launch.")
    invitation: HeldInvitation | None = Field(
        None, description="With the code of an invitation as credentials: the invitation."
    )
