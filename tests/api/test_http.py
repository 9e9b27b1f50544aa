"""HTTP as clients and proxies use it: HEAD, Accept, the case of host names, the prefix without its slash."""

import asyncio

import pytest

from hublaunch.api.sse import wants_stream
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import BODY, IMAGE, Service, serve

PREFIX = "/services/hublaunch"
PATHS = ("/healthz", "/session", "/", "/badge.svg", "/static/hub-launch.js", "/docs", "/openapi.json", "/nothing")


async def test_head_is_answered_as_get_without_a_body(service: Service, subtests: pytest.Subtests) -> None:
    for path in PATHS:
        with subtests.test(path=path):
            head = await service.http.head(path)
            get = await service.http.get(path)

            assert head.status_code == get.status_code
            assert head.content == b""
            for name in ("Content-Type", "Content-Length", "ETag", "Content-Security-Policy"):
                assert head.headers.get(name) == get.headers.get(name)


async def test_head_of_a_stream_ends_immediately_and_keeps_the_connection(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    accepted = await service.launch()

    async with asyncio.timeout(10):
        head = await service.http.head(accepted["events_url"])
        after = await service.http.get("/healthz")

    assert (head.status_code, head.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
    assert after.status_code == 200
    assert service.state["web"].feed.followers == 0


async def test_head_launches_nothing_and_redeems_no_login(settings: Settings, hub: FakeHub) -> None:
    given = {"binder_images": {"gh/*/*/*": IMAGE}, "access": ("anonymous", "hub")}
    async with serve(settings.model_copy(update=given)) as service:
        statuses = [
            (await service.http.head(path, headers={"Accept": "text/event-stream"})).status_code
            for path in ("/build/gh/org/repo/main", "/oauth_login", "/oauth_callback?code=x&state=y")
        ]

    assert statuses == [405, 405, 405]
    assert hub.count("user_created") == 0


@pytest.mark.parametrize(
    ("accept", "streams"),
    [
        ("text/event-stream", True),
        ("TEXT/EVENT-STREAM; charset=utf-8", True),
        ("application/json, text/event-stream", True),
        ("text/event-stream;q=0.5, */*;q=0.1", True),
        ("text/event-stream;q=0", False),
        ("text/event-stream; q=0.000", False),
        ("application/json, text/event-stream;q=0", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_accept_headers_decide_on_streams(accept: str, streams: bool) -> None:
    assert wants_stream(accept) == streams


@pytest.mark.parametrize("query", ["", "?image=a%2Fb&x=1"])
async def test_the_prefix_without_a_slash_redirects_to_the_page(settings: Settings, query: str) -> None:
    async with serve(settings, prefix=PREFIX) as service:
        origin = f"http://127.0.0.1:{service.http.base_url.port}"
        answer = await service.http.get(f"{origin}{PREFIX}{query}", follow_redirects=False)
        head = await service.http.head(f"{origin}{PREFIX}{query}", follow_redirects=False)
        page = await service.http.get(f"{origin}{PREFIX}{query}", follow_redirects=True)

    assert (answer.status_code, answer.headers["Location"]) == (307, f"{PREFIX}/{query}")
    assert head.status_code == 307
    assert page.headers["Content-Type"].startswith("text/html")


async def test_host_names_match_regardless_of_case(settings: Settings) -> None:
    given = settings.model_dump() | {"hub_url": "https://hüb.example:8000/", "allowed_hosts": ("größe.example",)}
    settings = Settings(**given)

    async with serve(settings) as service:
        answers = [
            await service.http.get("/session", headers={"Host": host})
            for host in ("xn--hb-xka.example", "xn--gre-6ka8i.example")
        ]

    assert settings.hub_url == "https://xn--hb-xka.example:8000/"
    assert [answer.status_code for answer in answers] == [200, 200]


async def test_a_launch_path_may_begin_with_slashes(service: Service) -> None:
    accepted = await service.launch(path="//notebooks/index.ipynb")
    ready = (await service.events(accepted["events_url"]))[-1]

    assert accepted["path"] == "notebooks/index.ipynb"
    assert "/notebooks/index.ipynb?token=" in ready["open_url"]


@pytest.mark.parametrize("path", ["/%2Fevil.example", "/../admin", "/\\evil.example", "/https://evil.example"])
async def test_a_launch_path_behind_slashes_is_checked(service: Service, path: str) -> None:
    answer = await service.http.post("/launch", json=BODY | {"path": path})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "path")
