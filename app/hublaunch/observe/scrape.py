"""The metrics in Prometheus's formats, and the app that serves them on a separate port."""

from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hublaunch.observe.metrics import Metrics


async def exposition(metrics: Metrics, accept: str) -> tuple[bytes, str]:
    """Return the metrics and their Content-Type: OpenMetrics or Prometheus's text, as the `Accept` header asks."""
    await metrics.refresh()
    encode, content_type = choose_encoder(accept)
    return encode(metrics.registry), content_type


def scrape_app(metrics: Metrics) -> ASGIApp:
    """Return an app that answers `GET /metrics`, and nothing else."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        answer = await _answer(Request(scope), metrics)
        await answer(scope, receive, send)

    return app


async def _answer(request: Request, metrics: Metrics) -> Response:
    if request.url.path != "/metrics":
        return Response(status_code=404)
    if request.method != "GET":
        return Response(status_code=405, headers={"Allow": "GET"})
    body, content_type = await exposition(metrics, request.headers.get("Accept", ""))
    return Response(body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})
