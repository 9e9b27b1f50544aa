"""The service as an ASGI app: `uvicorn --factory hublaunch.main:create_app`."""

from functools import cache
from importlib.metadata import version

import httpx
from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute

from hublaunch.api import admin, catalogue, extensions, health, pages, routes, status
from hublaunch.api.callers import oauth
from hublaunch.api.event_schemas import Heartbeat, LaunchEvent, QueuePosition
from hublaunch.api.openapi import DescribedApp
from hublaunch.api.pace import WebPace
from hublaunch.api.problems.handlers import add_error_handlers
from hublaunch.binderhub import routes as binder
from hublaunch.binderhub.schemas import BuildEvent
from hublaunch.launch.pace import Pace
from hublaunch.settings import Settings
from hublaunch.wiring.lifespan import open_service
from hublaunch.wiring.middleware import at_root_too, middleware
from hublaunch.wiring.observing import show_metrics
from hublaunch.wiring.startup import settings_or_exit


def create_app(
    settings: Settings | None = None,
    *,
    hub_transport: httpx.AsyncBaseTransport | None = None,
    pace: Pace = Pace(),
    web_pace: WebPace = WebPace(),
) -> FastAPI:
    """Return the service as an ASGI app. Its lifespan opens the database and the connections to the Hub.

    Without `settings`, reads them from the environment and `.env`; invalid settings end the process with a message.
    `hub_transport` replaces the connections to the Hub. `pace` and `web_pace` are for tests.
    """
    if settings is None:
        settings = settings_or_exit()
    prefix = settings.routed_prefix
    app = DescribedApp(
        prefix=prefix,
        events=(LaunchEvent, QueuePosition, Heartbeat, BuildEvent),
        title="hublaunch",
        summary="Launch-as-a-service for JupyterHub.",
        version=version("hublaunch"),
        docs_url=None,
        servers=[{"url": settings.prefix or "/"}],
        redoc_url=None,
        redirect_slashes=False,  # its redirects are absolute, and use http where a proxy terminates TLS
        lifespan=lambda _: open_service(settings, hub_transport=hub_transport, pace=pace, web_pace=web_pace),
        middleware=middleware(settings, web_pace),
    )
    app.router.routes.extend(_routes(prefix, has_login="hub" in settings.access))
    if prefix:
        app.add_route(prefix, pages.redirect_to(f"{settings.prefix}/"), include_in_schema=False)
    if settings.metrics_public:
        for path in at_root_too("/metrics", prefix=prefix):
            app.add_route(path, show_metrics, include_in_schema=False)
    add_error_handlers(app)
    return app


@cache
def _routes(prefix: str, *, has_login: bool) -> tuple[BaseRoute, ...]:
    """Return the routes of the API and the page.

    They hold nothing of an app. FastAPI examines all endpoints again for each router that is included, so the apps of
    a process share them.
    """
    router = APIRouter()
    for module in (
        routes,
        extensions,
        catalogue,
        binder,
        *([oauth] if has_login else []),
        health,
        status,
        admin,
        pages,
    ):
        router.include_router(module.router, prefix=prefix)
    if prefix:
        router.include_router(health.router, include_in_schema=False)
    return tuple(router.routes)
