"""A Hub that fails while hublaunch identifies a caller: the answer is a documented problem."""

from typing import Any

import pytest

from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.served import BODY, serve

ROUTES = (
    ("POST", "/launch"),
    ("GET", "/launch"),
    ("GET", "/launch/{launch_id}"),
    ("GET", "/launch/{launch_id}/events"),
    ("DELETE", "/launch/{launch_id}"),
    ("GET", "/session"),
)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"how": "drop"}, 502),
        ({"status": 200, "body": "half"}, 502),
        ({"status": 500}, 502),
        ({"status": 503, "body": "html"}, 502),
        ({"status": 404}, 502),
        ({"status": 429, "headers": {"Retry-After": "3"}}, 503),
    ],
)
async def test_while_the_hub_cannot_identify_callers_they_get_a_documented_problem(
    settings: Settings, hub: FakeHub, fault: dict[str, Any], status: int
) -> None:
    async with serve(settings, access=("anonymous", "hub")) as service:
        paths = (await service.http.get("/openapi.json")).json()["paths"]
        launch_id = (await service.launch())["id"]
        for method, path in ROUTES:
            hub.fail_on("whoami", **fault)

            answer = await service.http.request(
                method,
                path.format(launch_id=launch_id),
                json=BODY if method == "POST" else None,
                headers={"Authorization": f"Bearer {hub.token_of('ada')}"},
            )

            assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
            assert str(status) in paths[path][method.lower()]["responses"], (method, path)
            assert ("Retry-After" in answer.headers) == (status == 503)
    assert hub.count("server_ready", "ada") == 0
