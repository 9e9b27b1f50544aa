"""The Python client of hublaunch: launch a server and follow its progress. It needs httpx only.

async with LaunchClient("https://hub.example.org/services/hublaunch/") as client:
    launch = await client.launch("quay.io/jupyter/base-notebook:latest", repo_url="https://github.com/org/repo")
    async for event in client.follow(launch.id):
        print(event.phase, event.progress, event.message)
"""

from hublaunch.client.errors import (
    AccessDenied,
    Conflict,
    InvalidRequest,
    LaunchClientError,
    LaunchNotFound,
    Refused,
    ServiceUnavailable,
    TooManyLaunches,
    Unauthenticated,
    UnexpectedAnswer,
    Unreachable,
)
from hublaunch.client.launch_client import LaunchClient
from hublaunch.client.model import (
    Catalogue,
    Environment,
    ExpectedBasis,
    Launch,
    LaunchEvent,
    Position,
    Problem,
    Session,
    Size,
)

__all__ = [
    "AccessDenied",
    "Catalogue",
    "Conflict",
    "Environment",
    "ExpectedBasis",
    "InvalidRequest",
    "Launch",
    "LaunchClient",
    "LaunchClientError",
    "LaunchEvent",
    "LaunchNotFound",
    "Position",
    "Problem",
    "Refused",
    "ServiceUnavailable",
    "Session",
    "Size",
    "TooManyLaunches",
    "Unauthenticated",
    "UnexpectedAnswer",
    "Unreachable",
]
