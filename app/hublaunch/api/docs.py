"""`/docs`: Swagger UI from this service's own origin, so that no reader is sent elsewhere."""

from pathlib import Path

import fastapi_swagger
from fastapi import APIRouter
from starlette.responses import FileResponse, HTMLResponse, Response

router = APIRouter(include_in_schema=False)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>hublaunch: API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_WEB = Path(__file__).parent.parent / "web"
_SWAGGER_UI = Path(fastapi_swagger.__file__).parent / "resources"
"""The package is used for these files alone; its own page has its script inline."""
_SCRIPT = "text/javascript"
"""Said here, as some machines guess another type from the name, and browsers run no script of another."""
_CACHED = {"Cache-Control": "public, max-age=86400"}


@router.get("/docs")
async def docs() -> Response:
    """The API's documentation, to be read and tried out."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/start.js")
async def start() -> Response:
    """What begins Swagger UI."""
    return FileResponse(_WEB / "page" / "docs.js", media_type=_SCRIPT, headers=_CACHED)


@router.get("/docs/swagger-ui-bundle.js")
async def bundle() -> Response:
    """Swagger UI itself."""
    return FileResponse(_SWAGGER_UI / "swagger-ui-bundle.js", media_type=_SCRIPT, headers=_CACHED)


@router.get("/docs/swagger-ui.css")
async def stylesheet() -> Response:
    """What it looks like."""
    return FileResponse(_SWAGGER_UI / "swagger-ui.css", media_type="text/css", headers=_CACHED)
