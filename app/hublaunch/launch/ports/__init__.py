"""The ports: protocols of what the core needs from outside, which are the Hub, the store and the rate counts."""

from hublaunch.launch.ports.counts import RateCounts
from hublaunch.launch.ports.hub import (
    Hub,
    Identity,
    LoginToken,
    Progress,
    Reach,
    Reached,
    Server,
    Token,
    User,
)
from hublaunch.launch.ports.store import (
    Admitted,
    Capacity,
    Held,
    LaunchStore,
    LeaseLost,
    LetThrough,
    Only,
    Queue,
    StoreFault,
    Wanted,
)

__all__ = [
    "Admitted",
    "Capacity",
    "Held",
    "Hub",
    "Identity",
    "LaunchStore",
    "LeaseLost",
    "LetThrough",
    "LoginToken",
    "Only",
    "Progress",
    "Queue",
    "RateCounts",
    "Reach",
    "Reached",
    "Server",
    "StoreFault",
    "Token",
    "User",
    "Wanted",
]
