"""The middleware around every request, outermost first."""

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from hublaunch.api.middleware.access_log import PROBED, AccessLog
from hublaunch.api.middleware.bodies import JsonBodies
from hublaunch.api.middleware.concurrency import ConcurrencyLimits
from hublaunch.api.middleware.head import HeadRequests
from hublaunch.api.middleware.hosts import KnownHosts
from hublaunch.api.middleware.origin import OwnOrigin
from hublaunch.api.middleware.security_headers import SecurityHeaders
from hublaunch.api.middleware.sizes import SizeLimits
from hublaunch.api.middleware.start_faults import StartFaults
from hublaunch.api.pace import WebPace
from hublaunch.binderhub import routes as binder
from hublaunch.files.watched import FileFault
from hublaunch.serving.connections import room_for
from hublaunch.settings import Settings, SettingsFault
from hublaunch.store.errors import StoreError

_ACTING = (binder.PATH, "/oauth_login", "/oauth_callback")
"""Paths whose GET changes something."""


def middleware(settings: Settings, pace: WebPace) -> list[Middleware]:
    """Return the middleware for these settings."""
    prefix = settings.routed_prefix
    open_paths = at_root_too(*PROBED, prefix=prefix)
    room = room_for(settings.max_connections, spawns=settings.max_concurrent_spawns)
    return [
        Middleware(AccessLog, quiet_paths=open_paths),
        Middleware(StartFaults, plain=(StoreError, SettingsFault, FileFault)),
        Middleware(SecurityHeaders, frame_ancestors=settings.frame_ancestors),
        Middleware(SizeLimits),
        Middleware(KnownHosts, hosts=settings.known_hosts, open_paths=open_paths),
        Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=[
                *("Content-Type", "Idempotency-Key", "Authorization", "X-Launch-Secret", "Last-Event-ID"),
                "X-Xsrftoken",  # binderhub-client sends it where the page has a cookie of that name
            ],
            expose_headers=[
                *("Location", "Retry-After", "X-Launch-Cursor", "X-Launch-Secret", "Date"),
                *("RateLimit", "RateLimit-Policy", "X-Request-ID"),
            ],
        ),
        Middleware(
            ConcurrencyLimits,
            most=room.requests,
            most_streams=room.streams_per_address(settings.max_streams_address),
            open_paths=open_paths,
        ),
        Middleware(OwnOrigin, allowed=settings.cors_origins, launching=f"{prefix}{binder.PATH}"),
        Middleware(JsonBodies, timeout_s=pace.body_timeout_s),
        Middleware(HeadRequests, acting=tuple(f"{prefix}{path}" for path in _ACTING)),
    ]


def at_root_too(*paths: str, prefix: str) -> frozenset[str]:
    """Return the paths below the prefix and at the root, where probes and scrapers of the process look for them."""
    return frozenset((*paths, *(prefix + path for path in paths)))
