"""What the core asks of the outside: the Hub, the records, and the counts of rate limits."""

from hublaunch.launch.ports.counts import (
    RateCounts,
)
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
