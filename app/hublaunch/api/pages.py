"""The page at `/`, a page for each launch, the badge, `/docs`, and the files that they and `<hub-launch>` load.

The pages are the same for everybody. The browser gets the facts of launches from the API.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import fastapi_swagger
from fastapi import APIRouter, Header, HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from hublaunch.api.dependencies import WebDep
from hublaunch.api.parameters import LaunchId
from hublaunch.api.site import Site

router = APIRouter(include_in_schema=False)

_WEB = Path(__file__).parent.parent / "web"
_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ts": "text/plain; charset=utf-8",
}
"""Set here, because some systems guess another type from the name, and browsers then refuse to run the script."""
_LOADED = frozenset(
    path.relative_to(_WEB).as_posix() for path in _WEB.rglob("*.*") if path.suffix in _TYPES and path.suffix != ".html"
)
_SWAGGER_UI = Path(fastapi_swagger.__file__).parent / "resources"
"""The package is used only for these files; its own page has an inline script, which the policy forbids."""
_OF_DOCS: Mapping[str, Path] = {
    "start.js": _WEB / "page" / "docs.js",
    "swagger-ui-bundle.js": _SWAGGER_UI / "swagger-ui-bundle.js",
    "swagger-ui.css": _SWAGGER_UI / "swagger-ui.css",
}

IfNoneMatch = Annotated[str | None, Header()]


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    etag: str
    media_type: str

    @classmethod
    def of(cls, content: bytes, name: str) -> "_File":
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        return cls(content, etag, _TYPES[Path(name).suffix])


@cache
def _file(name: str) -> _File:
    return _File.of((_WEB / name).read_bytes(), name)


@cache
def _page(name: str, root: str, site: Site) -> _File:
    return _File.of(site.page(name, root=root).encode(), name)


def _answer(file: _File, if_none_match: str | None, **headers: str) -> Response:
    """Return the file, or 304 if the browser has it. Browsers ask each time, so a new release shows immediately."""
    sent = {"ETag": file.etag, "Cache-Control": "no-cache", **headers}
    if file.etag in (if_none_match or ""):
        return Response(status_code=304, headers=sent)
    return Response(file.content, headers=sent, media_type=file.media_type)


def _page_answer(name: str, if_none_match: str | None, site: Site, *, root: str) -> Response:
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src {site.image_sources}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'"
    )
    return _answer(_page(name, root, site), if_none_match, **{"Content-Security-Policy": policy})


@router.get("/")
async def home(web: WebDep, if_none_match: IfNoneMatch = None) -> Response:
    """The page to launch from. A link can ask for a launch with its query, but starts nothing."""
    return _page_answer("home.html", if_none_match, web.site, root=".")


@router.get("/admin")
async def admin(web: WebDep, if_none_match: IfNoneMatch = None) -> Response:
    """The page for admins. It contains nothing of the service itself, and shows nothing to others."""
    return _page_answer("admin.html", if_none_match, web.site, root=".")


@router.get("/launch/{launch_id}/view")
async def view(launch_id: LaunchId, web: WebDep, if_none_match: IfNoneMatch = None) -> Response:  # noqa: ARG001 - it is validated
    """The page to watch one launch. It contains nothing of the launch itself."""
    return _page_answer("view.html", if_none_match, web.site, root="../..")


@router.get("/badge.svg")
@router.get("/badge_logo.svg")  # BinderHub's name, which READMEs link to
async def badge(if_none_match: IfNoneMatch = None) -> Response:
    """The image of a launch link in a README, for pages of any site."""
    return _answer(_file("page/badge.svg"), if_none_match, **{"Cross-Origin-Resource-Policy": "cross-origin"})


@router.get("/static/{name:path}")
async def static(name: str, if_none_match: IfNoneMatch = None) -> Response:
    """`hub-launch.js`, and the files that it and the pages load.

    Pages of every origin may load them. On a page that may not launch, the element then says so.
    """
    if name not in _LOADED:
        raise HTTPException(404)
    return _answer(_file(name), if_none_match, **{"Access-Control-Allow-Origin": "*", "Vary": "Origin"})


@router.get("/docs")
async def docs(web: WebDep, if_none_match: IfNoneMatch = None) -> Response:
    """The page to read and try out the API, with Swagger UI."""
    return _page_answer("docs.html", if_none_match, web.site, root=".")


@router.get("/docs/{name}")
async def docs_file(name: str) -> Response:
    """The files of Swagger UI, served from this service's own origin, and the script that starts it."""
    if name not in _OF_DOCS:
        raise HTTPException(404)
    file = _OF_DOCS[name]
    return FileResponse(file, media_type=_TYPES[file.suffix], headers={"Cache-Control": "public, max-age=86400"})


def redirect_to(path: str) -> Callable[[Request], Response]:
    """Return an endpoint that redirects to the path and keeps the query.

    `Location` is a path, because hublaunch does not know the scheme that the browser used.
    """

    def redirect(request: Request) -> Response:
        query = request.scope["query_string"].decode("latin-1")
        return Response(status_code=307, headers={"Location": f"{path}?{query}" if query else path})

    return redirect
