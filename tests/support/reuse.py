"""Requests that may reuse an existing launch."""

from collections.abc import Mapping
from typing import Any

import httpx

from tests.support.served import BODY, Service

Callers = Mapping[str, dict[str, str]]
"""The headers of each caller."""

REUSE, REFUSE, NEW = ({"if_running": what} for what in ("reuse", "refuse", "new"))
OTHER_IMAGE = {"image": "quay.io/jupyter/base-notebook:other"}


async def post(service: Service, headers: Mapping[str, str], **body: object) -> httpx.Response:
    return await service.http.post("/launch", json=BODY | body, headers=headers)


async def ready(service: Service, headers: Mapping[str, str], **body: object) -> dict[str, Any]:
    """Launch a server and return the launch once it is ready."""
    answer = await post(service, headers, **body)
    assert answer.status_code == 202, answer.text
    accepted: dict[str, Any] = answer.json()
    assert (await service.events(accepted["events_url"]))[-1]["phase"] == "ready"
    return accepted
