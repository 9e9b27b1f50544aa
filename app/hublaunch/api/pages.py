"""The page at `/`, a page for each launch, the badge, and what they and `<hub-launch>` are made of.

All of it is the same for everybody: what a visitor sees of launches their browser asks the API for.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hublaunch.api.routes import LaunchId

router = APIRouter(include_in_schema=False)

_WEB = Path(__file__).parent.parent / "web"
_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ts": "text/plain; charset=utf-8",
}
"""Said here, as some machines guess another type from the name, and browsers run no script of another."""
_LOADED = frozenset(
    path.relative_to(_WEB).as_posix() for path in _WEB.rglob("*.*") if path.suffix in _TYPES and path.suffix != ".html"
)
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)

IfNoneMatch = Annotated[str | None, Header()]


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    etag: str
    media_type: str


@cache
def _file(name: str) -> _File:
    content = (_WEB / name).read_bytes()
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return _File(content, etag, _TYPES[Path(name).suffix])


def _answer(name: str, if_none_match: str | None, **headers: str) -> Response:
    """The file, to be asked for again each time, so that a new release is whole at once; 304 if it is known."""
    file = _file(name)
    sent = {"ETag": file.etag, "Cache-Control": "no-cache", **headers}
    if file.etag in (if_none_match or ""):
        return Response(status_code=304, headers=sent)
    return Response(file.content, headers=sent, media_type=file.media_type)


def _page(name: str, if_none_match: str | None) -> Response:
    return _answer(name, if_none_match, **{"Content-Security-Policy": _PAGE_POLICY})


@router.get("/")
async def home(if_none_match: IfNoneMatch = None) -> Response:
    """Where people launch. A link may fill in its form by the query, and starts nothing."""
    return _page("page/home.html", if_none_match)


@router.get("/launch/{launch_id}/view")
async def view(launch_id: LaunchId, if_none_match: IfNoneMatch = None) -> Response:  # noqa: ARG001 - it is checked
    """Where people watch one launch. There is nothing of the launch in it."""
    return _page("page/view.html", if_none_match)


@router.get("/badge.svg")
@router.get("/badge_logo.svg")  # BinderHub's name, which READMEs have
async def badge(if_none_match: IfNoneMatch = None) -> Response:
    """What a link to a launch looks like in a README, on whichever site that is shown."""
    return _answer("page/badge.svg", if_none_match, **{"Cross-Origin-Resource-Policy": "cross-origin"})


@router.get("/static/{name:path}")
async def static(name: str, if_none_match: IfNoneMatch = None) -> Response:
    """`hub-launch.js` and what it and the pages load. What it may be used by depends on the origin (CORS)."""
    if name not in _LOADED:
        raise HTTPException(404)
    return _answer(name, if_none_match, Vary="Origin")


def redirect_to(path: str) -> Callable[[Request], Response]:
    """Return an endpoint that leads to the path, with the query of the request.

    The path is no whole URL, as hublaunch does not know the scheme that browsers use.
    """

    def redirect(request: Request) -> Response:
        query = request.scope["query_string"].decode("latin-1")
        return Response(status_code=307, headers={"Location": f"{path}?{query}" if query else path})

    return redirect
