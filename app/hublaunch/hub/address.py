"""The addresses of one Hub, and the timing of requests to it."""

from dataclasses import dataclass, field

from hublaunch.wire.peer import Timeouts


@dataclass(frozen=True, kw_only=True, slots=True)
class HubAddress:
    """The URLs of one Hub, each ending in `/`."""

    api_url: str
    """The root of the REST API, as reached from here."""
    hub_url: str
    """The Hub's own URL, as browsers reach it, with its base_url."""
    proxy_url: str | None = None
    """The URL of the Hub's proxy, as reached from here; None to use the URLs of the servers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HubPace:
    """How many times a request to the Hub is sent, and how long each may take. Times are in seconds."""

    tries: int = 4
    """The most requests, including the first."""
    retry_delay_s: float = 4
    """The pause before the second request. It doubles with each retry."""
    retry_after_s: tuple[float, float] = (1.0, 300.0)
    """Bounds for a `Retry-After`.

    JupyterHub asks for 30 to 60 s, or for 0 if its range is set below 1 s. Only a server in front of it asks for a day.
    """
    call: Timeouts = field(default_factory=lambda: {"connect": 10, "write": 10, "read": 20})
    slow_call: Timeouts = field(default_factory=lambda: {"connect": 10, "write": 10, "read": 45})
    """Timeouts of starts and stops: a stock Hub answers after up to `slow_spawn_timeout` or `slow_stop_timeout`, 10
    s."""
    stream: Timeouts = field(default_factory=lambda: {"connect": 10, "write": 10, "read": 25})
    """Timeouts of progress streams, where the Hub sends a keepalive every 8 s."""
    probe: Timeouts = field(default_factory=lambda: {"connect": 5, "write": 5, "read": 5})
    """Timeouts of requests to a server itself."""

    @property
    def longest_call_s(self) -> float:
        """The time after which every call has ended, except streams."""
        return sum(self.slow_call.values())
