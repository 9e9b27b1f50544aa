"""`/docs`: Swagger UI, served from this service's own origin."""

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
"""The package is used only for these files; its own page has an inline script, which the policy forbids."""
_SCRIPT = "text/javascript"
"""Set here, because some systems guess another type from the name, and browsers then refuse to run the script."""
_CACHED = {"Cache-Control": "public, max-age=86400"}


@router.get("/docs")
async def docs() -> Response:
    """The page to read and try out the API."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/start.js")
async def start() -> Response:
    """The script that starts Swagger UI."""
    return FileResponse(_WEB / "page" / "docs.js", media_type=_SCRIPT, headers=_CACHED)


@router.get("/docs/swagger-ui-bundle.js")
async def bundle() -> Response:
    """The script of Swagger UI."""
    return FileResponse(_SWAGGER_UI / "swagger-ui-bundle.js", media_type=_SCRIPT, headers=_CACHED)


@router.get("/docs/swagger-ui.css")
async def stylesheet() -> Response:
    """The stylesheet of Swagger UI."""
    return FileResponse(_SWAGGER_UI / "swagger-ui.css", media_type="text/css", headers=_CACHED)
