"""What the core asks of the outside: the Hub, the records, and the counts of rate limits."""

from app.launch.ports.counts import (
    RateCounts,
)
from app.launch.ports.hub import (
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
from app.launch.ports.store import (
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
