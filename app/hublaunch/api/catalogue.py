"""`GET /catalogue`: what the caller may launch, by name."""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from hublaunch.api.accept import languages_of
from hublaunch.api.dependencies import DOCUMENTED_CREDENTIALS, KnownCallerDep, Web, WebDep
from hublaunch.api.problems.openapi import DOCUMENTED_EVERYWHERE, documented
from hublaunch.launch.caller import Caller
from hublaunch.launch.rules.catalogue import ContentMode, Environment, in_language

router = APIRouter(tags=["launch"], dependencies=[DOCUMENTED_CREDENTIALS], responses=DOCUMENTED_EVERYWHERE)


class OfferedSize(BaseModel):
    """A size of server that the caller may have."""

    model_config = ConfigDict(title="Size")

    name: str = Field(description="The `size` of a request.")
    title: str


class OfferedEnvironment(BaseModel):
    """An environment that the caller may launch."""

    model_config = ConfigDict(title="Environment")

    name: str = Field(description="The `environment` of a request.")
    title: str
    description: str = Field(description="A sentence about the environment, or an empty text.")
    image: str
    content: ContentMode = Field(
        description="How the files of `repo_url` get into the server: by `nbgitpuller`, by the `spawner`, or not at "
        "all (`none`)."
    )
    open: str = Field(description="The path that opens if a launch has none; empty for the server's root.")
    sizes: list[OfferedSize] = Field(description="The sizes to choose from; the first is the default.")


class OfferedCatalogue(BaseModel):
    """What the caller may launch."""

    model_config = ConfigDict(
        title="Catalogue",
        json_schema_extra={
            "examples": [
                {
                    "environments": [
                        {
                            "name": "scipy",
                            "title": "Scientific Python",
                            "description": "NumPy, SciPy and pandas in JupyterLab",
                            "image": "quay.io/jupyter/scipy-notebook:2026-11-02",
                            "content": "none",
                            "open": "lab",
                            "sizes": [{"name": "small", "title": "1 CPU, 2 GB"}],
                        }
                    ],
                    "images": ["quay.io/jupyter/*"],
                }
            ]
        },
    )

    environments: list[OfferedEnvironment] = Field(description="In the order that the operator chose.")
    images: list[str] = Field(description="The patterns of the images that the caller may launch by `image`.")


@router.get(
    "/catalogue",
    operation_id="getCatalogue",
    summary="Get what you may launch",
    response_model=OfferedCatalogue,
    responses={
        200: {
            "headers": {
                "ETag": {
                    "description": "Send it as `If-None-Match` to get 304 while nothing has changed.",
                    "schema": {"type": "string"},
                }
            }
        },
        304: {"description": "Nothing has changed since the answer with this `ETag`."},
        **documented(401, 403, 422, 502, 503),
    },
)
async def get_catalogue(
    web: WebDep,
    caller: KnownCallerDep,
    accept_language: Annotated[str | None, Header(description="The languages of titles and descriptions.")] = None,
    if_none_match: Annotated[str | None, Header(description="The `ETag` of an earlier answer.")] = None,
) -> Response:
    """Return the environments that the caller may launch, with their sizes, and the patterns of other images.

    Callers without credentials get what they may launch, which is nothing if anonymous callers may not launch.
    """
    body = json.dumps(_offer(web, caller, languages_of(accept_language or "")), ensure_ascii=False).encode()
    etag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {
        "ETag": etag,
        "Cache-Control": "private, no-cache",
        "Vary": "Accept-Language, Authorization, Cookie, Origin",
    }
    if etag in (if_none_match or ""):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def _offer(web: Web, caller: Caller | None, languages: Sequence[str]) -> dict[str, Any]:
    if caller is None and "anonymous" not in web.access:
        return {"environments": [], "images": []}
    caller = caller or Caller(kind="anonymous", key="")
    environments = web.catalogue().offered(caller)
    return {
        "environments": [_shown(environment, languages) for environment in environments],
        "images": web.policy.allowed(allowed_images=caller.allowed_images, groups=caller.groups),
    }


def _shown(environment: Environment, languages: Sequence[str]) -> dict[str, Any]:
    return {
        "name": environment.name,
        "title": in_language(environment.title, languages),
        "description": in_language(environment.description, languages),
        "image": environment.image,
        "content": environment.content,
        "open": environment.open,
        "sizes": [{"name": size.name, "title": in_language(size.title, languages)} for size in environment.sizes],
    }
